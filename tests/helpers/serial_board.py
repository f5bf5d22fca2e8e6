"""The sketch of an engine under sanitizers: behind a pseudo-terminal, or fed from a recording."""

import struct
from pathlib import Path

from tflm_export.board.client import chunks
from tflm_export.board.host_sketch import build_sketch, link_host, write_sketch
from tflm_export.board.simulated import SimulatedBoard
from tflm_export.variable import numbered

HOST = Path(__file__).parents[1] / "cpp" / "serial_host.cpp"
SANITIZE = ("-std=c++14", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def sanitized(compiled, folder, names=()):
    """The sketch as a program for `SimulatedBoard`."""
    return build_sketch(compiled, folder, names, SANITIZE)


def replayer(compiled, folder):
    """The protocol as a program that takes a recording."""
    return link_host(compiled, [HOST], write_sketch(compiled, folder), folder / "replayer", SANITIZE)


def raw_tensors(compiled, weights):
    """What a host writes of whole tensors, in the board's order."""
    return [v.take(weights[v.tensor]).astype(v.dtype).tobytes() for v in numbered(compiled.graph)]


def write_payloads(raw):
    """Of the frames that bring the tensors, without begin and end."""
    places = [(i, at, n) for i, data in enumerate(raw) for at, n in chunks(len(data))]
    return [struct.pack("<HI", i, at) + raw[i][at : at + n] for i, at, n in places]


class WatchedBoard(SimulatedBoard):
    """A simulated board whose program must end without a sanitizer's complaint."""

    def close(self):
        assert super().close() == 0
        return 0
