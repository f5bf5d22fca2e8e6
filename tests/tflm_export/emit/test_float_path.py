"""The float32 backward pass end to end: the emitted engine against numpy, TensorFlow, float64 and int16."""

from __future__ import annotations

import ctypes
import dataclasses
import re
import subprocess
from pathlib import Path

import digits_net
import keras_nets
import nets
import numpy as np
import pytest
from engine_cases import CASES, MOBILE, ZOO

from tflm_export import cli
from tflm_export.compiler import Compiled, compile_model
from tflm_export.emit import dispatch
from tflm_export.engine_folder import load
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.gradients.training_graph import GRADIENT_TYPES
from tflm_export.library import library_root
from tflm_export.machines.emulator import ARDUINO_FLAGS, O2_FLAGS
from tflm_export.machines.host import HostEngine
from tflm_export.machines.measure import measure
from tflm_export.machines.sanitize import run_sanitized
from tflm_export.ops.convolution.rates import rate_constants
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import Optimizer, UpdatePlan
from tflm_export.report.report import make_report
from tflm_export.report.verify import samples, verify
from tflm_export.simulate.reference import cosine, reference_gradients
from tflm_export.simulate.step import Simulator
from tflm_export.variable import Variable, variables
from tfodl.int8.dequantized import gradients as tensorflow_gradients

BATCH = 8
LARGEST_UNITS = 2.0**18.9  # of a sample, within the bound of a step: its 20 bits are what can be read


# The same bits everywhere ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_training_is_that_of_numpy(name):
    make, plan = CASES[name]
    compiled = compile_model(make(), plan, gradients="float32")
    engine, simulator = HostEngine(compiled), Simulator(compiled.graph, compiled.plan)
    start, (xs, ts) = engine.weights(), samples(compiled, None, None, seed=1)
    for x, t in zip(xs[:24], ts[:24], strict=True):
        assert engine.train_step(x, t) == pytest.approx(simulator.train_step(x, t), rel=1e-4, abs=3e-5)
    for tensor, weights in engine.weights().items():
        np.testing.assert_array_equal(weights, simulator.weights[tensor], err_msg=tensor)
    assert any((weights != start[tensor]).any() for tensor, weights in engine.weights().items())


@pytest.mark.parametrize("name", ["everything", "zoo", "mse"])
def test_sanitizers_have_no_complaint(name):
    make, plan = CASES[name]
    compiled = compile_model(make(), plan, gradients="float32")
    xs, ts = samples(compiled, None, None, 0)
    weights, engine = run_sanitized(compiled, xs[:4], ts[:4]), HostEngine(compiled)
    check_resident(compiled, engine, xs[:4], ts[:4], weights)


@pytest.mark.parametrize("flags", [O2_FLAGS, ARDUINO_FLAGS])
def test_the_cortex_m4f_computes_the_same(flags):
    """Its compiler may fuse multiply and add; the kernels forbid it."""
    make, plan = CASES["mixed"]
    compiled = compile_model(make(), plan, gradients="float32")
    xs, ts = samples(compiled, None, None, 0)
    measured, engine = measure(compiled, xs[:4], ts[:4], flags=flags), HostEngine(compiled)
    check_resident(compiled, engine, xs[:4], ts[:4], measured.weights)
    assert measured.static_ram_bytes == pytest.approx(compiled.memory.static_ram, rel=0.01)
    assert "by float32 gradients of " in make_report(compiled, measured).to_text()


def check_resident(compiled: Compiled, engine: HostEngine, xs, ts, weights) -> None:
    for x, t in zip(xs, ts, strict=True):
        engine.train_step(x, t)
    for variable in variables(compiled.graph):
        expected = variable.take(engine.weights()[variable.tensor]).reshape(-1)
        np.testing.assert_array_equal(weights[variable.tensor], expected)


def test_no_double_in_the_kernels(tmp_path: Path):
    src = library_root() / "src"
    for source in sorted(src.rglob("*_f32.cpp")):
        out = tmp_path / f"{source.stem}.o"
        target = (f"-I{src}", "-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", *O2_FLAGS)
        warnings = ("-Wall", "-Wextra", "-Wdouble-promotion", "-Wfloat-conversion", "-Werror")
        subprocess.run(
            ["arm-none-eabi-g++", *target, *warnings, "-c", str(source), "-o", str(out)], check=True
        )
        names = subprocess.run(
            ["arm-none-eabi-nm", "-u", str(out)], capture_output=True, text=True, check=True
        )
        assert not re.search(r"__aeabi_d|__aeabi_\w*2d|\b(exp|log)f?\b", names.stdout), source.name


