"""`finetune`: a Keras model and pictures or signals in, the tuned model and its plan out."""

from __future__ import annotations

import keras

from tflm_export.contracts import Contract
from tflm_export.errors import TfodlError
from tfodl import callbacks
from tfodl.datasets.dataset import Dataset
from tfodl.datasets.split import draw
from tfodl.datasets.task_data import load_task
from tfodl.jobs.dry_run import check_rule, dry_engine, samples
from tfodl.jobs.files import make_folder
from tfodl.jobs.fit import within
from tfodl.jobs.left_out import left_out
from tfodl.jobs.loaded import load_model
from tfodl.jobs.methods import METHODS
from tfodl.jobs.pictures import load_data
from tfodl.jobs.settings import FinetuneJob
from tfodl.jobs.task_jobs import finetune_task
from tfodl.jobs.tune import JUDGED, MEASURED, Pictures, Tuned, device_optimizer, tune
from tfodl.jobs.tuned_files import write_tuned
from tfodl.models.head import gives_probabilities
from tfodl.quantize.folding.widen import widen
from tfodl.selective.model import SelectiveModel
from tfodl.tasks.keras_losses import keras_metrics


def finetune(job: FinetuneJob) -> None:
    """Fine-tune `job.model` on `job.data`, after the whole way to the board was tried dry. Data of another
    task than classes of pictures go to `finetune_task`.

    Writes `model.keras`, its companion with the input contract, and `plan.json`, all of the best epoch, and
    `history.json` to `job.out`.
    Raises `TfodlError`.
    """
    if job.method not in METHODS:
        raise TfodlError(f"method {job.method!r} is unknown; allowed: {', '.join(METHODS)}.")
    if (other := load_task(job.data, job.seed)) is not None:
        finetune_task(job, other)
        return
    data = load_data(job)
    out = make_folder(job.out)
    keras.utils.set_random_seed(job.seed)
    loaded = load_model(job.model, data.input_shape, data.classes, job.input, job.weights, data)
    loaded.check(data.x_train, data.y_train)
    wide = widen(loaded.model)
    with left_out(wide.model):
        tuned = _tuned(job, data, wide.model, loaded.contract)
    wide.give_back()
    write_tuned(out, loaded.model, loaded.contract, tuned)


def _tuned(job: FinetuneJob, data: Dataset, base: keras.Model, contract: Contract) -> Tuned:
    """`base` trained, its plan and what was printed."""
    model = SelectiveModel(base)
    train, held_out = data.hold_out(max(1, min(JUDGED, len(data.x_train) // 10)), job.seed)
    splits = (train, held_out, (data.x_test, data.y_test))
    pictures = Pictures(*((contract.apply(x), y) for x, y in splits))
    rule = _rule(job, model, pictures)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not gives_probabilities(base))
    optimizer = keras.optimizers.SGD(job.learning_rate or 0.01, momentum=job.momentum)
    model.compile(optimizer=optimizer, loss=loss, metrics=keras_metrics("crossentropy"))
    check_rule(model, rule, within(job.budget, job.fit))
    return tune(model, rule, pictures, job)


def _rule(job: FinetuneJob, model: SelectiveModel, pictures: Pictures) -> callbacks.Selection:
    """The method's callback, with an engine to size its plans by where bytes count."""
    budget, engine = within(job.budget, job.fit), None
    if budget.limits_engine:
        engine = dry_engine(model, samples(pictures.train, job.calibration, job.seed))
    measured = [part[draw(pictures.held_out[1], MEASURED, job.seed)] for part in pictures.held_out]
    device = device_optimizer(job, job.learning_rate or 0.01)
    return METHODS[job.method](
        budget, *measured, batchnorm=False, seed=job.seed, verbose=1, engine=engine, device=device
    )
