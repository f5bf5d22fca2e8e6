"""Which rule is recommended, and what its page says."""

import itertools
import json

import numpy as np
import pytest

from tfodl.experiments import comparison

BUDGETS = ({"ram_share": 0.2}, {"ram_share": 0.1})
RIGHT = {"velocity": 6, "random": 7, "top_layers_random": 8, "sparse_update": 9, "all": 10, "head": 5}


def row(method, seed, budget, data, right):
    task = {"data": data}
    arguments = {"task": task, "method": method, "budget": budget, "seed": seed, "validate": False}
    correct = np.packbits(np.arange(10) < right).tobytes().hex()
    result = {"test": 10, "correct": correct, **({} if seed else {"plan": {"of": [method, budget, data]}})}
    return {"arguments": arguments, "result": result}


@pytest.fixture
def rows():
    return [
        row(method, seed, budget, data, right)
        for data, seed, budget in itertools.product(("dots", "spots"), range(2), BUDGETS)
        for method, right in RIGHT.items()
        if budget is BUDGETS[0] or method not in ("head", "all")
    ]


def test_the_best_rule_for_any_net_is_recommended(rows):
    """Not Sparse Update, which needs a published scheme, nor what is no choice."""
    assert comparison.recommended(rows) == "top_layers_random"
    found = comparison.lead(rows, "top_layers_random")
    assert found.mean == pytest.approx(20.0)


def test_a_rule_that_lacks_a_set_does_not_stand_for_it(rows):
    fisher = [row("fisher", seed, BUDGETS[0], "dots", 10) for seed in range(2)]
    assert comparison.recommended([*rows, *fisher]) == "top_layers_random"
    assert "Fisher" not in comparison.page([*rows, *fisher])


def test_the_page_has_a_row_a_rule_from_the_best_down(rows):
    sizes = {"ram_bytes": 2048, "step_cycles": 3_000_000, "flash_bytes": 102_400}
    engines = [
        {"arguments": {**row["arguments"], "plan": row["result"]["plan"]}, "result": sizes}
        for row in rows
        if row["arguments"]["method"] == "velocity" and "plan" in row["result"]
    ]
    lines = comparison.page(json.loads(json.dumps(rows)), engines).splitlines()
    assert lines[0].startswith("| rule | 10.0 % | 20.0 % | mean | - Velocity | RAM, KiB")
    assert len({line.count("|") for line in lines}) == 1
    assert [line.split(" | ")[0] for line in lines[2:5]] == [
        "| all that may learn",
        "| Sparse Update",
        "| TopLayersRandom (TraDy)",
    ]
    assert lines[4].startswith("| TopLayersRandom (TraDy) | 80.0 | 80.0 | 80.0 | ") and "+20.0 ± " in lines[4]
    assert lines[6] == "| Velocity | 60.0 | 60.0 | 60.0 |  | 2.0 | 3.0 | 100 | any net |"
