"""`load_data`: a job's pictures as its model takes them."""

from __future__ import annotations

import keras

from tflm_export.errors import TfodlError
from tfodl import datasets, models
from tfodl.datasets import Dataset
from tfodl.datasets.images import Size
from tfodl.jobs.settings import FinetuneJob, QuantizeJob
from tfodl.models.head import require_one_output


def load_data(job: FinetuneJob | QuantizeJob) -> Dataset:
    """The pictures of `job.data`: in the height, width and channels that a model from a file takes; as they
    are for one by name, in RGB where they come from a folder. Raises `TfodlError`."""
    size: Size = job.size
    channels = None
    if models.is_file(job.model):
        size, channels = taken(models.load(job.model), job.model, job.size)
    data = datasets.load(job.data, size=size, seed=job.seed, channels=channels, skip_bad=job.skip_bad)
    print(summary(data))
    return data


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
    """One line: how many pictures of how many classes, and their shape."""
    counts = ", ".join(f"{len(y):,} {split}" for split, (_, y) in data.splits())
    shape = "x".join(map(str, data.input_shape))
    return f"data {data.name}: {counts} pictures of {data.classes} classes, {shape}"
