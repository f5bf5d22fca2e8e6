"""The tables of docs/kernels.md, from the headers: every kernel with the contract that stands above it.

`python tools/kernel_tables.py` writes them between `<!-- kernels:HEADER -->` and `<!-- end -->`; a test holds
the page to the headers.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEADERS = ROOT / "arduino" / "src" / "tfodl"
PAGE = ROOT / "docs" / "kernels.md"
BLOCK = re.compile(r"(<!-- kernels:([\w.]+) -->\n).*?(<!-- end -->)", re.S)
SHAPE = re.compile(r"(?:\[(?:[^\[\]]|\[[^\[\]]*\])*\]){2,}")  # [rows][n], no link of Markdown's
DECLARATION = re.compile(r"^(?:void|bool|float|int32_t|uint32_t|uint64_t) (\w+)\(")


def kernels(header: str) -> list[tuple[list[str], str]]:
    """(names, contract) of every group of declarations under one comment, in the header's order."""
    found: list[tuple[list[str], str]] = []
    comment: list[str] = []
    fresh = False
    for line in header.splitlines():
        if line.startswith("// "):
            comment = [*comment, line[3:]] if fresh else [line[3:]]
            fresh = True
            continue
        fresh = False
        declared = DECLARATION.match(line)
        if declared and comment:
            text = " ".join(comment)
            if found and found[-1][1] == text:
                found[-1][0].append(declared[1])
            else:
                found.append(([declared[1]], text))
    return found


def table(header: str) -> str:
    """Markdown of one header."""
    rows = ["| kernel | contract |", "|---|---|"]
    for names, contract in kernels(header):
        listed = ", ".join(f"`{name}`" for name in names)
        text = SHAPE.sub(r"`\g<0>`", contract.replace("|", chr(92) + "|"))
        rows.append(f"| {listed} | {text} |")
    return "\n".join(rows) + "\n"


def filled(page: str) -> str:
    """The page with its tables."""
    return BLOCK.sub(lambda m: m[1] + table((HEADERS / m[2]).read_text(encoding="utf-8")) + m[3], page)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
