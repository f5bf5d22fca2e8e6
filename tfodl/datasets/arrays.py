"""`.npz` files: arrays of pictures or signals, packs of JPEGs, and the folder where packs lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tflm_export.errors import TfodlError
from tfodl.datasets.checks import check_split, is_signal
from tfodl.datasets.dataset import Dataset
from tfodl.datasets.images import Size, decode, resize, stack, with_channels
from tfodl.datasets.split import TEST_SHARE, hold_out, hold_out_recordings

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


def load_npz(path: Path, size: Size = None, channels: int | None = None, seed: int = 0) -> Dataset:
    """A `.npz` with `x_train y_train x_test y_test` (uint8 `[N,H,W,C]` or `[N,H,W]`, or floats `[N,T,C]` of
    signals; whole-number labels), or a pack of JPEGs (`jpeg offsets y split`); `class_names` and `x_val
    y_val` are optional. Of `x y` alone a fifth of every class, drawn with `seed`, is the test split; with
    `recording [N]` beside them whole recordings are.

    Raises `TfodlError` when the file cannot be read, lacks an array, or holds neither pictures nor signals.
    """
    fields = read_npz(path)
    if "jpeg" in fields:
        fields |= _unpack(fields, path, size)
    elif {"x", "y"} <= set(fields) and not {"x_train", "x_test"} & set(fields):
        fields |= _parted(fields, path, seed)
    splits = ["train", "test", *(["val"] if {"x_val", "y_val"} & set(fields) else [])]
    needed = [f"{kind}_{split}" for split in splits for kind in "xy"]
    missing = [name for name in needed if name not in fields]
    if missing:
        raise TfodlError(f"{str(path)!r}: arrays {missing} are missing; needed: {needed}.")
    found: dict[str, Any] = {}
    for split in splits:
        x, y = _with_last_axis(fields[f"x_{split}"]), fields[f"y_{split}"]
        check_split(f"{str(path)!r}, {split}", x, y)
        x = x if is_signal(x) else with_channels(resize(x, size), channels)
        found |= {f"x_{split}": x, f"y_{split}": y}
    names = _class_names(fields, [found[f"y_{split}"] for split in splits], path)
    recordings = fields.get("recordings_train")
    return Dataset(**found, class_names=names, name=path.stem, recordings=recordings)


def _parted(fields: dict[str, np.ndarray], path: Path, seed: int) -> dict[str, np.ndarray]:
    """`x y` as a train and a test split, whole recordings where `recording` says which."""
    x, y, recording = fields["x"], fields["y"], fields.get("recording")
    check_split(f"{str(path)!r}", _with_last_axis(x), y)
    if recording is not None and (recording.shape != y.shape or recording.dtype.kind not in "iuU"):
        raise TfodlError(
            f"{str(path)!r}: recording must be {len(y)} whole numbers or names, one a sample, got "
            f"{recording.dtype} {recording.shape}."
        )
    count = len(y) // TEST_SHARE
    halves = (
        hold_out(y, count, seed, every_class=True)
        if recording is None
        else hold_out_recordings(y, recording, count, seed, every_class=True)
    )
    if not len(halves[1]):
        what = "sample" if recording is None else "recording"
        raise TfodlError(
            f"{str(path)!r}: one {what} a class leaves none to test by; give two, or x_test and y_test."
        )
    found: dict[str, np.ndarray] = {}
    for split, chosen in zip(("train", "test"), halves, strict=True):
        found |= {f"x_{split}": x[chosen], f"y_{split}": y[chosen]}
    if recording is not None:
        found["recordings_train"] = np.unique(recording, return_inverse=True)[1][halves[0]]
    return found


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` by name. Raises `TfodlError` when it cannot be read."""
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
    return x[..., None] if x.ndim == 3 and not is_signal(x) else x
