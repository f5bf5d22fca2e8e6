"""`quantize`: a Keras model in, an int8 `.tflite` and its plan out."""

from __future__ import annotations

import io

import numpy as np

from tflm_export.companion import write_companion
from tflm_export.files import write_bytes
from tflm_export.living.choose import choose
from tfodl.datasets.task_data import load_task
from tfodl.jobs.files import make_folder
from tfodl.jobs.loaded import load_model, note_input
from tfodl.jobs.pictures import load_data
from tfodl.jobs.settings import QuantizeJob
from tfodl.jobs.task_jobs import quantize_task
from tfodl.models.scaling import device_contract
from tfodl.quantize import convert, layer_map
from tfodl.quantize import model as quantization


def quantize(job: QuantizeJob) -> None:
    """QAT of `job.model` on `job.data`; writes `model.tflite`, its companion with the input contract,
    `plan.json` addressed to its ops when the job has a plan, and training pictures as `exemplars.npz` when
    `job.exemplars` is, to `job.out`. Data of another task than classes of pictures go to `quantize_task`.
    Raises `TfodlError`."""
    if (other := load_task(job.data, job.seed)) is not None:
        quantize_task(job, other)
        return
    plan = job.wanted_plan()
    data = load_data(job)
    out = make_folder(job.out)
    loaded = load_model(job.model, data.input_shape, data.classes, job.input, job.weights, data)
    loaded.check(data.x_train, data.y_train)
    if plan:
        layer_map.check_names(plan, loaded.model)
    x, x_test = map(loaded.contract.apply, (data.x_train, data.x_test))
    aware = quantization.qat(
        loaded.model, x, data.y_train, epochs=job.epochs, batch_size=job.batch_size,
        learning_rate=job.learning_rate or 1e-4, seed=job.seed, calibration=job.calibration, verbose=1,
    )  # fmt: skip
    tflite = convert.to_int8(aware)
    addressed = job.chooses.fitted(layer_map.address(plan, aware, tflite), tflite) if plan else None
    measured = aware.evaluate(x_test, data.y_test)
    contract = device_contract(loaded.contract, aware.folded.rescaling)

    write_bytes(out / "model.tflite", tflite)
    write_companion(out / "model.tflite", contract, "crossentropy")
    if addressed:
        note_input(addressed, contract).save(out / "plan.json")
    if job.exemplars:
        places = choose(data.x_train, data.y_train, job.exemplars, seed=job.seed)
        write_bytes(out / "exemplars.npz", _npz(x=data.x_train[places], y=data.y_train[places]))
    print(f"the int8 graph's input: {contract.text}")
    print(f"wrote {out}/model.tflite ({len(tflite):,} bytes); accuracy as int8 {measured['accuracy']:.1%}")


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
