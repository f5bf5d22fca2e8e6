"""Constant arrays: collected while structs are written, then printed as one header and one source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

WIDTH = 108
DTYPES = {
    "int8_t": "<i1",
    "uint8_t": "<u1",
    "int16_t": "<i2",
    "uint16_t": "<u2",
    "int32_t": "<i4",
    "uint32_t": "<u4",
    "float": "<f4",
    "unsigned char": "<u1",
}  # of the arrays that an engine may have


@dataclass
class Tables:
    """The constants of an engine in order; `add` gives the name back, to be used as a pointer."""

    items: dict[str, tuple[str, np.ndarray, str]] = field(default_factory=dict)

    def add(self, ctype: str, name: str, values: Iterable[float] | np.ndarray, comment: str = "") -> str:
        """One array of `ctype` called `name`; values in C order."""
        self.items[name] = (ctype, np.asarray(values).reshape(-1), comment)
        return name

    @property
    def nbytes(self) -> int:
        """Bytes in flash."""
        return sum(np.dtype(DTYPES[ctype]).itemsize * v.size for ctype, v, _ in self.items.values())

    def declarations(self) -> str:
        """`extern const` lines."""
        return "\n".join(
            f"extern const {ctype} {name}[{values.size}];" + (f"  // {comment}" if comment else "")
            for name, (ctype, values, comment) in self.items.items()
        )

    def definitions(self, attribute: str = "") -> str:
        """The arrays, each with the `attribute` (a macro of the library's)."""
        rows = self.items.items()
        return "\n\n".join(definition(ctype, name, values, attribute) for name, (ctype, values, _) in rows)


def definition(ctype: str, name: str, values: np.ndarray, attribute: str = "") -> str:
    """`const int8_t weights3[128] = {...};` in lines of at most 110 characters."""
    words = [literal(ctype, value) for value in values.tolist()]
    what = f"{name}[{values.size}] {attribute}".rstrip()
    return f"const {ctype} {what} = {{\n{wrap(words)}\n}};"


def literal(ctype: str, value: float) -> str:
    """The shortest text that C++ reads back exactly.

    >>> literal("float", 0.01), literal("float", 2), literal("uint32_t", 7)
    ('0.01f', '2.0f', '7u')
    """
    if ctype == "float":
        return f"{np.float32(value)!s}f"
    if ctype == "int32_t" and value == -(2**31):
        return "INT32_MIN"
    return f"{value}u" if ctype == "uint32_t" else str(value)


def quoted(text: str) -> str:
    """`text` as a C++ string, UTF-8; nothing in it can end the string or begin a trigraph.

    >>> print(quoted('a "b"?'))
    "a \\042b\\042\\077"
    """
    return (
        '"'
        + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode())
        + '"'
    )


def wrap(words: Iterable[str]) -> str:
    """Words with commas between, in indented lines."""
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line])
