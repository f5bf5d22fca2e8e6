"""One checker for the gradient of every op.

The op, with its rule from `its `OpKind``, is held to TensorFlow's gradient of a float64 function written
here, that function to finite differences, and the device's integers and float32 to the float64 reference.
"""

from __future__ import annotations

import numpy as np

from tflm_export.gradients.training_graph import Builder
from tflm_export.ir import Graph, Op, Tensor
from tflm_export.ops import GRADIENTS, OPS, UPDATES, forward, op_kind
from tflm_export.ops.arithmetic import Gradient, narrow
from tflm_export.ops.call import Call, Sums
from tflm_export.ops.result import passing
from tflm_export.simulate.reference import cosine

NEAR = 1.5  # LSB of the output: elements this close to a bound may clip in one arithmetic only


def real(graph: Graph, name: str, q: np.ndarray) -> np.ndarray:
    """Dequantised float64 values."""
    quant = graph.tensors[name].quant
    shape = [1] * q.ndim
    if len(quant.scale) > 1:
        shape[quant.axis] = -1
    scale, zero = np.reshape(quant.scale, shape), np.reshape(quant.zero_point, shape)
    return scale * (q.astype(np.float64) - zero)


class Case:
    """One forward op with int8 inputs, its clip mask and an output gradient that keeps off the bounds."""

    def __init__(self, graph: Graph, function, seed: int = 0):
        self.graph, self.function = graph, function
        (self.op,) = graph.ops
        self.rng = np.random.default_rng(seed)
        self.active = [name for name in self.op.inputs if name in graph.inputs]
        self.values = {n: self.rng.integers(-128, 128, graph.tensors[n].shape, np.int8) for n in self.active}
        result = forward(self.op, graph, self.values)
        self.output = self.op.outputs[0]
        self.values[self.output] = result.value
        self.mask = passing(self.op, graph, result)
        free = self.free(self.arguments())
        g = self.rng.integers(-16000, 16001, result.value.shape)
        near = np.zeros(g.shape, bool)
        if self.mask is not None:
            low, high = self.bounds()
            lsb = graph.tensors[self.output].quant.scale[0]
            near = (np.abs(free - low) < NEAR * lsb) | (np.abs(free - high) < NEAR * lsb)
        assert not near.all()
        self.gradient = Gradient(np.where(near, 0, g).astype(np.int16), -14)

    def arguments(self) -> list[np.ndarray]:
        """Real inputs, weights and bias."""
        graph, found = self.graph, []
        for name in self.op.inputs:
            q = self.values.get(name, graph.tensors[name].data)
            if graph.tensors[name].quant is not None:
                found.append(real(graph, name, q))
        return found

    def free(self, arguments) -> np.ndarray:
        """The float64 function before its clamp."""
        return np.asarray(self.function(self.op, *arguments)).reshape(self.graph.tensors[self.output].shape)

    def bounds(self) -> tuple[float, float]:
        """The clamp in real units."""
        limits = np.array([self.op.attrs["act_min"], self.op.attrs["act_max"]])
        low, high = real(self.graph, self.output, limits)
        return low, high

    def tensorflow(self) -> list[np.ndarray]:
        """TensorFlow's gradients of sum(g * clamp(function)) for every argument."""
        import tensorflow as tf

        arguments = [tf.Variable(a) for a in self.arguments()]
        with tf.GradientTape() as tape:
            y = tf.reshape(self.function(self.op, *arguments), self.graph.tensors[self.output].shape)
            y = tf.clip_by_value(y, *self.bounds()) if self.mask is not None else y
            loss = tf.reduce_sum(y * self.gradient.real())
        return [g.numpy() for g in tape.gradient(loss, arguments)]

    def finite_difference(self, direction: list[np.ndarray], eps: float) -> float:
        """Central difference of the same loss along `direction`."""

        def loss(sign):
            moved = [a + sign * eps * d for a, d in zip(self.arguments(), direction, strict=True)]
            y = self.free(moved)
            y = np.clip(y, *self.bounds()) if self.mask is not None else y
            return float((y * self.gradient.real()).sum())

        return (loss(1) - loss(-1)) / (2 * eps)

    def rule(self) -> tuple[dict[str, np.ndarray], ...]:
        """Input gradients by the compiler's own rule: (device, float64 reference, float32) by input name."""
        builder = Builder(self.graph, {}, self.output, tensors=dict(self.graph.tensors))
        builder.tensors["g"] = Tensor("g", self.graph.tensors[self.output].shape, "int16")
        mask = "mask" if op_kind(self.op).masked else ""
        op_kind(self.op).rule(builder, self.op, "g", mask, self.active)
        graph = self.graph.replace(tensors=builder.tensors)
        device = {**self.values, "g": self.gradient, "mask": self.mask}
        reference = {**self.values, "g": self.gradient.real(), "mask": self.mask}
        single = {**reference, "g": self.gradient.real().astype(np.float32)}
        for gradient_op in builder.ops:
            device[gradient_op.outputs[0]] = self._device(gradient_op, graph, device)
            for values in (reference, single):
                call, inputs = self._call(gradient_op, graph, values)
                values[gradient_op.outputs[0]] = GRADIENTS[gradient_op.kind].reference(call, *inputs)
        names = {x: builder.pending[x] for x in self.active}
        by_integers = {x: device[g].real() for x, g in names.items()}
        return by_integers, *({x: values[g] for x, g in names.items()} for values in (reference, single))

    def _call(self, gradient_op: Op, graph: Graph, values):
        inputs = [
            values.get(n, graph.tensors[n].data if n in graph.tensors else None) for n in gradient_op.inputs
        ]
        return Call(gradient_op, self.op, graph), inputs

    def _device(self, gradient_op: Op, graph: Graph, values) -> Gradient:
        call, inputs = self._call(gradient_op, graph, values)
        result = GRADIENTS[gradient_op.kind].run(call, *inputs)
        if isinstance(result, Sums):
            assert np.abs(result.acc).max(initial=0) < 2**31
            return narrow(result.acc, result.exponent, 0)[0]
        return result

    def sums(self, channels: list[int], axis: str, in_float: bool) -> tuple[np.ndarray, np.ndarray]:
        """Device gradients of the chosen weights and of all biases, w.r.t. real parameters."""
        op, x = self.op, self.op.inputs[0]
        along = 0 if OPS[op.kind].axes[axis] == 0 else -1
        weights = Op("", "u", (), (), {"channels": tuple(channels), "along": along})
        biases = Op("", "b", (), (), {"channels": tuple(range(self.gradient.values.shape[-1]))})
        kind = f"{op.kind}_WEIGHTS_UPDATE"
        g = self.gradient.values.astype(np.float32 if in_float else np.int16)
        w = UPDATES[kind].sums(Call(weights, op, self.graph), g, self.mask, self.values[x])
        b = UPDATES["BIAS_UPDATE"].sums(Call(biases, op, self.graph), g, self.mask)
        assert (w.dtype == b.dtype == np.float32) == in_float
        scale = self.graph.tensors[x].quant.scale[0]
        return np.ldexp(w.astype(float) * scale, self.gradient.exponent), np.ldexp(b, self.gradient.exponent)


