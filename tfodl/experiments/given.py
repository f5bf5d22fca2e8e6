"""What the code published with Velocity gave Random of its budget (Quélennec et al., WACV-W 2024)."""

from __future__ import annotations

GIVEN = {0.088: 0.34, 0.212: 0.24, 0.308: 0.23}  # budget of MobileNetV2 -> share of it, by its costs


def given(share: float) -> float:
    """The share of parameters that Random trained at the budget `share`.

    >>> given(0.088)
    0.02992
    """
    return round(share * GIVEN[share], 5)
