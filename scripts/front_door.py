"""Fourteen kinds of Keras model through the commands, to a device that learns: which arrive, which do not.

    python scripts/front_door.py

Pictures, recordings, sounds and arrays are written to files, the models trained shortly, saved, and handed to
`tfodl` and `tflm-export` as a user would. Then the emitted engine, built for the host, meets a changed world
(colours swapped; values weaker and moved) and learns from train samples of it; its score on others stands
before and after. To --out go runs.jsonl (one line a model; a killed run goes on) and table.md.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import app, flags
from keras import layers as L
from PIL import Image
from runs import Runs
from tqdm import tqdm

from tflm_export.compiler import Compiled
from tflm_export.engine_folder import load
from tflm_export.files import write_text
from tflm_export.machines.host import HostEngine
from tflm_export.ops.result import tensor_quant
from tfodl import datasets

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples"))
import motion  # noqa: E402
import sound  # noqa: E402

flags.DEFINE_string("data", "flower_photos_128", "data set of pictures")
flags.DEFINE_integer("size", 48, "side of the pictures", lower_bound=32)
flags.DEFINE_integer("limit", 60, "samples a split at most", lower_bound=20)
flags.DEFINE_integer("epochs", 3, "epochs of the first training", lower_bound=1)
flags.DEFINE_list("only", [], "kinds to run; all by default")
flags.DEFINE_string("work", "build/front_door", "folder for data, models and engines")
flags.DEFINE_string("out", "results/front_door", "folder for results")
FLAGS = flags.FLAGS
COMMANDS = (
    "tfodl finetune --model {model} --data {data} --epochs 1 --calibration 32 --out tuned {options}",
    "tfodl quantize --model tuned/model.keras --data {data} --plan tuned/plan.json --epochs 1 "
    "--calibration 32 --out int8 {window}",
    "tflm_export compile int8/model.tflite --plan int8/plan.json --out engine",
    "tflm_export verify engine --count 8 --steps 4",
    "tflm_export report engine",
    "tflm_export sketch engine --board nano33ble --out engine.zip",
)
Shape, Make = tuple[int, ...], Callable[[np.ndarray], keras.Model]


@dataclass(frozen=True)
class World:
    """Samples and targets in memory, and the file or folder that holds them for the commands."""

    path: Path
    train: tuple[np.ndarray, Any]
    test: tuple[np.ndarray, Any]
    window: str = ""

    @property
    def classes(self) -> int:
        return int(self.train[1].max()) + 1


@dataclass(frozen=True)
class Kind:
    """A kind of model: where its data are from, its net, the loss it is trained by, options of finetune."""

    world: Callable[[Path], World]
    net: Callable[[World], keras.Model]
    loss: Any = None
    options: str = ""


def pictures(folder: Path) -> World:
    """Pictures in class folders below `train` and `test`."""
    data = datasets.load(FLAGS.data, size=FLAGS.size, limit=FLAGS.limit)
    splits = {"train": (data.x_train, data.y_train), "test": (data.x_test, data.y_test)}
    for split, (x, y) in splits.items():
        for i, (picture, label) in enumerate(zip(x, y, strict=True)):
            path = folder / "pictures" / split / data.class_names[label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    return World(folder / "pictures", splits["train"], splits["test"])


def recordings(folder: Path) -> World:
    """Generated movements as .csv files."""
    path = folder / "gestures"
    if not path.exists():
        motion.write_movements(path, 12, 256)
    rows = motion.WINDOW
    return World(path, motion.movements(FLAGS.limit, 1), motion.movements(FLAGS.limit, 2), f"--window {rows}")


def sounds(folder: Path) -> World:
    """Generated words as .wav files; in memory their features."""
    path = folder / "words"
    if not path.exists():
        sound.write_words(path, 12)
    splits = [sound.words(FLAGS.limit, seed) for seed in (1, 2)]
    return World(path, *((sound.features(x), y) for x, y in splits))


def values(target: str) -> Callable[[Path], World]:
    """A generated sensor of 16 values in a .npz, and what `target` names of it."""

    def make(folder: Path) -> World:
        rng = np.random.default_rng(0)
        hidden = rng.normal(size=(2, 2 * FLAGS.limit, 4))
        x = (hidden @ rng.normal(size=(4, 16)) + rng.normal(0, 0.1, (2, 2 * FLAGS.limit, 16))).astype(
            np.float32
        )
        y = {
            "classes": hidden.argmax(-1),
            "yes": (hidden[..., 0] > 0).astype(int),
            "labels": (hidden[..., :3] > 0).astype(int),
            "number": (0.5 * hidden[..., :1] - hidden[..., 1:2]).astype(np.float32),
            "nothing": None,
        }[target]
        arrays = {"x_train": x[0], "x_test": x[1]}
        arrays |= {} if y is None else {"y_train": y[0], "y_test": y[1]}
        np.savez(folder / f"{target}.npz", **arrays)
        return World(folder / f"{target}.npz", *((x[i], None if y is None else y[i]) for i in (0, 1)))

    return make


def small(shape: Shape, *head: keras.Layer) -> keras.Model:
    stages = [L.Rescaling(1 / 255)]
    for filters in (8, 16, 24):
        stages += [L.Conv2D(filters, 3, 2, "same", use_bias=False), L.BatchNormalization(), L.ReLU()]
    return keras.Sequential([keras.Input(shape), *stages, L.GlobalAveragePooling2D(), *head])


def residual(w: World) -> keras.Model:
    image = keras.Input(w.train[0].shape[1:])
    x = y = L.Conv2D(16, 3, 4, "same", activation="relu")(L.Normalization(mean=120.0, variance=4000.0)(image))
    x = L.Conv2D(16, 1)(L.DepthwiseConv2D(3, padding="same", activation="relu6")(x))
    x = L.MaxPooling2D(4)(L.Add()([x, y]))
    return keras.Model(image, L.Dense(w.classes, "softmax")(L.Flatten()(x)))


def application(name: str, **options: Any) -> Callable[[World], keras.Model]:
    """A published net, weights drawn, with a head of its own, as the transfer learning tutorials nest it."""

    def net(w: World) -> keras.Model:
        shape = w.train[0].shape[1:]
        base = getattr(keras.applications, name)(
            input_shape=shape, include_top=False, weights=None, **options
        )
        image = keras.Input(shape)
        x = L.RandomFlip("horizontal")(image)
        x = keras.applications.mobilenet_v2.preprocess_input(x) if name == "MobileNetV2" else x
        return keras.Model(image, L.Dense(w.classes)(L.Dropout(0.2)(L.GlobalAveragePooling2D()(base(x)))))

    return net


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


def dense(*sizes: int, end: str | None = None) -> Callable[[World], keras.Model]:
    hidden = [L.Dense(size, "relu") for size in sizes[:-1]]
    return lambda w: keras.Sequential([keras.Input(w.train[0].shape[1:]), *hidden, L.Dense(sizes[-1], end)])


LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
ROOMY = "--fit none --method head"
KINDS = {
    "Sequential": Kind(pictures, lambda w: small(w.train[0].shape[1:], L.Dense(w.classes)), LOGITS),
    "Sequential as .h5": Kind(
        pictures,
        lambda w: small(w.train[0].shape[1:], L.Dense(w.classes, "softmax")),
        "sparse_categorical_crossentropy",
    ),
    "functional with a residual": Kind(pictures, residual, "sparse_categorical_crossentropy"),
    "nested MobileNetV2 0.35": Kind(pictures, application("MobileNetV2", alpha=0.35), LOGITS),
    "nested MobileNetV3Small": Kind(pictures, application("MobileNetV3Small"), LOGITS, ROOMY),
    "nested EfficientNetB0": Kind(pictures, application("EfficientNetB0"), LOGITS, ROOMY),
    "subclassed": Kind(pictures, lambda w: Own(w.classes)),
    "motion: Conv1D of .csv": Kind(recordings, lambda w: motion.net(w.train[0]), LOGITS),
    "sound: log-mel of .wav": Kind(sounds, lambda w: sound.net(w.train[0]), LOGITS),
    "MLP of classes": Kind(values("classes"), dense(24, 24, 4), LOGITS),
    "one sigmoid": Kind(values("yes"), dense(24, 24, 1, end="sigmoid"), "binary_crossentropy"),
    "several sigmoids": Kind(values("labels"), dense(24, 24, 3, end="sigmoid"), "binary_crossentropy"),
    "regression": Kind(values("number"), dense(24, 24, 1), "mse"),
    "autoencoder": Kind(values("nothing"), dense(24, 4, 24, 16), "mse"),
}


def made(kind: str, world: World, folder: Path) -> Path:
    """The model's file, trained shortly."""
    keras.utils.set_random_seed(0)
    row = KINDS[kind]
    model = row.net(world)
    if row.loss is None:
        model(np.zeros((1, *world.train[0].shape[1:]), np.float32))
    else:
        x, y = world.train[0].astype(np.float32), world.train[1]
        model.compile(keras.optimizers.Adam(0.003), row.loss)
        model.fit(x, x if y is None else y, epochs=FLAGS.epochs, batch_size=16, verbose=0)
    path = folder / ("model.h5" if ".h5" in kind else "model.keras")
    model.save(path)
    return path


