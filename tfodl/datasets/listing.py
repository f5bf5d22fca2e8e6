"""What lies in a folder of pictures or recordings: its splits, its classes, and the files below a class.

Names that begin with a dot are passed over. A folder that cannot be read is a `TfodlError`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from tflm_export.errors import TfodlError
from tfodl.datasets.notes import note, some

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".webp"}
SPLITS = {"train": ("train", "training"), "test": ("test", "testing"), "val": ("val", "valid", "validation")}


@dataclass
class Listing:
    """files: those of the wanted suffixes, sorted. others: how many files of each other suffix.
    links: links to folders, which are not followed."""

    files: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    links: list[str] = field(default_factory=list)

    def left_out(self) -> str:
        """What is not wanted here, as `12 .heic, 1 without suffix`; "" for nothing."""
        found = [f"{count} {suffix or 'without suffix'}" for suffix, count in sorted(self.others.items())]
        return ", ".join(found + [f"link to a folder {link!r}" for link in self.links])


def find_splits(path: Path, *, tell: bool = True) -> dict[str, Path]:
    """`{"train": ..., "test": ...}` and `"val"` where `path` has such sub-folders, else `{"all": path}`.

    A validation folder is the test split where there is no other. tell: name what is not read. Raises
    `TfodlError` where two sub-folders claim one split, or a test split has no train split beside it.
    """
    names = subfolders(path)
    found = {split: [n for n in names if n.lower() in known] for split, known in SPLITS.items()}
    twice = [claim for claim in found.values() if len(claim) > 1]
    if not found["train"] or not (found["test"] or found["val"]):
        if names and not found["train"] and all(n in found["test"] + found["val"] for n in names):
            raise TfodlError(f"folder {str(path)!r}: has {some(names)}, but no 'train' beside.")
        return {"all": path}
    if twice:
        raise TfodlError(f"folder {str(path)!r}: {some(twice[0])} are two names of one split; keep one.")
    splits = {split: path / claim[0] for split, claim in found.items() if claim}
    if "test" not in splits:
        splits["test"] = splits.pop("val")
    beside = [n for n in names + circles(path) if path / n not in splits.values()]
    if beside and tell:
        note(f"folder {str(path)!r}: {some(beside)} beside its splits {some(sorted(splits))} are not read")
    return splits


def subfolders(path: Path) -> list[str]:
    """Names of the sub-folders, sorted; without `circles`."""
    names = [entry.name for entry in _entries(path) if _is_folder(entry)]
    return sorted(set(names) - set(circles(path)))


def circles(path: Path) -> list[str]:
    """Names of the links in `path` to `path` itself or to a folder that it lies in."""
    links = [entry.name for entry in _entries(path) if entry.is_symlink() and _is_folder(entry)]
    own = os.path.join(os.path.realpath(path), "")
    return [name for name in links if own.startswith(os.path.join(os.path.realpath(path / name), ""))]


def list_files(path: Path, suffixes: Collection[str] = SUFFIXES) -> Listing:
    """The files of `path` and of every folder below it; those with one of `suffixes` apart from others."""
    listing, folders = Listing(), [path]
    while folders:
        for entry in _entries(folders.pop()):
            suffix = os.path.splitext(entry.name)[1].lower()
            if _is_folder(entry):
                if entry.is_symlink():
                    listing.links.append(entry.name)
                else:
                    folders.append(Path(entry.path))
            elif suffix in suffixes:
                listing.files.append(Path(entry.path))
            else:
                listing.others[suffix] += 1
    listing.files.sort()
    return listing


def loose_pictures(path: Path) -> int:
    """How many pictures lie in `path` itself, in no class."""
    names = [entry.name for entry in _entries(path) if not _is_folder(entry)]
    return sum(os.path.splitext(name)[1].lower() in SUFFIXES for name in names)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Also a link to one; a folder whose path is too long to open is one still."""
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path))


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise TfodlError(f"folder {str(path)!r}: cannot be read ({error.strerror or error}).") from error
