"""A small autoencoder whose machine changes: what it calls strange, frozen and after learning."""

import keras
import numpy as np
import pytest
from keras import layers as L

from tflm_export.compiler import compile_model
from tflm_export.machines.host import HostEngine
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tfodl import convert
from tfodl.datasets.machine import Machine
from tfodl.tasks.scores import auc, f1, mean_auc, r2, threshold

SMALL = {"bands": 64, "frames": 2}
BEFORE, CHANGED = Machine(**SMALL), Machine(load=1.5, room=0.8, **SMALL)


@pytest.fixture(scope="module")
def tflite():
    keras.utils.set_random_seed(0)
    x = BEFORE.sounds(600, 1)
    model = keras.Sequential(
        [keras.Input((128,)), L.Dense(32, "relu"), L.Dense(8), L.Dense(32, "relu"), L.Dense(128)]
    )
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    model.fit(x, x, epochs=20, batch_size=32, verbose=0)
    return convert.to_int8(model, x)


def test_learning_normal_sounds_finds_the_worn_bearing_again(tflite):
    biases = tuple(LayerUpdate(f"#{i}", "out", (), "all") for i in range(4))
    plan = UpdatePlan(biases, head=False, loss="reconstruction", optimizer=Optimizer(1.0))
    engine = HostEngine(compile_model(tflite, plan))

    def detected(machine):
        kinds = (machine.sounds(150, 2), machine.sounds(150, 3, wear=2.0))
        normal, worn = (
            np.array([engine.score(x[None]) for x in engine.compiled.to_int8(sounds)]) for sounds in kinds
        )
        return auc(normal, worn)

    before, frozen = detected(BEFORE), detected(CHANGED)
    for x in engine.compiled.to_int8(CHANGED.sounds(500, 4)):
        engine.train_step(x[None])
    after = detected(CHANGED)
    assert before > after >= frozen + 0.05


def test_scores_by_their_definitions():
    """Pairs counted one by one, and scikit-learn's printed example of R^2."""
    rng = np.random.default_rng(0)
    normal, strange = rng.integers(0, 9, 40), rng.integers(3, 12, 30)
    pairs = [(s > n) + 0.5 * (s == n) for s in strange for n in normal]
    assert auc(normal, strange) == pytest.approx(np.mean(pairs))
    y, said = rng.integers(0, 2, (50, 3)), rng.integers(0, 2, (50, 3))
    precision, recall = (y * said).sum() / said.sum(), (y * said).sum() / y.sum()
    assert f1(y, said) == pytest.approx(2 * precision * recall / (precision + recall))
    assert mean_auc(y, said) == pytest.approx(
        np.mean([auc(said[y[:, i] == 0, i], said[y[:, i] == 1, i]) for i in range(3)])
    )
    assert r2(np.array([[3], [-0.5], [2], [7]]), np.array([[2.5], [0.0], [2], [8]])) == pytest.approx(
        0.948608
    )
    assert np.mean(normal > threshold(normal, 0.1)) <= 0.1


def test_a_worn_machine_sounds_otherwise_only_where_its_tones_are():
    new, worn = (BEFORE.sounds(4, 5, wear) for wear in (0.0, 2.0))
    louder = (worn - new).mean(0)
    assert louder.min() > -1e-6 and (louder > 0.05).sum() > 4 and (louder < 1e-3).sum() > 10
