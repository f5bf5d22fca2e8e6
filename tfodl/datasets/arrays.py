"""`.npz` files: arrays of pictures, packs of JPEGs, and the folder where packs lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tflm_export.errors import TfodlError
from tfodl.datasets.checks import check_split
from tfodl.datasets.dataset import Dataset
from tfodl.datasets.images import Size, decode, resize, stack, with_channels

SPLIT_CODES = {"train": 0, "test": 1}


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Where the packs and weight files lie: `data_dir`, else `TFODL_DATA`, else `../shared/data` beside the
    checkout when that exists, else None. Raises `TfodlError` when a folder that was named is not there."""
    named = data_dir or os.environ.get("TFODL_DATA")
    if named:
        if not os.path.isdir(named):
            raise TfodlError(f"data folder {str(named)!r} does not exist; correct data_dir or TFODL_DATA.")
        return Path(named)
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return default if default.is_dir() else None


def load_npz(path: Path, size: Size = None, channels: int | None = None) -> Dataset:
    """A `.npz` with `x_train y_train x_test y_test` (uint8 `[N,H,W,C]` or `[N,H,W]`, whole-number labels),
    or a pack of JPEGs (`jpeg offsets y split`); `class_names` and `x_val y_val` are optional.

    Raises `TfodlError` when the file cannot be read, lacks an array, or holds what are no pictures.
    """
    fields = _read(path)
    if "jpeg" in fields:
        fields |= _unpack(fields, path, size)
    splits = ["train", "test", *(["val"] if {"x_val", "y_val"} & set(fields) else [])]
    needed = [f"{kind}_{split}" for split in splits for kind in "xy"]
    missing = [name for name in needed if name not in fields]
    if missing:
        raise TfodlError(f"{str(path)!r}: arrays {missing} are missing; needed: {needed}.")
    found: dict[str, Any] = {}
    for split in splits:
        x, y = _with_last_axis(fields[f"x_{split}"]), fields[f"y_{split}"]
        check_split(f"{str(path)!r}, {split}", x, y)
        found |= {f"x_{split}": with_channels(resize(x, size), channels), f"y_{split}": y}
    names = _class_names(fields, [found[f"y_{split}"] for split in splits], path)
    return Dataset(**found, class_names=names, name=path.stem)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("a single array; save a .npz of named arrays")
        with archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy and zipfile raise whatever the damaged archive provokes
        line = " ".join(str(error).split())[:200] or type(error).__name__
        if "allow_pickle" in line:
            line = "it holds pickled Python objects, which are not read; save arrays of numbers"
        raise TfodlError(f"{str(path)!r}: cannot be read as .npz ({line}).") from error


def _class_names(fields: dict[str, np.ndarray], labels: list[np.ndarray], path: Path) -> tuple[str, ...]:
    """As they are given, else the numbers that the labels are."""
    if "class_names" in fields:
        names = fields["class_names"]
        if names.ndim != 1:
            raise TfodlError(f"{str(path)!r}: class_names must be [classes], got shape {names.shape}.")
        return tuple(map(str, names.tolist()))
    classes, count = int(max(y.max() for y in labels)) + 1, sum(map(len, labels))
    if classes > count:
        raise TfodlError(
            f"{str(path)!r}: labels run to {classes - 1}, but there are {count} pictures; number the classes "
            "from 0 without gaps, or give class_names."
        )
    return tuple(map(str, range(classes)))


def _unpack(fields: dict[str, np.ndarray], path: Path, size: Size) -> dict[str, np.ndarray]:
    missing = [name for name in ("offsets", "y", "split") if name not in fields]
    if missing:
        raise TfodlError(f"{str(path)!r}: arrays {missing} are missing beside 'jpeg'.")
    jpeg, offsets, y, split_of = (fields[name] for name in ("jpeg", "offsets", "y", "split"))
    _check_pack(path, jpeg, offsets, y, split_of)
    out = {}
    for split, code in SPLIT_CODES.items():
        chosen = np.flatnonzero(split_of == code)
        pictures = [decode(jpeg[offsets[i] : offsets[i + 1]].tobytes(), 3, size) for i in chosen.tolist()]
        if not pictures:
            raise TfodlError(f"{str(path)!r}: no pictures of split {split!r}.")
        out[f"x_{split}"], out[f"y_{split}"] = stack(pictures, repr(str(path))), y[chosen]
    return out


def _check_pack(
    path: Path, jpeg: np.ndarray, offsets: np.ndarray, y: np.ndarray, split_of: np.ndarray
) -> None:
    whole = jpeg.dtype == np.uint8 and all(a.dtype.kind in "iu" for a in (offsets, y, split_of))
    if not whole or any(a.ndim != 1 for a in (jpeg, offsets, y, split_of)):
        raise TfodlError(
            f"{str(path)!r}: a pack needs jpeg uint8 and offsets, y, split of whole numbers, 1-D."
        )
    if not len(offsets) == len(y) + 1 == len(split_of) + 1:
        raise TfodlError(
            f"{str(path)!r}: a pack of N pictures needs N + 1 offsets, N y and N split, got {len(offsets)}, "
            f"{len(y)} and {len(split_of)}."
        )
    ends = offsets.astype(np.int64)
    if ends[0] < 0 or (np.diff(ends) < 0).any() or ends[-1] > len(jpeg):
        raise TfodlError(f"{str(path)!r}: offsets must ascend within 0..{len(jpeg)}, the bytes of 'jpeg'.")


def _with_last_axis(x: np.ndarray) -> np.ndarray:
    return x[..., None] if x.ndim == 3 else x
