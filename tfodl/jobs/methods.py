"""`METHODS`: the callbacks that `finetune --method` names, by their one signature."""

from __future__ import annotations

from collections.abc import Callable

from tfodl import callbacks

METHODS: dict[str, Callable[..., callbacks.Selection]] = {
    "velocity": lambda budget, x, y, **o: callbacks.VelocitySelection(budget, validation_data=x, **o),
    "random": lambda budget, x, y, **o: callbacks.RandomSelection(budget, **o),
    "equilibrium": lambda budget, x, y, **o: callbacks.EquilibriumSelection(validation_data=x, **o),
    "scotti": lambda budget, x, y, **o: callbacks.ScottiSelection(validation_data=x, **o),
    "top_layers_random": lambda budget, x, y, **o: callbacks.TopLayersRandom(
        budget, validation_data=(x, y), **o
    ),
    "importance_random": lambda budget, x, y, **o: callbacks.ImportanceRandom(
        budget, validation_data=(x, y), **o
    ),
    "fisher": lambda budget, x, y, **o: callbacks.Fisher(budget, validation_data=(x, y), **o),
    "head": lambda budget, x, y, **o: callbacks.FixedSelection("head", **o),
    "all": lambda budget, x, y, **o: callbacks.FixedSelection("all", **o),
}
