"""Fourteen kinds of Keras model through the commands: which reach a sketch, which are refused, how soon.

    python scripts/front_door.py --data flower_photos_128 --limit 200

Pictures are written to a folder, the models trained shortly on raw pixels, saved, and handed to `tfodl` and
`tflm-export` as a user would. To --out go runs.jsonl (one line a model; a killed run goes on) and table.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import app, flags
from keras import layers as L
from PIL import Image
from tqdm import tqdm

from tflm_export.files import write_text
from tfodl import datasets

flags.DEFINE_string("data", "flower_photos_128", "data set")
flags.DEFINE_integer("size", 96, "side of the pictures", lower_bound=32)
flags.DEFINE_integer("limit", 200, "pictures a split at most", lower_bound=20)
flags.DEFINE_integer("epochs", 3, "epochs of the first training, and of finetune", lower_bound=1)
flags.DEFINE_list("only", [], "kinds to run; all by default")
flags.DEFINE_string("work", "build/front_door", "folder for pictures, models and engines")
flags.DEFINE_string("out", "results/front_door", "folder for results")
FLAGS = flags.FLAGS
ROOT = Path(__file__).parent.parent
COMMANDS = (
    "tfodl finetune --model {model} --data {data} --epochs {epochs} --out tuned",
    "tfodl quantize --model tuned/model.keras --data {data} --plan tuned/plan.json --epochs 1 --out int8",
    "tflm_export compile int8/model.tflite --plan int8/plan.json --out engine",
    "tflm_export verify engine --count 32 --steps 4",
    "tflm_export report engine",
    "tflm_export sketch engine --board nano33ble --out engine.zip",
)


def small(shape: tuple[int, ...], *head: keras.Layer) -> keras.Model:
    stages = [L.Rescaling(1 / 255)]
    for filters in (8, 16, 24):
        stages += [L.Conv2D(filters, 3, 2, "same", use_bias=False), L.BatchNormalization(), L.ReLU()]
    return keras.Sequential([keras.Input(shape), *stages, L.GlobalAveragePooling2D(), *head])


def residual(shape: tuple[int, ...], classes: int) -> keras.Model:
    image = keras.Input(shape)
    x = y = L.Conv2D(16, 3, 4, "same", activation="relu")(L.Normalization(mean=120.0, variance=4000.0)(image))
    x = L.Conv2D(16, 1)(L.DepthwiseConv2D(3, padding="same", activation="relu6")(x))
    x = L.MaxPooling2D(4)(L.Add()([x, y]))
    return keras.Model(image, L.Dense(classes, "softmax")(L.Flatten()(x)))


def application(name: str, shape: tuple[int, ...], classes: int, **options: Any) -> keras.Model:
    """A published net, weights drawn, with a head of its own, as the transfer learning tutorials nest it."""
    base = getattr(keras.applications, name)(input_shape=shape, include_top=False, weights=None, **options)
    image = keras.Input(shape)
    x = L.RandomFlip("horizontal")(image)
    x = keras.applications.mobilenet_v2.preprocess_input(x) if name == "MobileNetV2" else x
    return keras.Model(image, L.Dense(classes)(L.Dropout(0.2)(L.GlobalAveragePooling2D()(base(x)))))


class Own(keras.Model):
    """A net whose graph Keras does not know."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.convolution, self.pool = L.Conv2D(8, 3, 2, activation="relu"), L.GlobalAveragePooling2D()
        self.top, self.classes = L.Dense(classes), classes

    def get_config(self) -> dict[str, Any]:
        return {"classes": self.classes}

    def call(self, x: Any) -> Any:
        return self.top(self.pool(self.convolution(x / 255)))


KINDS: dict[str, Callable[[tuple[int, ...], int], keras.Model]] = {
    "Sequential": lambda s, n: small(s, L.Dense(n)),
    "Sequential, .h5": lambda s, n: small(s, L.Dense(n, "softmax")),
    "functional, residual, Normalization": residual,
    "nested MobileNetV2 0.35": lambda s, n: application("MobileNetV2", s, n, alpha=0.35),
    "nested MobileNetV3Small": lambda s, n: application("MobileNetV3Small", s, n),
    "nested EfficientNetB0": lambda s, n: application("EfficientNetB0", s, n),
    "subclassed": lambda s, n: Own(n),
    "MLP": lambda s, n: keras.Sequential(
        [
            keras.Input(s),
            L.AveragePooling2D(8),
            L.Rescaling(1 / 255),
            L.Flatten(),
            L.Dense(32, "relu"),
            L.Dense(n),
        ]
    ),
    "a sigmoid a class": lambda s, n: small(s, L.Dense(n, "sigmoid")),
    "regression, one output": lambda s, n: small(s, L.Dense(1)),
    "two outputs": lambda s, n: _two(s, n),
    "autoencoder": lambda s, n: keras.Sequential(
        [keras.Input(s), L.Conv2D(4, 3, padding="same"), L.Conv2D(3, 3, padding="same")]
    ),
    "audio, 1-D": lambda s, n: keras.Sequential(
        [keras.Input((1000, 1)), L.Conv1D(8, 9, 4), L.GlobalAveragePooling1D(), L.Dense(n)]
    ),
    "sensors": lambda s, n: keras.Sequential([keras.Input((40,)), L.Dense(16, "relu"), L.Dense(n)]),
}


