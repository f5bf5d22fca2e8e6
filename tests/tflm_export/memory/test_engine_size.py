"""The sizes that plans are chosen by, against the compiler's memory plan and the linked program's."""

import dataclasses
import functools
import itertools

import pytest
from engine_cases import CASES
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_nets import mobile_net
from nets import gated_net, residual_net
from streams import longest_chains

from tflm_export.compiler import compile_model, plan_memory
from tflm_export.emit import emit
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.gradients.training_graph import training_graph
from tflm_export.machines.measure import measure
from tflm_export.memory import engine_size
from tflm_export.memory.engine_size import EngineSize
from tflm_export.memory.storage import PADDING_BYTES, STACK_BYTES
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import samples

CHANNEL_AXES = {
    "CONV_2D": {"out": 0, "in": 3},
    "FULLY_CONNECTED": {"out": 0, "in": 1},
    "DEPTHWISE_CONV_2D": {"out": 3},
}
NETS = {"residual": residual_net, "gated": gated_net, "mobile": mobile_net}


@functools.cache
def model(net):
    graph = simplify(read_tflite(NETS[net]()))
    return graph, EngineSize(graph), EngineSize(graph, "float32")


@st.composite
def plans(draw, net):
    """Any channels along any axis of any layers, biases, the head, every optimizer state."""
    graph, rows = model(net)[0], []
    for op in graph.ops:
        if op.kind in CHANNEL_AXES and "dilated" not in op.attrs and draw(st.booleans()):
            axis = draw(st.sampled_from(sorted(CHANNEL_AXES[op.kind])))
            size = graph.tensors[op.inputs[1]].shape[CHANNEL_AXES[op.kind][axis]]
            channels = tuple(sorted(draw(st.sets(st.integers(0, size - 1)))))
            bias = draw(st.sampled_from(["none", "all"] + ["selected"] * (axis == "out")))
            rows.append(LayerUpdate(op.name, axis, channels, bias))
    rule = Optimizer(
        momentum=draw(st.sampled_from([0.0, 0.9])), batch=draw(st.sampled_from([1, 4])),
        rounding=draw(st.sampled_from(["stochastic", "accumulator"])),
    )  # fmt: skip
    return UpdatePlan(tuple(rows), head=True, optimizer=rule)


@pytest.mark.parametrize("net", NETS)
@settings(max_examples=15, deadline=None)
@given(data=st.data(), floats=st.booleans())
def test_a_plans_size_is_the_compilers(net, data, floats):
    size, plan = model(net)[1 + floats], data.draw(plans(net))
    compiled = compile_model(NETS[net](), plan, gradients="float32" if floats else "int16")
    wanted = compiled.memory.static_ram + STACK_BYTES + PADDING_BYTES
    assert size.least_ram_bytes(plan) <= wanted <= size.ram_bytes(plan) <= 1.01 * wanted
    least = size.least_ram_bytes(plan)
    assert size.fits(plan, least) and not size.fits(plan, least - 1)


@pytest.mark.parametrize("questions", itertools.permutations([None, -4, 0, 400], 3))
def test_no_question_changes_the_answer_to_another(questions, monkeypatch):
    """Streams are sought only as far as a question needs them, here down to any peak."""
    monkeypatch.setattr(engine_size, "ENOUGH_RAM_BYTES", 0)
    graph, plan = model("mobile")[0], UpdatePlan()
    least = EngineSize(graph).least_ram_bytes(plan)
    size = EngineSize(graph)
    for beyond in questions:
        if beyond is None:
            assert size.least_ram_bytes(plan) == least
        else:
            assert size.fits(plan, least + beyond) == (beyond >= 0)


@pytest.mark.parametrize("case", ["mixed", "momentum"])
def test_the_linked_program_takes_no_more(case):
    make, plan = CASES[case]
    compiled, size = compile_model(make(), plan), EngineSize(simplify(read_tflite(make())))
    xs, ts = samples(compiled, None, None, 0)
    measured = measure(compiled, xs[:2], ts[:2])
    ram = measured.static_ram_bytes + measured.stack_bytes
    assert 0 <= size.ram_bytes(plan) - ram <= STACK_BYTES - 1200  # what the stack's constant keeps in hand
    assert measured.flash_bytes <= size.flash_bytes(plan) <= measured.flash_bytes + 32 * 1024


def test_streams_need_no_deeper_stack_than_is_counted():
    plan = CASES["mixed"][1]
    graph = longest_chains(training_graph(simplify(read_tflite(mobile_net())), plan))
    assert any(op.kind == "STREAM" for op in graph.ops)
    memory, compiled = plan_memory(graph, plan), compile_model(mobile_net(), plan)
    sources = {f"src/{path}": text for path, text in emit(graph, memory, plan).items()}
    streamed = dataclasses.replace(
        compiled, graph=graph, memory=memory, sources={**compiled.sources, **sources}
    )
    xs, ts = samples(streamed, None, None, 0)
    assert measure(streamed, xs[:2], ts[:2]).stack_bytes <= STACK_BYTES


def test_a_plan_of_another_model_is_refused():
    with pytest.raises(ExportError, match="no op '#99'"):
        model("residual")[1].ram_bytes(UpdatePlan((LayerUpdate("#99", "out", (0,)),)))
