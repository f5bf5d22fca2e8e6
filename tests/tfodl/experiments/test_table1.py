"""Table 1 at the smallest scale: that every rule trains what it should, and what the script asks for."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags

from tfodl import SelectiveModel, TfodlError, models, neuron_groups
from tfodl.experiments import whole_net
from tfodl.experiments.whole_net import METHODS, Config
from tfodl.models.mcunet import mcunet

ROOT = Path(__file__).parents[3]
TINY = Config(
    data="dots",
    model="mbv2-w0.35",
    size=32,
    train_limit=16,
    test_limit=20,
    probe_epochs=1,
    epochs=2,
    batch_size=8,
    learning_rate=1e-3,
    warm_up=1,
    batchnorm=False,
)


@pytest.fixture(scope="module")
def script():
    """scripts/table1.py; its flags go when the tests are done."""
    known = set(flags.FLAGS)
    spec = importlib.util.spec_from_file_location("table1", ROOT / "scripts" / "table1.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["table1"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["table1"]
    for name in set(flags.FLAGS) - known:
        delattr(flags.FLAGS, name)


@pytest.fixture
def asked(script):
    """The jobs of a command line."""

    def jobs(*arguments):
        for flag in flags.FLAGS.get_flags_for_module(script):
            flag.unparse()
        flags.FLAGS(["table1", *arguments])
        return script.jobs()

    return jobs


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with a few random pictures and weights in the published format."""
    rng = np.random.default_rng(0)
    (tmp_path / "weights").mkdir()
    model = mcunet("mbv2-w0.35", (32, 32, 3), 2, batchnorm=False)
    arrays = {}
    for layer in model.layers:
        for part, value in zip("wb", layer.get_weights(), strict=False):
            arrays[f"{layer.name}.{part}"] = value
    np.savez(tmp_path / "weights" / "mcunetv3_mbv2-w0.35_128.npz", **arrays)
    pictures = rng.integers(0, 256, (100, 32, 32, 3)).astype(np.uint8)
    labels = np.arange(100) % 2
    split = {"x_train": pictures[:80], "y_train": labels[:80], "x_test": pictures[80:], "y_test": labels[80:]}
    np.savez(tmp_path / "dots.npz", **split)
    monkeypatch.setenv("TFODL_DATA", str(tmp_path))
    return tmp_path


def test_every_method_trains_what_it_should(data):
    outcome = whole_net.train(dataclasses.asdict(TINY), "head", seed=0)
    assert outcome["share"] == 0 and len(outcome["accuracy"]) == 2 and outcome["test"] == 20
    right = np.unpackbits(np.frombuffer(bytes.fromhex(outcome["correct"]), np.uint8))[:20]
    assert right.mean() == pytest.approx(outcome["accuracy"][-1], abs=1e-6)
    model = SelectiveModel(models.build("mbv2-w0.35", input_shape=(32, 32, 3), classes=2, weights="imagenet"))
    shares = {}
    for method in METHODS:
        rule = whole_net.selection(method, TINY, np.zeros((2, 32, 32, 3), np.float32), 0, model.groups)
        rule.set_model(model)
        rule.on_train_begin()
        rule.on_epoch_begin(0)
        shares[method] = model.cost.share
    assert shares["head"] == 0 and shares["all"] == 1
    assert 0.08 < shares["random"] <= 0.088 and 0.08 < shares["velocity"] <= 0.088
    assert shares["sparse_update"] == pytest.approx(0.1045, abs=1e-4)


def test_nearest_scheme_is_by_share():
    groups = neuron_groups(mcunet("mbv2-w0.35", (32, 32, 3), 2, batchnorm=False))
    name = whole_net.nearest_scheme(dataclasses.replace(TINY, budget=0.2), groups)
    assert name == "mbv2-w0.35-73kb"  # 17.5 %, against 10.5 and 24.6 %
    tiny = neuron_groups(models.build("tiny_mobilenet", input_shape=(28, 28, 1), classes=2))
    with pytest.raises(TfodlError, match="no Sparse Update scheme"):
        whole_net.nearest_scheme(Config(model="tiny_mobilenet"), tiny)


def test_the_first_epoch_takes_the_scheme_where_that_is_asked():
    groups = neuron_groups(mcunet("mbv2-w0.35", (32, 32, 3), 2, batchnorm=False))
    held_out = np.zeros((2, 32, 32, 3), np.float32)
    for first, initial in (("sparse_update", "mbv2-w0.35-49kb"), ("random", None)):
        options = dataclasses.replace(TINY, first=first)
        rules = [whole_net.selection(m, options, held_out, 0, groups) for m in ("velocity", "random")]
        assert [rule.initial for rule in rules] == [initial, initial]


def test_the_rate_goes_up_over_the_first_epochs_and_down_to_nothing():
    paper = dataclasses.replace(TINY, epochs=10, warm_up=2, learning_rate=0.125)
    rate = whole_net._optimizer(paper, steps=5)._learning_rate
    assert [float(rate(step)) for step in (0, 5, 10, 50)] == pytest.approx([0, 0.0625, 0.125, 0], abs=1e-6)
    with pytest.raises(TfodlError, match="warm_up must be >= 0 and less than 2 epochs, got 2"):
        dataclasses.replace(TINY, warm_up=2)


def test_the_default_is_the_papers_recipe(asked):
    jobs = asked()
    config = jobs[0]["config"]
    assert (config["model"], config["size"], config["epochs"], config["warm_up"]) == (
        "mobilenet_v2",
        128,
        200,
        5,
    )
    assert (config["optimizer"], config["learning_rate"], config["batchnorm"]) == ("sgd", 0.125, True)
    assert {job["config"]["data"] for job in jobs} == {
        "cifar10",
        "cifar100",
        "vww",
        "flowers",
        "food",
        "pets",
        "cub",
    }
    assert len(jobs) == 3 * 7 * (3 * 3 + 2)  # seeds, sets, three rules at three budgets beside head and all


def test_bad_requests_are_refused(asked):
    with pytest.raises(TfodlError, match=r"methods: no \['magic'\]; allowed: head, random"):
        asked("--methods=magic")
    with pytest.raises(TfodlError, match="--budgets: needs numbers, got 'a lot'"):
        asked("--budgets=a lot")
