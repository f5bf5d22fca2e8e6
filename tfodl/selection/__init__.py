"""Which neurons a budget buys: pure functions, without Keras. `tfodl.selection.select` and its kin."""

from tfodl.selection.choose import Options, as_budget, choose, entries, neuron_cost, ranking, select

__all__ = ["Options", "as_budget", "choose", "entries", "neuron_cost", "ranking", "select"]
