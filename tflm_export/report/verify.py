"""Is the engine right? Bit for bit: host C++ = numpy = TFLite Micro (inference), host C++ = numpy (training).

Integer gradients are held to a float64 reference; optionally the emulated Cortex-M4F is held to the host.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.edges import inputs_of
from tflm_export.emit.names import display
from tflm_export.engine_folder import opened
from tflm_export.errors import ExportError
from tflm_export.living.choosing import simulator_of
from tflm_export.living.simulator import LivingSimulator
from tflm_export.machines.choosing_host import host_engine
from tflm_export.machines.living_host import LivingEngine
from tflm_export.machines.measure import Measured, measure
from tflm_export.machines.tflm import tflm_outputs
from tflm_export.ops import LOSSES
from tflm_export.simulate.reference import exact_gradients, loss_gradient
from tflm_export.simulate.step import Simulator
from tflm_export.variable import variables

COSINE = 0.999
LEAST_LOSS_GRADIENT = 2.0**-26  # the device's probabilities have steps of 2^-30
LEAST_CROSSENTROPY_GRADIENT = 2.0**-20  # and the table that its softmax makes them of of 2^-24
BOARD_INFERENCES = 4


@dataclass(frozen=True)
class Verification:
    """What was compared and what differed; `ok` when nothing did and an oracle was there.

    inputs: inferences compared. simulator_mismatches, tflm_mismatches: inferences with a differing output of
    the host engine; the latter is None where TFLite Micro did not run the model, and `unrun` says why.
    tflm: whether it was asked. steps: training steps. weight_mismatches: parameters that differ after them,
    host against numpy. gradient_cosines: each tensor's lowest agreement with float64 (`agreement`).
    board_inferences, board_steps, board_mismatches: on the emulated Cortex-M4F, inferences and parameters
    that differ from the host's. An engine that only infers takes no steps.
    """

    inputs: int
    simulator_mismatches: int
    tflm_mismatches: int | None
    steps: int
    weight_mismatches: int
    gradient_cosines: dict[str, float] = field(default_factory=dict)
    board_inferences: int = 0
    board_steps: int = 0
    board_mismatches: int = 0
    unrun: str = ""
    tflm: bool = True

    @property
    def ok(self) -> bool:
        """Whether everything agrees, and with TFLite Micro where it was asked."""
        mismatches = self.simulator_mismatches + (self.tflm_mismatches or 0) + self.weight_mismatches
        agrees = not mismatches and not self.board_mismatches and self.lowest_cosine >= COSINE
        return agrees and self.compared

    @property
    def compared(self) -> bool:
        """Whether TFLite Micro was there where it was asked."""
        return self.tflm_mismatches is not None or not self.tflm

    @property
    def lowest_cosine(self) -> float:
        """The lowest gradient cosine of all tensors."""
        return min(self.gradient_cosines.values(), default=1.0)

    def summary(self) -> str:
        """A few lines for people."""
        lines = [
            f"inference   {self.inputs} inputs: {self.simulator_mismatches} differ from numpy",
            self._by_tflm(),
        ]
        if self.steps:
            lines.append(
                f"training    {self.steps} steps: {self.weight_mismatches} weights differ from numpy"
            )
            lines += self._gradients()
        else:
            lines.append("training    none: this engine only infers")
        if self.board_inferences:
            ran = f"{self.board_inferences} inferences, {self.board_steps} steps"
            lines.append(f"Cortex-M4F  {ran}: {self.board_mismatches} outputs and weights differ")
        verdict = "all right" if self.ok else "NOT right" if self.compared else "NOT verified"
        return "\n".join([*lines, verdict])

    def _by_tflm(self) -> str:
        if self.tflm_mismatches is not None:
            return f"            {self.inputs} inputs: {self.tflm_mismatches} differ from TFLite Micro"
        if not self.tflm:
            return "            not compared with TFLite Micro, as asked"
        return (
            f"            NOT compared with TFLite Micro: {self.unrun} To go by numpy alone, say so: "
            "verify --without-tflm."
        )

    def _gradients(self) -> list[str]:
        """The agreement of all tensors, and by name of those that fall short."""
        low = {name: c for name, c in self.gradient_cosines.items() if c < COSINE}
        lines = [
            f"gradients   {len(self.gradient_cosines)} tensors: lowest cosine with float64 "
            f"{self.lowest_cosine:.5f} (needed {COSINE})"
        ]
        worst = sorted(low, key=lambda name: low[name])
        lines += [f"            {display(name)}: {low[name]:.5f}" for name in worst[:5]]
        lines += [f"            and {len(worst) - 5} more"] if len(worst) > 5 else []
        if worst:
            lines.append("            leave these layers frozen, or compile with --gradients float32")
        return lines


def verify(
    engine: Compiled | str | os.PathLike[str],
    inputs: np.ndarray | None = None,
    targets: Sequence[int] | np.ndarray | None = None,
    *,
    count: int = 256,
    steps: int = 32,
    board: bool = False,
    seed: int = 0,
    tflm: bool = True,
) -> Verification:
    """Verify an engine, compiled or in its folder.

    inputs: int8 [n, ...input shape without batch], random by default. targets: n class indices (or int8
    [n, ...], or none for an autoencoder). count: inferences; steps: training steps; both on the inputs in
    turn. tflm: compare with TFLite Micro's interpreter (in a process of its own).
    Raises `ExportError` when something needed is missing or does not build.
    """
    compiled = opened(engine)
    xs, ts = samples(compiled, inputs, targets, seed)
    host = host_engine(compiled)
    simulator = simulator_of(compiled.graph, compiled.plan, compiled.exemplars)
    inferred = [host.infer(x) for x in _take(xs, count)]
    by_simulator = _differing(inferred, [simulator.infer(x) for x in _take(xs, count)])
    host.reset_state()
    simulator.reset_state()
    by_tflm, unrun = _compare_with_tflm(compiled, _take(xs, count), inferred) if tflm else (None, "")
    steps = steps if compiled.graph.loss is not None else 0
    cosines = gradient_cosines(compiled, _take(xs, min(steps, 8)), _take(ts, min(steps, 8)))
    outputs = [host.infer(x) for x in _take(xs, BOARD_INFERENCES)] if board else []
    for x in _take(xs, len(outputs) if compiled.graph.states else 0):
        simulator.infer(x)
    for x, t in zip(_take(xs, steps), _take(ts, steps), strict=True):
        host.train_step(x, t)
        simulator.train_step(x, t)
        if isinstance(host, LivingEngine) and isinstance(simulator, LivingSimulator):
            host.remember(t)
            simulator.remember(t)
    weights = host.weights()
    differing = sum(int((weights[name] != simulator.weights[name]).sum()) for name in weights)
    result = Verification(count, by_simulator, by_tflm, steps, differing, cosines, unrun=unrun, tflm=tflm)
    if not board:
        return result
    rows = steps or BOARD_INFERENCES
    pictures = np.stack(_take(xs, rows))
    measured = measure(compiled, pictures, _take(ts, rows), inferences=BOARD_INFERENCES)
    wrong = _differing_outputs(measured, outputs, rows) + _differing_weights(compiled, measured, weights)
    return replace(result, board_inferences=BOARD_INFERENCES, board_steps=steps, board_mismatches=wrong)


def samples(
    compiled: Compiled,
    inputs: np.ndarray | None,
    targets: Sequence[int] | np.ndarray | None,
    seed: int,
) -> tuple[np.ndarray, list[Any]]:
    """Inputs [n, 1, ...] int8 and n targets; random where not given."""
    graph, rng = compiled.graph, np.random.default_rng(seed)
    shape = inputs_of(graph).shape
    xs = rng.integers(-128, 128, (64, *shape), np.int8) if inputs is None else np.asarray(inputs)
    xs = compiled.quantize(xs.reshape(-1, *shape[1:])) if _are_pictures(xs, shape, compiled) else xs
    if xs.dtype != np.int8 or xs.ndim == 0 or len(xs) == 0 or xs[0].size != int(np.prod(shape)):
        raise ExportError(
            f"verify: inputs are {xs.dtype} {list(xs.shape)}; expected int8 [n, ...{shape[1:]}], or uint8 "
            "pictures or float32 values for an engine that knows its input (compile --input)."
        )
    xs = xs.reshape(-1, *shape)
    free = graph.loss is not None and LOSSES[graph.loss.kind].target == "input"
    ts = list(targets) if targets is not None and not free else _targets(compiled, len(xs), rng)
    if len(ts) != len(xs):
        raise ExportError(f"verify: {len(xs)} inputs but {len(ts)} targets.")
    return xs, ts


def _are_pictures(xs: np.ndarray, shape: Sequence[int], compiled: Compiled) -> bool:
    """Whether `xs` are pixels, or values, that the engine knows how to take."""
    fits = xs.ndim > 0 and len(xs) > 0 and xs[0].size == int(np.prod(shape))
    return fits and compiled.contract is not None and str(xs.dtype) == compiled.contract.dtype


def _targets(compiled: Compiled, count: int, rng: np.random.Generator) -> list[Any]:
    """Random indices of classes in use, or int8 targets, half of them 0; None each where nothing is compared
    with one."""
    graph = compiled.graph
    if graph.loss is None or LOSSES[graph.loss.kind].target == "input":
        return [None] * count
    logits = graph.tensors[graph.loss.inputs[0]]
    if LOSSES[graph.loss.kind].by_label:
        return list(rng.integers(0, logits.size - compiled.plan.spare_classes, count).tolist())
    values = rng.integers(-128, 128, (count, *logits.shape), np.int8)
    return list(values * rng.integers(0, 2, values.shape, np.int8))


def _take(items: Sequence[Any] | np.ndarray, count: int) -> list[Any]:
    return [items[i % len(items)] for i in range(count)]


def _compare_with_tflm(
    compiled: Compiled, xs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
) -> tuple[int | None, str]:
    """Outputs that differ from TFLite Micro's; None and why where it does not run the model."""
    try:
        expected = tflm_outputs(compiled, xs)
    except ExportError as error:
        return None, str(error)
    return _differing(outputs, expected), ""


