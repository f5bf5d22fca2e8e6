"""Which neurons a budget buys: pure functions, without Keras. `tfodl.selection.select` and its kin."""

from tflm_export.living.ranking import ranking, select
from tfodl.selection.choose import Options, as_budget, choose, entries, neuron_cost
from tfodl.selection.engine import Engine, Room

__all__ = ["Engine", "Options", "Room", "as_budget", "choose", "entries", "neuron_cost", "ranking", "select"]
