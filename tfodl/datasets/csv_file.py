"""`read_csv`: one recording of a sensor, a row a moment and a column a channel.

>>> from pathlib import Path
>>> _ = Path("r.csv").write_text("t,x,y\\n0,1.5,2\\n20,3,4")
>>> recording = read_csv(Path("r.csv"))
>>> recording.columns, recording.values.tolist()
(('x', 'y'), [[1.5, 2.0], [3.0, 4.0]])
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tflm_export.errors import TfodlError

CLOCKS = ("t", "time", "timestamp", "time_ms", "timestamp_ms", "millis", "ms", "seconds")
SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class Recording:
    """values: float32 [T, C]. columns: the header's names, or None without one."""

    values: np.ndarray
    columns: tuple[str, ...] | None


def read_csv(path: Path) -> Recording:
    """The recording in `path`: numbers parted by commas, semicolons or tabs; a first row without a number is
    the header, and a column that it calls a clock (`CLOCKS`) is left out.

    Raises `TfodlError` naming file, line and column for what is no finite number, and for rows of other
    lengths.
    """
    lines = [(i, line) for i, line in enumerate(_text(path).splitlines(), 1) if line.strip()]
    if not lines:
        raise TfodlError(f"{str(path)!r}: holds no rows.")
    separator = max(SEPARATORS, key=lines[0][1].count)
    rows = [(number, [cell.strip() for cell in line.split(separator)]) for number, line in lines]
    header = None if any(map(_is_number, rows[0][1])) else tuple(cell.strip('"') for cell in rows[0][1])
    rows = rows[header is not None :]
    if not rows:
        raise TfodlError(f"{str(path)!r}: holds a header and no rows.")
    width = len(header or rows[0][1])
    for number, cells in rows:
        if len(cells) != width:
            raise TfodlError(
                f"{str(path)!r}, line {number}: {len(cells)} columns, the first row has {width}."
            )
    values = _numbers(path, rows)
    if header is None:
        return Recording(values, None)
    kept = [i for i, name in enumerate(header) if name.lower() not in CLOCKS]
    if not kept:
        raise TfodlError(f"{str(path)!r}: holds no column but {header}; a channel is needed.")
    return Recording(values[:, kept], tuple(header[i] for i in kept))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TfodlError(f"{str(path)!r}: cannot be read as text ({error}).") from error


def _numbers(path: Path, rows: list[tuple[int, list[str]]]) -> np.ndarray:
    """Finite float32 [T, C]."""
    try:
        values = np.array([cells for _, cells in rows], np.float64)
        good = bool((np.abs(values) <= np.finfo(np.float32).max).all())
    except ValueError:
        good = False
    if not good:
        number, column, cell = next(
            (number, column, cell)
            for number, cells in rows
            for column, cell in enumerate(cells, 1)
            if not _is_number(cell)
        )
        raise TfodlError(
            f"{str(path)!r}, line {number}, column {column}: {cell!r} is no finite number; correct it or "
            "leave the row out."
        )
    return values.astype(np.float32)


def _is_number(cell: str) -> bool:
    try:
        return abs(float(cell)) <= float(np.finfo(np.float32).max)
    except ValueError:
        return False