# The right gradients --------------------------------------------------------------------------------------


class GradientEngine:
    """An engine that accumulates one batch more than it is given: what it holds then are its gradients."""

    def __init__(self, tflite: bytes, plan: UpdatePlan, gradients: str):
        plan = dataclasses.replace(plan, optimizer=Optimizer(1.0, batch=BATCH + 1), seed=0)
        self.compiled = compile_model(tflite, plan, gradients=gradients)
        self.variables = variables(self.compiled.graph)
        sources = dict(self.compiled.sources)
        for variable in self.variables:
            symbol = self.symbol(variable)
            sources["src/engine.cpp"] += (
                f'extern "C" void* held_{symbol}() {{ return engine::batch_{symbol}; }}\n'
            )
        self.engine = HostEngine(dataclasses.replace(self.compiled, sources=sources))

    @staticmethod
    def symbol(variable: Variable) -> str:
        return f"{'b' if variable.bias else 'w'}{variable.layer.label}"

    def gradients(self, xs: np.ndarray, ts, size: dict[str, float]) -> dict[str, np.ndarray]:
        """Real gradients summed over the samples; `size`: about the largest of each tensor."""
        found = {}
        for variable in self.variables:
            per_unit = self._units(variable)
            rate = np.float32(LARGEST_UNITS / (65536 * size[variable.tensor] * float(per_unit.max())))
            self.engine.reset()
            self.engine.set_learning_rate(float(rate) * (BATCH + 1))
            for x, t in zip(xs, ts, strict=True):
                self.engine.train_step(x, t)
            units = self._held(variable).reshape(variable.index.shape)
            found[variable.tensor] = -units / (65536 * float(rate) * per_unit)
        return found

    def _units(self, variable: Variable) -> np.ndarray:
        """Parameter steps per unit of learning rate and of real gradient, as they broadcast."""
        graph = self.compiled.graph
        scale = rate_constants(variable.op, variable.layer, graph, True).astype(np.float64)
        if not variable.bias:
            scale /= tensor_quant(graph, variable.layer.inputs[0]).scale[0]
        return variable.per_output(scale)

    def _held(self, variable: Variable) -> np.ndarray:
        read = getattr(self.engine._library, f"held_{self.symbol(variable)}")
        read.restype = ctypes.c_void_p
        return np.frombuffer(ctypes.string_at(read(), 4 * variable.count), np.int32).astype(np.float64)


def _digits():
    xs, ts = digits_net.target_digits(digits_net.forward_graph(), BATCH)
    return digits_net.digits_net(), UpdatePlan(digits_net.LAYERS), xs, ts


def _random(tflite: bytes, plan: UpdatePlan):
    graph = read_tflite(tflite)
    classes = graph.tensors[graph.outputs[0]].shape[-1]
    return tflite, plan, keras_nets.random_inputs(graph, BATCH, seed=6), np.arange(BATCH) % classes


NETS = {
    "digits": _digits,
    "mobile": lambda: _random(keras_nets.mobile_net(), UpdatePlan(MOBILE)),
    "zoo": lambda: _random(keras_nets.zoo_net(), UpdatePlan(ZOO)),
}


@pytest.fixture(scope="module", params=NETS)
def engines(request):
    """Gradients of a batch by both engines, by float64 and by TensorFlow, of every trained tensor."""
    tflite, plan, xs, ts = NETS[request.param]()
    single = GradientEngine(tflite, plan, "float32")
    each = [reference_gradients(single.compiled.graph, x, int(t)) for x, t in zip(xs, ts, strict=True)]
    size = {name: max(float(np.abs(g[name]).max()) for g in each) for name in each[0]}
    exact = {name: sum(g[name] for g in each) for name in each[0]}
    whole = tensorflow_gradients(read_tflite(tflite), xs[:, 0], np.asarray(ts))
    by_tensorflow = {v.tensor: BATCH * np.take(whole[v.tensor], v.channels, v.axis) for v in single.variables}
    integer = GradientEngine(tflite, plan, "int16")
    return single.gradients(xs, ts, size), integer.gradients(xs, ts, size), exact, by_tensorflow


