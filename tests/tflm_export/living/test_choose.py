"""Which samples are shipped: rules against plain searches; latents against the engine's; files."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from digits_net import digits_net, target_digits
from hypothesis import given
from hypothesis import strategies as st

from tflm_export import cli
from tflm_export.compiler import compile_model
from tflm_export.engine_folder import load
from tflm_export.errors import ExportError
from tflm_export.living.choose import RULES, choose, latents
from tflm_export.machines.living_host import LivingEngine
from tflm_export.plan import LayerUpdate, Memory, UpdatePlan
from tflm_export.ship import read_samples, ship

PLAN = UpdatePlan((LayerUpdate("#5", "out", (0, 3), "all"),), memory=Memory(samples=4))
SHIPPING = replace(PLAN, memory=Memory(samples=4, exemplar_replays=1))


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 6), st.sampled_from(sorted(RULES))
)
def test_every_class_gives_as_many_as_it_has(labels, per_class, rule):
    labels = np.array(labels)
    rows = np.random.default_rng(0).integers(-128, 128, (len(labels), 5), np.int8)
    places = choose(rows, labels, per_class, rule)
    assert len(set(places.tolist())) == len(places)
    for label in set(labels.tolist()):
        assert (labels[places] == label).sum() == min(per_class, (labels == label).sum())


def test_random_ones_are_of_the_seed():
    labels = np.zeros(50, int)
    rows = np.zeros((50, 1), np.int8)
    assert (choose(rows, labels, 5, seed=1) == choose(rows, labels, 5, seed=1)).all()
    assert (choose(rows, labels, 5, seed=1) != choose(rows, labels, 5, seed=2)).any()


def test_nearest_are_no_further_than_the_others():
    rows = np.random.default_rng(1).integers(-128, 128, (30, 2, 3), np.int8)
    places = choose(rows, np.zeros(30, int), 7, "nearest")
    away = np.linalg.norm(rows.reshape(30, -1) - rows.reshape(30, -1).mean(axis=0), axis=1)
    assert away[places].max() <= np.delete(away, places).min()


def test_herding_follows_the_mean_greedily():
    """Every further sample is the best that can be added; the mean of five is near that of the best five."""
    rows = np.random.default_rng(2).normal(size=(12, 3))
    mean = rows.mean(axis=0)
    places = choose(rows, np.zeros(12, int), 5, "herding").tolist()

    def away(some):
        return np.linalg.norm(rows[list(some)].mean(axis=0) - mean)

    for k in range(5):
        others = set(range(12)) - set(places[:k])
        assert away(places[: k + 1]) == pytest.approx(min(away([*places[:k], i]) for i in others))
    every = sorted(away(some) for some in combinations(range(12), 5))
    assert away(places) < every[len(every) // 10]


def test_latents_are_the_engines():
    compiled = compile_model(digits_net(), PLAN)
    engine = LivingEngine(compiled)
    xs, _ = target_digits(compiled.graph, 40)
    found = latents(compiled.graph, PLAN, xs[:, 0])
    for x, latent in zip(xs, found, strict=True):
        engine.infer(x)
        np.testing.assert_array_equal(engine.latent()[0], latent)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A model, a plan that replays exemplars, pictures and their labels in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(digits_net())
    SHIPPING.save("p.json")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (30, 14, 14, 1), np.uint8), np.arange(30) % 10
    np.savez("x.npz", x=x, y=y)
    return x, y


COMPILE = ["compile", "m.tflite", "--plan", "p.json", "--input", "0..255", "--out", "engine", "--exemplars"]


def test_compile_ships_pictures(files, capsys):
    x, y = files
    assert cli.main([*COMPILE, "x.npz", "--per-class", "2", "--choose", "herding"]) == 0
    assert "exemplars: 20 samples, 7,880 B of flash" in capsys.readouterr().out
    compiled = load("engine")
    assert np.bincount(compiled.exemplars.labels).tolist() == [2] * 10
    everything = latents(compiled.graph, compiled.plan, compiled.quantize(x))
    for latent, label in zip(compiled.exemplars.latents, compiled.exemplars.labels, strict=True):
        assert any((latent == everything[i]).all() for i in np.flatnonzero(y == label))


def test_int8_inputs_need_no_contract_and_all_are_shipped():
    x = np.random.default_rng(0).integers(-128, 128, (7, 14, 14, 1), np.int8)
    assert len(ship(digits_net(), SHIPPING, x, np.arange(7))) == 7


def test_refusals(files, capsys, tmp_path):
    x, y = files

    def fails(*arguments):
        assert cli.main([str(a) for a in arguments]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and not (tmp_path / "engine").exists()
        return err

    assert "needed: x and y" in (np.savez("z.npz", z=y), fails(*COMPILE, "z.npz"))[1]
    assert "no .npz of pictures and labels" in fails(*COMPILE, tmp_path)
    assert "no .npz of pictures and labels" in fails(*COMPILE, "m.tflite")
    np.savez("z.npz", x=x[:, :7], y=y)
    assert "[N >= 1, 14, 14, 1], got uint8 [30, 7, 14, 1]" in fails(*COMPILE, "z.npz")
    np.savez("z.npz", x=x, y=y[1:])
    assert "got 30 inputs and 29 labels" in fails(*COMPILE, "z.npz")
    np.savez("z.npz", x=x, y=y + 1)
    assert "label 10: allowed 0..9" in fails(*COMPILE, "z.npz")
    assert "give --exemplars" in fails(*COMPILE[:-1], "--per-class", "2")
    PLAN.save("p.json")
    assert "replays none" in fails(*COMPILE, "x.npz")
    with pytest.raises(ExportError, match="rule must be one of"):
        choose(x, y, 1, "best")
    with pytest.raises(ExportError, match="1 or more, got 0"):
        choose(x, y, 0)
    np.savez("t.npz", x_train=x, y_train=y)
    assert all((a == b).all() for a, b in zip(read_samples("t.npz"), (x, y), strict=True))
