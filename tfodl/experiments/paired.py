"""How far two methods are apart that learned from the same seeds and were tried on the same pictures.

`D[s, i]`, the difference on picture i after seed s (-1, 0 or 1), varies with both: seeds and pictures are two
crossed random factors, so that (Searle, Casella and McCulloch, "Variance Components", 1992)

    var(mean D) = var_seeds / S + var_pictures / n - var_rest / (S n)

with the variances of the seeds' means, of the pictures' means and of what is left. The interval holds for new
seeds and new pictures alike. numpy, float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tflm_export.errors import TfodlError

NORMAL = 1.96, 0.84  # quantiles: of 95 % on both sides, and of a power of 80 %


@dataclass(frozen=True)
class Difference:
    """A mean difference with its standard error and degrees of freedom (Satterthwaite's)."""

    mean: float
    error: float
    freedom: float

    @property
    def half(self) -> float:
        """Half of the 95 % interval."""
        return student(self.freedom) * self.error

    @property
    def detectable(self) -> float:
        """The true difference that would be found, at 5 %, four times in five."""
        return (student(self.freedom) + NORMAL[1]) * self.error

    @property
    def real(self) -> bool:
        """Whether the 95 % interval leaves 0 out."""
        return abs(self.mean) > self.half

    @property
    def text(self) -> str:
        """With its interval, in Markdown: bold where that leaves 0 out.

        >>> Difference(1.0, 0.1, 1e9).text
        '**+1.0 ± 0.2**'
        """
        text = f"{self.mean:+.1f} ± {self.half:.1f}"
        return f"**{text}**" if self.real else text


def difference(a: ArrayLike, b: ArrayLike) -> Difference:
    """`mean(a - b)` over seeds and pictures. a, b: right or wrong, bool `[seeds, pictures]`, paired.

    Raises `TfodlError` for shapes that differ, or less than two seeds and pictures.

    >>> found = difference([[1, 1, 0, 1], [1, 1, 1, 1]], [[1, 0, 0, 1], [1, 0, 1, 1]])
    >>> found.mean, found.real
    (0.25, False)
    """
    one, other = np.asarray(a, float), np.asarray(b, float)
    if one.shape != other.shape or one.ndim != 2 or min(one.shape) < 2:
        raise TfodlError(
            f"difference: needs two arrays [seeds, pictures] of one shape, at least [2, 2], got {one.shape} "
            f"and {other.shape}."
        )
    return of_seeds_and_pictures(one - other)


def of_seeds_and_pictures(d: np.ndarray) -> Difference:
    """Mean of `d [seeds, pictures]` and its error under both factors."""
    seeds, pictures = d.shape
    mean, rows, columns = d.mean(), d.mean(1), d.mean(0)
    rest = d - rows[:, None] - columns[None] + mean
    var_rest = (rest**2).sum() / ((seeds - 1) * (pictures - 1))
    parts = [
        (rows.var(ddof=1) / seeds, seeds - 1),
        (columns.var(ddof=1) / pictures, pictures - 1),
        (-var_rest / (seeds * pictures), (seeds - 1) * (pictures - 1)),
    ]
    variance = float(max(sum(part for part, _ in parts), parts[0][0], parts[1][0]))
    spread = float(sum(part**2 / free for part, free in parts))
    return Difference(float(mean), math.sqrt(variance), variance**2 / spread if spread else math.inf)


def mean_of(differences: Sequence[Difference]) -> Difference:
    """The mean over data sets, each as it is: for these sets, not for others.

    >>> mean_of([Difference(1.0, 0.3, 4), Difference(2.0, 0.4, 4)]).error
    0.25
    """
    count = len(differences)
    error = math.sqrt(sum(d.error**2 for d in differences)) / count
    spread = sum((d.error / count) ** 4 / d.freedom for d in differences)
    return Difference(
        sum(d.mean for d in differences) / count, error, error**4 / spread if spread else math.inf
    )


def student(freedom: float) -> float:
    """97.5 % quantile of Student's t, within 0.5 % from 3 degrees on (Cornish and Fisher, 1937).

    >>> [round(student(n), 2) for n in (4, 10, 1e9)]
    [2.78, 2.23, 1.96]
    """
    z, n = NORMAL[0], max(1.0, freedom)
    terms = (
        z,
        (z**3 + z) / 4 / n,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96 / n**2,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384 / n**3,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160 / n**4,
    )
    return sum(terms)
