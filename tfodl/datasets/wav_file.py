"""`read_wav`: one sound as 16-bit samples of one channel.

>>> from pathlib import Path
>>> write_wav(Path("beep.wav"), np.array([0, 1000, -1000], np.int16), 8000)
>>> rate, sound = read_wav(Path("beep.wav"))
>>> rate, sound.tolist()
(8000, [0, 1000, -1000])
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from tflm_export.errors import TfodlError

HOW = "save it as 16-bit PCM: ffmpeg -i IN -ac 1 -ar 16000 -c:a pcm_s16le OUT.wav"


def read_wav(path: Path) -> tuple[int, np.ndarray]:
    """Sample rate in Hz and sound int16 [samples] of a PCM file of 8, 16, 24 or 32 bits; of several channels
    their mean. Raises `TfodlError` for anything else, and for a file without samples."""
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        line = " ".join(str(error).split()) or type(error).__name__
        raise TfodlError(f"{str(path)!r}: cannot be read as .wav ({line}); {HOW}.") from error
    if width not in (1, 2, 3, 4) or channels < 1:
        raise TfodlError(f"{str(path)!r}: {8 * width} bits in {channels} channels; {HOW}.")
    whole = len(raw) // (width * channels)
    if not whole:
        raise TfodlError(f"{str(path)!r}: holds no samples.")
    samples = _sixteen_bits(np.frombuffer(raw, np.uint8)[: whole * width * channels], width)
    mean = samples.reshape(whole, channels).mean(axis=1)
    return rate, np.rint(mean).astype(np.int16)


def write_wav(path: Path, sound: np.ndarray, rate: int) -> None:
    """Write `sound` int16 [samples] at `rate` Hz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(sound, "<i2").tobytes())


def _sixteen_bits(raw: np.ndarray, width: int) -> np.ndarray:
    """The upper 16 bits of every little-endian sample, int16 [n]; 8 bits are unsigned in a .wav."""
    if width == 1:
        return (raw.astype(np.int16) - 128) * 256
    upper = raw.reshape(-1, width)[:, -2:]
    return np.ascontiguousarray(upper).view("<i2")[:, 0]
