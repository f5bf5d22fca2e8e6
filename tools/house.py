"""The house as the imports have it: wings by floor, and who stands on whom. `python tools/house.py` draws
docs/house.svg; tests/test_imports.py holds that no wing stands on itself."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("tflm_export", "tfodl")
OUT = ROOT / "docs" / "house.svg"


def wing(module: str) -> str:
    """The wing of a dotted module: `tfodl.int8`, or the module itself where it stands alone."""
    return ".".join(module.split(".")[:2])


def imports(path: Path) -> set[str]:
    """Modules that a file imports for running, wherever the statement stands; imports for types apart."""
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(_resolved(node.module, alias.name) for alias in node.names)
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(ast.parse(path.read_text(encoding="utf-8")))
    return {module for module in found if module.split(".")[0] in PACKAGES}


def _resolved(module: str, name: str) -> str:
    """The module that `from module import name` reaches."""
    inner = ROOT / module.replace(".", "/") / name
    return f"{module}.{name}" if inner.is_dir() or inner.with_suffix(".py").is_file() else module


def wings() -> dict[str, set[str]]:
    """Every wing and the wings that it stands on; the packages' own fronts (`__init__`) apart."""
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[1:] == ("__init__",):
                continue
            own = wing(".".join(parts))
            used = {wing(module) for module in imports(path) if module not in PACKAGES}
            found.setdefault(own, set()).update(used - {own})
    return found


def floors(graph: Mapping[str, set[str]]) -> dict[str, int]:
    """The floor of every wing: one above the highest that it stands on. Raises `ValueError` for a circle."""
    path: list[str] = []

    @cache
    def floor(name: str) -> int:
        if name in path:
            raise ValueError(f"wings stand on each other: {' -> '.join([*path[path.index(name) :], name])}")
        path.append(name)
        found = 1 + max((floor(below) for below in sorted(graph.get(name, ()))), default=-1)
        path.pop()
        return found

    return {name: floor(name) for name in graph}


def direct(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Who stands right on whom: without what is reached through another wing as well."""

    @cache
    def reached(name: str) -> frozenset[str]:
        below = graph.get(name, set())
        return frozenset(below).union(*(reached(other) for other in below))

    return {
        name: {other for other in below if not any(other in reached(third) for third in below - {other})}
        for name, below in graph.items()
    }


def main() -> None:
    """Draw the wings by floor."""
    from matplotlib.figure import Figure

    graph = wings()
    levels = floors(graph)
    rows: dict[int, list[str]] = {}
    for name, level in levels.items():
        rows.setdefault(level, []).append(name)
    place = {
        name: (i - (len(names) - 1) / 2, level)
        for level, names in rows.items()
        for i, name in enumerate(sorted(names, reverse=True))
    }
    figure = Figure(figsize=(13, 0.62 * (max(rows) + 2)), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    for name, below in direct(graph).items():
        for other in below:
            (x, y), (u, v) = place[name], place[other]
            axes.plot([x, u], [y, v], color="0.7", linewidth=0.8, zorder=0)
    for name, (x, y) in place.items():
        color = "#cfe3f7" if name.startswith("tflm") else "#f9e2c4"
        label = name.removeprefix("tflm_export.").removeprefix("tfodl.")
        box = {"boxstyle": "round,pad=0.35", "facecolor": color, "edgecolor": "0.5"}
        axes.text(x, y, label, ha="center", va="center", fontsize=8, bbox=box)
    width = max(abs(x) for x, _ in place.values()) + 0.7
    axes.set(xlim=(-width, width), ylim=(-0.7, max(rows) + 0.7))
    axes.set_title(
        "tfodl (sand) on tflm_export (blue); a line goes down to what a wing stands on right away", fontsize=9
    )
    figure.savefig(OUT, metadata={"Date": None})


if __name__ == "__main__":
    main()