def walk(kind: str) -> dict[str, Any]:
    """How far the model comes: seconds a command, what the last one said where it failed, what is learnt."""
    work = Path(FLAGS.work).resolve()
    folder = work / re.sub(r"\W+", "_", kind)
    folder.mkdir(parents=True, exist_ok=True)
    world = KINDS[kind].world(work)
    names = {"model": made(kind, world, folder).name, "data": world.path, "window": world.window}
    names["options"] = f"{KINDS[kind].options} {world.window}"
    seconds: dict[str, float] = {}
    for command in COMMANDS:
        words = command.format(**names).split()
        start = time.monotonic()
        run = subprocess.run(
            [sys.executable, "-m", f"{words[0]}.cli", *words[1:]], cwd=folder, capture_output=True, text=True,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        seconds[words[1]] = round(time.monotonic() - start, 1)
        if run.returncode:
            last = (run.stderr.strip().splitlines() or run.stdout.strip().splitlines() or ["no word"])[-1]
            return {
                "ends": words[1],
                "traceback": "Traceback" in run.stderr,
                "said": last,
                "seconds": seconds,
            }
    learnt = learns(load(folder / "engine"), world)
    return {"ends": "learning", "traceback": False, "said": "", "seconds": seconds} | learnt


def learns(compiled: Compiled, world: World) -> dict[str, Any]:
    """The engine's score in a changed world, before and after it learnt from train samples of it."""
    engine, loss = HostEngine(compiled), compiled.graph.loss
    assert loss is not None
    train, test = (compiled.quantize(changed(x)) for x, _ in (world.train, world.test))
    targets = [targets_of(compiled, y, len(world.train[0])) for _, y in (world.train, world.test)]
    name, before = score(engine, compiled, test, targets[1])
    for _ in range(2):
        for x, target in zip(train, targets[0], strict=True):
            engine.train_step(x[None], target)
    return {"score": name, "before": before, "after": score(engine, compiled, test, targets[1])[1]}


def changed(x: np.ndarray) -> np.ndarray:
    """Another world: colours swapped, or values weaker and moved."""
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x[..., ::-1])
    return (0.7 * x + 0.2 * x.std()).astype(np.float32)


