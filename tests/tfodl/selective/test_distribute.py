"""Two devices give one device's plans, and its weights within float tolerance."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, sys
import keras, numpy as np, tensorflow as tf
sys.path.insert(0, {folder!r})
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import tfodl
from tfodl.callbacks.hypergrad import HyperSGD
from selective_nets import compiled, data, small_net
x, y = data(32)

def rules():
    return {{
        "velocity": tfodl.VelocitySelection(150, validation_data=x[:10], batchnorm=False, seed=1),
        "random_in": tfodl.RandomSelection(150, axis="in", batchnorm="selected", seed=1),
        "random_norm": tfodl.RandomSelection(150, seed=2),
        "scotti": tfodl.ScottiSelection(validation_data=x[:10], batchnorm=False),
    }}

def trained(strategy, name, callback):
    with strategy.scope():
        optimizer = keras.optimizers.SGD(0.05, momentum=0.9, weight_decay=1e-3)
        if name == "scotti":
            optimizer = HyperSGD(0.05, 0.9, 1e-3, ("eps", "learning_rate", "momentum"), 1e-3)
        model = compiled(tfodl.SelectiveModel(small_net()), optimizer)
    start = [v.numpy() for v in model.base.trainable_variables]
    epochs = 2 if "random" in name else 3  # a velocity is known after two
    how = dict(batch_size=16, epochs=epochs, shuffle=False, verbose=0, callbacks=[callback])
    history = model.fit(x, y, **how).history
    end = [v.numpy() for v in model.base.trainable_variables]
    never = [bool((a == b).all()) for a, b in zip(start, end)]
    return dict(plans=[p.to_json() for p in callback.plans], weights=[w.tolist() for w in end],
                loss=history["loss"], untouched=never,
                hyper=[history.get(key) for key in ("eps", "hyper_learning_rate", "hyper_momentum")])

out = []
for devices in (1, 2):
    strategy = tf.distribute.MirroredStrategy([f"CPU:{{i}}" for i in range(devices)])
    assert strategy.num_replicas_in_sync == devices
    out.append({{name: trained(strategy, name, callback) for name, callback in rules().items()}})
json.dump(out, open(sys.argv[1], "w"))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distribute")
    script = folder / "run.py"
    script.write_text(SCRIPT.format(folder=str(Path(__file__).parents[2] / "helpers")))
    out = folder / "out.json"
    subprocess.run([sys.executable, str(script), str(out)], check=True, timeout=300)
    return json.loads(out.read_text())


@pytest.mark.parametrize("name", ["velocity", "random_in"])
def test_same_plans_and_weights(runs, name):
    one, two = (run[name] for run in runs)
    assert one["plans"] == two["plans"]
    assert one["untouched"] == two["untouched"] and any(one["untouched"])
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-4)
    for a, b in zip(flat(one["weights"]), flat(two["weights"]), strict=True):
        assert a == pytest.approx(b, abs=2e-5)


def test_learned_eps_rate_and_momentum_are_one_device_s(runs):
    one, two = (run["scotti"] for run in runs)
    assert (
        one["plans"] == two["plans"] or one["hyper"] != two["hyper"]
    )  # eps stands in the plans to the last bit
    for a, b, start in zip(one["hyper"], two["hyper"], (1e-3, 0.05, 0.9), strict=True):
        assert a == pytest.approx(b, rel=1e-4) and abs(a[-1] - start) > 1e-6
    for a, b in zip(flat(one["weights"]), flat(two["weights"]), strict=True):
        assert a == pytest.approx(b, abs=2e-5)


def test_batch_statistics_are_a_replica_s_own_as_in_keras(runs):
    one, two = (run["random_norm"] for run in runs)
    assert one["plans"] == two["plans"] and one["untouched"] == two["untouched"]


def flat(value):
    return [leaf for item in value for leaf in flat(item)] if isinstance(value, list) else [value]
