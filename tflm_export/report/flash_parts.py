"""What an engine's flash holds, by part, from the names that the linker gives to functions and constants."""

from __future__ import annotations

import re
from collections.abc import Mapping

CONSTANTS = {
    "weights": "weights",
    "bias": "biases",
    "multiplier": "multipliers and shifts",
    "shift": "multipliers and shifts",
}


def flash_parts(symbols: Mapping[str, int], total: int, name: str) -> dict[str, int]:
    """Bytes by part, largest first; they add up to `total`.

    symbols: bytes by mangled name, of the engine in namespace `name`. What has no name is "the rest": C
    library in assembler, alignment, the values that variables begin with.

    >>> flash_parts({"_ZN3net9constants8weights3E": 36, "_ZN5tfodl7conv_s8Ev": 52}, 100, "net")
    {'kernels': 52, 'weights': 36, 'the rest': 12}
    """
    found: dict[str, int] = {}
    for symbol, nbytes in symbols.items():
        part = _part(symbol, name)
        found[part] = found.get(part, 0) + nbytes
    found["the rest"] = found.get("the rest", 0) + total - sum(found.values())
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _part(symbol: str, name: str) -> str:
    own = f"_Z[A-Z]*{len(name)}{name}"
    constant = re.match(rf"{own}9constants\d+([a-z_]+)\d", symbol)
    if constant:
        return CONSTANTS.get(constant[1], "tables")
    if re.match(own, symbol):
        return "the engine's calls"
    return "kernels" if "tfodl" in symbol else "the rest"
