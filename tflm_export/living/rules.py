"""Rules by which a device chooses: each gives a score to every candidate channel.

A further rule is one function here, its row in `RULES`, and its twin in arduino/src/tfodl/pool/rules.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tflm_export.living.pool import Candidate
from tflm_export.living.ranking import ranking
from tflm_export.ops.arithmetic import mix, random_key
from tflm_export.pool import Pool

CHOOSE = 0xFFFF0004  # whose random numbers


@dataclass(frozen=True)
class Situation:
    """What a rule may go by at an epoch's end.

    epoch: the one that begins, 0 for the first. chosen: bool [C], who learned so far. velocity: float32 [C].
    norms: float32 a layer, squared norms of its outputs' gradients, summed over the epoch. bytes: a layer's
    weights and the input that they read.
    """

    layers: Sequence[Candidate]
    pool: Pool
    seed: int
    epoch: int
    chosen: np.ndarray
    velocity: np.ndarray
    norms: np.ndarray
    bytes: Sequence[int]


def random(now: Situation) -> np.ndarray:
    """A global random permutation, drawn anew every epoch."""
    key = random_key(now.seed, now.epoch, CHOOSE)
    numbers = (np.arange(len(now.chosen), dtype=np.uint64) + np.uint64(key)) & np.uint64(0xFFFFFFFF)
    scores: np.ndarray = (mix(numbers) >> np.uint32(8)).astype(np.float32)
    return scores


def velocity(now: Situation) -> np.ndarray:
    """`|v| / C`, C the channel's parameters (eq. 7)."""
    params = np.concatenate([np.full(c.channels, c.params, np.float32) for c in now.layers])
    scores: np.ndarray = np.abs(now.velocity) / params
    return scores


def fixed(now: Situation) -> np.ndarray:
    """Those that learned before, and no others."""
    return np.where(now.chosen, np.float32(0), np.float32(-1)).astype(np.float32)


def top_layers_random(now: Situation) -> np.ndarray:
    """Random channels of the layers with most gradient a byte, as many as hold `top` of all earnings."""
    earned = np.sqrt(now.norms) / np.array(now.bytes, np.float32)
    scores, order = random(now), ranking(earned)
    whole, held = np.float32(0), np.float32(0)
    for i in order:
        whole = whole + earned[i]
    for i in order:
        if held > 0 and held >= np.float32(now.pool.top) * whole:
            scores[now.layers[i].span] = -1
        held = held + earned[i]
    return scores


RULES: dict[str, Callable[[Situation], np.ndarray]] = {
    "velocity": velocity,
    "random": random,
    "top_layers_random": top_layers_random,
    "fixed": fixed,
}
