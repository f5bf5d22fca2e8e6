"""Where a job's files go: a folder seen to be writable, a model written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import keras

from tflm_export.errors import TfodlError
from tflm_export.files import write_text


def make_folder(path: str) -> Path:
    """The folder `path`, made and seen to be writable before long work. Raises `TfodlError`."""
    folder = Path(path)
    write_text(folder / ".writable", "")
    (folder / ".writable").unlink()
    return folder


def save_model(model: keras.Model, path: Path) -> None:
    """Write a `.keras` file, whole or not at all. Raises `TfodlError` when it cannot."""
    temporary = path.with_name(f".{path.stem}.tmp.keras")
    try:
        model.save(temporary)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TfodlError(f"cannot write {str(path)!r}: {error.strerror or error}.") from error
