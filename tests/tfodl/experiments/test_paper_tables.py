"""The tables of docs/results.md say what the runs say, and what was published."""

import itertools
import json

import float_tables
import numpy as np
import paper_tables
import rest_tables
import saved_tables
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
DOTS = {"data": "dots"}


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
        {"arguments": {"task": DOTS, "plan": plans[m]}, "result": {**sizes, "step_cycles": cycles[m]}}
        for m in plans
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
    worse, rows = bits([1] * 6 + [0] * 4), []
    for data, s in itertools.product(("dots", "spots"), range(2)):
        rows += [row("velocity", s, {"params_share": 0.088}, data)]
        rows += [row("random", s, {"params_share": 0.02992}, data, correct=worse)]
        rows += [row("random", s, {"params_share": 0.088}, data)]
    lines = study_tables.fair_random(rows).splitlines()
    assert lines[0] == "| set | 8.8 %, Random 8.8 | 8.8 %, Random 3.0 |"
    assert [line.split("|")[1:3] for line in lines[2:]] == [
        [" dots ", " +0.0 ± 0.0 "],
        [" spots ", " +0.0 ± 0.0 "],
        [" mean of 2 ", " +0.0 ± 0.0 "],
    ]
    assert lines[-1].split("|")[3].startswith(" **+20.0 ± ")


def test_published_means_are_those_of_the_seven_sets():
    table = json.loads(PUBLISHED.read_text())["velocity"]["table2"]["0.088"]
    assert all(len(values) == 7 for values in table.values())
    mean = np.mean(np.subtract(table["velocity"], table["sparse_update"]))
    assert study_tables.published("velocity", "sparse_update")[0] == f"{mean:+.1f}"


def test_float_rows_stand_by_budget_beside_the_papers_means():
    share, every = {"params_share": 0.088}, {"params_share": 0.5}
    right = {"velocity": bits([1] * 9 + [0]), "all": bits([1] * 10)}
    rows = [
        row(m, s, b, data, correct=right.get(m, BASE["correct"]))
        for data, s in itertools.product(("dots", "spots"), range(2))
        for m, b in (("head", share), ("velocity", every), ("velocity", share), ("all", share))
    ]
    schemes = [row("velocity_scheme_first", s, share, "dots") for s in range(2)]
    lines = float_tables.float_grid([*rows, *schemes]).splitlines()
    assert lines[0].startswith("| budget | rule | dots | spots | mean | the paper")
    assert lines[2] == "|  | head only | 80.0 | 80.0 | 80.0 |  |"
    found = {tuple(line.split(" | ")[:2]): line for line in lines[3:]}
    papers = json.loads(PUBLISHED.read_text())["velocity"]
    assert found["| 8.8 %", "Velocity"].endswith(
        f"| 90.0 | 90.0 | 90.0 | {np.mean(papers['table2']['0.088']['velocity']):.1f} |"
    )
    assert found["| 8.8 %", "Velocity, from a scheme on"].endswith(
        f"| 80.0 |  |  | {np.mean(papers['table1']['0.088']['velocity']):.1f} |"
    )
    assert found["| 50.0 %", "Velocity"].endswith("| 90.0 | 90.0 | 90.0 |  |")
    assert lines[-1].endswith(f"| 100.0 | {np.mean(papers['table2']['1']['all']):.1f} |")


def test_what_is_saved_stands_by_budget_in_both_counts():
    saved = {"flops_saved": [0.2, 0.5], "flops_saved_paper": [0.9, 0.75]}
    rows = [row("random", s, {"params_share": b}, **saved) for s in range(2) for b in (0.3, 0.1)]
    lines = float_tables.flops_saved(rows).splitlines()
    assert lines[0] == "| rule | 10.0 %: their count | in truth | 30.0 %: their count | in truth |"
    assert "| Random | 75 % | 50 % | 75 % | 50 % |" in lines


