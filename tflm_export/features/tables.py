"""`tables`: the constants of a `LogMel` as the board's code reads them (`features/log_mel.h`)."""

from __future__ import annotations

import numpy as np

from tflm_export.cpp import Tables
from tflm_export.features.log_mel import FULL_SCALE, LogMel

STRUCT = "kLogMel"


def tables(spec: LogMel) -> Tables:
    """hann, twiddle, first and rise, in flash.

    >>> found = tables(LogMel())
    >>> {name: values.size for name, (_, values, _) in found.items.items()}["kTwiddle"], found.nbytes < 5000
    (512, True)
    """
    found = Tables()
    found.add("float", "kHann", (spec.hann / FULL_SCALE)[: spec.window // 2 + 1])
    turn = 2 * np.pi * np.arange(spec.fft // 2) / spec.fft
    found.add("float", "kTwiddle", np.stack([np.cos(turn), -np.sin(turn)], axis=1))
    first, rise = slopes(spec)
    found.add("uint16_t", "kFirst", first)
    found.add("float", "kRise", rise)
    return found


def slopes(spec: LogMel) -> tuple[np.ndarray, np.ndarray]:
    """first [bands + 2]: the first bin at or above every edge of the triangles; rise: of each bin from
    first[0] to first[-1], the share of the way from the edge below it to the one above."""
    edges = spec.edges
    f = np.arange(spec.fft // 2 + 1) * spec.sample_rate / spec.fft
    first = np.minimum(np.searchsorted(f, edges), spec.fft // 2)  # the last weighs nothing at most
    inside = f[first[0] : first[-1]]
    below = np.searchsorted(edges, inside, side="right") - 1
    rise: np.ndarray = (inside - edges[below]) / (edges[below + 1] - edges[below])
    return first, rise


def struct_text(spec: LogMel) -> str:
    """The `tfodl::LogMel` of the tables, its fields in order."""
    sizes = f"{spec.window}, {spec.fft}, {spec.bands}, {np.float32(spec.floor)!s}f"
    return f"{{{sizes}, kHann, kTwiddle, kFirst, kRise}}"