def test_float32_gradients_are_those_of_float64_and_tensorflow(engines):
    """C++ in float32, read out of the engine.

    TensorFlow clips the real value, the device the integer one: where an activation lies on the bound, the
    tensors below may differ in a pixel.
    """
    single, _, exact, by_tensorflow = engines
    errors = {}
    for name, gradient in single.items():
        wanted = exact[name].reshape(gradient.shape)
        largest = np.abs(wanted).max()
        assert largest > 0
        np.testing.assert_allclose(
            gradient, wanted, rtol=0, atol=2e-5 * largest, err_msg=name
        )  # read in 20 bits
        assert cosine(gradient, by_tensorflow[name]) >= 0.999, name
        errors[name] = np.abs(gradient - by_tensorflow[name].reshape(gradient.shape)).max() / largest
    assert np.mean([error < 1e-5 for error in errors.values()]) >= 0.7, errors


def test_int16_gradients_point_where_float32_ones_do(engines):
    single, integer, *_ = engines
    cosines = {name: cosine(single[name], integer[name]) for name in single}
    assert min(cosines.values()) >= 0.999, cosines


def test_both_learn_alike():
    """100 batches of 16 digits that all have another name now: the same accuracy."""
    data, tflite = digits_net.load_digits(), digits_net.digits_net()
    graph = read_tflite(tflite)
    train, test = (digits_net.to_int8(graph, x) for x in (data.x_train[:1600], data.x_test))
    plan, after = UpdatePlan(digits_net.LAYERS[3:], optimizer=Optimizer(0.05, batch=16)), {}
    for gradients in GRADIENT_TYPES:
        engine = HostEngine(compile_model(tflite, plan, gradients=gradients))
        assert _accuracy(engine, test, renamed(data.y_test)) < 0.15
        for x, label in zip(train, renamed(data.y_train), strict=False):
            engine.train_step(x, label)
        after[gradients] = _accuracy(engine, test, renamed(data.y_test))
    assert min(after.values()) > 0.3 and abs(after["int16"] - after["float32"]) < 0.06, after


def renamed(labels: np.ndarray) -> np.ndarray:
    return (labels + 1) % 10


def _accuracy(engine: HostEngine, xs: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean([engine.predict(x) == label for x, label in zip(xs, labels, strict=True)]))


# The interface --------------------------------------------------------------------------------------------


def test_the_engine_says_which_and_remembers(tmp_path: Path):
    compiled = compile_model(nets.residual_net(), UpdatePlan(), gradients="float32")
    assert "// Gradients: float32.\n" in compiled.sources["src/engine.h"]
    text = compiled.sources["src/engine.cpp"]
    assert "s16" not in text and "GradScale" not in text and "_f32(" in text
    again = load(compiled.save(tmp_path / "engine"))
    assert again.sources == compiled.sources and again.facts["gradients"] == "float32"
    assert verify(tmp_path / "engine", count=8, steps=4).ok


def test_gradients_take_four_bytes_and_nothing_else_changes():
    by_type = {g: compile_model(*_mixed(), gradients=g) for g in GRADIENT_TYPES}
    for name, tensor in by_type["int16"].graph.tensors.items():
        other = by_type["float32"].graph.tensors.get(name)
        if tensor.dtype == "int16" and other is not None:
            assert (other.dtype, other.nbytes) == ("float32", 2 * tensor.nbytes)
        elif other is not None:
            assert other.dtype == tensor.dtype
    memory = by_type["float32"].memory
    assert memory.lower_bound <= memory.arena <= 1.03 * memory.lower_bound


def _mixed():
    make, plan = CASES["mixed"]
    return make(), plan


def test_an_op_without_a_float_kernel(monkeypatch: pytest.MonkeyPatch):
    without = dataclasses.replace(dispatch.BACKWARD["MEAN_INPUT_GRADIENT"], call_f32=None)
    monkeypatch.setitem(dispatch.BACKWARD, "MEAN_INPUT_GRADIENT", without)
    with pytest.raises(
        ExportError, match="MEAN_INPUT_GRADIENT '#8/input'.*no float32 kernel.*int16 gradients"
    ):
        compile_model(*_mixed(), gradients="float32")


def test_another_type_is_refused():
    with pytest.raises(
        ExportError, match="gradients 'float16' are not supported; allowed: 'int16' or 'float32'"
    ):
        compile_model(nets.residual_net(), UpdatePlan(), gradients="float16")


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("m.tflite").write_bytes(nets.residual_net())
    UpdatePlan().save("p.json")
    command = ["compile", "m.tflite", "--plan", "p.json", "--out", "engine", "--gradients"]
    assert cli.main([*command, "float32"]) == 0
    assert "learn by float32 gradients" in capsys.readouterr().out
    assert cli.main(["verify", "engine", "--count", "4", "--steps", "2"]) == 0
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "float16"])
    assert stop.value.code == 2 and "invalid choice: 'float16'" in capsys.readouterr().err
