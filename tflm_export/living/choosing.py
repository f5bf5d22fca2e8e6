"""An engine that chooses what learns, in numpy: what `train_step` and `new_epoch` do on the board."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.living.chooser import Chooser, Pair
from tflm_export.living.memory import Exemplars
from tflm_export.living.selection import Selection
from tflm_export.living.simulator import LivingSimulator
from tflm_export.ops import GRADIENTS
from tflm_export.plan import UpdatePlan
from tflm_export.simulate.evaluate import run_forward
from tflm_export.simulate.step import Simulator, Target


class ChoosingSimulator(LivingSimulator):
    """A `LivingSimulator` of a plan with a pool: of the candidates' channels only the chosen ones learn.

    chooser: who learns, and why. Raises `ExportError` for a plan without a pool, and as `LivingSimulator`
    does.
    """

    def __init__(self, graph: Graph, plan: UpdatePlan, exemplars: Exemplars | None = None):
        self.chooser = Chooser(graph, plan)
        super().__init__(graph, plan, exemplars)

    @property
    def history(self) -> list[Selection]:
        """The selection of every epoch so far."""
        return self.chooser.history

    def reset(self) -> None:
        """As it was flashed, in its first epoch."""
        super().reset()
        self.chooser.reset()
        self._committed = self._candidate_weights()
        self._load()

    def train_step(self, x: np.ndarray, label: Target = None) -> float:
        """One step on input `x` int8, the plan's replays, and where the epoch is over, a new one."""
        loss = super().train_step(x, label)
        if self.chooser.is_over(self.step):
            self.new_epoch()
        return loss

    def new_epoch(self) -> None:
        """Judge and commit what was learned, measure, choose anew."""
        self.judge_epoch()
        self.chooser.end(self.step, self._pairs)
        self._committed = self._candidate_weights()
        self._load()

    def _candidate_weights(self) -> dict[str, np.ndarray]:
        tensors = [v.tensor for c in self.chooser.layers for v in (c.weights, c.bias) if v is not None]
        return {name: self.weights[name].copy() for name in tensors}

    def _load(self) -> None:
        """From now on the chosen channels learn; what the optimizer remembers of candidates is zero."""
        self._now: dict[str, Op] = {}
        for i, c in enumerate(self.chooser.layers):
            chosen = self.chooser.channels(i)
            for learning in (v.of(chosen) for v in (c.weights, c.bias) if v is not None):
                name = learning.op.name
                self._now[name] = learning.op
                self._variables[name], self._states[name] = learning, self._state(learning)
            keep = self._layers.get(f"{c.layer.name}/keep")
            if keep is not None:
                self._now[keep.name] = replace(keep, attrs={**keep.attrs, "channels": chosen})
        self.keep()
        self._skipped = self._unneeded()

    def _unneeded(self) -> set[str]:
        """Gradient ops from the shallowest chosen layer's input on downwards."""
        chooser, ops = self.chooser, self.graph.ops
        if chooser.pool.rule == "top_layers_random":
            return set()
        shallowest = next(c.layer.name for i, c in enumerate(chooser.layers) if chooser.channels(i))
        last = max(i for i, op in enumerate(ops) if op.role == "update" and op.of == shallowest)
        own = {op.name for op in ops if op.kind in GRADIENTS and op.of == shallowest}
        return own | {op.name for op in ops[last + 1 :]}

    def _run_ops(self, ops: Sequence[Op], values: Any, label: Any, collect: Any = None) -> dict[str, Any]:
        needed = [
            self._now.get(member.name, member)
            for op in ops
            if op.name not in self._skipped
            for member in op.members
        ]
        return super()._run_ops(needed, values, label, collect)

    def _update(self, op: Op, values: dict[str, Any], collect: dict[str, np.ndarray] | None) -> None:
        if op.name in self._now:
            self._note_norm(op, values)
            self._note_alive(op, values)
            if not op.attrs["channels"]:
                return
        super()._update(op, values, collect)

    def _note_alive(self, op: Op, values: dict[str, Any]) -> None:
        """Mark a candidate's channels that have a gradient."""
        if not self.chooser.pool.watches or op.kind == "BIAS_UPDATE":
            return
        g, mask = self._inputs(op, values)[:2]
        gated = g.values if mask is None else g.values * mask.reshape(g.values.shape)
        c = next(c for c in self.chooser.layers if c.layer.name == op.of)
        self.chooser.alive[c.span] |= gated.reshape(-1, c.channels).any(axis=0)

    def _note_norm(self, op: Op, values: dict[str, Any]) -> None:
        """Add up the squares of a candidate's output gradient."""
        if self.chooser.pool.rule != "top_layers_random" or op.kind == "BIAS_UPDATE":
            return
        g, mask = self._inputs(op, values)[:2]
        squares = g.values.astype(np.int64) ** 2
        squared = np.float32((squares if mask is None else squares * mask.reshape(squares.shape)).sum())
        i = next(i for i, c in enumerate(self.chooser.layers) if c.layer.name == op.of)
        self.chooser.norms[i] += np.ldexp(squared, 2 * g.exponent, dtype=np.float32)

    def _pairs(self) -> Iterator[Pair]:
        """The candidates' outputs of every held-out sample, today's and last epoch's."""
        for latent in self.memory.held_out_latents():
            yield self._outputs(latent, self.weights), self._outputs(latent, self._committed)

    def _outputs(self, latent: np.ndarray, weights: dict[str, np.ndarray]) -> dict[str, Any]:
        """What the layers above the cut compute with these weights."""
        values: dict[str, Any] = {**weights, self._cut.tensor: latent.reshape(self._shape)}
        ops = [op for op in self.graph.ops[self._cut.position :] if op.role == "forward"]
        names = {c.layer.name for c in self.chooser.layers}
        last = max(i for i, op in enumerate(ops) if names & {m.name for m in op.members})
        for op in ops[: last + 1]:
            run_forward(op, self.graph, values)
        return values


def simulator_of(graph: Graph, plan: UpdatePlan, exemplars: Exemplars | None = None) -> Simulator:
    """The simulator of a plan: with a memory a `LivingSimulator`, with a pool a `ChoosingSimulator`."""
    if plan.memory is None:
        return Simulator(graph, plan)
    kind = LivingSimulator if plan.pool is None else ChoosingSimulator
    return kind(graph, plan, exemplars)