def _two(shape: tuple[int, ...], classes: int) -> keras.Model:
    base = small(shape, L.Dense(classes))
    return keras.Model(base.inputs[0], [base.outputs[0], base.outputs[0]])


def write_pictures(data: datasets.Dataset, folder: Path) -> None:
    """`train` and `test`, a sub-folder a class."""
    for split, (x, y) in {"train": (data.x_train, data.y_train), "test": (data.x_test, data.y_test)}.items():
        for i, (picture, label) in enumerate(zip(x, y, strict=True)):
            path = folder / split / data.class_names[label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)


def made(kind: str, data: datasets.Dataset, folder: Path) -> Path:
    """The model's file, trained shortly on raw pixels where it takes them and gives a number a class."""
    keras.utils.set_random_seed(0)
    model = KINDS[kind](data.input_shape, data.classes)
    if kind == "subclassed":
        model(np.zeros((1, *data.input_shape), np.float32))
    elif model.input_shape[1:] == data.input_shape and getattr(model, "output_shape", 0) == (
        None,
        data.classes,
    ):
        logits = "softmax" not in str(model.layers[-1].get_config()) and "sigmoid" not in kind
        loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
        y: Any = data.y_train
        if "sigmoid" in kind:
            loss, y = "binary_crossentropy", np.eye(data.classes)[data.y_train]
        model.compile("adam", loss)
        model.fit(data.x_train.astype(np.float32), y, epochs=FLAGS.epochs, verbose=0)
    path = folder / ("model.h5" if ".h5" in kind else "model.keras")
    model.save(path)
    return path


def walk(kind: str, data: datasets.Dataset, pictures: Path) -> dict[str, Any]:
    """How far the model comes: seconds a command, and the last one's last line where it failed."""
    folder = Path(FLAGS.work).resolve() / kind.replace(" ", "_").replace(",", "").replace(".", "")
    folder.mkdir(parents=True, exist_ok=True)
    names = {"model": made(kind, data, folder).name, "data": pictures, "epochs": FLAGS.epochs}
    seconds: dict[str, float] = {}
    for command in COMMANDS:
        words = [word.format(**names) for word in command.split()]
        start = time.monotonic()
        run = subprocess.run(
            [sys.executable, "-m", f"{words[0]}.cli", *words[1:]], cwd=folder, capture_output=True, text=True,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        seconds[words[1]] = round(time.monotonic() - start, 1)
        if run.returncode:
            last = (run.stderr.strip().splitlines() or ["no word"])[-1]
            return {"kind": kind, "ends": words[1], "traceback": "Traceback" in run.stderr,
                    "said": last, "seconds": seconds}  # fmt: skip
    return {"kind": kind, "ends": "sketch", "traceback": False, "said": "", "seconds": seconds}


def table(rows: list[dict[str, Any]]) -> str:
    """A line a kind."""
    lines = ["| kind | reaches | seconds in all | refused with |", "|---|---|--:|---|"]
    for row in rows:
        reached = "a sketch" if not row["said"] else f"refused by {row['ends']}"
        lines.append(
            f"| {row['kind']} | {reached} | {sum(row['seconds'].values()):.0f} | {row['said'][:160]} |"
        )
    return "\n".join(lines) + "\n"


def main(_: Any) -> None:
    out, pictures = Path(FLAGS.out), Path(FLAGS.work).resolve() / "pictures"
    data = datasets.load(FLAGS.data, size=FLAGS.size, limit=FLAGS.limit)
    write_pictures(data, pictures)
    runs = out / "runs.jsonl"
    rows = [json.loads(line) for line in runs.read_text().splitlines()] if runs.is_file() else []
    out.mkdir(parents=True, exist_ok=True)
    done = {row["kind"] for row in rows}
    for kind in tqdm([kind for kind in FLAGS.only or KINDS if kind not in done], unit="model"):
        rows.append(walk(kind, data, pictures))
        with runs.open("a") as stream:
            stream.write(json.dumps(rows[-1]) + "\n")
        write_text(out / "table.md", table(rows))
    print(table(rows))


if __name__ == "__main__":
    app.run(main)
