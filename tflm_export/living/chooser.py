"""`Chooser`: which channels learn from one epoch to the next, whatever machine learns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph
from tflm_export.living.image import named
from tflm_export.living.pool import candidates, check_pool, costs, first_choice, similarity_shift, total
from tflm_export.living.ranking import select
from tflm_export.living.rules import RULES, Situation, random
from tflm_export.living.selection import Selection
from tflm_export.living.velocity import cosine, similarity_sums, velocity
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import UpdatePlan

Outputs = Mapping[str, np.ndarray]
Pair = tuple[Outputs, Outputs]


class Chooser:
    """What `ChoosingSimulator` and the Keras engine share: epochs, measurement, rules, budget.

    chosen: bool [C], who learns, counted through all candidates. history: the selection of every epoch so
    far. norms: float32 a candidate, which the machine adds its gradients' squares to (`top_layers_random`).
    alive: bool [C], who had a gradient since the epoch began (`skip_dead`).
    Raises `ExportError` for a plan without a pool, or one that cannot be.
    """

    def __init__(self, graph: Graph, plan: UpdatePlan):
        if plan.pool is None:
            raise ExportError("update plan: it has no pool; set pool, or use a LivingSimulator.")
        check_pool(graph, plan)
        self.graph, self.plan, self.pool = graph, plan, plan.pool
        self.layers = candidates(graph)
        self.costs = costs(self.layers, plan.optimizer)
        self._bytes = [c.weights.count + graph.tensors[c.layer.inputs[0]].size for c in self.layers]
        self.reset()

    def reset(self) -> None:
        """The first epoch begins."""
        count = total(self.layers)
        self.epoch, self._ended = 0, 0
        self.phi, self.velocity = np.ones(count, np.float32), np.zeros(count, np.float32)
        self.history: list[Selection] = []
        self.chosen, self.norms = np.zeros(count, bool), np.zeros(len(self.layers), np.float32)
        self.alive = np.zeros(count, bool)
        first = first_choice(self.graph, self.plan)
        self._begin(first if first is not None else self._spend(random(self._situation())))

    def is_over(self, step: int) -> bool:
        """Whether the pool's steps went by since the last epoch's end; `step`: steps so far."""
        return self.pool.epoch is not None and step - self._ended >= self.pool.epoch

    def end(self, step: int, outputs: Callable[[], Iterable[Pair]]) -> None:
        """End an epoch after so many steps. outputs: of every candidate by tensor name, now and with the
        weights that the epoch began with, a pair a held-out sample; called where the rule measures."""
        if self.pool.rule == "velocity":
            phi = self._phi(outputs())
            self.velocity = velocity(phi, self.phi, self.velocity, self.pool.mu)
            self.phi = phi
        self.epoch, self._ended = self.epoch + 1, step
        mask = self._spend(self._without_dead(RULES[self.pool.rule](self._situation())))
        self.norms[:] = 0
        self.alive[:] = False
        self._begin(mask)

    def channels(self, i: int) -> tuple[int, ...]:
        """Channels of candidate `i` that learn."""
        return tuple(np.flatnonzero(self.chosen[self.layers[i].span]).tolist())

    def _begin(self, mask: np.ndarray) -> None:
        self.chosen = mask
        channels = named(self.layers, mask)
        self.history.append(Selection(self.epoch, self._ended, channels, self.pool.axis))

    def _situation(self) -> Situation:
        facts = (self.plan.seed, self.epoch, self.chosen, self.velocity, self.norms, self._bytes)
        return Situation(self.layers, self.pool, *facts)

    def _without_dead(self, scores: np.ndarray) -> np.ndarray:
        """The scores; below 0 for channels without a gradient where others of their layer had one."""
        dead = ~self.alive
        for c in self.layers:
            dead[c.span] &= self.alive[c.span].any()
        return np.where(dead, np.float32(-1), scores) if self.pool.watches else scores

    def _spend(self, scores: np.ndarray) -> np.ndarray:
        """The channels that the pool's bytes buy; none with a score below 0."""
        mask, offered = np.zeros(len(scores), bool), np.flatnonzero(scores >= 0)
        budget, rule = self.pool.bytes, self.pool.spend
        mask[offered[select(scores[offered], self.costs[offered], budget, rule)]] = True
        return mask

    def _phi(self, pairs: Iterable[Pair]) -> np.ndarray:
        """Similarity of every channel [C]."""
        sums = np.zeros((3, total(self.layers)), np.int64)
        for now, before in pairs:
            for c in self.layers:
                name = c.layer.outputs[0]
                zero = tensor_quant(self.graph, name).zero_point[0]
                shift = similarity_shift(self.graph, c, self.pool)
                sums[:, c.span] += similarity_sums(now[name], before[name], zero, shift)
        return cosine(sums)
