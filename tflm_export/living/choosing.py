"""An engine that chooses what learns, in numpy: what `train_step` and `new_epoch` do on the board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Op
from tflm_export.living.image import named
from tflm_export.living.memory import Exemplars
from tflm_export.living.pool import candidates, check_pool, costs, first_choice, similarity_shift, total
from tflm_export.living.ranking import select
from tflm_export.living.rules import RULES, Situation, random
from tflm_export.living.selection import Selection
from tflm_export.living.simulator import LivingSimulator
from tflm_export.living.velocity import cosine, similarity_sums, velocity
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import UpdatePlan
from tflm_export.simulate.evaluate import run_forward
from tflm_export.simulate.step import Simulator
from tflm_export.variable import Variable


class ChoosingSimulator(LivingSimulator):
    """A `LivingSimulator` of a plan with a pool: of the candidates' channels only the chosen ones learn.

    chosen: bool [C], counted through all candidates. history: the selection of every epoch so far.
    Raises `ExportError` for a plan without a pool, and as `LivingSimulator` does.
    """

    def __init__(self, graph: Graph, plan: UpdatePlan, exemplars: Exemplars | None = None):
        if plan.pool is None:
            raise ExportError("update plan: it has no pool; set pool, or use a LivingSimulator.")
        check_pool(graph, plan)
        self.pool, self._plan = plan.pool, plan
        self.layers = candidates(graph)
        self._costs = costs(self.layers, plan.optimizer)
        self._bytes = [c.weights.count + graph.tensors[c.layer.inputs[0]].size for c in self.layers]
        super().__init__(graph, plan, exemplars)

    def reset(self) -> None:
        """As it was flashed, in its first epoch."""
        super().reset()
        count = total(self.layers)
        self.epoch, self._ended = 0, 0
        self.phi, self.velocity = np.ones(count, np.float32), np.zeros(count, np.float32)
        self.history: list[Selection] = []
        self._committed = self._candidate_weights()
        self.chosen = np.zeros(count, bool)
        self._clear_norms()
        first = first_choice(self.graph, self._plan)
        self._load(first if first is not None else self._spend(random(self._situation())))

    def train_step(self, x: np.ndarray, label: int | np.ndarray) -> float:
        """One step on input `x` int8, the plan's replays, and where the epoch is over, a new one."""
        loss = super().train_step(x, label)
        if self.epoch_is_over():
            self.new_epoch()
        return loss

    def epoch_is_over(self) -> bool:
        """Whether the pool's steps went by since the last epoch's end."""
        return self.pool.epoch is not None and self.step - self._ended >= self.pool.epoch

    def new_epoch(self) -> None:
        """Commit what was learned, measure, choose anew."""
        if self.pool.rule == "velocity":
            phi = self._measure()
            self.velocity = velocity(phi, self.phi, self.velocity, self.pool.mu)
            self.phi = phi
        self.epoch, self._ended = self.epoch + 1, self.step
        self._committed = self._candidate_weights()
        mask = self._spend(RULES[self.pool.rule](self._situation()))
        self._clear_norms()
        self._load(mask)

    def _clear_norms(self) -> None:
        self._norms = np.zeros(len(self.layers), np.float32)

    def _candidate_weights(self) -> dict[str, np.ndarray]:
        tensors = [v.tensor for c in self.layers for v in (c.weights, c.bias) if v is not None]
        return {name: self.weights[name].copy() for name in tensors}

    def _situation(self) -> Situation:
        facts = (self._plan.seed, self.epoch, self.chosen, self.velocity, self._norms, self._bytes)
        return Situation(self.layers, self.pool, *facts)

    def _spend(self, scores: np.ndarray) -> np.ndarray:
        """The channels that the pool's bytes buy; none with a score below 0."""
        mask, offered = np.zeros(len(scores), bool), np.flatnonzero(scores >= 0)
        budget, rule = self.pool.bytes, self.pool.spend
        mask[offered[select(scores[offered], self._costs[offered], budget, rule)]] = True
        return mask

    def _load(self, mask: np.ndarray) -> None:
        """From now on these channels learn; what the optimizer remembers of candidates is zero."""
        self.chosen = mask
        self._now: dict[str, Op] = {}
        for c in self.layers:
            channels = tuple(np.flatnonzero(mask[c.span]).tolist())
            for whole in filter(None, (c.weights, c.bias)):
                op = replace(whole.op, attrs={**whole.op.attrs, "channels": channels})
                self._now[op.name] = op
                self._variables[op.name] = Variable(op, c.layer, whole.shape)
                self._states[op.name] = self._state(self._variables[op.name])
        self.history.append(Selection(self.epoch, self.step, named(self.layers, mask)))
        self._skipped = self._unneeded()

    def _unneeded(self) -> set[str]:
        """Gradient ops from the shallowest chosen layer's input on downwards."""
        if self.pool.rule == "top_layers_random":
            return set()
        shallowest = next(c.layer.name for c in self.layers if self.chosen[c.span].any())
        ops = self.graph.ops
        last = max(i for i, op in enumerate(ops) if op.role == "update" and op.of == shallowest)
        own = {op.name for op in ops if op.role == "gradient" and op.of == shallowest}
        return own | {op.name for op in ops[last + 1 :]}

    def _run_ops(self, ops: Sequence[Op], values: Any, label: Any, collect: Any = None) -> dict[str, Any]:
        needed = [self._now.get(op.name, op) for op in ops if op.name not in self._skipped]
        return super()._run_ops(needed, values, label, collect)

    def _update(self, op: Op, values: dict[str, Any], collect: dict[str, np.ndarray] | None) -> None:
        if op.name in self._now:
            self._note_norm(op, values)
            if not op.attrs["channels"]:
                return
        super()._update(op, values, collect)

    def _note_norm(self, op: Op, values: dict[str, Any]) -> None:
        """Add up the squares of a candidate's output gradient."""
        if self.pool.rule != "top_layers_random" or op.kind == "BIAS_UPDATE":
            return
        g, mask = self._inputs(op, values)[:2]
        squares = g.values.astype(np.int64) ** 2
        squared = np.float32((squares if mask is None else squares * mask.reshape(squares.shape)).sum())
        i = next(i for i, c in enumerate(self.layers) if c.layer.name == op.of)
        self._norms[i] += np.ldexp(squared, 2 * g.exponent, dtype=np.float32)

    def _measure(self) -> np.ndarray:
        """phi [C] over the memory's held-out samples."""
        held = self.memory.latents[: min(self.pool.samples, len(self.memory))]
        sums = np.zeros((3, total(self.layers)), np.int64)
        for latent in held:
            now, before = self._outputs(latent, self.weights), self._outputs(latent, self._committed)
            for c in self.layers:
                name = c.layer.outputs[0]
                zero = tensor_quant(self.graph, name).zero_point[0]
                shift = similarity_shift(self.graph, c, self.pool)
                sums[:, c.span] += similarity_sums(now[name], before[name], zero, shift)
        return cosine(sums)

    def _outputs(self, latent: np.ndarray, weights: dict[str, np.ndarray]) -> dict[str, Any]:
        """What the layers above the cut compute with these weights."""
        values: dict[str, Any] = {**weights, self._cut.tensor: latent.reshape(self._shape)}
        ops = [op for op in self.graph.ops[self._cut.position :] if op.role == "forward"]
        names = {c.layer.name for c in self.layers}
        last = max(i for i, op in enumerate(ops) if names & {m.name for m in op.members})
        for op in ops[: last + 1]:
            run_forward(op, self.graph, values)
        return values

    def spent_bytes(self) -> int:
        """Bytes of the pool that the chosen channels take."""
        return int(self._costs[self.chosen].sum())


def simulator_of(graph: Graph, plan: UpdatePlan, exemplars: Exemplars | None = None) -> Simulator:
    """The simulator of a plan: with a memory a `LivingSimulator`, with a pool a `ChoosingSimulator`."""
    if plan.memory is None:
        return Simulator(graph, plan)
    kind = LivingSimulator if plan.pool is None else ChoosingSimulator
    return kind(graph, plan, exemplars)
