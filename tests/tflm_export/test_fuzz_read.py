"""Damaged files: an error or an engine, never another exception, a hang or a large allocation."""

import resource
import struct
import time

import numpy as np
import pytest
from nets import residual_net
from tflite_file import oracle

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.evaluate import run
from tflm_export.read_tflite import read_tflite
from tflm_export.simplify import simplify
from tfodl.plan import LayerUpdate, UpdatePlan

PARTS = 4
WORDS = [0, 1, 2, 4, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 0x7FC00000, 0x7F800000, 0x80000000, 0x00000001]
SECONDS_A_FILE = 5
MEGABYTES = 600
PLAN = UpdatePlan(
    layers=(LayerUpdate("#3", "out", (0, 2), "all"), LayerUpdate("#2", "out", (1,), "selected"))
)


def test_fuzz_seed_is_sound():
    """The undamaged net is read, and right."""
    data = residual_net()
    x = np.random.default_rng(0).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)
    np.testing.assert_array_equal(run(simplify(read_tflite(data)), {"x": x})["p"], oracle(data, x)[0])


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """1 to 4 random wounds."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, len(out) - 4))
        match rng.integers(0, 6):
            case 0:
                out[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                out[at] = int(rng.integers(0, 256))
            case 2:
                struct.pack_into("<I", out, at & ~3, WORDS[rng.integers(0, len(WORDS))])
            case 3:
                (word,) = struct.unpack_from("<I", out, at & ~3)
                struct.pack_into("<I", out, at & ~3, (word + int(rng.integers(-64, 65))) % 2**32)
            case 4:
                to = int(rng.integers(0, len(out) - 4))
                n = int(rng.integers(1, 65))
                out[to : to + n] = out[at : at + n]
            case 5 if rng.random() < 0.1:
                del out[max(at, 64) :]
    return bytes(out)


def attempt(data: bytes) -> str:
    """Read, simplify, compile and (when small) run one file; how it ended."""
    try:
        graph = simplify(read_tflite(data))
    except ExportError as error:
        assert len(str(error)) < 8000 and "\n" not in str(error), str(error)
        return "refused"
    try:
        compile_model(data, PLAN)
    except ExportError as error:
        assert "\n" not in str(error)
    if sum(t.size for t in graph.tensors.values()) < 2**17:
        run(graph, {name: np.zeros(graph.tensors[name].shape, np.int8) for name in graph.inputs})
    return "read"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("part", range(PARTS))
def test_fuzz_damaged_files(part, request):
    rng = np.random.default_rng(part)
    seed = residual_net()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ends = {"refused": 0, "read": 0}
    for _ in range(request.config.getoption("--fuzz-files") // PARTS):
        data = mutate(seed, rng)
        start = time.monotonic()
        ends[attempt(data)] += 1
        assert time.monotonic() - start < SECONDS_A_FILE
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert grown < MEGABYTES, f"{grown} MB"
    assert min(ends.values()) > 0, ends  # the wounds are neither all fatal nor all harmless
