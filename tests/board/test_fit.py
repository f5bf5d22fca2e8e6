"""`report` and `sketch` never disagree on whether an engine, and what it keeps, fits a board."""

from dataclasses import replace

import nets
import numpy as np
import pytest

from tflm_export.board.fit import MEMORIES, limits, over, uses
from tflm_export.board.sketch import make_sketch, placed
from tflm_export.boards import BOARDS, Board, FlashRange
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.machines.emulator import Count
from tflm_export.machines.measure import Measured
from tflm_export.memory.engine_size import flash_estimate
from tflm_export.memory.storage import STACK_BYTES
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.pool import Pool
from tflm_export.report.report import make_report

STORE = UpdatePlan(store_bytes=8 * 4096)
POOL = UpdatePlan(candidates=("#3",), pool=Pool(200), memory=Memory(samples=4))
NONE = Count(0, 0, 0)
MEASURED = Measured(NONE, NONE, 1_000, 9_000, 50_000, np.zeros((1, 4), np.int8), {})
COSTS = {"stack_bytes": 1_000, "static_ram_bytes": 9_000, "flash_bytes": 50_000}
EMULATED = [name for name, board in BOARDS.items() if board.cycles]
KEPT = [("store", name) for name in EMULATED]
KEPT += [("pool", name) for name in EMULATED if BOARDS[name].area != "bank"]  # where no pool can lie


@pytest.fixture(scope="module")
def engines():
    plans = {"store": STORE, "pool": POOL}
    return {kind: compile_model(nets.residual_net(), plan) for kind, plan in plans.items()}


def limited(target: Board, memory: str, most: int) -> Board:
    """`target` whose `memory` is `most` bytes."""
    if memory == "constants_bytes":
        start = target.constants.start
        return replace(target, constants=FlashRange(start, start + most))
    return replace(target, **{memory: most})


@pytest.mark.parametrize("kind, name", KEPT)
def test_report_and_sketch_agree_to_the_byte(engines, kind, name, tmp_path, monkeypatch):
    target = BOARDS[name]
    compiled = placed(engines[kind], target)
    facts = make_report(compiled, MEASURED, board=name).facts
    for memory, used in uses(compiled, facts, target).items():
        for excess in (1, 0):
            monkeypatch.setitem(BOARDS, name, limited(target, memory, used - excess))
            said = make_report(compiled, MEASURED, board=name).facts
            assert said["fits"] == {name: not excess}
            assert said["over"] == ({name: {memory: 1}} if excess else {})
            if excess:
                assert f"{MEMORIES[memory]} by 1 B" in said["advice"][0]
                with pytest.raises(ExportError, match=f"{MEMORIES[memory]} {used:,} B, 1 B too much"):
                    make_sketch(compiled, name, tmp_path / "x.zip", facts)
            else:
                assert make_sketch(compiled, name, tmp_path / "x.zip", facts).is_file()


@pytest.mark.parametrize("name", BOARDS)
def test_every_memory_has_its_limit_and_its_words(engines, name):
    target = BOARDS[name]
    used = uses(placed(engines["store"], target), COSTS, target)
    assert used.keys() == limits(target).keys() <= MEMORIES.keys()
    assert not over(placed(engines["store"], target), COSTS, target)


def test_an_area_counts_where_it_lies(engines):
    """At the sketch's end in its flash, in a range of constants behind them, elsewhere in neither."""
    compiled = engines["store"]
    for name, target in BOARDS.items():
        moved = placed(compiled, target)
        used = uses(moved, dict(moved.facts) | COSTS, target)
        assert used["flash_bytes"] == 50_000 + STORE.store_bytes * (target.area == "sketch"), name
        if target.constants:
            assert used["constants_bytes"] == len(moved.constants.data) + STORE.store_bytes
            assert used["loaded_bytes"] == 50_000 + 9_000


def test_what_was_not_measured_is_planned(engines):
    compiled = engines["store"]
    assert uses(compiled, {}, BOARDS["nano33ble"]) == {
        "ram_bytes": compiled.memory.static_ram,
        "stack_bytes": STACK_BYTES,
        "flash_bytes": flash_estimate(compiled.graph) + STORE.store_bytes,
    }


def test_constants_that_lie_apart_where_a_board_has_no_range_are_in_its_flash(engines):
    moved = placed(engines["store"], BOARDS["nano33ble_zephyr"])
    used = uses(moved, dict(moved.facts) | COSTS, BOARDS["nano33ble"])
    assert used["flash_bytes"] == 50_000 + len(moved.constants.data) + STORE.store_bytes
