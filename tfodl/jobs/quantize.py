"""`quantize`: a Keras model in, an int8 `.tflite` and its plan out."""

from __future__ import annotations

from tflm_export.files import write_bytes
from tflm_export.plan import UpdatePlan
from tfodl import models
from tfodl.jobs.files import make_folder
from tfodl.jobs.pictures import load_data
from tfodl.jobs.settings import QuantizeJob
from tfodl.quantize import convert, layer_map
from tfodl.quantize import model as quantization


def quantize(job: QuantizeJob) -> None:
    """QAT of `job.model` on `job.data`; writes `model.tflite`, and `plan.json` addressed to its ops when
    `job.plan` is given, to `job.out`. Raises `TfodlError`."""
    plan = UpdatePlan.load(job.plan) if job.plan else None
    data = load_data(job)
    out = make_folder(job.out)
    model = models.load(job.model, input_shape=data.input_shape, classes=data.classes)
    aware = quantization.qat(
        model, models.preprocess(data.x_train), data.y_train, epochs=job.epochs, batch_size=job.batch_size,
        learning_rate=job.learning_rate or 1e-4, seed=job.seed, calibration=job.calibration, verbose=1,
    )  # fmt: skip
    tflite = convert.to_int8(aware)
    addressed = layer_map.address(plan, aware, tflite) if plan else None
    measured = aware.evaluate(models.preprocess(data.x_test), data.y_test)

    write_bytes(out / "model.tflite", tflite)
    if addressed:
        addressed.save(out / "plan.json")
    print(f"wrote {out}/model.tflite ({len(tflite):,} bytes); accuracy as int8 {measured['accuracy']:.1%}")
