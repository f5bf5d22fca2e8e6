"""`finetune`: a Keras model and pictures in, the tuned model and its plan out."""

from __future__ import annotations

import json
from collections.abc import Callable

import keras

from tflm_export.errors import TfodlError
from tflm_export.files import write_text
from tfodl import callbacks, datasets, models
from tfodl.jobs.files import make_folder, save_model
from tfodl.jobs.fit import ANY, within
from tfodl.jobs.settings import FinetuneJob
from tfodl.selection.engine import Engine
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


def finetune(job: FinetuneJob) -> None:
    """Fine-tune `job.model` on `job.data`.

    Writes `model.keras`, `plan.json` (the last epoch's selection) and `history.json` to `job.out`.
    Raises `TfodlError`.
    """
    if job.method not in METHODS:
        raise TfodlError(f"method {job.method!r} is unknown; allowed: {', '.join(METHODS)}.")
    data = datasets.load(job.data, size=job.size, seed=job.seed)
    out = make_folder(job.out)
    keras.utils.set_random_seed(job.seed)
    base = models.load(job.model, input_shape=data.input_shape, classes=data.classes)
    model = SelectiveModel(base)
    x, y = models.preprocess(data.x_train), data.y_train
    held_out = min(HELD_OUT, len(x) // 10) or 1
    engine = None if job.fit == ANY and not job.budget.limits_engine else Engine.of(model)
    budget = within(job.budget, job.fit)
    selection = METHODS[job.method](
        budget, x[-held_out:], y[-held_out:], batchnorm=False, seed=job.seed, verbose=1, engine=engine
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not gives_probabilities(base))
    optimizer = keras.optimizers.SGD(job.learning_rate, momentum=0.9)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    history = model.fit(
        x[:-held_out], y[:-held_out], batch_size=job.batch_size, epochs=job.epochs,
        validation_data=(models.preprocess(data.x_test), data.y_test), callbacks=[selection],
    )  # fmt: skip
    save_model(base, out / "model.keras")
    selection.plans[-1].save(out / "plan.json")
    write_text(out / "history.json", json.dumps(history.history, indent=1, default=float) + "\n")
    print(f"wrote {out}/model.keras, plan.json, history.json")


def gives_probabilities(model: keras.Model) -> bool:
    """Whether the model ends in a softmax rather than in logits."""
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    return isinstance(last, keras.layers.Softmax) or getattr(activation, "__name__", "") == "softmax"