def test_resnet_18_stands_beside_its_own_row():
    config = {"data": "dots", "budget": 0.088, "model": "resnet18", "size": 32, "width": 0.25, "epochs": 8}
    config |= {"train_limit": 2000}
    rows = [
        {
            "arguments": {"config": config, "method": method, "seed": seed},
            "result": {"accuracy": [0.1, 0.8], "share": share, "test": 100},
        }
        for method, share in (("velocity", 0.087), ("head", 0.0), ("all", 1.0))
        for seed in range(2)
    ]
    lines = float_tables.resnet(rows).splitlines()[2:]
    assert lines[0] == "| Velocity | 8.7 % | 80.0 (sd 0.0) | 95.5 |"
    assert lines[1].endswith("80.0 (sd 0.0) |  |") and lines[2].endswith("| 96.2 |")
    assert "6 trainings: resnet18 0.25 as wide" in float_tables.resnet_scale(rows)
    assert "is 4.0 points" in float_tables.resnet_scale(rows)


def rest(method, eps, seed, **result):
    config = {"eps": eps, "model": "resnet32", "width": 0.25, "data": "dots", "train_limit": 0, "epochs": 3}
    config |= {"batch_size": 100}
    made = {"updated_share": [1.0, 0.5], "flops_saved": [0.0, 0.2], "flops_saved_paper": [0.0, 0.5]}
    made |= {"test": 10, "correct": bits([1] * 8 + [0] * 2)}
    return {"arguments": {"config": config, "method": method, "seed": seed}, "result": {**made, **result}}


def test_neurons_at_rest_stand_by_eps_beside_what_is_printed(tmp_path):
    worse = bits([1] * 6 + [0] * 4)
    rows = [rest("neq", eps, s, correct=worse) for eps in (0.05, 0.001) for s in range(2)]
    rows += [rest("all", 0.001, s) for s in range(2)]
    lines = rest_tables.at_rest(rows).splitlines()[2:]
    assert lines[0] == "| all |  | 80.0 (80.0 to 80.0) |  | 50 % | 25 % | 10 % | 93.05 |"
    assert lines[1].startswith("| NEq | 0.001 | 60.0 (60.0 to 60.0) | -20.0 ± ") and lines[1].endswith(
        "| 92.97 |"
    )
    assert lines[2].endswith("| 86.49 |") and len(lines) == 3
    assert rest_tables.at_rest_scale(rows).startswith(
        "6 trainings: resnet32 0.25 as wide, on dots, all pictures"
    )
    rest_tables.share_curve(rows, tmp_path / "f.png")
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"


def test_four_counts_of_what_is_saved(tmp_path):
    plans = {"head": {"a": 0}, "all": {"a": 1}, "velocity": {"a": 2}}
    saved = {"flops_saved": [0.2, 0.5], "flops_saved_paper": [0.9, 0.75]}
    rows = [row(m, s, RAM, plan=plans[m], **saved) for m, s in itertools.product(plans, range(2))]
    cycles = {"head": 100, "all": 300, "velocity": 150}
    engines = [
        {"arguments": {"task": DOTS, "plan": plans[m]}, "result": {"step_cycles": cycles[m]}} for m in plans
    ]
    engines += [
        {**engines[0], "arguments": {**engines[0]["arguments"], "task": {"data": "spots"}}, "result": {}}
    ]
    asked = {"task": {"data": "dots"}, "plans": plans}
    host = [{"arguments": asked, "result": {"head": 1.0, "all": 2.0, "velocity": 2.1}}]
    lines = saved_tables.saved(rows, engines, host).splitlines()
    assert lines[2:] == ["| Velocity | 75 % | 50 % | -10 % | 75 % |"]
    saved_tables.draw_saved(rows, engines, host, tmp_path / "f.png")
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"


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


def test_every_file_has_a_script_that_writes_it():
    assert set(paper_tables.files()) == set(paper_tables.SCRIPTS)
    for command in paper_tables.SCRIPTS.values():
        assert (paper_tables.ROOT / command.split()[0]).is_file()
