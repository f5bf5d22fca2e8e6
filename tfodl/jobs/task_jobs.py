"""`finetune` and `quantize` for other tasks than choosing a class of a picture (docs/tasks.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tflm_export.companion import read_companion, write_companion
from tflm_export.contracts import Contract
from tflm_export.errors import TfodlError
from tflm_export.files import write_bytes
from tflm_export.input_contract import InputContract
from tflm_export.signal_contract import SignalContract
from tfodl import callbacks, models
from tfodl.datasets.task_data import XY, TaskData
from tfodl.jobs.dry_run import check_rule, dry_engine
from tfodl.jobs.files import make_folder
from tfodl.jobs.fit import within
from tfodl.jobs.left_out import left_out
from tfodl.jobs.loaded import note_input
from tfodl.jobs.methods import METHODS
from tfodl.jobs.settings import FinetuneJob, QuantizeJob
from tfodl.jobs.tune import JUDGED, MEASURED, Pictures, Tuned, device_optimizer, tune
from tfodl.jobs.tuned_files import write_tuned
from tfodl.models.scaling import device_contract, find_contract
from tfodl.quantize import convert, layer_map
from tfodl.quantize import model as quantization
from tfodl.quantize.folding.fold import fold
from tfodl.quantize.folding.widen import widen
from tfodl.selective.model import SelectiveModel
from tfodl.tasks.keras_losses import keras_loss
from tfodl.tasks.task import Task, find_task


@dataclass(frozen=True)
class Subject:
    """A model, its task, its data, and how they reach it."""

    model: keras.Model
    task: Task
    data: TaskData
    contract: Contract

    def inputs(self, x: np.ndarray) -> np.ndarray:
        """Inputs [N, ...] float32 as the model takes them."""
        found: np.ndarray = self.contract.apply(x)
        return found

    def pair(self, part: XY) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets, for an autoencoder its own input, as the layers after a rescaling have it."""
        x, y = self.inputs(part[0]), part[1]
        if self.task.loss == "reconstruction":
            return x, fold(self.model).rescaling.apply(x)
        assert y is not None
        return x, y

    def report(self, said: np.ndarray) -> str:
        """How good the outputs for the test split are."""
        x, y = self.pair((self.data.x_test, self.data.y_test))
        autoencoder = self.task.loss == "reconstruction"
        rows = y if y.ndim > 1 or self.task.loss == "crossentropy" else y[:, None]
        return self.task.report(rows, said, self.data.y_test if autoencoder else None)

    def normal_test(self) -> XY:
        """The test split; of an autoencoder's only what is normal."""
        x, y = self.data.x_test, self.data.y_test
        if self.task.loss == "reconstruction" and y is not None:
            return x[y == 0], None
        return x, y


def load_subject(job: FinetuneJob | QuantizeJob, data: TaskData) -> Subject:
    """The job's model with its task. Raises `TfodlError` where it is none for these data."""
    print(data.summary())
    if job.size is not None or not models.is_file(job.model):
        raise TfodlError(
            f"data set {data.name!r}: is for a model from a .keras file, in the shape that it takes; "
            f"got model {job.model!r} and size {job.size}."
        )
    model = models.load(job.model, input_shape=data.x_train.shape[1:])
    contract = _contract(job, model, data)
    print(f"input: {contract.text}")
    task = find_task(model, data, job.model)
    print(f"task: {task.named}")
    return Subject(model, task, data, contract)


def _contract(job: FinetuneJob | QuantizeJob, model: keras.Model, data: TaskData) -> Contract:
    shape = data.x_train.shape[1:]
    saved = None if job.input else read_companion(job.model)
    if saved is not None and isinstance(saved, SignalContract) == data.pictures:
        kind = "pictures" if data.pictures else "floats"
        raise TfodlError(f"model file {job.model!r}: was made for {saved.text}; {data.name!r} holds {kind}.")
    if not data.pictures:
        if job.input:
            raise TfodlError(
                f"--input {job.input!r}: is of pictures; {data.name!r} holds floats. Leave it out."
            )
        return saved or SignalContract(shape)
    if job.input:
        return InputContract.parse(job.input, shape)
    return saved or find_contract(model, shape)


