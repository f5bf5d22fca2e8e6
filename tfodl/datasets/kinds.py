"""What kind of data lie at a path, seen before they are read: pictures, or a sensor's recordings and
values."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np

from tflm_export.errors import TfodlError
from tfodl.datasets.catalogue import CATALOGUE
from tfodl.datasets.checks import is_signal
from tfodl.datasets.listing import SUFFIXES, find_splits, list_files, subfolders

KINDS = {"pictures": SUFFIXES, "csv": {".csv"}, "wav": {".wav"}}


def holds_signals(name: str | os.PathLike[str]) -> bool:
    """Whether `name` is a `.npz` of floats or a folder of recordings. What cannot be read is left to `load`
    to refuse; a folder of several kinds raises `TfodlError`.

    >>> np.savez("imu.npz", x=np.zeros((4, 32, 3), np.float32), y=np.array([0, 1, 0, 1]))
    >>> holds_signals("imu.npz"), holds_signals("digits")
    (True, False)
    """
    name = os.fsdecode(name)
    if os.path.isdir(name) and name != "digits" and name not in CATALOGUE:
        return folder_kind(Path(name)) != "pictures"
    return os.path.isfile(name) and name.endswith(".npz") and _floats(name)


def folder_kind(path: Path) -> str:
    """The key of `KINDS` of the files in the class folders below `path`; pictures where there are none of
    any.

    Raises `TfodlError` where there are files of two kinds.
    """
    of_suffix = {suffix: kind for kind, suffixes in KINDS.items() for suffix in suffixes}
    counts: Counter[str] = Counter()
    for folder in find_splits(path, tell=False).values():
        for name in subfolders(folder):
            found = list_files(folder / name, of_suffix).files
            counts.update(of_suffix[file.suffix.lower()] for file in found)
    if len(counts) > 1:
        shown = " and ".join(
            f"{count:,} {kind if kind == 'pictures' else f'.{kind} files'}"
            for kind, count in sorted(counts.items())
        )
        raise TfodlError(f"folder {str(path)!r}: holds {shown}; a data set is of one kind. Part them.")
    return next(iter(counts), "pictures")


def _floats(path: str) -> bool:
    try:
        with np.load(path, allow_pickle=False) as archive:
            key = "x_train" if "x_train" in archive.files else "x"
            return is_signal(archive[key])
    except Exception:  # numpy and zipfile raise whatever the damaged archive provokes; `load` says it
        return False
