"""Pictures from disk: `.npz` arrays, packs of JPEGs, folders with a sub-folder a class."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from tflm_export.errors import TfodlError
from tfodl.datasets.dataset import Dataset
from tfodl.datasets.images import decode, resize, stack

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".webp"}
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
SPLIT_CODES = {"train": 0, "test": 1}


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Where the packs and weight files lie: `data_dir`, else `TFODL_DATA`, else `../shared/data` beside the
    checkout when that exists, else None. Raises `TfodlError` when a folder that was named is not there."""
    named = data_dir or os.environ.get("TFODL_DATA")
    if named:
        if not Path(named).is_dir():
            raise TfodlError(f"data folder {str(named)!r} does not exist; correct data_dir or TFODL_DATA.")
        return Path(named)
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return default if default.is_dir() else None


def load_npz(path: Path, size: int | None = None) -> Dataset:
    """A `.npz` with `x_train y_train x_test y_test` (uint8 `[N,H,W,C]` or `[N,H,W]`, whole-number labels),
    or a pack of JPEGs (`jpeg offsets y split`); `class_names` is optional.

    Raises `TfodlError` when the file cannot be read or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            fields = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise TfodlError(f"{str(path)!r}: cannot be read as .npz ({error}).") from error
    if "jpeg" in fields:
        fields |= _unpack(fields, path, size)
    missing = [name for name in ARRAYS if name not in fields]
    if missing:
        raise TfodlError(f"{str(path)!r}: arrays {missing} are missing; needed: {ARRAYS}.")
    x_train, x_test = (_with_channels(fields[name]) for name in ("x_train", "x_test"))
    classes = int(max(np.max(fields[name], initial=0) for name in ("y_train", "y_test"))) + 1
    names = fields.get("class_names", np.arange(classes))
    return Dataset(
        _resized(x_train, size), fields["y_train"], _resized(x_test, size), fields["y_test"], names, path.stem
    )


def load_folder(path: Path, size: int | None = None, seed: int = 0, channels: int = 3) -> Dataset:
    """Pictures in a sub-folder a class. With sub-folders `train` and `test` those are the splits; without
    them a fifth of every class, drawn with `seed`, is the test set.

    Raises `TfodlError` when there are fewer than two classes, or files that are no pictures.
    """
    split = (path / "train").is_dir() and (path / "test").is_dir()
    names = _class_names(path / "train" if split else path)
    if len(names) < 2:
        raise TfodlError(f"folder {str(path)!r}: needs a sub-folder a class, at least two; got {names}.")
    if split and (unknown := sorted(set(_class_names(path / "test")) - set(names))):
        raise TfodlError(f"folder {str(path / 'test')!r}: classes {unknown} are not in 'train' {names}.")
    found = _given_split(path, names) if split else _drawn_split(path, names, seed)
    x_train, y_train = _read(found["train"], channels, size, path)
    x_test, y_test = _read(found["test"], channels, size, path)
    return Dataset(x_train, y_train, x_test, y_test, tuple(names), path.name)


def _given_split(path: Path, names: list[str]) -> dict[str, list[tuple[Path, int]]]:
    return {
        part: [(file, label) for label, name in enumerate(names) for file in _pictures(path / part / name)]
        for part in SPLIT_CODES
    }


def _drawn_split(path: Path, names: list[str], seed: int) -> dict[str, list[tuple[Path, int]]]:
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[Path, int]]] = {"train": [], "test": []}
    for label, name in enumerate(names):
        files = _pictures(path / name)
        test = set(rng.permutation(len(files))[: max(1, len(files) // 5)].tolist())
        for index, file in enumerate(files):
            found["test" if index in test else "train"].append((file, label))
    return found


def _class_names(path: Path) -> list[str]:
    if not path.is_dir():
        return []
    return sorted(child.name for child in path.iterdir() if child.is_dir() and child.name[0] != ".")


def _pictures(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)


def _read(
    files: list[tuple[Path, int]], channels: int, size: int | None, path: Path
) -> tuple[np.ndarray, np.ndarray]:
    if not files:
        raise TfodlError(f"folder {str(path)!r}: too few pictures ({', '.join(sorted(SUFFIXES))}) to split.")
    pictures = [decode(file, channels, size) for file, _ in files]
    return stack(pictures, f"folder {str(path)!r}"), np.array([label for _, label in files])


def _unpack(fields: dict[str, np.ndarray], path: Path, size: int | None) -> dict[str, np.ndarray]:
    missing = [name for name in ("offsets", "y", "split") if name not in fields]
    if missing:
        raise TfodlError(f"{str(path)!r}: arrays {missing} are missing beside 'jpeg'.")
    offsets = fields["offsets"]
    out = {}
    for split, code in SPLIT_CODES.items():
        chosen = np.flatnonzero(fields["split"] == code)
        pictures = [
            decode(fields["jpeg"][offsets[i] : offsets[i + 1]].tobytes(), 3, size) for i in chosen.tolist()
        ]
        if not pictures:
            raise TfodlError(f"{str(path)!r}: no pictures of split {split!r}.")
        out[f"x_{split}"], out[f"y_{split}"] = stack(pictures, repr(str(path))), fields["y"][chosen]
    return out


def _with_channels(x: np.ndarray) -> np.ndarray:
    return x[..., None] if x.ndim == 3 else x


def _resized(x: np.ndarray, size: int | None) -> np.ndarray:
    return resize(x, size) if x.ndim == 4 and x.dtype == np.uint8 else x
