"""The picture of the memory plan shows the plan: heights, places, labels, limits."""

import matplotlib
import nets
import numpy as np
import pytest

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.plan import LayerUpdate, UpdatePlan
from tflm_export.report.draw import draw_memory, memory_figure

matplotlib.use("Agg")
PLAN = UpdatePlan((LayerUpdate("#3", "in", (0, 2), "all"),))


@pytest.fixture(scope="module")
def compiled():
    return compile_model(nets.residual_net(), PLAN)


def test_heights_are_the_live_bytes(compiled):
    above, _ = memory_figure(compiled, stack_bytes=1000).axes
    memory = compiled.memory
    tops = np.zeros(len(compiled.graph.ops))
    for bar in above.patches:
        step = round(bar.get_x() + 0.5)
        tops[step] = max(tops[step], bar.get_y() + bar.get_height())
    fixed = memory.static_ram - memory.arena + 1000
    np.testing.assert_allclose(1024 * tops, np.array(memory.live_bytes()) + fixed)
    legend = [text.get_text() for text in above.get_legend().get_texts()]
    assert f"lower bound {memory.lower_bound:,} B" in legend
    assert any("Arduino Nano 33 BLE" in text and "off the scale" in text for text in legend)


def test_every_buffer_has_its_place_and_the_large_ones_a_name(compiled):
    _, below = memory_figure(compiled).axes
    memory = compiled.memory
    boxes = {
        (round(p.get_x() + 0.5), round(1024 * p.get_y()), round(1024 * p.get_height())) for p in below.patches
    }
    assert boxes == {(b.first, memory.offsets[b.name], b.nbytes) for b in memory.buffers}
    shown = {text.get_text().split()[0] for text in below.texts}
    assert {"x", "y2", "dx9"} & shown and len(shown) >= 5


def test_a_near_limit_is_a_line(compiled):
    above, _ = memory_figure(compiled, limits={"half": 2 * compiled.memory.static_ram}).axes
    assert any(text.get_text().startswith("half: ") for text in above.texts)


@pytest.mark.parametrize("plan", [PLAN, UpdatePlan(head=False)], ids=["learns", "infers"])
@pytest.mark.parametrize("name, start", [("a.png", b"\x89PNG"), ("b.svg", b"<?xml"), ("c.PDF", b"%PDF")])
def test_files(plan, name, start, tmp_path):
    path = draw_memory(compile_model(nets.residual_net(), plan), tmp_path / name)
    assert path.read_bytes().startswith(start) and [p.name for p in tmp_path.iterdir()] == [name]


def test_other_formats_are_refused(compiled, tmp_path):
    with pytest.raises(ExportError, match="format not supported; allowed: .png, .svg, .pdf"):
        draw_memory(compiled, tmp_path / "plan.txt")
    assert not any(tmp_path.iterdir())
