"""Writing files and folders whole or not at all: to a temporary place beside the target, then renamed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tflm_export.errors import TfodlError


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` through a temporary file, so that nothing is ever half-written."""
    write_bytes(path, text.encode("utf-8"))


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