def finetune_task(job: FinetuneJob, data: TaskData) -> None:
    """`finetune` on data of another task: writes what it writes. Raises `TfodlError`."""
    out = make_folder(job.out)
    keras.utils.set_random_seed(job.seed)
    subject = load_subject(job, data)
    wide = widen(subject.model)
    with left_out(wide.model):
        tuned = _tuned(job, data, subject, wide.model)
    wide.give_back()
    write_tuned(out, subject.model, subject.contract, tuned)


def _tuned(job: FinetuneJob, data: TaskData, subject: Subject, base: keras.Model) -> Tuned:
    """`base`, the subject's model or its twin, trained; how good it was and is gets printed."""
    task, model = subject.task, SelectiveModel(base)
    train, held = data.hold_out(max(1, min(JUDGED, len(data.x_train) // 10)), job.seed)
    splits = Pictures(*(subject.pair(part) for part in (train, held, subject.normal_test())))
    rule = _rule(job, model, splits)
    optimizer = keras.optimizers.SGD(job.learning_rate or 0.01, momentum=job.momentum)
    model.compile(optimizer, keras_loss(task.loss, not task.probabilities), metrics=task.metrics())
    check_rule(model, rule, within(job.budget, job.fit))
    print(f"before training: {subject.report(_outputs(base, subject))}")
    tuned = tune(model, rule, splits, job, task)
    print(f"after training: {subject.report(_outputs(base, subject))}")
    return tuned


def _rule(job: FinetuneJob, model: SelectiveModel, splits: Pictures) -> callbacks.Selection:
    budget, engine = within(job.budget, job.fit), None
    if budget.limits_engine:
        engine = dry_engine(model, splits.train[0][: job.calibration])
    measured = [part[:MEASURED] for part in splits.held_out]
    device = device_optimizer(job, job.learning_rate or 0.01)
    return METHODS[job.method](
        budget, *measured, batchnorm=False, seed=job.seed, verbose=1, engine=engine, device=device
    )


def _outputs(model: Any, subject: Subject) -> np.ndarray:
    found: np.ndarray = model.predict(subject.inputs(subject.data.x_test), batch_size=256, verbose=0)
    return found


def quantize_task(job: QuantizeJob, data: TaskData) -> None:
    """`quantize` on data of another task: writes what it writes. Raises `TfodlError`."""
    plan = job.wanted_plan()
    if job.exemplars:
        raise TfodlError(f"--exemplars {job.exemplars}: are of classes; {data.name!r} holds {data.kind}.")
    out = make_folder(job.out)
    subject = load_subject(job, data)
    if plan:
        layer_map.check_names(plan, subject.model)
    x, y = subject.pair((data.x_train, data.y_train))
    aware = quantization.qat(
        subject.model, x, y, epochs=job.epochs, batch_size=job.batch_size, loss=subject.task.loss,
        learning_rate=job.learning_rate or 1e-4, seed=job.seed, calibration=job.calibration, verbose=1,
    )  # fmt: skip
    tflite = convert.to_int8(aware)
    addressed = job.chooses.fitted(layer_map.address(plan, aware, tflite), tflite) if plan else None
    said = aware.predict(subject.inputs(data.x_test))

    write_bytes(out / "model.tflite", tflite)
    contract = device_contract(subject.contract, aware.folded.rescaling)
    write_companion(out / "model.tflite", contract, subject.task.loss)
    if addressed:
        note_input(addressed, contract).save(out / "plan.json")
    print(f"the int8 graph's input: {contract.text}")
    print(f"wrote {out}/model.tflite ({len(tflite):,} bytes); as int8: {subject.report(said)}")
