"""Which rule at which budget, for a user: a study of equal bytes on one page.

    python scripts/compare.py                       # of results/papers/equal_bytes
    python scripts/compare.py --study my_study      # of your own scripts/equal_bytes.py --out my_study

Prints the page of docs/results.md and writes compare.json beside the runs: the rule for any net that is most
often right, which `tfodl finetune` takes by default, and how far it is from Velocity.
"""

from __future__ import annotations

import json
from pathlib import Path

from absl import app, flags

from tflm_export.errors import TfodlError
from tflm_export.files import write_text
from tfodl.experiments import comparison, sweep

flags.DEFINE_string("study", "results/papers/equal_bytes", "folder of a study")
FLAGS = flags.FLAGS


def main(_: list[str]) -> None:
    study = Path(FLAGS.study)
    if not (study / "runs.jsonl").is_file():
        raise TfodlError(f"no runs.jsonl in {study}; run scripts/equal_bytes.py --out {study}.")
    rows = sweep.load(study / "runs.jsonl")
    engines = study / "engines.jsonl"
    print(comparison.page(rows, sweep.load(engines) if engines.is_file() else ()))
    best = comparison.recommended(rows)
    lead = comparison.lead(rows, best)
    facts = {"recommended": best}
    if lead is not None:
        facts |= {"minus_velocity": round(lead.mean, 2), "interval": round(lead.half, 2)}
    write_text(study / "compare.json", json.dumps(facts, indent=2) + "\n")
    print(f"recommended: --method {best}")


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"compare: {error}") from error
