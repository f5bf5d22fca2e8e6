"""An engine with a memory in numpy: what `remember`, `replay` and `train_step` do on the board."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.gradients.cut import find_cut
from tflm_export.ir import Graph, Op
from tflm_export.living.capacity import check_exemplars, classes
from tflm_export.living.judging import Weights, judge_memory
from tflm_export.living.memory import Exemplars, ReplayMemory
from tflm_export.living.new_classes import NewClasses, spare_head
from tflm_export.ops.arithmetic import Gradient
from tflm_export.plan import UpdatePlan
from tflm_export.simulate.evaluate import run_forward
from tflm_export.simulate.step import Simulator, Target
from tflm_export.store.samples import capacity


class LivingSimulator(NewClasses, Simulator):
    """A `Simulator` of a plan with a memory: `train_step` learns remembered samples and exemplars again, and
    judges what came of it when the plan has a guard.

    Raises `ExportError` for a plan without one, and as `Simulator` does.
    """

    def __init__(self, graph: Graph, plan: UpdatePlan, exemplars: Exemplars | None = None):
        if plan.memory is None:
            raise ExportError("update plan: it has no memory; set memory, or use a Simulator.")
        check_exemplars(graph, plan, exemplars)
        self._cut = find_cut(graph, plan)
        self._shape = graph.tensors[self._cut.tensor].shape
        size = capacity(plan.memory, self._cut.nbytes)
        held_out = plan.pool.held_out if plan.pool is not None else 0
        self.memory = ReplayMemory(
            size, self._shape[1:], classes(graph), plan.memory.policy, plan.seed, held_out,
            by_class=bool(plan.spare_classes),
        )  # fmt: skip
        self.guard, self.judges = plan.guard, judge_memory(plan, self._shape[1:], classes(graph))
        self.head = spare_head(graph, plan)
        self.exemplars, self.wanted, self.seed = exemplars, plan.memory, plan.seed
        super().__init__(graph, plan)

    def reset(self) -> None:
        """As it was flashed: nothing remembered."""
        super().reset()
        self.old_classes = self.classes_in_use
        self.memory.reset()
        self.shown, self._latent = 0, None
        self.begin_judging(self.graph)

    def latent(self) -> np.ndarray:
        """Of the picture that was seen last, int8; raises `ExportError` before the first."""
        if self._latent is None:
            raise ExportError("latent: no picture was seen yet; infer or train_step first.")
        return self._latent.copy()

    def remember(self, label: int) -> None:
        """Offer the picture that was seen last to the memory, or to the judges when it is held out."""
        self.offer(self.latent(), label)

    def train_step(self, x: np.ndarray, label: Target = None) -> float:
        """One step on input `x` int8, then the plan's replays; the loss before all of them. A picture that is
        held out changes nothing. A label of the next spare class opens it; a young class makes no step."""
        assert isinstance(label, (int, np.integer))
        label = int(label)
        self.check_class(label)
        if self.guard is not None or self.head is not None:
            self._infer(x)
        if self.teaches_nothing(label):
            loss = self.unlearned(self.latent(), label)
        else:
            loss = super().train_step(x, label)
            self.replay_all()
        self.step_done()
        return loss

    def logits_of(self, latent: np.ndarray) -> np.ndarray:
        """Logits int8, of a latent."""
        logits: np.ndarray = self._above(latent)[self._loss.inputs[0]]
        return logits

    def features_of(self, latent: np.ndarray) -> np.ndarray:
        """What enters the head, int8, of a latent."""
        assert self.head is not None
        features: np.ndarray = self._above(latent)[self.head.features]
        return features

    def _above(self, latent: np.ndarray) -> dict[str, Any]:
        """All tensors of the forward pass from the cut on."""
        values: dict[str, Any] = {**self.weights, self._cut.tensor: latent.reshape(self._shape)}
        for op in self.graph.ops[self._cut.position :]:
            if op.role == "forward":
                run_forward(op, self.graph, values)
        return values

    def _loss_gradient(self, op: Op, logits: np.ndarray, target: Any) -> Any:
        """Of the classes in use; 0 for those that are spare."""
        if self.head is None:
            return super()._loss_gradient(op, logits, target)
        g = super()._loss_gradient(op, self._known(logits), target)
        spare = (0, logits.size - self.classes_in_use)
        if isinstance(g, Gradient):
            return Gradient(np.pad(g.values, spare).reshape(logits.shape), g.exponent)
        return np.pad(g, spare).reshape(logits.shape)

    def _loss_value(self, logits: np.ndarray, target: Any) -> float:
        return super()._loss_value(self._known(logits), target)

    def _known(self, logits: np.ndarray) -> np.ndarray:
        """Logits [n] of the classes in use."""
        return logits.reshape(-1)[: self.classes_in_use]

    def trained(self) -> dict[str, np.ndarray]:
        """A copy of every trained tensor, by name."""
        return {name: value.copy() for name, value in self.weights.items()}

    def put(self, weights: Weights) -> None:
        """Set what `trained` gave."""
        self.weights = {name: value.copy() for name, value in weights.items()}

    def forget_steps(self) -> None:
        """Start the optimizer's momentum and sums at 0."""
        self._states = {name: self._state(v) for name, v in self._variables.items()}

    def learn_latent(self, latent: np.ndarray, label: int) -> float:
        """One step from the cut on; the loss before it."""
        values = {**self.weights, self._cut.tensor: latent.reshape(self._shape)}
        return self._stepped(self._run_ops(self.graph.ops[self._cut.position :], values, label), label)

    def _infer(self, x: np.ndarray) -> dict[str, Any]:
        return self._noted(super()._infer(x))

    def _run(self, x: np.ndarray, label: Target, collect: Any = None) -> dict[str, Any]:
        return self._noted(super()._run(x, label, collect))

    def _noted(self, values: dict[str, Any]) -> dict[str, Any]:
        self._latent = values[self._cut.tensor]
        return values
