"""The jobs behind `tfodl finetune` and `tfodl quantize`: files in, files out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import keras

from tflm_export.errors import TfodlError
from tflm_export.files import write_bytes, write_text
from tflm_export.plan import Budget, UpdatePlan
from tfodl import callbacks, datasets, models
from tfodl.quantize import convert, layer_map
from tfodl.quantize import model as quantization
from tfodl.selective.model import SelectiveModel

HELD_OUT = 50  # train pictures that rules measure on, at most; never trained on

METHODS: dict[str, Callable[..., callbacks.Selection]] = {
    "velocity": lambda budget, x, y, **o: callbacks.VelocitySelection(budget, x=x, **o),
    "random": lambda budget, x, y, **o: callbacks.RandomSelection(budget, **o),
    "equilibrium": lambda budget, x, y, **o: callbacks.EquilibriumSelection(x=x, **o),
    "scotti": lambda budget, x, y, **o: callbacks.ScottiSelection(x=x, **o),
    "top-random": lambda budget, x, y, **o: callbacks.TopLayersRandom(budget, validation_data=(x, y), **o),
    "fisher": lambda budget, x, y, **o: callbacks.Fisher(budget, validation_data=(x, y), **o),
    "head": lambda budget, x, y, **o: callbacks.FixedSelection("head", **o),
    "full": lambda budget, x, y, **o: callbacks.FixedSelection("all", **o),
}


def finetune(args: argparse.Namespace) -> None:
    """Fine-tune `args.model` on `args.data`.

    Writes `model.keras`, `plan.json` (the last epoch's selection) and `history.json` to `args.out`.
    Raises `TfodlError`.
    """
    if args.method not in METHODS:
        raise TfodlError(f"method {args.method!r} is unknown; allowed: {', '.join(METHODS)}.")
    data = datasets.load(args.data, size=args.size, seed=args.seed)
    out = make_folder(args.out)
    keras.utils.set_random_seed(args.seed)
    base = models.load(args.model, input_shape=data.input_shape, classes=data.classes)
    model = SelectiveModel(base)
    x, y = models.preprocess(data.x_train), data.y_train
    held_out = min(HELD_OUT, len(x) // 10) or 1
    budget = Budget(params=args.budget_params, ram_bytes=args.budget_ram)
    selection = METHODS[args.method](
        budget, x[-held_out:], y[-held_out:], batchnorm=False, seed=args.seed, verbose=1
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not gives_probabilities(base))
    optimizer = keras.optimizers.SGD(args.learning_rate, momentum=0.9)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    history = model.fit(
        x[:-held_out], y[:-held_out], batch_size=args.batch_size, epochs=args.epochs,
        validation_data=(models.preprocess(data.x_test), data.y_test), callbacks=[selection],
    )  # fmt: skip
    save_model(base, out / "model.keras")
    selection.plans[-1].save(out / "plan.json")
    write_text(out / "history.json", json.dumps(history.history, indent=1, default=float) + "\n")
    print(f"wrote {out}/model.keras, plan.json, history.json")


def quantize(args: argparse.Namespace) -> None:
    """QAT of `args.model` on `args.data`; writes `model.tflite`, and `plan.json` addressed to its ops when
    `args.plan` is given, to `args.out`. Raises `TfodlError`."""
    plan = UpdatePlan.load(args.plan) if args.plan else None
    data = datasets.load(args.data, size=args.size, seed=args.seed)
    out = make_folder(args.out)
    model = models.load(args.model, input_shape=data.input_shape, classes=data.classes)
    aware = quantization.qat(
        model, models.preprocess(data.x_train), data.y_train, epochs=args.epochs, batch_size=args.batch_size,
        learning_rate=args.learning_rate, seed=args.seed, verbose=1,
    )  # fmt: skip
    tflite = convert.to_int8(aware)
    addressed = layer_map.address(plan, aware, tflite) if plan else None
    measured = aware.evaluate(models.preprocess(data.x_test), data.y_test)

    write_bytes(out / "model.tflite", tflite)
    if addressed:
        addressed.save(out / "plan.json")
    print(f"wrote {out}/model.tflite ({len(tflite):,} bytes); accuracy as int8 {measured['accuracy']:.1%}")


def gives_probabilities(model: keras.Model) -> bool:
    """Whether the model ends in a softmax rather than in logits."""
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    return isinstance(last, keras.layers.Softmax) or getattr(activation, "__name__", "") == "softmax"


def make_folder(path: str) -> Path:
    """The folder `path`, made and seen to be writable before long work. Raises `TfodlError`."""
    folder = Path(path)
    write_text(folder / ".writable", "")
    (folder / ".writable").unlink()
    return folder


def save_model(model: keras.Model, path: Path) -> None:
    """Write a `.keras` file, whole or not at all. Raises `TfodlError` when it cannot."""
    temporary = path.with_name(f".{path.stem}.tmp.keras")
    try:
        model.save(temporary)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TfodlError(f"cannot write {str(path)!r}: {error.strerror or error}.") from error
