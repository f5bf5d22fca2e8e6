"""What the engines of a study's plans take of a board: cycles, RAM and flash on an emulated Cortex-M4F.

    python scripts/engines.py --study results/papers/equal_bytes

Compiles the last epoch's plan of every set and method at one budget, seed 0, and runs it (needs
arm-none-eabi-g++).
Writes engines.jsonl beside the study's runs.jsonl, one line an engine; a killed run goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import app, flags

from tflm_export.errors import TfodlError
from tfodl.experiments import sweep
from tfodl.experiments.board import engine

flags.DEFINE_string("study", "results/papers/equal_bytes", "folder of a study")
flags.DEFINE_float("share", 0.212, "the budget; what has none is compiled, too")
flags.DEFINE_integer("workers", 1, "engines at a time", lower_bound=1)
FLAGS = flags.FLAGS


def jobs(study: Path) -> list[dict[str, Any]]:
    """An engine a cell of the study."""
    rows = [row for row in sweep.load(study / "runs.jsonl") if not row["arguments"]["validate"]]
    return [
        {"task": row["arguments"]["task"], "plan": row["result"]["plan"]}
        for row in rows
        if "plan" in row["result"] and FLAGS.share in row["arguments"]["budget"].values()
    ]


def main(_: list[str]) -> None:
    study = Path(FLAGS.study)
    sweep.run(engine, jobs(study), study / "engines.jsonl", workers=FLAGS.workers)


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"engines: {error}") from error
