"""What the command lets through of TensorFlow's, Keras's and its own logs: warnings, one line each."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def starting() -> Iterator[None]:
    """While TensorFlow is imported: its native start-up lines, which heed no setting, go nowhere; from then
    on a warning is one line, `tfodl: warning: ...`. Exceptions pass."""
    with native_log_silenced():
        yield
    logging.basicConfig(format="%(message)s")  # absl's lines end there
    warnings.showwarning = _one_line


@contextmanager
def native_log_silenced() -> Iterator[None]:
    """Send file descriptor 2 away, where code that is not Python's writes."""
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _one_line(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        print(f"tfodl: warning: {' '.join(str(message).split())}", file=sys.stderr)
