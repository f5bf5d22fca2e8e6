"""Callbacks that decide, epoch by epoch, which neurons of a `SelectiveModel` train.

A rule of your own is a `Selection` with a `scores` method; docs/selection.md and examples/own_rule.py show
one.
"""

from tfodl.callbacks.fixed import FixedSelection
from tfodl.callbacks.random import RandomSelection
from tfodl.callbacks.selection import Selection
from tfodl.callbacks.velocity import VelocitySelection

__all__ = ["FixedSelection", "RandomSelection", "Selection", "VelocitySelection"]
