"""Contribution analysis and evolutionary search: against Keras, brute force and dynamic programming."""

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfodl import TfodlError, datasets, models, neuron_groups, plan_cost, sparse_update
from tfodl.models.mcunet import mcunet
from tfodl.sparse_update import Contributions, Problem, Training, contributions, evolve

RATIOS = (0.25, 0.5, 1.0)


def random_problem(rng, layers, levels, counts, share):
    """Random gains (some negative) and bytes; `share` of what everything would take is the budget."""
    gains = np.concatenate([np.zeros((layers, 1)), rng.normal(0.3, 1.0, (layers, levels))], axis=1)
    sizes = np.concatenate([np.zeros((layers, 1), int), rng.integers(1, 100, (layers, levels))], axis=1)
    bias_bytes = np.concatenate([[0], np.cumsum(rng.integers(1, 40, counts))])
    return Problem(
        bias_counts=np.linspace(0, layers, counts + 1).astype(int),
        bias_gains=np.concatenate([[0.0], np.cumsum(rng.normal(0.2, 0.3, counts))]),
        bias_bytes=bias_bytes,
        positions=np.arange(layers),
        gains=gains,
        bytes=sizes,
        convs=layers,
        budget=int(share * (sizes.max(axis=1).sum() + bias_bytes[-1])),
    )


def brute_force(problem):
    """The most gain of all genomes that fit, by trying every one; written from the definition."""
    best = -np.inf
    levels = [range(problem.gains.shape[1])] * len(problem.positions)
    for count, *genes in itertools.product(range(len(problem.bias_counts)), *levels):
        first = problem.convs - problem.bias_counts[count]
        if any(level and position < first for level, position in zip(genes, problem.positions, strict=True)):
            continue
        size = problem.bias_bytes[count] + sum(problem.bytes[i, level] for i, level in enumerate(genes))
        gain = problem.bias_gains[count] + sum(problem.gains[i, level] for i, level in enumerate(genes))
        if size <= problem.budget:
            best = max(best, gain)
    return best


def dynamic_programme(problem):
    """The same by the multiple-choice knapsack recursion over bytes, for problems too large to enumerate."""
    best = -np.inf
    for count, base in enumerate(problem.bias_bytes):
        room = problem.budget - base
        if room < 0:
            continue
        table = np.zeros(room + 1)
        for layer, position in enumerate(problem.positions):
            if position < problem.convs - problem.bias_counts[count]:
                continue
            options = [table]
            for level in range(1, problem.gains.shape[1]):
                size = problem.bytes[layer, level]
                if size <= room:
                    shifted = np.full(room + 1, -np.inf)
                    shifted[size:] = table[: room + 1 - size] + problem.gains[layer, level]
                    options.append(shifted)
            table = np.max(options, axis=0)
        best = max(best, problem.bias_gains[count] + table.max())
    return best


@given(
    seed=st.integers(0, 2**32 - 1),
    layers=st.integers(1, 12),
    levels=st.integers(1, 4),
    counts=st.integers(1, 5),
    share=st.floats(0, 1.2),
)
@settings(max_examples=25, deadline=None)
def test_search_is_never_over_budget(seed, layers, levels, counts, share):
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, layers, levels, counts, share)
    best = problem.effective(evolve(problem, 150, rng))
    size = problem.bias_bytes[best[0]] + sum(problem.bytes[i, level] for i, level in enumerate(best[1:]))
    assert size <= problem.budget
    assert problem.gain(best) >= 0  # nothing at all is always a choice


@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_search_finds_the_optimum_of_small_problems(seed, share):
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, layers=5, levels=2, counts=2, share=share)
    assert problem.gain(evolve(problem, 1500, rng)) == pytest.approx(brute_force(problem))


def test_the_two_references_agree():
    problem = random_problem(np.random.default_rng(3), layers=6, levels=2, counts=3, share=0.4)
    assert brute_force(problem) == pytest.approx(dynamic_programme(problem))


def test_search_is_close_to_the_optimum_at_the_size_of_a_net():
    rng = np.random.default_rng(0)
    problem = random_problem(rng, layers=30, levels=4, counts=30, share=0.3)
    assert problem.gain(evolve(problem, 3000, rng)) >= 0.98 * dynamic_programme(problem)


@pytest.fixture(scope="module")
def net():
    return neuron_groups(mcunet("mcunet-5fps", (128, 128, 3), 10, batchnorm=False))


@pytest.fixture(scope="module")
def measured(net):
    rng = np.random.default_rng(1)
    convs = contributions.convolutions(net)
    return Contributions(
        convs=tuple(group.layer for group in convs),
        head=0.5,
        biases={k: 0.002 * k for k in range(1, len(convs) + 1)},
        weights={i: {r: float(rng.uniform(0, 0.02) * r) for r in RATIOS} for i in range(15, len(convs))},
    )


