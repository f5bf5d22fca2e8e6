"""Data sets by name or path, as arrays in memory: uint8 of pictures, float32 of signals.

>>> data = load("digits")
>>> data.x_train.shape, data.x_train.dtype, data.classes
((2000, 28, 28, 1), dtype('uint8'), 10)
"""

from __future__ import annotations

import os
from pathlib import Path

from tflm_export.errors import TfodlError
from tfodl.datasets.arrays import data_folder, load_npz
from tfodl.datasets.catalogue import CATALOGUE, has_person, is_in_tfds, load_tfds
from tfodl.datasets.dataset import Dataset
from tfodl.datasets.digits import load_digits, mounted_badly
from tfodl.datasets.folder import load_folder
from tfodl.datasets.images import Size, height_width, resize
from tfodl.datasets.kinds import folder_kind, holds_signals
from tfodl.datasets.listing import SUFFIXES
from tfodl.datasets.notes import note
from tfodl.datasets.recordings import csv_cut, load_recordings
from tfodl.datasets.sounds import sound_cut, sound_spec

__all__ = [
    "Dataset",
    "available",
    "data_folder",
    "has_person",
    "holds_signals",
    "load",
    "mounted_badly",
    "resize",
]


def load(
    name: str | os.PathLike[str],
    *,
    size: Size = None,
    data_dir: str | os.PathLike[str] | None = None,
    seed: int = 0,
    limit: int | None = None,
    domain: str = "source",
    channels: int | None = None,
    skip_bad: bool = False,
    window: int | None = None,
    stride: int | None = None,
    shape: tuple[int, ...] | None = None,
    least: int = 2,
) -> Dataset:
    """Load a data set.

    name: `"digits"`; a pack in the data folder (`"person_windows_96"`); a set of tensorflow-datasets
        (`"cifar10"`, `"vww"`, ...); a path to a `.npz` of arrays or to a folder with a sub-folder a class.
    size: side of the pictures in pixels, or (height, width), bilinear, antialiased; None keeps their own.
    data_dir: folder of packs; by default `TFODL_DATA`, then `../shared/data` beside the checkout.
    seed: of every draw: the splits of digits and folders, sensor noise, `limit`.
    limit: at most this many pictures a split, each class by its share.
    domain: `"source"` or `"target"`, for digits only.
    channels: 1 gives grey pictures, 3 RGB; None keeps their own (folders: RGB).
    skip_bad: leave pictures of a folder out that cannot be read, and name them.
    window, stride: rows (`.csv`) or samples (`.wav`) of a sample cut from a recording, and from one to the
    next.
    shape: of a sample that a model takes, where recordings are cut for one.
    least: classes that a folder must have; 1 for data that a model goes on with.

    Classes that a split does not have are named in a warning.
    Raises `TfodlError` when the name is unknown (the message lists what there is) or the files are bad.
    """
    name = os.fsdecode(name)
    _check_options(name, size, seed, limit, channels)
    if domain != "source" and name != "digits":
        raise TfodlError(f"data set {name!r}: only 'digits' has a target domain; leave domain out.")
    if (name == "digits" or name in CATALOGUE) and os.path.isdir(name):
        note(f"{name!r} is the data set of that name, not the folder; for that say './{name}'")
    recordings = (name != "digits" and name not in CATALOGUE and os.path.isdir(name)) and folder_kind(
        Path(name)
    )
    if recordings and recordings != "pictures":
        data = _cut(Path(name), recordings, window, stride, shape, seed, least)
    elif window or stride:
        raise TfodlError(
            f"data set {name!r}: --window and --stride cut recordings, folders of .csv or .wav, and this is "
            "none; leave them out."
        )
    else:
        data = _find(name, size, data_dir, seed, limit, domain, channels, skip_bad, least)
    if limit is not None:
        data = data.subset(limit, limit, seed, val=limit)
    for line in data.gaps():
        note(line)
    return data


def available(data_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """Names that `load` takes, beside the other sets of tensorflow-datasets and paths."""
    folder = data_folder(data_dir)
    packs = sorted(path.stem for path in folder.glob("*.npz")) if folder else []
    return ["digits", *packs, *CATALOGUE]


def _cut(
    path: Path,
    kind: str,
    window: int | None,
    stride: int | None,
    shape: tuple[int, ...] | None,
    seed: int,
    least: int,
) -> Dataset:
    """A folder of recordings, cut into windows of the rows or frames that `shape` has where none are
    given."""
    for flag, value in (("--window", window), ("--stride", stride)):
        if value is not None and not _is_whole(value, 1):
            raise TfodlError(f"data set {str(path)!r}: {flag} must be a whole number >= 1, got {value!r}.")
    if kind == "wav":
        spec = sound_spec(path, shape)
        return load_recordings(path, kind, sound_cut(spec, window, stride, shape), seed, least, sound=spec)
    rows = window or (shape[0] if shape else None)
    return load_recordings(path, kind, csv_cut(path, rows, stride), seed, least)


def _find(
    name: str,
    size: Size,
    data_dir: str | os.PathLike[str] | None,
    seed: int,
    limit: int | None,
    domain: str,
    channels: int | None,
    skip_bad: bool,
    least: int,
) -> Dataset:
    if name == "digits":
        return load_digits(domain, seed).read_as(size, channels)
    folder = data_folder(data_dir)
    pack = os.path.join(folder, f"{name.removesuffix('.npz')}.npz") if folder else ""
    if os.path.isfile(pack):
        return load_npz(Path(pack), size, channels)
    if name in CATALOGUE:
        return load_tfds(name, size, limit).read_as(None, channels)
    if name and os.path.isdir(name):
        return load_folder(Path(name), size, seed, channels, skip_bad, least)
    if os.path.isfile(name) and Path(name).suffix.lower() in SUFFIXES:
        raise TfodlError(f"data set {name!r}: is one picture; give the folder with a sub-folder a class.")
    if os.path.isfile(name):
        return load_npz(Path(name), size, channels, seed)
    if _may_be_tfds(name) and is_in_tfds(name):
        return load_tfds(name, size, limit).read_as(None, channels)
    raise TfodlError(
        f"data set {name!r} is unknown; allowed: {', '.join(available(data_dir))}, any picture classifier of "
        "tensorflow-datasets, a .npz file, or a folder with a sub-folder a class (pictures, .csv or .wav)."
    )


def _check_options(name: str, size: Size, seed: int, limit: int | None, channels: int | None) -> None:
    wanted = height_width(size)
    sides = (1, 1) if wanted is None else wanted
    if not isinstance(sides, tuple) or len(sides) != 2 or not all(_is_whole(side, 1) for side in sides):
        raise TfodlError(
            f"data set {name!r}: size must be a whole number >= 1, or (height, width) of such, got {size!r}."
        )
    if not _is_whole(seed, 0):
        raise TfodlError(f"data set {name!r}: seed must be a whole number >= 0, got {seed!r}.")
    if limit is not None and not _is_whole(limit, 1):
        raise TfodlError(f"data set {name!r}: limit must be a whole number >= 1, got {limit!r}.")
    if channels not in (None, 1, 3):
        raise TfodlError(f"data set {name!r}: channels must be 1 (grey) or 3 (RGB), got {channels!r}.")


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _may_be_tfds(name: str) -> bool:
    return bool(name) and not name.endswith((".npz", "/")) and name[0] not in "./~"
