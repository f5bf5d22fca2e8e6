"""What a plan's fields may be: tests of values, and the error for the others."""

from __future__ import annotations

from tflm_export.errors import TfodlError


def require(ok: bool, message: str) -> None:
    """Raise `TfodlError` with `message` unless `ok`."""
    if not ok:
        raise TfodlError(message)


def is_number(value: object) -> bool:
    """A number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_count(value: object) -> bool:
    """A whole number >= 0.

    >>> is_count(3), is_count(True), is_count(2.0)
    (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
