"""How much of Velocity's lead over Random was its budget? (Quélennec et al., WACV-W 2024, table 2)

    python scripts/fair_random.py              # four sets, three budgets
    python scripts/fair_random.py --small      # what results/papers holds: the same, 1.5 hours of one core

Velocity and Random with the same number of parameters, and Random with what the published code's costs gave
it on MobileNetV2: 0.34, 0.24 and 0.23 of the budgets 8.8, 21.2 and 30.8 %. The learner is that of
scripts/equal_bytes.py; budgets are shares of the parameters of the last three blocks.
"""

from __future__ import annotations

from absl import flags

from tflm_export.errors import TfodlError
from tfodl.experiments import study_flags
from tfodl.experiments.given import GIVEN, given

study_flags.define("results/papers/fair_random")
FLAGS = flags.FLAGS


def budgets() -> list[tuple[str, study_flags.Budgets]]:
    """What Velocity and Random may train: a study a set and budget, each with rates of its own."""
    sets, shares = (study_flags.SETS, list(GIVEN)) if FLAGS.small else (FLAGS.sets, _shares())
    return [(name, _at(share)) for share in shares for name in sets]


def _shares() -> list[float]:
    """Raises `TfodlError` for a share that nothing was published at."""
    shares = study_flags.numbers("shares")
    unknown = [share for share in shares if share not in GIVEN]
    if unknown:
        raise TfodlError(f"--shares: nothing was published at {unknown}; allowed: {list(GIVEN)}.")
    return shares


def _at(share: float) -> study_flags.Budgets:
    equal, wrong = ({"params_share": params} for params in (share, given(share)))
    return {"velocity": [equal], "random": [equal, wrong]}


if __name__ == "__main__":
    study_flags.run("fair_random", budgets)
