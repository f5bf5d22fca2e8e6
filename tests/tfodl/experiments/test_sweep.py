"""The runner of many jobs: nothing is lost, nothing is done twice, whatever is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sweep_jobs

from tfodl import TfodlError, sweep

ROOT = Path(__file__).parents[3]
HERE = ROOT / "tests" / "helpers"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Other processes must find `sweep_jobs`."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


def run(function, jobs, path, **options):
    return sweep.run(function, jobs, path, progress=False, **{"workers": 2, **options})


def test_results_come_in_the_jobs_order_and_equal_jobs_are_done_once(tmp_path):
    log = str(tmp_path / "log")
    jobs = [{"x": x, "log": log} for x in (3, 1, 2, 3)]
    assert run(sweep_jobs.square, jobs, tmp_path / "r.jsonl") == [9, 1, 4, 9]
    assert sorted(sweep_jobs.begun(log)) == [1, 2, 3]
    assert {row["result"] for row in sweep.load(tmp_path / "r.jsonl")} == {9, 1, 4}


def test_finished_jobs_are_not_done_again_and_new_ones_are(tmp_path):
    log, path = str(tmp_path / "log"), tmp_path / "r.jsonl"
    jobs = [{"x": x, "log": log} for x in range(5)]
    run(sweep_jobs.square, jobs[:3], path)
    before = path.read_bytes()
    assert run(sweep_jobs.square, jobs, path) == [0, 1, 4, 9, 16]
    assert path.read_bytes().startswith(before)
    assert sorted(sweep_jobs.begun(log)) == [0, 1, 2, 3, 4]


def test_worker_killed_in_mid_job_loses_only_that_attempt(tmp_path):
    log, path = str(tmp_path / "log"), tmp_path / "r.jsonl"
    jobs = [{"x": x, "log": log, "deadly": 2} for x in range(6)]
    assert run(sweep_jobs.die_first, jobs, path) == [x * x for x in range(6)]
    assert sorted(sweep_jobs.begun(log)) == [0, 1, 2, 2, 3, 4, 5]
    assert len(path.read_text().splitlines()) == 6


def test_job_that_always_kills_its_worker_fails_after_its_attempts(tmp_path):
    with pytest.raises(TfodlError, match=r"1 of 1 jobs failed.*died 2 times \(exit code -9\)"):
        run(sweep_jobs.die_always, [{"x": 1}], tmp_path / "r.jsonl", attempts=2)


def test_failed_jobs_are_named_and_tried_again_next_time(tmp_path):
    path = tmp_path / "r.jsonl"
    jobs = [{"x": x} for x in range(4)]
    with pytest.raises(TfodlError, match=r"2 of 4 jobs failed.*ValueError: [13] is odd"):
        run(sweep_jobs.fail_on_odd, jobs, path)
    assert sorted(row["result"] for row in sweep.load(path)) == [0, 2]
    assert run(sweep_jobs.fail_on_odd, jobs[::2], path) == [0, 2]


@pytest.mark.parametrize("cut", [1, 20])
def test_line_cut_by_a_kill_is_done_again(tmp_path, cut):
    log, path = str(tmp_path / "log"), tmp_path / "r.jsonl"
    jobs = [{"x": x, "log": log} for x in range(3)]
    run(sweep_jobs.square, jobs, path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert run(sweep_jobs.square, jobs, path) == [0, 1, 4]
    assert len(sweep_jobs.begun(log)) == 4 and len(sweep.load(path)) == 3


def test_killed_sweep_goes_on_where_it_was(tmp_path):
    log, path = str(tmp_path / "log"), tmp_path / "r.jsonl"
    jobs = [{"x": x, "log": log} for x in range(12)]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    code = (
        "import json, sys, sweep_jobs; from tfodl import sweep\n"
        "if __name__ == '__main__':\n"
        "    sweep.run(sweep_jobs.slowly, json.load(open(sys.argv[1])), sys.argv[2], workers=2)\n"
    )
    (tmp_path / "main.py").write_text(code)
    command = [sys.executable, tmp_path / "main.py", tmp_path / "jobs.json", path]
    process = subprocess.Popen(command, cwd=ROOT)
    while not path.exists() or path.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.5)  # its workers end their present job and find the pipe closed
    done = {row["arguments"]["x"] for row in sweep.load(path)}
    assert 4 <= len(done) < 12
    again = run(sweep_jobs.slowly, jobs, path)
    assert again == [-x for x in range(12)]
    times = {x: sweep_jobs.begun(log).count(x) for x in range(12)}
    assert all(times[x] == 1 for x in done) and all(1 <= count <= 2 for count in times.values())
    keys = [row["key"] for row in sweep.load(path)]
    assert len(keys) == len(set(keys)) == 12


def test_bad_requests_are_refused(tmp_path):
    path = tmp_path / "r.jsonl"
    with pytest.raises(TfodlError, match="engine must be one of"):
        run(sweep_jobs.square, [{"x": 1}], path, engine="slurm")
    with pytest.raises(TfodlError, match="must be JSON values"):
        run(sweep_jobs.square, [{"x": {1}}], path)
    with pytest.raises(TfodlError, match="result is no JSON value"):
        run(sweep_jobs.no_json, [{"x": 1}], path)
    path.write_text("{}\n")
    with pytest.raises(TfodlError, match="line 1: damaged"):
        run(sweep_jobs.square, [{"x": 1}], path)
    with pytest.raises(TfodlError, match="cannot write"):
        run(sweep_jobs.square, [{"x": 1}], path / "below" / "r.jsonl")
    with pytest.raises(TfodlError, match="cannot read"):
        sweep.load(tmp_path / "none.jsonl")


def test_two_sweeps_do_not_write_to_one_file(tmp_path):
    path = tmp_path / "r.jsonl"
    with sweep._locked(path), pytest.raises(TfodlError, match="another sweep is writing"):
        run(sweep_jobs.square, [{"x": 1}], path)


@pytest.fixture(scope="module")
def ray_cluster():
    """Two nodes of one processor each, on this machine."""
    import ray
    from ray.cluster_utils import Cluster

    path = os.pathsep.join([str(HERE), str(ROOT)])
    memory = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**memory, "include_dashboard": False})
    cluster.add_node(**memory)
    ray.init(cluster.address, runtime_env={"env_vars": {"PYTHONPATH": path}}, log_to_driver=False)
    yield ray
    ray.shutdown()
    cluster.shutdown()


def test_ray_cluster_of_two_nodes_with_a_worker_killed(ray_cluster, tmp_path):
    log, path = str(tmp_path / "log"), tmp_path / "r.jsonl"
    assert len([node for node in ray_cluster.nodes() if node["Alive"]]) == 2
    jobs = [{"x": x, "log": log, "deadly": 2} for x in range(6)]
    assert run(sweep_jobs.die_first, jobs[:4], path, engine="ray") == [0, 1, 4, 9]
    assert run(sweep_jobs.die_first, jobs, path, engine="ray") == [x * x for x in range(6)]
    assert sorted(sweep_jobs.begun(log)) == [0, 1, 2, 2, 3, 4, 5]
    with pytest.raises(TfodlError, match="1 of 2 jobs failed.*ValueError: 1 is odd"):
        run(sweep_jobs.fail_on_odd, [{"x": 0}, {"x": 1}], path, engine="ray")
    with pytest.raises(TfodlError, match="1 of 1 jobs failed.*WorkerCrashedError"):
        run(sweep_jobs.die_always, [{"x": 0}], path, engine="ray", attempts=1)
