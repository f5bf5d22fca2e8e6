"""`load_recordings`: a folder of recordings, a sub-folder a class and a file a recording, cut into windows.

Windows of one recording never stand on two sides: the test split and what training is judged by are whole
recordings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tflm_export.errors import TfodlError
from tfodl.datasets.csv_file import read_csv
from tfodl.datasets.dataset import Dataset
from tfodl.datasets.kinds import KINDS
from tfodl.datasets.listing import find_splits, list_files, subfolders
from tfodl.datasets.notes import note, some
from tfodl.datasets.split import TEST_SHARE, hold_out

Cut = Callable[[Path], np.ndarray]  # a recording as samples [n, ...]


@dataclass(frozen=True)
class Windows:
    """Samples that were cut from recordings: x [N, ...], and of each the class and the recording [N]."""

    x: np.ndarray
    y: np.ndarray
    recording: np.ndarray


def load_recordings(path: Path, kind: str, cut: Cut, seed: int = 0, least: int = 2, **facts: Any) -> Dataset:
    """The recordings below `path`, each made samples by `cut`.

    kind: a key of `KINDS`. With sub-folders `train` and `test` (and `val`) those are the splits; without them
    a fifth of the recordings of every class, drawn with `seed`, is the test split. facts: of the `Dataset`.

    A recording too short for a sample is left out and named. Raises `TfodlError` when there are fewer than
    `least` classes, a class without recordings, a recording that cannot be read, or one of another shape.
    """
    splits = find_splits(path)
    first = "train" if "train" in splits else "all"
    names = subfolders(splits[first])
    if len(names) < least:
        count = "two" if least == 2 else "one"
        raise TfodlError(
            f"folder {str(splits[first])!r}: needs a sub-folder a class, at least {count}; got {names}."
        )
    read = {split: _read(folder, names, kind, cut, first == split) for split, folder in splits.items()}
    if first == "all":
        read = _parted(read["all"], seed, path)
    arrays: dict[str, Any] = {}
    for split, windows in read.items():
        arrays |= {f"x_{split}": windows.x, f"y_{split}": windows.y}
    name = path.name or path.resolve().name
    return Dataset(**arrays, class_names=tuple(names), name=name, recordings=read["train"].recording, **facts)


def csv_cut(path: Path, window: int | None, stride: int | None) -> Cut:
    """What cuts `.csv` recordings into windows of `window` rows, one every `stride` (half a window).

    Raises `TfodlError` without a window; what it gives does for other columns than those of the first file.
    """
    if window is None:
        raise TfodlError(
            f"folder {str(path)!r}: holds .csv recordings; --window says how many rows a sample has."
        )
    length, step = window, stride or max(1, window // 2)
    seen: list[tuple[Path, int, tuple[str, ...] | None]] = []

    def cut(file: Path) -> np.ndarray:
        recording = read_csv(file)
        width, columns = recording.values.shape[1], recording.columns
        seen.append((file, width, columns))
        other, wanted, known = seen[0]
        if width != wanted or (known and columns and columns != known):
            raise TfodlError(
                f"{str(file)!r}: has the columns {columns or width}, {str(other)!r} {known or wanted}; every "
                "recording needs the same, in one order."
            )
        return windows_of(recording.values, length, step)

    return cut


def windows_of(values: np.ndarray, window: int, stride: int) -> np.ndarray:
    """`[n, window, ...]` of `values [T, ...]`, one every `stride`; what is left at the end is not used.

    >>> windows_of(np.arange(7), 3, 2).tolist()
    [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    """
    starts = np.arange(0, len(values) - window + 1, stride)
    found: np.ndarray = values[starts[:, None] + np.arange(window)]
    return found


def _read(folder: Path, names: list[str], kind: str, cut: Cut, every: bool) -> Windows:
    """The windows of one split; every class must be there where `every`."""
    there = subfolders(folder)
    if unknown := sorted(set(there) - set(names)):
        raise TfodlError(
            f"folder {str(folder)!r}: classes {some(unknown)} are not in 'train' ({some(names)})."
        )
    parts: list[tuple[np.ndarray, int]] = []
    short, left = [], []
    for name in there:
        listing = list_files(folder / name, KINDS[kind])
        left += [listing.left_out()] if listing.left_out() else []
        before = len(parts)
        for file in tqdm(listing.files, desc=f"{name}", delay=5.0):
            samples = cut(file)
            if len(samples):
                parts.append((samples, names.index(name)))
            else:
                short.append(str(file.relative_to(folder)))
        if every and len(parts) == before:
            raise TfodlError(
                f"folder {str(folder / name)!r}: {_why(len(listing.files), kind)}; add recordings, or remove "
                "the sub-folder."
            )
    if short:
        note(f"folder {str(folder)!r}: left out, shorter than a window ({len(short)}): {some(short)}")
    if left:
        note(f"folder {str(folder)!r}: left out, as no .{kind} files: {', '.join(left)}")
    if not parts:
        raise TfodlError(f"folder {str(folder)!r}: no .{kind} recording as long as a window.")
    sizes = [len(samples) for samples, _ in parts]
    labels = np.array([label for _, label in parts])
    x = np.concatenate([samples for samples, _ in parts])
    return Windows(x, np.repeat(labels, sizes), np.repeat(np.arange(len(parts)), sizes))


def _why(files: int, kind: str) -> str:
    return f"none of its {files} recordings is as long as a window" if files else f"no .{kind} files"


def _parted(windows: Windows, seed: int, path: Path) -> dict[str, Windows]:
    """A fifth of the recordings of every class as the test split."""
    recordings, first = np.unique(windows.recording, return_index=True)
    count = len(recordings) // TEST_SHARE
    _, tested = hold_out(windows.y[first], count, seed, every_class=True)
    if not len(tested):
        raise TfodlError(
            f"folder {str(path)!r}: one recording a class leaves none to test by; two are the least, "
            "or sub-folders 'train' and 'test'."
        )
    out = np.isin(windows.recording, recordings[tested])
    return {
        split: Windows(windows.x[rows], windows.y[rows], windows.recording[rows])
        for split, rows in (("train", ~out), ("test", out))
    }
