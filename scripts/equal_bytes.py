"""Which neurons should learn, as a device asks it: every rule in the same RAM of the compiled engine.

    python scripts/equal_bytes.py              # every method, set and budget: two nights of two cores
    python scripts/equal_bytes.py --small      # what results/papers holds: seven hours of one core

mbv2-w0.35 from ImageNet weights at 96 px, batch norm folded, in int8 with quantisation-aware scaling; the
last three blocks (59 % of the convolutions' weights) may learn, on features computed once. A budget is a
share of the RAM between the engine that trains the head alone and the one that trains all. Writes
runs.jsonl to --out, one line a training; a killed run goes on. `benchmarks/paper_tables.py` makes the tables.
"""

from __future__ import annotations

from absl import flags

from tfodl.experiments import study_flags
from tfodl.experiments.rules import RULES

# What begins with a scheme is for budgets in parameters.
METHODS = [name for name in RULES if not name.endswith("_scheme_first")]
SMALL = [0.212, 0.088, 0.308]  # rates are chosen at the first

flags.DEFINE_list("methods", METHODS, "rules")
study_flags.define("results/papers/equal_bytes")
FLAGS = flags.FLAGS


def budgets() -> list[tuple[str, study_flags.Budgets]]:
    """A study a set: by method."""
    if FLAGS.small:
        return [(name, _of(METHODS, SMALL)) for name in study_flags.SETS]
    return [(name, _of(FLAGS.methods, study_flags.numbers("shares"))) for name in FLAGS.sets]


def _of(methods: list[str], shares: list[float]) -> study_flags.Budgets:
    return study_flags.by_method(methods, [{"ram_share": share} for share in shares])


if __name__ == "__main__":
    study_flags.run("equal_bytes", budgets)
