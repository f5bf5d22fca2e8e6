"""An engine with a memory in numpy: what `remember`, `replay` and `train_step` do on the board."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph
from tflm_export.living.capacity import capacity, check_exemplars, classes
from tflm_export.living.cut import find_cut
from tflm_export.living.memory import Exemplars, ReplayMemory
from tflm_export.living.replays import Replays
from tflm_export.plan import UpdatePlan
from tflm_export.simulate.step import Simulator, Target, check_label


class LivingSimulator(Replays, Simulator):
    """A `Simulator` of a plan with a memory: `train_step` learns remembered samples and exemplars again.

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
            size, self._shape[1:], classes(graph), plan.memory.policy, plan.seed, held_out
        )
        self.exemplars, self.wanted, self.seed = exemplars, plan.memory, plan.seed
        super().__init__(graph, plan)

    def reset(self) -> None:
        """As it was flashed: nothing remembered."""
        super().reset()
        self.memory.reset()
        self.shown, self._latent = 0, None

    def latent(self) -> np.ndarray:
        """Of the picture that was seen last, int8; raises `ExportError` before the first."""
        if self._latent is None:
            raise ExportError("latent: no picture was seen yet; infer or train_step first.")
        return self._latent.copy()

    def remember(self, label: int) -> None:
        """Offer the picture that was seen last to the memory."""
        self.memory.remember(self.latent(), check_label(label, self.memory.classes))

    def train_step(self, x: np.ndarray, label: Target = None) -> float:
        """One step on input `x` int8, then the plan's replays; the loss before all of them."""
        loss = super().train_step(x, label)
        self.replay_all()
        return loss

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
