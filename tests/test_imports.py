"""One direction of imports: scripts -> tfodl -> tflm_export; and the compiler knows nothing of TensorFlow."""

import ast
import subprocess
import sys
from pathlib import Path

import house
import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow_model_optimization",
    "tensorflow_datasets",
    "ai_edge_litert",
}
ABOVE = {"tflm_export": {"tfodl", "scripts", "benchmarks"}, "tfodl": {"scripts", "benchmarks"}}
LIGHT = ["tflm_export.cli", "tfodl", "tfodl.selection", "tfodl.selection.velocity", "tfodl.cli"]


def imported_modules(path: Path) -> set[str]:
    """Every module named by an import statement of `path`, wherever it stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def packages(path: Path) -> set[str]:
    """The top packages that `path` imports."""
    return {module.split(".")[0] for module in imported_modules(path)}


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", files("tflm_export") + files("tfodl"), ids=name)
def test_nothing_imports_what_stands_above_it(path):
    package = path.relative_to(ROOT).parts[0]
    assert not packages(path) & ABOVE[package]


@pytest.mark.parametrize("path", files("tflm_export"), ids=name)
def test_compiler_does_not_know_tensorflow(path):
    assert not packages(path) & HEAVY


def test_no_wing_stands_on_itself():
    graph = house.wings()
    levels = house.floors(graph)
    assert all(levels[name] > levels[below] for name, used in graph.items() for below in used)


def test_only_one_file_touches_tfmot():
    users = {name(path) for path in files("tfodl") if "tensorflow_model_optimization" in packages(path)}
    assert len(users) <= 1, users


@pytest.mark.parametrize("module", LIGHT)
def test_starts_without_tensorflow(module):
    code = f"import {module}, sys; sys.exit(any(m in sys.modules for m in {sorted(HEAVY)!r}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
