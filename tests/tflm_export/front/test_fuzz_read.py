"""Damaged files: an error or an engine, never another exception, a hang or a large allocation."""

import resource
import struct
import time

import numpy as np
import pytest
from nets import block_net, gated_net, residual_net
from streaming_nets import keyword_net, two_edges_net
from tflite_file import oracle

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.plan import LayerUpdate, UpdatePlan
from tflm_export.simulate.evaluate import run

PARTS = 2  # of each seed
WORDS = [0, 1, 2, 4, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 0x7FC00000, 0x7F800000, 0x80000000, 0x00000001]
SECONDS_A_FILE = 5
MEGABYTES = 600
SEEDS = {  # between them every op
    "residual": (
        residual_net,
        UpdatePlan((LayerUpdate("#3", "out", (0, 2), "all"), LayerUpdate("#2", "out", (1,), "selected"))),
    ),
    "blocks": (
        block_net,
        UpdatePlan((LayerUpdate("#1", "out", (), "all"), LayerUpdate("#4", "out", (1,)))),
    ),
    "gated": (
        gated_net,
        UpdatePlan((LayerUpdate("#0", "out", (), "all"), LayerUpdate("#5", "in", (0, 3), "all"))),
    ),
}
NOTHING = UpdatePlan(head=False)
FILES = SEEDS | {"keyword": (keyword_net, NOTHING), "two edges": (two_edges_net, NOTHING)}


@pytest.mark.parametrize("seed", SEEDS)
def test_fuzz_seed_is_sound(seed):
    """The undamaged net is read, right and trains."""
    make, plan = SEEDS[seed]
    data = make()
    graph = simplify(read_tflite(data))
    (name,) = graph.inputs
    runs = block_net(roundabout=False) if make is block_net else data  # TFLite Micro errs on blocks
    x = np.random.default_rng(0).integers(-128, 128, graph.tensors[name].shape).astype(np.int8)
    np.testing.assert_array_equal(run(graph, {name: x})[graph.outputs[0]], oracle(runs, x)[0])
    assert compile_model(data, plan).facts["trained_parameters"] > 0


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


def attempt(data: bytes, plan: UpdatePlan) -> str:
    """Read, simplify, compile and (when small) run one file; how it ended."""
    try:
        graph = simplify(read_tflite(data))
    except ExportError as error:
        assert len(str(error)) < 8000 and "\n" not in str(error), str(error)
        return "refused"
    try:
        compile_model(data, plan)
    except ExportError as error:
        assert "\n" not in str(error)
    if sum(t.size for t in graph.tensors.values()) < 2**17:
        run(graph, {name: np.zeros(graph.tensors[name].shape, np.int8) for name in graph.inputs})
    return "read"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("seed", FILES)
def test_fuzz_damaged_files(seed, part, request):
    rng = np.random.default_rng(part)
    make, plan = FILES[seed]
    whole = make()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ends = {"refused": 0, "read": 0}
    for _ in range(request.config.getoption("--fuzz-files") // (PARTS * len(FILES)) + 1):
        data = mutate(whole, rng)
        start = time.monotonic()
        ends[attempt(data, plan)] += 1
        assert time.monotonic() - start < SECONDS_A_FILE
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert grown < MEGABYTES, f"{grown} MB"
    assert min(ends.values()) > 0, ends  # the wounds are neither all fatal nor all harmless
