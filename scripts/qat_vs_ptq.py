"""Quantisation-aware training against post-training quantisation, before any learning on the device.

    python scripts/qat_vs_ptq.py

For each net and set: a float model, its PTQ, its QAT, and as a control the float model trained on as long as
QAT was, and the PTQ of that. int8 accuracies are those of the `.tflite`. Writes runs.jsonl (one line a
training; a killed run goes on), table.json and table.png to --out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import app, flags
from int8_transfer import spread
from matplotlib.figure import Figure
from runs import Runs

from tflm_export.errors import TfodlError
from tflm_export.files import write_text
from tfodl import convert, datasets, models, quantize
from tfodl.datasets import split
from tfodl.int8.graph import Int8Model

# net, data set, side in pixels, weights, float epochs
CELLS = {
    "tiny_mobilenet digits": ("tiny_mobilenet", "digits", 28, None, 40),
    "mbv2-w0.35 flower_photos": ("mbv2-w0.35", "flower_photos_128", 96, "imagenet", 4),
}
REPRESENTATIVE = 200  # pictures that PTQ calibrates on
KINDS = ("float", "PTQ", "float trained on", "PTQ of that", "QAT")

flags.DEFINE_list("cells", list(CELLS), "nets and sets")
flags.DEFINE_integer("seeds", 3, "trainings a cell", lower_bound=1)
flags.DEFINE_integer("limit", 1000, "pictures a split at most", lower_bound=10)
flags.DEFINE_integer("qat_epochs", 2, "epochs of QAT", lower_bound=1)
flags.DEFINE_string("data_dir", None, "folder of packs and weights (default: TFODL_DATA, ../shared/data)")
flags.DEFINE_string("out", "results/int8/qat", "folder for results")
FLAGS = flags.FLAGS


def compare(cell: str, seed: int) -> dict[str, Any]:
    """Test accuracies of `KINDS`."""
    net, name, size, weights, epochs = CELLS[cell]
    data = datasets.load(name, size=size, limit=FLAGS.limit, data_dir=FLAGS.data_dir)
    x, x_test = models.preprocess(data.x_train), models.preprocess(data.x_test)
    keras.utils.set_random_seed(seed)
    model = models.build(net, input_shape=x.shape[1:], classes=data.classes, weights=weights)
    _train(model, x, data.y_train, 1e-3, epochs)
    qat = quantize.qat(model, x, data.y_train, epochs=FLAGS.qat_epochs, learning_rate=1e-4, seed=seed)
    drawn = x[split.draw(data.y_train, REPRESENTATIVE)]
    found = {"float": model.predict(x_test, verbose=0), "PTQ": _ptq(model, drawn, x_test)}
    found["QAT"] = _int8(convert.to_int8(qat, isolate=True), x_test)
    _train(model, x, data.y_train, 1e-4, FLAGS.qat_epochs)
    found["float trained on"] = model.predict(x_test, verbose=0)
    found["PTQ of that"] = _ptq(model, drawn, x_test)
    return {kind: round(float((found[kind].argmax(1) == data.y_test).mean()), 4) for kind in KINDS}


def _train(model: keras.Model, x: np.ndarray, y: np.ndarray, rate: float, epochs: int) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(x, y, epochs=epochs, batch_size=32, verbose=0)


def _ptq(model: keras.Model, x: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    return _int8(convert.to_int8(model, x, isolate=True), x_test)


def _int8(tflite: bytes, x_test: np.ndarray) -> np.ndarray:
    return Int8Model(tflite).predict(x_test, verbose=0)


def summary(runs: Runs) -> dict[str, Any]:
    """Mean and standard deviation over seeds a cell and kind."""
    table: dict[str, Any] = {}
    for cell in dict.fromkeys(row["cell"] for row in runs.rows):
        rows = [row for row in runs.rows if row["cell"] == cell]
        table[cell] = {kind: spread([row[kind] for row in rows]) for kind in KINDS}
    return {"scale": {"pictures_a_split": FLAGS.limit, "qat_epochs": FLAGS.qat_epochs}, "table": table}


def draw(result: dict[str, Any], path: Path) -> None:
    """Bars: a group a cell, a bar a kind."""
    cells = list(result["table"])
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for i, kind in enumerate(KINDS):
        rows = [result["table"][cell][kind] for cell in cells]
        at = np.arange(len(cells)) + 0.16 * i - 0.32
        axes.bar(at, [row["mean"] for row in rows], 0.15, yerr=[row["sd"] for row in rows], label=kind)
    axes.set_xticks(range(len(cells)), cells)
    axes.set_ylabel("test accuracy")
    axes.legend(ncols=3, fontsize=8, loc="lower left")
    figure.savefig(path, dpi=110)


def main(_: list[str]) -> None:
    out = Path(FLAGS.out)
    runs = Runs(out / "runs.jsonl")
    for seed in range(FLAGS.seeds):
        for cell in FLAGS.cells:
            runs.get({"cell": cell, "seed": seed}, lambda cell=cell, seed=seed: compare(cell, seed))
            write_text(out / "table.json", json.dumps(summary(runs), indent=1) + "\n")
    draw(summary(runs), out / "table.png")


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"qat_vs_ptq: {error}") from error
