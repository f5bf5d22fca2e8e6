"""In which order labelled samples come: as a stored set is shuffled, or as life brings them."""

from __future__ import annotations

import numpy as np

from tflm_export.errors import TfodlError

ORDERS = ("classes", "shuffled", "drifting")
BLEND = 1.0  # of a drifting stream: classes that one class blends into on either side, standard deviation


def order(labels: np.ndarray, how: str = "classes", seed: int = 0) -> np.ndarray:
    """Indices int64 [N] that put samples with `labels` [N] into an order.

    how: `"classes"`, class after class, the classes and the samples of each in a random order; `"shuffled"`;
        `"drifting"`, class after class, but each blending into the next (every sample's place is its class's
        plus a normal draw of one class's width).
    seed: of all draws. Raises `TfodlError` for any other order.

    >>> y = np.array([0, 1, 2, 0, 1, 2])
    >>> y[order(y, "classes", seed=1)]
    array([0, 0, 1, 1, 2, 2])
    >>> sorted(order(y, "drifting").tolist())
    [0, 1, 2, 3, 4, 5]
    """
    if how not in ORDERS:
        raise TfodlError(f"stream: order must be one of {ORDERS}, got {how!r}.")
    labels, rng = np.asarray(labels).reshape(-1), np.random.default_rng(seed)
    shuffled = rng.permutation(len(labels))
    if how == "shuffled":
        return shuffled
    known, rank = np.unique(labels[shuffled], return_inverse=True)
    place = rng.permutation(len(known))[rank].astype(float)
    if how == "drifting":
        place += rng.normal(0.0, BLEND, len(place))
    found: np.ndarray = shuffled[np.argsort(place, kind="stable")]
    return found
