"""The training graph: what it holds, in which order, and what it refuses."""

import hashlib

import keras_nets as models
import nets
import pytest

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.gradients.training_graph import training_graph
from tflm_export.plan import LayerUpdate, UpdatePlan


@pytest.fixture(scope="module")
def graph():
    return simplify(read_tflite(models.mobile_net(True)))


def train(graph, *layers, head=False, **more):
    return training_graph(graph, UpdatePlan(tuple(LayerUpdate(*row) for row in layers), head=head, **more))


def kinds(graph, role=None):
    return [(op.kind, op.name) for op in graph.ops if role is None or op.role == role]


def test_head_alone_has_no_input_gradient(graph):
    training = train(graph, head=True)
    assert kinds(training, "update") == [
        ("FULLY_CONNECTED_WEIGHTS_UPDATE", "#9/weights"),
        ("BIAS_UPDATE", "#9/bias"),
    ]
    assert kinds(training, "gradient") == [("SOFTMAX_CROSSENTROPY", "loss")]
    assert all(len(op.outputs) == 1 for op in training.ops if op.role == "forward")


def test_walks_back_to_the_shallowest_trained_tensor_and_no_further(graph):
    training = train(graph, ("#6", "out", (0,), "none"))
    assert kinds(training)[-4:] == [
        ("FULLY_CONNECTED_INPUT_GRADIENT", "#9/input"),
        ("MEAN_INPUT_GRADIENT", "#8/input"),
        ("CONV_2D_INPUT_GRADIENT", "#7/input"),
        ("DEPTHWISE_CONV_2D_WEIGHTS_UPDATE", "#6/weights"),
    ]
    masked = [op.name for op in training.ops if op.role == "forward" and len(op.outputs) > 1]
    assert masked == ["#6", "#7"]  # not below, not the logits, not MEAN


def test_an_update_follows_its_gradient_and_the_input_gradient_comes_first(graph):
    names = [op.name for op in train(graph, ("#5", "out", (1,), "all"), ("#7", "in", (2,), "all")).ops]
    assert names.index("#7/input") < names.index("#7/weights") < names.index("#7/bias")
    assert names.index("#7/bias") < names.index("#6/input") < names.index("#5/weights")
    assert names.index("#7/keep") == names.index("#7") - 1


def test_two_readers_are_summed(graph):
    training = train(graph, ("#0", "out", (0,), "none"))
    (total,) = [op for op in training.ops if op.kind == "ADD_GRADIENTS"]
    update = next(op for op in training.ops if op.role == "update")
    assert update.inputs[0] == total.outputs[0]
    assert {training.tensors[name].dtype for name in total.inputs} == {"int16"}


def test_names_of_layers(graph):
    op = graph.ops[7]
    for name in (op.name, op.outputs[0], op.inputs[1]):
        assert ("CONV_2D_WEIGHTS_UPDATE", "#7/weights") in kinds(train(graph, (name, "out", (0,), "none")))


def test_the_head_takes_the_place_of_its_own_entry(graph):
    training = train(graph, ("#9", "out", (0,), "none"), head=True)
    update = next(op for op in training.ops if op.role == "update")
    assert update.attrs["channels"] == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("row, message", [
    (("nowhere", "out", (0,), "none"), r"no op 'nowhere' in this model.*#0 \("),
    (("#7", "out", (12,), "none"), r"'#7': channel 12 does not exist; axis 'out' has channels 0..11"),
    (("#7", "in", (24,), "none"), "channel 24 does not exist; axis 'in' has channels 0..23"),
    (("#4", "out", (0,), "none"), "ADD '#4' has no weights to train"),
    (("#7", "out", (), "none"), "nothing trains"),
])  # fmt: skip
def test_a_plan_that_does_not_fit(graph, row, message):
    with pytest.raises(ExportError, match=message):
        train(graph, row)


def test_one_op_named_twice(graph):
    with pytest.raises(ExportError, match="has an entry already"):
        train(graph, ("#7", "out", (0,), "none"), (graph.ops[7].inputs[1], "out", (1,), "none"))


def test_no_bias():
    graph = simplify(read_tflite(models.autoencoder()))
    with pytest.raises(ExportError, match="'#1' has no bias; set its bias to 'none'"):
        train(graph, ("#1", "out", (0,), "all"), loss="mse")


def test_a_head_that_is_not_dense():
    graph = simplify(read_tflite(models.mobile_net()))
    cut = next(i for i, op in enumerate(graph.ops) if op.kind == "DEPTHWISE_CONV_2D")
    graph = graph.replace(ops=graph.ops[: cut + 1], outputs=graph.ops[cut].outputs)
    with pytest.raises(ExportError, match="cross-entropy takes one row"):
        train(graph, head=True)
    with pytest.raises(ExportError, match="do not come from a dense layer .got DEPTHWISE_CONV_2D."):
        train(graph, head=True, loss="mse")


def test_a_head_of_nothing():
    graph = simplify(read_tflite(models.mobile_net()))
    graph = graph.replace(ops=graph.ops[:1], outputs=graph.ops[0].outputs)
    with pytest.raises(ExportError, match="cross-entropy"):
        train(graph, head=True)


def test_a_loss_behind_a_softmax(graph):
    with pytest.raises(ExportError, match="SOFTMAX '#10'.*no gradient can pass this op"):
        train(graph, ("#7", "out", (0,), "none"), loss="mse")


def test_a_plan_for_another_model():
    data = nets.residual_net()
    mine = hashlib.sha256(data).hexdigest()
    compile_model(data, UpdatePlan(provenance={"model_sha256": mine}))
    with pytest.raises(ExportError, match="made for the model with SHA-256 0123"):
        compile_model(data, UpdatePlan(provenance={"model_sha256": "0123" * 16}))