def targets_of(compiled: Compiled, y: Any, count: int) -> list[Any]:
    """Targets as `train_step` takes them."""
    assert compiled.graph.loss is not None
    kind = compiled.plan.loss
    if kind == "reconstruction":
        return [None] * count
    if kind == "crossentropy":
        return list(y.tolist())
    if kind == "bce":
        return list(np.asarray(y).reshape(count, -1).astype(np.int8))
    return list(tensor_quant(compiled.graph, compiled.graph.loss.inputs[0]).quantize(y.reshape(count, -1)))


def score(engine: HostEngine, compiled: Compiled, xs: np.ndarray, targets: list[Any]) -> tuple[str, float]:
    """What is measured, and its mean over the samples."""
    kind = compiled.plan.loss
    if kind == "crossentropy":
        right = [engine.predict(x[None]) == t for x, t in zip(xs, targets, strict=True)]
        return "accuracy, %", round(100 * float(np.mean(right)), 1)
    if kind == "reconstruction":
        return "reconstruction error", round(float(np.mean([engine.score(x[None]) for x in xs])), 4)
    assert compiled.graph.loss is not None
    quant = tensor_quant(compiled.graph, compiled.graph.loss.inputs[0])
    logits = [engine.logits(x[None]).reshape(-1) for x in xs]
    if kind == "bce":
        right = [(q > quant.zero_point[0]) == (t > 0) for q, t in zip(logits, targets, strict=True)]
        return "labels right, %", round(100 * float(np.mean(right)), 1)
    wrong = [quant.scale[0] * (q.astype(float) - t) for q, t in zip(logits, targets, strict=True)]
    return "squared error", round(float(np.mean(np.square(wrong))), 4)


def table(rows: list[dict[str, Any]]) -> str:
    """A line a kind."""
    lines = [
        "| kind | reaches | seconds in all | score | before | after | refused with |",
        "|---|---|--:|---|--:|--:|---|",
    ]
    for row in rows:
        reached = "a device that learns" if not row["said"] else f"refused by {row['ends']}"
        learnt = " | ".join(str(row.get(name, "")) for name in ("score", "before", "after"))
        seconds = sum(row["seconds"].values())
        lines.append(f"| {row['kind']} | {reached} | {seconds:.0f} | {learnt} | {row['said'][:240]} |")
    return "\n".join(lines) + "\n"


def main(_: Any) -> None:
    out, runs = Path(FLAGS.out), Runs(Path(FLAGS.out) / "runs.jsonl")
    for kind in tqdm(FLAGS.only or KINDS, unit="model"):
        runs.get({"kind": kind}, lambda kind=kind: walk(kind))
        write_text(out / "table.md", table(runs.rows))
    print(table(runs.rows))


if __name__ == "__main__":
    app.run(main)
