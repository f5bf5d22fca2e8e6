"""Callbacks that decide, epoch by epoch, which neurons of a `SelectiveModel` train.

A rule of your own is a `Selection` with a `scores` method: docs/selection.md, examples/own_rule.py.
"""

from tfodl.callbacks.base import Selection
from tfodl.callbacks.best import BestEpoch
from tfodl.callbacks.equilibrium import EquilibriumSelection
from tfodl.callbacks.fisher import Fisher
from tfodl.callbacks.fixed import FixedSelection
from tfodl.callbacks.importance import ImportanceRandom
from tfodl.callbacks.random import RandomSelection
from tfodl.callbacks.scotti import ScottiSelection
from tfodl.callbacks.top_layers import TopLayersRandom
from tfodl.callbacks.velocity import VelocitySelection

__all__ = [
    "BestEpoch",
    "EquilibriumSelection",
    "Fisher",
    "FixedSelection",
    "ImportanceRandom",
    "RandomSelection",
    "ScottiSelection",
    "Selection",
    "TopLayersRandom",
    "VelocitySelection",
]
