"""What pages call the rules of a study."""

from __future__ import annotations

NAMES = {
    "head": "head only",
    "random": "Random",
    "static_random": "Random, drawn once",
    "velocity": "Velocity",
    "velocity_scheme_first": "Velocity, from a scheme on",
    "random_scheme_first": "Random, from a scheme on",
    "velocity_authors": "Velocity, the authors' code",
    "top_layers_random": "TopLayersRandom (TraDy)",
    "importance_random": "ImportanceRandom (MeDyate)",
    "sparse_update": "Sparse Update",
    "fisher": "Fisher (TinyTrain)",
    "last_layers": "last layers",
    "all": "all that may learn",
}
