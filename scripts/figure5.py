"""Figure 5 of the Velocity paper: what part of the backward pass a rule saves, counted in four ways.

    python scripts/figure5.py      # of results/papers/equal_bytes: two minutes, after scripts/engines.py

By the papers' count (a frozen neuron saves its dX and its dW), in multiply-accumulates, in time of a step on
this host, and in cycles of the compiled engine on the emulated Cortex-M4F. The plans are those that
scripts/engines.py compiled for one set. Writes host.jsonl to --study; benchmarks/paper_tables.py draws.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import app, flags

from tflm_export.errors import TfodlError
from tfodl.experiments import sweep
from tfodl.experiments.cells import cells, engines_of
from tfodl.experiments.host import step_seconds

flags.DEFINE_string("study", "results/papers/equal_bytes", "folder of a study")
flags.DEFINE_string("data", "cifar10_sub", "the set whose plans are timed")
flags.DEFINE_integer("rounds", 30, "steps of each", lower_bound=3)
FLAGS = flags.FLAGS


def job(study: Path) -> dict[str, Any]:
    """The cut net of the set, and by rule the compiled plan. Raises `TfodlError` where there is none."""
    known = cells(sweep.load(study / "runs.jsonl"))
    compiled = engines_of(known, sweep.load(study / "engines.jsonl"))
    found = {method: known[data, method, b][0] for data, method, b in compiled if data == FLAGS.data}
    if not {"head", "all"} <= found.keys():
        raise TfodlError(f"{study}: no engines of {FLAGS.data!r} for head and all; run scripts/engines.py.")
    plans = {method: row["result"]["plan"] for method, row in found.items()}
    return {"task": found["all"]["arguments"]["task"], "plans": plans, "rounds": FLAGS.rounds}


def main(_: list[str]) -> None:
    study = Path(FLAGS.study)
    sweep.run(step_seconds, [job(study)], study / "host.jsonl", workers=1)


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"figure5: {error}") from error
