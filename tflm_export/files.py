"""Writing files and folders whole or not at all: to a temporary place beside the target, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tflm_export.errors import TfodlError


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` through a temporary file, so that nothing is ever half-written."""
    write_bytes(path, text.encode("utf-8"))


def require_writable(path: str | os.PathLike[str]) -> None:
    """Raise `TfodlError` where `path` could not be written; what lies there stays."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise TfodlError(f"cannot write {str(path)!r}: {error.strerror or error}.") from error


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path` through a temporary file. Raises `TfodlError` when it cannot."""
    target = Path(path)
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise TfodlError(f"cannot write {str(path)!r}: {error.strerror or error}.") from error


def replace_folder(target: Path, files: Mapping[str, bytes]) -> Path:
    """Write `files` by path below `target`, in whose place the new folder comes at the end.

    Raises `TfodlError` when it cannot; `target` is then as it was.
    """
    fresh = old = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        for path, data in files.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).write_bytes(data)
        fresh.chmod(0o755)
        if target.exists():
            old = target.rename(Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.")) / "old")
        result = fresh.rename(target)
    except OSError as error:
        raise TfodlError(f"cannot write {str(target)!r}: {error.strerror or error}.") from error
    finally:
        for leftover in (fresh, old and old.parent):
            if leftover is not None:
                shutil.rmtree(leftover, ignore_errors=True)
    return result
