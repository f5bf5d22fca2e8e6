"""Neurons by score until an engine's memory is full: the ranking's longest prefix, by doubling and halving.

Memory is shared: the first channel of a layer pays for what opening the layer costs, gradients of the layers
above included. RAM grows with every channel but for a few bytes, so that a dozen questions to the compiler's
planner find the prefix of thousands of neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tflm_export.plan import LayerUpdate
from tfodl.selection.engine import Room

Mask = NDArray[np.bool_]
Layers = tuple[LayerUpdate, ...]
ENOUGH_LEFT = 0.01  # share of the RAM that is not worth looking for


def fill_room(
    order: Sequence[int],
    layer_of: NDArray[np.intp],
    room: Room,
    layers: Callable[[Mask], Layers],
    affordable: Callable[[Mask, list[int]], list[int]],
    skip: bool,
) -> Mask:
    """The neurons to train, `[n] bool`.

    order: all of them, best first. layer_of: `[n]`, the number of each one's layer. layers: plan entries of a
    mask. affordable: of the neurons in a list, those that other limits let in beside a mask. skip: pass over
    a layer that does not fit and go on; else the first neuron that does not fit is the end (eq. 6).
    """
    spare, none = 0, np.zeros(len(layer_of), bool)
    question = _Question(layer_of, layers, affordable, room)
    while True:
        chosen = _Filling(question, partial(room.fits, spare=spare), none).run(order, skip)
        over = room.over(layers(chosen))
        if not over or not chosen.any():
            break
        spare += over  # gaps between the placed buffers
    if spare and skip:  # the gaps of the plan that fits may be smaller: what is left, asked by placement
        left = [i for i in order if not chosen[i]]
        chosen = _Filling(question, lambda rows: room.fits(rows) and not room.over(rows), chosen).run(
            left, skip
        )
    return chosen


@dataclass(frozen=True)
class _Question:
    """What filling asks of its caller: see `fill_room`."""

    layer_of: NDArray[np.intp]
    layers: Callable[[Mask], Layers]
    affordable: Callable[[Mask, list[int]], list[int]]
    room: Room


class _Filling:
    """One pass down the ranking. `chosen` grows; `closed` layers are passed over from then on."""

    def __init__(self, question: _Question, fits: Callable[[Layers], bool], chosen: Mask) -> None:
        self.layer_of, self.room, self.layers = question.layer_of, question.room, question.layers
        self.affordable, self._room_for = question.affordable, fits
        self.chosen = chosen.copy()
        self.closed: set[int] = set()

    def run(self, left: Sequence[int], skip: bool) -> Mask:
        left = list(left)
        while left:
            run = self.affordable(self.chosen, left)
            count = self._longest(run)
            self.chosen[run[:count]] = True
            if count == len(run) or not skip or self._full():
                break
            self._close(run[count:])
            left = [i for i in left if not self.chosen[i] and int(self.layer_of[i]) not in self.closed]
        return self.chosen

    def _longest(self, run: list[int]) -> int:
        """Length of the longest prefix of `run` that fits; 1 less than the first that does not."""
        low, high = 0, 1
        while high <= len(run) and self._fits(run[:high]):
            low, high = high, len(run) if high < len(run) < 4 * high else 4 * high
        high = min(high, len(run) + 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._fits(run[:middle]) else (low, middle)
        return low

    def _fits(self, more: Sequence[int]) -> bool:
        mask = self.chosen.copy()
        mask[list(more)] = True
        return self._room_for(self.layers(mask))

    def _full(self) -> bool:
        return self.room.left(self.layers(self.chosen)) <= ENOUGH_LEFT

    def _close(self, rest: list[int]) -> None:
        """Close the layer of the neuron that did not fit; where that would have opened it, every layer that
        cannot be opened now: later it cannot either, for memory only grows."""
        blocked, opened = int(self.layer_of[rest[0]]), {int(i) for i in self.layer_of[self.chosen]}
        self.closed.add(blocked)
        if blocked in opened:
            return
        first = {int(self.layer_of[i]): i for i in reversed(rest)}
        for layer, neuron in first.items():
            if layer not in opened and layer not in self.closed and not self._fits([neuron]):
                self.closed.add(layer)