def _differing(ys: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> int:
    return sum(not np.array_equal(a, b) for a, b in zip(ys, expected, strict=True))


def gradient_cosines(compiled: Compiled, xs: Sequence[np.ndarray], ts: Sequence[Any]) -> dict[str, float]:
    """Lowest agreement of each trained tensor's integer gradient with the float64 reference.

    Samples that the net knows so well that the device sees no loss are left out.
    """
    lowest: dict[str, float] = {}
    simulator, loss = Simulator(compiled.graph, compiled.plan), compiled.graph.loss
    by_softmax = loss is not None and loss.kind == "SOFTMAX_CROSSENTROPY"
    least = LEAST_CROSSENTROPY_GRADIENT if by_softmax else LEAST_LOSS_GRADIENT
    for x, t in zip(xs, ts, strict=True):
        if np.abs(loss_gradient(compiled.graph, simulator.logits(x), x, t)).max() < least:
            continue
        simulator.reset_state()
        device, exact = simulator.gradients(x, t), exact_gradients(compiled.graph, x, t)
        for name, gradient in device.items():
            lowest[name] = min(lowest.get(name, 1.0), exact[name].agreement(gradient))
    return lowest


def _differing_outputs(measured: Measured, outputs: Sequence[np.ndarray], pictures: int) -> int:
    """Inferences that differ between the emulated board, which had this many pictures, and the host."""
    expected = [outputs[i % pictures].reshape(-1) for i in range(len(outputs))]
    return sum(not np.array_equal(a, b) for a, b in zip(measured.outputs, expected, strict=True))


def _differing_weights(compiled: Compiled, measured: Measured, weights: dict[str, np.ndarray]) -> int:
    """Parameters that differ between the emulated board and the host after the same steps."""
    return sum(
        int((measured.weights[v.tensor] != v.take(weights[v.tensor]).reshape(-1)).sum())
        for v in variables(compiled.graph)
        if not v.in_pool
    )
