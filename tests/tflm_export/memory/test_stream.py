"""Streams change memory and nothing else: engines with every chain fused learn as the plain graph does."""

import dataclasses

import keras_nets as nets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import longest_chains

from tflm_export.compiler import compile_model, plan_memory
from tflm_export.emit import emit
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.geometry import Geometry
from tflm_export.gradients.training_graph import training_graph
from tflm_export.machines.host import HostEngine
from tflm_export.memory.fuse import _with_steps, fuse
from tflm_export.memory.lifetimes import peak
from tflm_export.memory.stream import may_overlay, ring_rows
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import samples
from tflm_export.simulate.step import Simulator

PLAN = UpdatePlan(
    (
        LayerUpdate("#2", "out", (1, 3, 5), "selected"),
        LayerUpdate("#3", "in", (0, 4, 9), "all"),
        LayerUpdate("#5", "out", (), "all"),
        LayerUpdate("#7", "out", (2, 3, 11), "selected"),
    ),
    optimizer=Optimizer(0.02),
)


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_a_streamed_engine_learns_the_same(rows):
    plain = training_graph(simplify(read_tflite(nets.mobile_net(True))), PLAN)
    graph = longest_chains(plain)
    streams = [op for op in graph.ops if op.kind == "STREAM"]
    assert any(op.attrs["residual"] is not None for op in streams)
    assert any(op.attrs["kept"] for op in streams)
    for op in streams:
        graph = _with_steps(graph, op.name, rows)
    compiled = compile_model(nets.mobile_net(True), PLAN)
    memory = plan_memory(graph, PLAN)
    sources = {f"src/{path}": text for path, text in emit(graph, memory, PLAN).items()}
    compiled = dataclasses.replace(
        compiled, graph=graph, memory=memory, sources={**compiled.sources, **sources}
    )
    engine, simulator = HostEngine(compiled), Simulator(plain, PLAN)
    xs, ts = samples(compiled, None, None, 0)
    for x, t in zip(xs[:24], ts[:24], strict=True):
        np.testing.assert_array_equal(engine.infer(x), simulator.infer(x))
        engine.train_step(x, t)
        simulator.train_step(x, t)
    for name, weights in engine.weights().items():
        np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=name)


def test_fuse_lowers_the_peak_and_keeps_every_op():
    plain = training_graph(simplify(read_tflite(nets.mobile_net())), UpdatePlan())
    fused = fuse(plain)
    assert peak(fused)[0] < peak(plain)[0]
    assert set(fused.layers) == set(plain.layers)
    order = [member.name for op in fused.ops for member in op.members]
    assert order == [op.name for op in plain.ops]


def rows_by_hand(maps, steps):
    """Input rows still unread whenever output rows are written, by playing the stream row by row."""
    done = [0] * len(maps)
    events = []
    while done[-1] < maps[-1].out_shape[0]:
        i = len(maps) - 1
        while i > 0:
            block = min(done[i] + steps[i], maps[i].out_shape[0])
            need = min(
                maps[i].in_shape[0], (block - 1) * maps[i].stride[0] - maps[i].pad[0] + maps[i].kernel[0]
            )
            if done[i - 1] >= need:
                break
            i -= 1
        done[i] = min(done[i] + steps[i], maps[i].out_shape[0])
        if i == len(maps) - 1:
            rest = done[0] < maps[0].out_shape[0]
            unread = max(0, done[0] * maps[0].stride[0] - maps[0].pad[0]) if rest else maps[0].in_shape[0]
            events.append((done[-1], unread))
    return events


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_an_overlay_never_writes_what_is_still_to_be_read(data):
    """`may_overlay` on random chains against a row-by-row play; rings hold what the next block reads."""
    from tflm_export.ir import Graph, Op, Tensor

    height, width, channels = data.draw(st.integers(3, 20)), 6, data.draw(st.integers(1, 6))
    tensors, stages = {"t0": Tensor("t0", (1, height, width, channels), "int8")}, []
    for i in range(data.draw(st.integers(2, 4))):
        k, stride = data.draw(st.sampled_from([(1, 1), (3, 1), (3, 2), (5, 2)]))
        _, h, w, c = tensors[f"t{i}"].shape
        out = -(-h // stride)
        pad = max(0, (out - 1) * stride + k - h) // 2
        outputs = data.draw(st.integers(1, 6))
        tensors[f"t{i + 1}"] = Tensor(f"t{i + 1}", (1, out, -(-w // stride), outputs), "int8")
        attrs = {"k_h": k, "k_w": k, "stride_h": stride, "stride_w": stride, "pad_top": pad, "pad_left": pad}
        stages.append(Op("CONV_2D", f"#{i}", (f"t{i}", "w"), (f"t{i + 1}",), attrs))
    graph = Graph(tensors, tuple(stages), ("t0",), (f"t{len(stages)}",))
    steps = tuple(data.draw(st.integers(1, 4)) for _ in stages)
    attrs = {"stages": tuple(stages), "kept": (), "residual": None, "steps": steps}
    op = Op("STREAM", stages[-1].name, ("t0",), (f"t{len(stages)}",), attrs)
    maps = [Geometry.of(stage, graph) for stage in stages]
    row_in, row_out = width * channels, np.prod(maps[-1].out_shape[1:])
    safe = all(
        written * row_out <= unread * row_in or unread >= height
        for written, unread in rows_by_hand(maps, steps)
    )
    fits = tensors[f"t{len(stages)}"].nbytes <= tensors["t0"].nbytes
    assert not may_overlay(op, graph) or (safe and fits)
    for i, following in enumerate(maps[1:]):
        least = (steps[i + 1] - 1) * following.stride[0] + following.kernel[0]
        assert ring_rows(steps[i], following, steps[i + 1]) >= min(least, following.in_shape[0])
