"""`ChoosingKerasEngine`: an engine that chooses what learns, in Keras, with the board's gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

import keras
import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.living.chooser import Chooser, Pair
from tflm_export.living.selection import Selection
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.int8.graph import output_layer
from tfodl.int8.watch import Watch
from tfodl.int8.wiring import layer_of
from tfodl.stream.keras_engine import KerasEngine


class ChoosingKerasEngine(KerasEngine):
    """A `KerasEngine` of a plan with a pool: it chooses the board's channels, and makes its weights.

    Raises `TfodlError` as `KerasEngine`.
    """

    def __init__(self, compiled: Compiled):
        self.chooser = Chooser(compiled.graph, compiled.plan)
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
        self._layers = [base.get_layer(layer_of(c.layer)) for c in self.chooser.layers]
        self._watch()
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
        self._tell()
        self.chooser.end(self._steps, self._pairs)
        self._before = self.model.constants()
        self._load()

    def _load(self) -> None:
        """From now on the chosen channels learn, and what the optimizer remembers of candidates is zero. No
        gradient is computed below them, but where the rule measures all candidates."""
        count = range(len(self.chooser.layers))
        chosen = [self._update(i, channels) for i in count if (channels := self.chooser.channels(i))]
        within = None
        if self.chooser.pool.rule == "top_layers_random":
            within = self._plan([self._update(i, self.chooser.layers[i].weights.channels) for i in count])
        self.model.set_plan(self._plan(chosen), exactly=True, within=within)
        kept = [layer.kernel for layer in self._layers] + [layer.bias for layer in self._layers]
        self.model.optimizer.forget(variable.path for variable in kept if variable is not None)
        self.keep()

    def _plan(self, layers: list[LayerUpdate]) -> UpdatePlan:
        return replace(self.model.plan, layers=tuple(layers))

    def _update(self, i: int, channels: tuple[int, ...]) -> LayerUpdate:
        """Channels of candidate `i`, for Keras; of a depthwise layer they are output channels."""
        c, axis = self.chooser.layers[i], self.chooser.pool.axis
        bias: Literal["selected", "none"] = "selected" if c.bias is not None else "none"
        return LayerUpdate(layer_of(c.layer), "out" if c.weights.depthwise else axis, channels, bias)

    def _watch(self) -> None:
        """Have the gradients of candidates noted where the pool asks for it."""
        pool, device = self.chooser.pool, self.model.device
        assert device is not None
        watches = pool.watches or pool.rule == "top_layers_random"
        device.watched = {
            layer.name: Watch(len(layer.weight_scale)) for layer in (self._layers if watches else ())
        }

    def _tell(self) -> None:
        """What was noted since the epoch began goes to the chooser."""
        assert self.model.device is not None
        for i, watch in enumerate(self.model.device.watched.values()):
            self.chooser.norms[i] = watch.norm.numpy()
            if self.chooser.pool.watches:
                self.chooser.alive[self.chooser.layers[i].span] = watch.alive.numpy()
            watch.clear()

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
