"""The directions of imports: `tflm_export` knows nothing of TensorFlow, and of `tfodl` only the contract."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRACT = {"tfodl.plan", "tfodl.errors"}
HEAVY = {
    "tensorflow",
    "keras",
    "tf_keras",
    "tensorflow_model_optimization",
    "tensorflow_datasets",
    "ai_edge_litert",
}
PURE = ["plan", "errors", "velocity", "selection"]


def imported_modules(path: Path) -> set[str]:
    """Every module named by an import statement of `path`, wherever it stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "tflm_export").rglob("*.py")), ids=lambda p: p.name)
def test_compiler_does_not_know_tensorflow(path):
    modules = imported_modules(path)
    assert not {m for m in modules if m.split(".")[0] in HEAVY}
    assert {m for m in modules if m.split(".")[0] == "tfodl"} <= CONTRACT


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_do_not_know_tensorflow(name):
    modules = imported_modules(ROOT / "tfodl" / f"{name}.py")
    assert not {m for m in modules if m.split(".")[0] in HEAVY}


def test_only_one_file_touches_tfmot():
    users = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tfodl").rglob("*.py")
        if any(m.startswith("tensorflow_model_optimization") for m in imported_modules(path))
    }
    assert len(users) <= 1, users


def test_compiler_starts_without_tensorflow():
    code = "import tflm_export.cli, sys; sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