def test_scheme_costs_what_the_plan_costs(net, measured):
    found = sparse_update.search(measured, net, 50_784, samples=800)
    cost = plan_cost(found.plan, net)
    assert cost.scheme_bytes == found.scheme_bytes <= 50_784
    gain = measured.biases[found.biases] + sum(measured.weights[i][r] for i, r in found.ratios.items())
    assert found.gain == pytest.approx(gain) and found.gain > 0.05
    assert min(found.ratios) >= len(measured.convs) - found.biases
    again = sparse_update.search(measured, net, 50_784, samples=800)
    assert again.plan == found.plan


def test_no_memory_buys_nothing(net, measured):
    found = sparse_update.search(measured, net, 0, samples=100)
    assert found.plan.layers == () and found.scheme_bytes == 0 and found.gain == 0


def test_bad_searches_are_refused(net, measured):
    with pytest.raises(TfodlError, match="whole number of bytes"):
        sparse_update.search(measured, net, -1)
    with pytest.raises(TfodlError, match="other convolutions"):
        sparse_update.search(measured, net[3:], 1000)


def test_contributions_round_trip(measured, tmp_path):
    measured.save(tmp_path / "c.json")
    assert Contributions.load(tmp_path / "c.json") == measured
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(TfodlError, match="cannot be read"):
        Contributions.load(tmp_path / "c.json")


@pytest.fixture(scope="module")
def small():
    """A small net with biases and a few digits of the shifted domain."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(4, 3, 4, activation="relu", name="a")(inputs)
    x = keras.layers.DepthwiseConv2D(3, activation="relu", name="b")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(10, name="head")(x))
    data = datasets.load("digits", domain="target", limit=96)
    x_train, x_test = models.preprocess(data.x_train), models.preprocess(data.x_test)
    return model, (x_train, data.y_train, x_test, data.y_test)


def test_head_alone_is_what_keras_trains(small, tmp_path):
    model, (x_train, y_train, x_val, y_val) = small
    files = contributions._work_files(model, small[1], tmp_path)
    options = {"epochs": 2, "batch_size": 16, "learning_rate": 0.1}
    accuracy = contributions.measure(**files, biases=0, layer=None, ratio=0.0, seed=5, training=options)
    keras.utils.set_random_seed(5)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for layer in clone.layers:
        layer.trainable = layer.name == "head"
    keras.utils.set_random_seed(5)
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 12)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    clone.compile(
        keras.optimizers.SGD(schedule, momentum=0.9, global_clipnorm=1.0), loss, metrics=["accuracy"]
    )
    clone.fit(x_train, y_train, batch_size=16, epochs=2, verbose=0)
    assert accuracy == pytest.approx(clone.evaluate(x_val, y_val, verbose=0)[1], abs=1 / 96)


def test_analysis_goes_on_where_it_was(small, tmp_path):
    model, data = small
    options = {"training": Training(epochs=1), "workers": 1, "progress": False, "ratios": (0.5, 1.0)}
    first = sparse_update.analyse(model, data, tmp_path, bias_counts=(1,), layers=(), **options)
    lines = (tmp_path / "results.jsonl").read_text()
    whole = sparse_update.analyse(model, data, tmp_path, layers=(1,), **options)
    assert (tmp_path / "results.jsonl").read_text().startswith(lines)
    assert whole.convs == ("a", "b") and whole.head == first.head and whole.biases[1] == first.biases[1]
    assert set(whole.weights) == {1} and set(whole.weights[1]) == {0.5, 1.0}
    count = len((tmp_path / "results.jsonl").read_text().splitlines())
    assert count == 3 + 2  # head, one bias, two biases; one layer at two ratios
    found = sparse_update.search(whole, neuron_groups(model), 10_000, samples=50)
    assert plan_cost(found.plan, neuron_groups(model)).scheme_bytes == found.scheme_bytes


def test_batch_norm_is_to_be_folded_first(small, tmp_path):
    model = models.build("tiny_mobilenet", input_shape=(28, 28, 1), classes=10)
    with pytest.raises(TfodlError, match=r"has a bias .batch norm.*tfodl.models.folded"):
        sparse_update.analyse(model, small[1], tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": (2,)}, r"layers must lie in 0..1, got \[2\]"),
        ({"bias_counts": (3,)}, r"bias_counts must lie in 1..2"),
        ({"ratios": (0.0,)}, r"ratios must lie in"),
    ],
)
def test_bad_analyses_are_refused(small, tmp_path, options, message):
    with pytest.raises(TfodlError, match=message):
        sparse_update.analyse(*small, tmp_path, **options)
