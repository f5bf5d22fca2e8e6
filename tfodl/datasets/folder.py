"""`load_folder`: pictures in a sub-folder a class."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tflm_export.errors import TfodlError
from tfodl.datasets.dataset import Dataset
from tfodl.datasets.images import Size, decode, stack
from tfodl.datasets.listing import (
    SUFFIXES,
    Listing,
    circles,
    find_splits,
    list_files,
    loose_pictures,
    subfolders,
)
from tfodl.datasets.notes import note, some
from tfodl.datasets.split import TEST_SHARE, hold_out

SHOWN = ", ".join(sorted(SUFFIXES))
Labelled = list[tuple[Path, int]]


@dataclass
class Reader:
    """How pictures are read, and which of them could not be."""

    root: Path
    size: Size
    channels: int
    skip_bad: bool
    bad: list[str] = field(default_factory=list)

    def read(self, files: Labelled) -> tuple[list[np.ndarray], list[int]]:
        """The pictures and labels of `files`. Raises `TfodlError` for a bad one that is not to be skipped."""
        pictures, labels = [], []
        for file, label in tqdm(files, desc="pictures", delay=5.0):
            try:
                pictures.append(decode(file, self.channels, self.size))
                labels.append(label)
            except TfodlError as error:
                if not self.skip_bad:
                    raise TfodlError(
                        f"{error} Replace it, or leave such pictures out with --skip-bad (skip_bad=True)."
                    ) from error
                self.bad.append(str(file.relative_to(self.root)))
        return pictures, labels


def load_folder(
    path: Path,
    size: Size = None,
    seed: int = 0,
    channels: int | None = None,
    skip_bad: bool = False,
    least: int = 2,
) -> Dataset:
    """Pictures in a sub-folder a class, at any depth below it, in RGB (3 channels; 1: grey).

    With sub-folders `train` and `test` (or `val`, `valid`, `validation`) those are the splits; with all
    three, `val` is what training is judged by. Without them a fifth of every class, drawn with `seed`, is the
    test split. What is left out is named in a warning: files of other suffixes, and with `skip_bad` what
    cannot be read.

    Raises `TfodlError` when there are fewer than `least` classes, a class without pictures, or a bad picture.
    """
    splits = find_splits(path)
    first = "train" if "train" in splits else "all"
    names = subfolders(splits[first])
    if len(names) < least:
        raise TfodlError(_too_few(splits[first], names, least))
    reader = Reader(path, size, channels or 3, skip_bad)
    read = {split: reader.read(found) for split, found in _files(path, splits, names).items()}
    if reader.bad:
        note(
            f"folder {str(path)!r}: left out, as they cannot be read ({len(reader.bad)}): {some(reader.bad)}"
        )
    _require_every(read[first][1], names, splits[first])
    if first == "all":
        read = _drawn(*read["all"], seed, path)
    arrays: dict[str, Any] = {}
    for split, (pictures, labels) in read.items():
        where = f"folder {str(splits.get(split, path))!r}"
        if not pictures:
            raise TfodlError(f"{where}: no pictures ({SHOWN}).")
        arrays |= {f"x_{split}": stack(pictures, where), f"y_{split}": np.array(labels)}
    return Dataset(**arrays, class_names=tuple(names), name=path.name or path.resolve().name)


def _files(path: Path, splits: dict[str, Path], names: list[str]) -> dict[str, Labelled]:
    """The files of every split with their labels. What is no picture is named; a class without any in the
    first split is refused."""
    found: dict[str, Labelled] = {}
    rest = Listing()
    for split, folder in splits.items():
        there = subfolders(folder)
        if unknown := sorted(set(there) - set(names)):
            raise TfodlError(
                f"folder {str(folder)!r}: classes {some(unknown)} are not in 'train' ({some(names)})."
            )
        found[split] = []
        for name in there:
            listing = list_files(folder / name)
            if not listing.files and split in ("train", "all"):
                raise TfodlError(_no_pictures(folder / name, listing))
            found[split] += [(file, names.index(name)) for file in listing.files]
            rest.others += listing.others
            rest.links += listing.links
        if loose := loose_pictures(folder):
            note(f"folder {str(folder)!r}: {loose} pictures beside the class folders are not read")
        if links := circles(folder):
            note(f"folder {str(folder)!r}: {some(links)} link to a folder around it and are not read")
    if rest.left_out():
        note(f"folder {str(path)!r}: left out, as no pictures that can be read here: {rest.left_out()}")
    return found


def _drawn(
    pictures: list[np.ndarray], labels: list[int], seed: int, path: Path
) -> dict[str, tuple[list[np.ndarray], list[int]]]:
    """A fifth of every class as the test split."""
    halves = hold_out(np.array(labels), len(labels) // TEST_SHARE, seed, every_class=True)
    if not len(halves[1]):
        raise TfodlError(
            f"folder {str(path)!r}: too few pictures to split, one a class; two of a class are the least, "
            "or sub-folders 'train' and 'test'."
        )
    return {
        split: ([pictures[i] for i in chosen], [labels[i] for i in chosen])
        for split, chosen in zip(("train", "test"), halves, strict=True)
    }


def _require_every(labels: list[int], names: list[str], folder: Path) -> None:
    have = set(labels)
    left = [name for label, name in enumerate(names) if label not in have]
    if left:
        raise TfodlError(
            f"folder {str(folder)!r}: none of the pictures of {some(left)} can be read; replace them or "
            "remove the sub-folder."
        )


def _too_few(path: Path, names: list[str], least: int) -> str:
    count = "two" if least == 2 else "one"
    line = f"folder {str(path)!r}: needs a sub-folder a class, at least {count}; got {names}"
    if names:
        return f"{line}. If the classes are in {names[0]!r}, give that."
    loose = loose_pictures(path)
    return f"{line} and {loose} pictures beside." if loose else f"{line}."


def _no_pictures(path: Path, listing: Listing) -> str:
    holds = listing.left_out() or "nothing"
    return (
        f"folder {str(path)!r}: no pictures ({SHOWN}); it holds {holds}. Convert "
        "them, or remove the sub-folder."
    )
