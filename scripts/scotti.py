"""SCoTTi against NEq and against the ultimate optimizer with NEq: ResNet-32 on CIFAR-10, learned thresholds.

    python scripts/scotti.py           # 250 epochs, 4 seeds: days of a GPU
    python scripts/scotti.py --small   # as scripts/neq.py

The trainings are those of scripts/neq.py; eps is 0.05, SCoTTi's start. Writes runs.jsonl to --out.
"""

from __future__ import annotations

import neq
from absl import flags

FLAGS = flags.FLAGS
FLAGS.set_default("methods", ["all", "neq", "scotti", "scotti_ultimate", "ultimate_neq"])
FLAGS.set_default("eps", ["0.05"])
FLAGS.set_default("small_eps", ["0.05"])
FLAGS.set_default("out", "results/papers/scotti")


if __name__ == "__main__":
    neq.run("scotti")
