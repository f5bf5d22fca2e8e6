"""`holds_signals`: whether a data set is of a sensor's values rather than pictures, seen before it is
read."""

from __future__ import annotations

import os

import numpy as np

from tfodl.datasets.checks import is_signal


def holds_signals(name: str | os.PathLike[str]) -> bool:
    """Whether `name` is a `.npz` of floats. What cannot be read is left to `load` to refuse.

    >>> np.savez("imu.npz", x=np.zeros((4, 32, 3), np.float32), y=np.array([0, 1, 0, 1]))
    >>> holds_signals("imu.npz"), holds_signals("digits")
    (True, False)
    """
    name = os.fsdecode(name)
    return os.path.isfile(name) and name.endswith(".npz") and _floats(name)


def _floats(path: str) -> bool:
    try:
        with np.load(path, allow_pickle=False) as archive:
            key = "x_train" if "x_train" in archive.files else "x"
            return is_signal(archive[key])
    except Exception:  # numpy and zipfile raise whatever the damaged archive provokes; `load` says it
        return False
