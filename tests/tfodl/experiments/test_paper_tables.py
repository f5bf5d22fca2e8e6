"""The tables of docs/results.md say what the runs say, and what was published."""

import itertools
import json

import float_tables
import numpy as np
import paper_tables
import pytest
import study_jobs
import study_tables
from paper_files import PUBLISHED

from tfodl.experiments import cells, sweep
from tfodl.experiments.figures import interval_figure


def row(method, seed, budget, data="dots", validate=False, **result):
    task = {"net": "mbv2-w0.35", "data": data, "size": 96, "limit": 4000, "blocks": 3}
    recipe = {"pictures": 1000, "held_out": 50, "epochs": 8, "batch_size": 16}
    arguments = {"task": task, "recipe": recipe, "method": method, "budget": budget, "rate": 0.01}
    arguments |= {"seed": seed, "validate": validate}
    return {"key": "", "arguments": arguments, "result": {**BASE, **result}}


def bits(right):
    return np.packbits(np.array(right, bool)).tobytes().hex()


BASE = {
    "test": 10,
    "correct": bits([1] * 8 + [0] * 2),
    "ram_bytes": [1024, 3072],
    "params": [10, 30],
    "backward_macs": [2_000_000, 4_000_000],
    "seconds": 1800.0,
}
RAM = {"ram_share": 0.212}


def test_a_row_a_method_from_the_best_down_with_what_it_takes():
    worse = [bits([1] * 7 + [0] * 3), bits([1] * 5 + [0] * 5)]
    rows = [row("velocity", s, RAM) for s in range(2)]
    rows += [row("random", s, RAM, correct=worse[s]) for s in range(2)]
    table = study_tables.equal_bytes(rows).splitlines()
    assert table[2].startswith("| dots | Velocity | 80.0 (sd 0.0) | ") and "+20.0 ± " in table[2]
    assert table[2].endswith(" | 2.0 | 20 | 3.00 | 0.01 |")
    assert table[3].startswith("| dots | Random | 60.0 (sd 14.1) |  | ")


def test_cells_that_were_cut_are_left_out_and_rates_do_not_count():
    rows = [row("velocity", s, RAM) for s in range(3)] + [row("random", s, RAM) for s in range(2)]
    rows += [row("random", 2, RAM, validate=True)]
    assert [key[1] for key in cells.cells(rows)] == ["velocity"]
    assert "velocity" not in cells.cells(rows[:1])


def test_pairs_over_sets_stand_beside_the_papers():
    right = [bits([1] * 10), bits([1] * 9 + [0])]
    rows = [
        row(m, s, RAM, data, **({"correct": right[s]} if m == "velocity" else {}))
        for data, m, s in itertools.product(("dots", "spots"), ("velocity", "random"), range(2))
    ]
    lines = study_tables.differences(rows).splitlines()
    assert len(lines) == 3 and lines[2].startswith("| Velocity - Random | +15.0 ± ")
    assert lines[2].count("+15.0 ± ") == 3 and lines[2].endswith("| +1.1, +0.2 (TraDy) |")


def test_a_difference_that_is_real_is_bold():
    rows = [row("velocity", s, RAM, correct=bits([1] * 10 + [0] * 0)) for s in range(2)]
    rows += [row("random", s, RAM, correct=bits([0] * 10)) for s in range(2)]
    assert "**+100.0 ± 0.0**" in study_tables.differences(rows)


def test_budgets_stand_side_by_side_and_together():
    small, large = {"ram_share": 0.088}, {"ram_share": 0.5}
    right = {"velocity": bits([1] * 10), "random": bits([1] * 8 + [0] * 2)}
    rows = [
        row(m, s, b, correct=right[m] if b is small else right["random"])
        for m, s, b in itertools.product(right, range(2), (large, small))
    ]
    lines = study_tables.over_budgets(rows).splitlines()
    assert lines[0] == "| points, dots | 8.8 % | 50.0 % | all |"
    assert [cell.split("±")[0].strip(" *") for cell in lines[2].split("|")[2:5]] == ["+20.0", "+0.0", "+10.0"]


def test_engines_stand_with_what_of_the_backward_pass_they_save():
    saved = {"flops_saved": [0.2, 0.5], "flops_saved_paper": [0.9, 0.75]}
    plans = {"all": {"layers": ["a"]}, "velocity": {"layers": []}}
    rows = [row(m, s, RAM, plan=plans[m], **saved) for m, s in itertools.product(plans, range(2))]
    sizes = {"ram_bytes": 5000, "flash_bytes": 90_000, "inference_cycles": 1_000_000}
    cycles = {"all": 5_000_000, "velocity": 2_000_000}
    engines = [
        {"arguments": {"plan": plans[m]}, "result": {**sizes, "step_cycles": cycles[m]}} for m in plans
    ]
    lines = study_tables.engine_costs(rows, engines).splitlines()
    assert lines[2] == "| Velocity | 5,000 | 90,000 | 2.00 | 75 % | 50 % | 75 % |"
    assert lines[3].endswith("| 5.00 | 75 % | 50 % | 0 % |") and len(lines) == 4


