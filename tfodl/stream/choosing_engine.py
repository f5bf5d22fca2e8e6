"""`ChoosingKerasEngine`: an engine that chooses what learns, in Keras, with the board's gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import keras
import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.errors import TfodlError
from tflm_export.living.chooser import Chooser, Pair
from tflm_export.living.selection import Selection
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.int8.graph import output_layer
from tfodl.int8.wiring import layer_of
from tfodl.stream.keras_engine import KerasEngine


class ChoosingKerasEngine(KerasEngine):
    """A `KerasEngine` of a plan with a pool: it chooses the board's channels, and makes its weights.

    Raises `TfodlError` as `KerasEngine`, and for momentum, an accumulator, the rule top_layers_random, or
    skip_dead, of which Keras keeps no such state.
    """

    def __init__(self, compiled: Compiled):
        self.chooser = Chooser(compiled.graph, compiled.plan)
        _check(compiled.plan, self.chooser)
        super().__init__(compiled)

    @property
    def history(self) -> list[Selection]:
        """The selection of every epoch so far."""
        return self.chooser.history

    def _build(self) -> None:
        super()._build()
        self.chooser.reset()
        self.memory.held_out = self.chooser.pool.held_out
        base = self.model.base
        names = [output_layer(c.layer, base) for c in self.chooser.layers]
        self._watched = keras.Model(base.input, [base.get_layer(name).output for name in names])
        self._before = self.model.constants()
        self._steps = 0
        self._load()

    def train_step(self, x: np.ndarray, label: int) -> float:
        """One step on input `x` int8 [1, ...], the plan's replays, and where the epoch is over, a new one."""
        loss = super().train_step(x, label)
        if self.chooser.is_over(self._steps):
            self.new_epoch()
        return loss

    def learn_latent(self, latent: np.ndarray, label: int) -> float:
        """One step from the cut on; the loss before it."""
        self._steps += 1
        return super().learn_latent(latent, label)

    def new_epoch(self) -> None:
        """Judge, measure, choose anew."""
        self.judge_epoch()
        self.chooser.end(self._steps, self._pairs)
        self._before = self.model.constants()
        self._load()

    def _load(self) -> None:
        """From now on the chosen channels learn, and no gradient is computed below them."""
        rows = tuple(
            LayerUpdate(layer_of(c.layer), "out", channels, "selected" if c.bias is not None else "none")
            for i, c in enumerate(self.chooser.layers)
            if (channels := self.chooser.channels(i))
        )
        self.model.set_plan(replace(self.model.plan, layers=rows), exactly=True)
        self.keep()

    def _pairs(self) -> Iterator[Pair]:
        """The candidates' outputs of every held-out sample, today's and last epoch's."""
        latents, today = self.memory.held_out_latents(), self.model.constants()
        if not len(latents):
            return
        now = self._outputs(latents)
        self.model.load_constants(self._before)
        before = self._outputs(latents)
        self.model.load_constants(today)
        for i in range(len(latents)):
            yield tuple({name: y[i : i + 1] for name, y in ys.items()} for ys in (now, before))  # type: ignore[misc]

    def _outputs(self, latents: np.ndarray) -> Mapping[str, np.ndarray]:
        """int8 [N, ...] of every candidate, by the tensor's name."""
        found = self._watched.predict(self._real(latents), verbose=0)
        found = found if isinstance(found, list) else [found]
        names = [c.layer.outputs[0] for c in self.chooser.layers]
        return {name: np.asarray(y).astype(np.int8) for name, y in zip(names, found, strict=True)}


def _check(plan: UpdatePlan, chooser: Chooser) -> None:
    if plan.optimizer.momentum or plan.optimizer.rounding != "stochastic":
        raise TfodlError(
            "stream: Keras keeps what an optimizer remembers from epoch to epoch, a pool does not; use "
            "machine='host' or 'numpy', or plain SGD with stochastic rounding."
        )
    if chooser.pool.watches:
        raise TfodlError("stream: Keras does not watch gradients as the board does; set skip_dead to false.")
    if chooser.pool.rule == "top_layers_random":
        raise TfodlError(
            "stream: Keras does not measure top_layers_random as the board does; use 'host' or 'numpy'."
        )