def check(graph: Graph, function, *, seed: int = 0, smooth: bool = True, tolerance: float = 1e-9) -> None:
    """Hold everything to everything. `function(op, *real arguments)` gives the op before its clamp.

    smooth: whether finite differences make sense (not at the ties of a maximum). tolerance: of the reference,
    relative to the largest gradient.
    """
    case = Case(graph, function, seed)
    by_tensorflow = case.tensorflow()
    if smooth:
        direction = [case.rng.normal(size=a.shape) * np.abs(a).max() for a in case.arguments()]
        expected = sum(float((g * d).sum()) for g, d in zip(by_tensorflow, direction, strict=True))
        size = sum(float(np.abs(g * d).sum()) for g, d in zip(by_tensorflow, direction, strict=True))
        assert abs(case.finite_difference(direction, 1e-6) - expected) <= 1e-6 * size + 1e-12
    device, reference, single = case.rule()
    named = [n for n in case.op.inputs if graph.tensors[n].quant is not None]
    for name in case.active:
        wanted = sum(g for n, g in zip(named, by_tensorflow, strict=True) if n == name)
        largest = np.abs(wanted).max()
        assert largest > 0
        np.testing.assert_allclose(reference[name], wanted, rtol=0, atol=tolerance * largest)
        assert single[name].dtype == np.float32
        np.testing.assert_allclose(single[name], wanted, rtol=0, atol=max(tolerance, 2e-6) * largest)
        assert cosine(device[name], reference[name]) > 0.99999
        np.testing.assert_allclose(device[name], reference[name], rtol=0, atol=2e-3 * largest)


def check_parameters(graph: Graph, function, *, channels: list[int], axis: str, seed: int = 0) -> None:
    """Gradients of weights and biases: exact integers on the device, so equal to TensorFlow's to float64.

    In float32 within its own rounding.
    """
    case = Case(graph, function, seed)
    _, by_weight, by_bias = case.tensorflow()
    along = 3 if graph.ops[0].kind == "DEPTHWISE_CONV_2D" else {"out": 0, "in": -1}[axis]
    wanted = np.take(by_weight, channels, axis=along)
    assert np.abs(wanted).max() > 0
    for in_float, tolerance in ((False, 1e-9), (True, 2e-6)):
        weights, biases = case.sums(channels, axis, in_float)
        weights = weights.reshape(wanted.shape)
        np.testing.assert_allclose(weights, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())
        np.testing.assert_allclose(biases, by_bias, rtol=0, atol=tolerance * np.abs(by_bias).max())
