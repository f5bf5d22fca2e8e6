"""Every `>>>` in a docstring runs. Examples may use a small model and its inputs: `WORLD`."""

import doctest
import importlib
from pathlib import Path

import nets
import numpy as np
import pytest

from tflm_export import LayerUpdate, UpdatePlan, compile_model

ROOT = Path(__file__).parent.parent
FILES = sorted(
    path
    for folder in ("tflm_export", "tfodl", "tests/helpers")
    for path in (ROOT / folder).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)
WORLD = {
    "np": np,
    "compile_model": compile_model,
    "LayerUpdate": LayerUpdate,
    "tflite": nets.residual_net(),
    "plan": UpdatePlan(),
    "inputs": list(np.random.default_rng(0).integers(-128, 128, (4, 1, 8, 8, 3), np.int8)),
}


def name(path: Path) -> str:
    """`tflm_export.ops` of its file; helpers are modules of their own."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return path.stem if "helpers" in parts else ".".join(parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_examples(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["doctest"])
    module = importlib.import_module(name(path))
    result = doctest.testmod(module, extraglobs=WORLD, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0 and result.attempted > 0
