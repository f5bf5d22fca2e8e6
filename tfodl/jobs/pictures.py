"""`load_data`: a job's pictures or signals as its model takes them."""

from __future__ import annotations

import keras

from tflm_export.errors import TfodlError
from tfodl import datasets, models
from tfodl.datasets import Dataset
from tfodl.datasets.images import Size
from tfodl.jobs.settings import FinetuneJob, QuantizeJob
from tfodl.models.head import require_one_output


def load_data(job: FinetuneJob | QuantizeJob) -> Dataset:
    """The data of `job.data`. Pictures: in the height, width and channels that a model from a file takes; as
    they are for one by name, in RGB where they come from a folder. Signals: in the shape that a model from a
    file takes. Raises `TfodlError`."""
    data = _signals(job) if datasets.holds_signals(job.data) else _pictures(job)
    print(summary(data))
    return data


def _pictures(job: FinetuneJob | QuantizeJob) -> Dataset:
    size: Size = job.size
    channels = None
    if models.is_file(job.model):
        size, channels = taken(models.load(job.model), job.model, job.size)
    return datasets.load(
        job.data, size=size, seed=job.seed, channels=channels, skip_bad=job.skip_bad, window=job.window,
        stride=job.stride,
    )  # fmt: skip


def _signals(job: FinetuneJob | QuantizeJob) -> Dataset:
    if job.size is not None:
        raise TfodlError(
            f"--size {job.size}: is a side of pictures; {job.data!r} holds signals. Leave it out."
        )
    shape = sample_shape(models.load(job.model), job.model) if models.is_file(job.model) else None
    data = datasets.load(job.data, seed=job.seed, window=job.window, stride=job.stride, shape=shape)
    if shape is not None and shape != data.input_shape:
        raise TfodlError(
            f"model file {job.model!r}: takes {shape}, the samples of {data.name!r} are {data.input_shape}; "
            "cut them alike, or rebuild the model with that keras.Input."
        )
    return data


def sample_shape(model: keras.Model, name: str) -> tuple[int, ...]:
    """The shape of one sample that a model takes. Raises `TfodlError` where it is not one, of a fixed
    size."""
    require_one_output(model, name)
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) < 2 or None in shape[1:]:
        raise TfodlError(
            f"model file {name!r}: its input must be of a fixed size, got {shape}; rebuild it with "
            "keras.Input((time, channels))."
        )
    return tuple(map(int, shape[1:]))


def taken(model: keras.Model, name: str, size: int | None) -> tuple[tuple[int, int], int]:
    """(height, width) and channels of the pictures that a model takes.

    size: side that was asked for, or None.
    Raises `TfodlError` where the model takes another size, a size that is not fixed, or no pictures.
    """
    require_one_output(model, name)
    shape = model.input_shape
    one = isinstance(shape, tuple) and len(shape) == 4 and None not in shape[1:]
    if not one or shape[3] not in (1, 3):
        raise TfodlError(
            f"model file {name!r}: its input must be one picture of a fixed size, [N,H,W,1] or [N,H,W,3], "
            f"got {shape}; rebuild it with keras.Input((height, width, channels))."
        )
    _, height, width, channels = shape
    if size is not None and (height, width) != (size, size):
        raise TfodlError(
            f"--size {size}: the model {name!r} takes {height}x{width} pictures; leave --size out and they "
            "are resized to that."
        )
    return (height, width), channels


def summary(data: Dataset) -> str:
    """One line: how many samples of how many classes, and their shape."""
    counts = ", ".join(f"{len(y):,} {split}" for split, (_, y) in data.splits())
    shape = "x".join(map(str, data.input_shape))
    return f"data {data.name}: {counts} {data.kind} of {data.classes} classes, {shape}"
