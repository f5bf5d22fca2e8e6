"""Data sets by name or path, as uint8 arrays in memory.

>>> data = load("digits")
>>> data.x_train.shape, data.x_train.dtype, data.classes
((2000, 28, 28, 1), dtype('uint8'), 10)
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from tflm_export.errors import TfodlError
from tfodl.datasets.catalogue import CATALOGUE, has_person, is_in_tfds, load_tfds
from tfodl.datasets.dataset import Dataset
from tfodl.datasets.digits import load_digits, mounted_badly
from tfodl.datasets.files import data_folder, load_folder, load_npz
from tfodl.datasets.images import resize

__all__ = ["Dataset", "available", "data_folder", "has_person", "load", "mounted_badly", "resize"]


def load(
    name: str | os.PathLike[str],
    *,
    size: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    seed: int = 0,
    limit: int | None = None,
    domain: str = "source",
) -> Dataset:
    """Load a data set.

    name: `"digits"`; a pack in the data folder (`"person_windows_96"`); a set of tensorflow-datasets
        (`"cifar10"`, `"vww"`, ...); a path to a `.npz` of arrays or to a folder with a sub-folder a class.
    size: side of the pictures in pixels, bilinear with antialiasing; None keeps their own.
    data_dir: folder of packs; by default `TFODL_DATA`, then `../shared/data` beside the checkout.
    seed: of every draw: the splits of digits and folders, sensor noise, `limit`.
    limit: at most this many pictures a split.
    domain: `"source"` or `"target"`, for digits only.

    Raises `TfodlError` when the name is unknown (the message lists what there is) or the files are bad.
    """
    name = os.fspath(name)
    if size is not None and (not isinstance(size, int) or size < 1):
        raise TfodlError(f"data set {name!r}: size must be a whole number >= 1, got {size!r}.")
    if domain != "source" and name != "digits":
        raise TfodlError(f"data set {name!r}: only 'digits' has a target domain; leave domain out.")
    data = _find(name, size, data_dir, seed, limit, domain)
    return data if limit is None else data.subset(limit, limit, seed)


def available(data_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """Names that `load` takes, beside the other sets of tensorflow-datasets and paths."""
    folder = data_folder(data_dir)
    packs = sorted(path.stem for path in folder.glob("*.npz")) if folder else []
    return ["digits", *packs, *CATALOGUE]


def _find(
    name: str,
    size: int | None,
    data_dir: str | os.PathLike[str] | None,
    seed: int,
    limit: int | None,
    domain: str,
) -> Dataset:
    if name == "digits":
        return _resized(load_digits(domain, seed), size)
    folder = data_folder(data_dir)
    if folder and (folder / f"{name.removesuffix('.npz')}.npz").is_file():
        return load_npz(folder / f"{name.removesuffix('.npz')}.npz", size)
    if name in CATALOGUE:
        return load_tfds(name, size, limit)
    if name and Path(name).is_dir():
        return load_folder(Path(name), size, seed)
    if Path(name).is_file():
        return load_npz(Path(name), size)
    if _may_be_tfds(name) and is_in_tfds(name):
        return load_tfds(name, size, limit)
    raise TfodlError(
        f"data set {name!r} is unknown; allowed: {', '.join(available(data_dir))}, any picture classifier of "
        "tensorflow-datasets, a .npz file, or a folder with a sub-folder a class."
    )


def _may_be_tfds(name: str) -> bool:
    return bool(name) and not name.endswith((".npz", "/")) and name[0] not in "./~"


def _resized(data: Dataset, size: int | None) -> Dataset:
    return dataclasses.replace(data, x_train=resize(data.x_train, size), x_test=resize(data.x_test, size))