def test_a_scheme_that_was_found_stands_beside_the_rules():
    found = [row("out/scheme.json", s, RAM, correct=bits([1] * 9 + [0])) for s in range(2)]
    others = [row(m, s, RAM) for m, s in itertools.product(("velocity", "random"), range(2))]
    line = study_tables.searched(found, others).splitlines()[2]
    assert line.startswith("| dots | 90.0 (sd 0.0) |  |  | +10.0 ± ") and line.endswith(" | 2.0 | 20 |")


def test_random_stands_with_both_budgets():
    rows = [row("velocity", s, {"params_share": 0.088}) for s in range(2)]
    for share in (0.02992, 0.088):
        rows += [row("random", s, {"params_share": share}) for s in range(2)]
    lines = study_tables.fair_random(rows).splitlines()[2:]
    assert [line.split("|")[2].strip() for line in lines] == [
        "Velocity, 8.8 %",
        "Random, 8.8 %",
        "Random, 3.0 %",
    ]


def test_published_means_are_those_of_the_seven_sets():
    table = json.loads(PUBLISHED.read_text())["velocity"]["table2"]["0.088"]
    assert all(len(values) == 7 for values in table.values())
    mean = np.mean(np.subtract(table["velocity"], table["sparse_update"]))
    assert study_tables.published("velocity", "sparse_update")[0] == f"{mean:+.1f}"


def test_a_float_row_stands_beside_the_papers_of_its_set_and_first_epoch():
    def trained(method, seed, first, accuracy):
        config = {"data": "person_windows_96", "budget": 0.088, "first": first, "model": "m", "size": 96}
        config |= {"train_limit": 0, "probe_epochs": 0, "epochs": 4}
        result = {"accuracy": [0.1, accuracy], "share": 0.087, "test": 100}
        return {"arguments": {"config": config, "method": method, "seed": seed}, "result": result}

    rows = [trained("velocity", s, first, 0.8) for first in ("random", "sparse_update") for s in (0, 1)]
    lines = float_tables.table1([*rows, trained("head", 0, "random", 0.5)]).splitlines()[2:]
    assert lines[0].endswith("| Velocity | 8.7 % | 80.0 (sd 0.0) | 90.95 | VWW |")
    assert lines[1].endswith("| 91.40 | VWW |") and lines[2].endswith("(sd nan) | |  |")
    assert "all pictures" in float_tables.table1_scale(rows) and "is 4.0 points" in float_tables.table1_scale(
        rows
    )


def test_a_page_is_filled_from_the_runs(tmp_path):
    (tmp_path / "equal_bytes").mkdir()
    lines = [json.dumps(row("velocity", s, RAM)) for s in range(2)]
    (tmp_path / "equal_bytes" / "runs.jsonl").write_text("\n".join(lines) + "\n")
    page = "before\n<!-- papers:equal_bytes_scale -->\nold\n<!-- end -->\nafter\n"
    filled = paper_tables.filled(page, tmp_path)
    assert filled.startswith("before\n") and filled.endswith("after\n") and "old" not in filled
    assert "2 trainings in 1.0 hours of one shared core: mbv2-w0.35 at 96 px, the last 3 blocks" in filled


def test_made_up_trainings_go_through(tmp_path):
    task = {"net": "n", "data": str(tmp_path / "log"), "size": 1, "limit": 1, "blocks": 3}
    jobs = [
        {"task": task, "recipe": {}, "method": m, "budget": RAM, "rate": 0.01, "seed": s, "validate": False}
        for m, s in itertools.product(("velocity", "random"), range(3))
    ]
    sweep.run(study_jobs.train, jobs, tmp_path / "runs.jsonl", workers=1, progress=False)
    assert "| Velocity - Random | " in study_tables.differences(sweep.load(tmp_path / "runs.jsonl"))


def test_the_figure_has_a_mark_a_method_and_set(tmp_path):
    found = {"dots": {"Velocity": (1.0, 0.5), "Fisher": (-1.0, 2.0)}, "spots": {"Fisher": (0.5, 0.1)}}
    axes = interval_figure(found, "points").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Velocity", "Fisher"]
    assert [len(marks.lines[0].get_xdata()) for marks in axes.containers] == [2, 1]
    rows = [row(m, s, RAM) for m, s in itertools.product(("velocity", "random"), range(2))]
    study_tables.draw(rows, tmp_path / "f.png")
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"


def test_nothing_run_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(paper_tables, "RESULTS", tmp_path)
    assert paper_tables.main() == 2 and "run scripts/equal_bytes.py" in capsys.readouterr().err


@pytest.mark.parametrize("name", paper_tables.studies())
def test_tables_name_their_study(name):
    assert (paper_tables.ROOT / "scripts" / f"{name}.py").is_file()
