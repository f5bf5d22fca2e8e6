"""Run a training graph in numpy, op by op: what the emitted engine must do, bit for bit.

>>> compiled = compile_model(tflite, plan)
>>> simulator = Simulator(compiled.graph, plan)
>>> losses = [simulator.train_step(x, 3) for x in inputs[:1] * 20]
>>> losses[-1] < losses[0]
True
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from tflm_export.edges import inputs_of, outputs_of
from tflm_export.errors import ExportError
from tflm_export.gradients.paths import path_of
from tflm_export.gradients.update import Rule, Settings, Step, UpdateState, update
from tflm_export.ir import Graph, Op
from tflm_export.ops import GRADIENTS, LOSSES
from tflm_export.ops.call import Call
from tflm_export.ops.convolution.rates import rate_constants
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import UpdatePlan, is_learning_rate, no_learning_rate
from tflm_export.simulate.evaluate import run_forward
from tflm_export.variable import Variable, variables

Target = int | np.ndarray | None


class Simulator:
    """An engine in numpy: weights, optimizer state and shifts live here; the graph stays as it is.

    graph: from `backward.training_graph`; its gradients' dtype decides the arithmetic.
    `learning_rate` may be changed between steps. Raises `ExportError` for a wrong input or label, and when a
    graph without training is asked to learn.
    """

    def __init__(self, graph: Graph, plan: UpdatePlan):
        optimizer = plan.optimizer
        self.graph = graph
        self.learning_rate = optimizer.learning_rate
        self.settings = Settings(optimizer.momentum, optimizer.batch, optimizer.rounding, plan.seed)
        self.qas = optimizer.qas
        self._layers = graph.layers
        self._variables = {v.op.name: v for v in variables(graph)}
        self.reset()

    @property
    def learning_rate(self) -> float:
        """The step size, float32; may be changed between steps. Raises `ExportError` for what is no rate."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        if not is_learning_rate(rate):
            raise ExportError(no_learning_rate(rate))
        self._learning_rate = float(np.float32(rate))

    def reset(self) -> None:
        """Weights, optimizer state, step counter and states as they were at the start."""
        names = [v.tensor for v in self._variables.values()]
        self.weights = {name: self.graph.constant(name).copy() for name in names}
        self._states = {name: self._state(v) for name, v in self._variables.items()}
        self._path = path_of(self.graph)
        self.step = 0
        self.reset_state()

    def reset_state(self) -> None:
        """What the net remembers from one inference to the next, as before the first."""
        self._kept = {state.tensor: state.initial for state in self.graph.states}

    def infer(self, x: np.ndarray) -> np.ndarray:
        """The output int8 for one input int8 (the input tensor's shape; several as `Edge` has them)."""
        return outputs_of(self.graph).join(self._infer(x))

    def logits(self, x: np.ndarray) -> np.ndarray:
        """What the loss reads: int8, before a softmax."""
        result: np.ndarray = self._infer(x)[self._loss.inputs[0]].copy()
        return result

    def train_step(self, x: np.ndarray, label: Target = None) -> float:
        """One step on input `x` int8 with a class index (cross-entropy), int8 values of the logits' shape (0
        or 1 for binary cross-entropy) or nothing (an autoencoder).

        Returns the loss before the step.
        """
        values = self._run(x, label)
        self._keep(values)
        return self._stepped(values, label)

    def gradients(self, x: np.ndarray, label: Target = None) -> dict[str, np.ndarray]:
        """Real gradients (float64, w.r.t. real parameters) of one sample for every trained tensor, by the
        device's arithmetic; nothing changes. Shapes as the trained part."""
        found: dict[str, np.ndarray] = {}
        path = copy.deepcopy(self._path)
        self._run(x, label, found)
        self._path = path
        return found

    def _state(self, variable: Variable) -> UpdateState:
        return UpdateState.zeros(variable.index.shape, self.settings, weights=not variable.bias)

    def _infer(self, x: np.ndarray) -> dict[str, Any]:
        values = self._given(x)
        for op in self.graph.ops:
            if op.role == "forward":
                run_forward(op, self.graph, values)
        self._keep(values)
        return values

    def _keep(self, values: dict[str, Any]) -> None:
        """What this inference or step leaves for the next one."""
        self._kept |= {state.tensor: values[state.next] for state in self.graph.states if state.next}

    def _given(self, x: np.ndarray) -> dict[str, Any]:
        """What is there before the first op."""
        return {**self.weights, **self._kept, **inputs_of(self.graph).split(x)}

    def _run(
        self, x: np.ndarray, label: Target, collect: dict[str, np.ndarray] | None = None
    ) -> dict[str, Any]:
        return self._run_ops(self.graph.ops, self._given(x), label, collect)

    def _run_ops(
        self,
        ops: Sequence[Op],
        values: dict[str, Any],
        label: Target,
        collect: dict[str, np.ndarray] | None = None,
    ) -> dict[str, Any]:
        for op in (member for outer in ops for member in outer.members):
            if op.kind in GRADIENTS:
                values[op.outputs[0]] = self._path.gradient(self._call(op), self._inputs(op, values))
            elif op.name == "loss":
                values[op.outputs[0]] = self._loss_gradient(op, *self._compared(values, label))
            elif op.role == "update":
                self._update(op, values, collect)
            else:
                run_forward(op, self.graph, values)
        return values

    def _loss_gradient(self, op: Op, logits: np.ndarray, target: Any) -> Any:
        return self._path.loss(op, self.graph, logits, target)

    def _loss_value(self, logits: np.ndarray, target: Any) -> float:
        return self._path.loss_value(self._loss, self.graph, logits, target)

    def _stepped(self, values: dict[str, Any], label: Target) -> float:
        """Count a step that ran; the loss before it."""
        self.step += 1
        return self._loss_value(*self._compared(values, label))

    def _compared(self, values: dict[str, Any], label: Target) -> tuple[np.ndarray, Any]:
        """The logits, and what the loss holds against them: a class, int8 of their shape, the input."""
        op = self._loss
        logits, kind = values[op.inputs[0]], LOSSES[op.kind]
        if kind.target == "input":
            return logits, values[op.inputs[1]]
        if kind.target == "values":
            return logits, np.asarray(label, np.int8).reshape(logits.shape)
        assert isinstance(label, (int, np.integer))
        return logits, check_label(int(label), logits.size)

    def _call(self, op: Op) -> Call:
        return Call(op, self._layers[op.owner], self.graph)

    @property
    def _loss(self) -> Op:
        if self.graph.loss is None:
            raise ExportError("this engine only infers; compile it with a plan that trains something.")
        return self.graph.loss

    def _inputs(self, op: Op, values: dict[str, Any]) -> list[Any]:
        """Values of the op's inputs; None for an absent mask, the constant where nothing was computed."""
        return [values.get(name, self.graph.tensors[name].data) if name else None for name in op.inputs]

    def _update(self, op: Op, values: dict[str, Any], collect: dict[str, np.ndarray] | None) -> None:
        variable = self._variables[op.name]
        g, *others = self._inputs(op, values)[:-1]
        index = variable.index
        sums = self._path.sums(self._call(op), g, *others).reshape(index.shape)
        if collect is not None:
            collect[variable.tensor] = self._path.real(sums, g) * input_scale(variable, self.graph)
            return
        constants = rate_constants(op, variable.layer, self.graph, self.qas)
        rate = (np.float32(self._rate()) * constants).astype(np.float32)
        units = self._path.units(sums, variable.per_output(rate), g, variable.bias)
        step = Step(units, self.step, (self.step + 1) % self.settings.batch == 0)
        flat = self.weights[variable.tensor].reshape(-1)
        rule = Rule(op.attrs["tensor"], variable.bias)
        flat[index] = update(flat[index], step, index, rule, self.settings, self._states[op.name])

    def _rate(self) -> np.float32:
        return np.float32(self.learning_rate) / np.float32(self.settings.batch)


def input_scale(variable: Variable, graph: Graph) -> float:
    """s_x for a weight, 1 for a bias: turns exact sums into real gradients."""
    return 1.0 if variable.bias else tensor_quant(graph, variable.layer.inputs[0]).scale[0]


def check_label(label: int, classes: int) -> int:
    """The label. Raises `ExportError` when there is no such class."""
    if not 0 <= label < classes:
        raise ExportError(f"label {label}: allowed 0..{classes - 1}.")
    return label
