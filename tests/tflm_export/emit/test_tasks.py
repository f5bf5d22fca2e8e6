"""Engines of other tasks than choosing a class: they are right, they learn, their interface fits the task."""

import numpy as np
import pytest
from task_nets import dense_net

from tflm_export.cli import main
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.machines.host import HostEngine
from tflm_export.machines.sanitize import run_sanitized
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import verify

HIDDEN = (LayerUpdate("#0", "out", tuple(range(8)), "all"),)


def engine(net, loss, rate=0.05, gradients="int16", **optimizer):
    plan = UpdatePlan(HIDDEN, loss=loss, optimizer=Optimizer(rate, **optimizer))
    return compile_model(net, plan, gradients=gradients)


@pytest.fixture(scope="module")
def sigmoids():
    return engine(dense_net(6, 8, 3, end="LOGISTIC"), "bce", 0.1)


@pytest.fixture(scope="module")
def autoencoder():
    return engine(dense_net(12, 8, 12), "reconstruction")


@pytest.mark.parametrize("gradients", ["int16", "float32"])
@pytest.mark.parametrize(
    "net, loss",
    [
        (dense_net(6, 8, 3, end="LOGISTIC"), "bce"),
        (dense_net(12, 8, 12, out_scale=0.07), "reconstruction"),
        (dense_net(12, 8, 12, out_scale=0.02), "reconstruction"),
    ],
)
def test_an_engine_is_right(net, loss, gradients):
    result = verify(engine(net, loss, gradients=gradients), count=8, steps=12, board=gradients == "int16")
    assert result.ok and result.tflm_mismatches == 0 and len(result.gradient_cosines) == 4, result.summary()


def test_the_sanitizers_find_nothing(autoencoder):
    x = np.random.default_rng(0).integers(-128, 128, (3, 1, 12), np.int8)
    assert len(run_sanitized(autoencoder, x, [None] * 3)) == 4


def test_an_autoencoder_learns_what_it_sees(autoencoder):
    host, rng = HostEngine(autoencoder), np.random.default_rng(1)
    pattern = rng.integers(-60, 60, (1, 12)).astype(np.int8)
    before = host.score(pattern)
    real = autoencoder.input.quant.dequantize(pattern), autoencoder.to_real(host.infer(pattern))
    assert before == pytest.approx(float(((real[0] - real[1]) ** 2).mean()), rel=1e-3)
    assert host.train_step(pattern) == pytest.approx(before)
    for _ in range(60):
        host.train_step(pattern)
    assert (after := host.score(pattern)) < before / 4
    assert host._library.shim_train_target(None) == pytest.approx(after)  # the input is still there
    with pytest.raises(ExportError, match="knows no classes"):
        host.predict(pattern)


def test_no_copy_of_the_input_is_kept():
    """The loss reads the input where it lies: its buffer lives until then, and there is no second one."""
    compiled = compile_model(dense_net(12, 8, 12), UpdatePlan(loss="reconstruction"))
    graph, memory = compiled.graph, compiled.memory
    loss = next(i for i, op in enumerate(graph.ops) if op.name == "loss")
    spans = memory.lifetimes
    assert graph.loss.inputs[1] == "x" and spans["x"][1] == loss
    assert sum(buffer.nbytes == 12 and buffer.first == 0 for buffer in memory.buffers) == 1


def test_several_labels_are_learnt_at_once(sigmoids):
    host, rng = HostEngine(sigmoids), np.random.default_rng(2)
    x = rng.integers(-100, 100, (24, 1, 6)).astype(np.int8)
    y = np.stack([x[:, 0, 0] > 0, x[:, 0, 1] > x[:, 0, 2], x[:, 0, 3] < 10], 1).astype(np.int8)

    def right():
        return np.mean([(host.logits(a) > 3).reshape(-1) == b for a, b in zip(x, y, strict=True)])

    before = right()
    for _ in range(30):
        for a, b in zip(x, y, strict=True):
            host.train_step(a, b)
    assert right() > 0.8 > before


@pytest.mark.parametrize("end, half", [("LOGISTIC", 0), (None, 3)])
def test_one_sigmoid_s_class_is_its_sign(end, half):
    compiled = engine(dense_net(6, 8, 1, end=end), "bce")
    text = compiled.sources["src/engine.cpp"], compiled.sources["src/engine.h"]
    assert f"return output()[0] > {half} ? 1 : 0;" in text[0] and "int32_t right();" in text[1]
    assert "guess" not in text[0] + text[1]


def test_a_label_engine_s_interface_stays():
    header = compile_model(dense_net(6, 8, 3), UpdatePlan()).sources["src/engine.h"]
    assert "float train_step(int32_t label);" in header and "int32_t guess();" in header


def test_the_header_of_an_autoencoder(autoencoder):
    header = autoencoder.sources["src/engine.h"]
    assert "float train_step();" in header and "float score();" in header and "predict" not in header


@pytest.mark.parametrize(
    "net, options, said",
    [
        (dense_net(6, 8, 3, end="LOGISTIC"), [], "gradients of bce"),
        (dense_net(6, 8, 3, end="LOGISTIC"), ["--loss", "mse"], "gradients of mse"),
        (dense_net(6, 8, 6), [], "gradients of reconstruction"),
    ],
)
def test_compile_finds_the_loss_by_the_model_s_end(tmp_path, capsys, net, options, said):
    (tmp_path / "model.tflite").write_bytes(net)
    assert main(["compile", str(tmp_path / "model.tflite"), "--out", str(tmp_path / "e"), *options]) == 0
    assert said in capsys.readouterr().out
