"""Recordings of what comes in on a serial line: sound frames, damaged and cut ones, rubbish, pauses."""

import random
import struct
import zlib
from dataclasses import dataclass

from tflm_export.board.commands import Command
from tflm_export.board.frames import ANSWER, FrameReader, frame

C = Command
PICTURES = {C.PREDICT: 0, C.TRAIN: 4, C.EVALUATE: 4, C.NEW_CLASS: 16}  # bytes before the picture
SIZES = {C.READ_WEIGHTS: 8, C.LEARNING_RATE: 4, C.PARAMETER: 2, C.ABOUT: 6, C.END_WEIGHTS: 4, C.CONFUSION: 1}
SIZES |= {C.REMEMBER: 4, C.CLASS_NAME: 20, C.READ_FLASH: 6}
SIZES |= {C.CONSTANTS_PAGE: 2, C.BEGIN_CONSTANTS: 33, C.WRITE_CONSTANTS: 68}
RARE = {C.NEW_EPOCH, C.SAVE, C.RESTORE, C.FACTORY_RESET, C.RESET, C.BEGIN_WEIGHTS, C.JUDGE, C.REST}
COMMANDS = [*C, 0, 200, 255]
SHARES = [*(0.05 if command in RARE else 1.0 for command in C), 0.2, 0.2, 0.2]
PLACES = [0, 1, 40, 44, 47, 48, 49, 400, 2**31, 2**32 - 1]
PAUSES = [0] * 7 + [1, 999, 1001]


@dataclass
class Record:
    """A pause in ms, then bytes. whole: the frame that they were before they were damaged."""

    pause: int
    data: bytes
    whole: bytes

    def packed(self) -> bytes:
        return struct.pack("<HH", self.pause, len(self.data)) + self.data


def recording(seed, count, picture_bytes, labels=8):
    """`count` records."""
    rng = random.Random(seed)
    commands = rng.choices(COMMANDS, SHARES, k=count)
    return [_record(rng, int(command), i % 256, picture_bytes, labels) for i, command in enumerate(commands)]


def _record(rng, command, sequence, picture_bytes, labels):
    whole = frame(command, sequence, _payload(rng, command, picture_bytes, labels))
    raw = bytearray(whole)
    fate, pause = rng.random(), rng.choice(PAUSES)
    if 0.5 <= fate < 0.7:
        raw[rng.randrange(0, len(raw))] ^= 1 << rng.randrange(0, 8)
    elif 0.7 <= fate < 0.8:
        del raw[rng.randrange(0, len(raw)) :]
    elif 0.8 <= fate < 0.85:
        raw = bytearray(rng.randbytes(rng.randrange(0, 40)))
    elif 0.85 <= fate < 0.9:  # a wrong length under a right check
        raw[4:8] = struct.pack("<I", rng.choice([0, 1, 2**16, 2**31, 2**32 - 1]))
        raw[8:10] = struct.pack("<H", zlib.crc32(raw[:8]) & 0xFFFF)
    elif 0.9 <= fate < 0.95:
        raw = raw[: len(raw) // 2] + rng.randbytes(3) + raw[len(raw) // 2 :]
    elif fate >= 0.95:
        raw = raw * 2
    return Record(pause, bytes(raw), whole)


def _payload(rng, command, picture_bytes, labels):
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(0, 300))
    label = struct.pack("<i", rng.randrange(-1, labels))
    if command in PICTURES:
        before = PICTURES[command]
        return (label if before == 4 else rng.randbytes(before)) + rng.randbytes(picture_bytes)
    payload = bytearray(rng.randbytes(SIZES.get(command, 0)))
    if command == C.WRITE_WEIGHTS:
        payload = bytearray(6 + rng.choice([1, 4, 8, 256]))
    if command in (C.READ_WEIGHTS, C.WRITE_WEIGHTS, C.PARAMETER, C.CONSTANTS_PAGE, C.WRITE_CONSTANTS):
        struct.pack_into("<H", payload, 0, rng.randrange(0, 6))
    if command in (C.READ_WEIGHTS, C.WRITE_WEIGHTS):
        struct.pack_into("<I", payload, 2, rng.choice(PLACES))
    if command in (C.ABOUT, C.READ_FLASH):
        payload = bytearray(struct.pack("<IH", rng.choice(PLACES), rng.choice([0, 1, 64, 256, 65535])))
    if command in (C.REMEMBER, C.CLASS_NAME):
        payload[:4] = label
    if command == C.LEARNING_RATE:
        payload = bytearray(struct.pack("<f", rng.choice([1e-3, 1e-2, 0.0, -1.0, 1e9, float("nan")])))
    return bytes(payload)


def answers(output, records):
    """The frames that the board answered to each record; all of its bytes must be such."""
    found, at = [], 0
    for _ in records:
        (size,) = struct.unpack_from("<I", output, at)
        reader = FrameReader()
        reader.feed(output[at + 4 : at + 4 + size])
        frames = []
        while (one := reader.next()) is not None:
            frames.append(one)
        assert not reader.in_a_frame and not reader.texts()
        assert all(one.kind & ANSWER and one.payload for one in frames)
        found.append(frames)
        at += 4 + size
    assert at == len(output)
    return found
