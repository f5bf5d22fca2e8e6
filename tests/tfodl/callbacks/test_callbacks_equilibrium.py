"""NEq and SCoTTi in `fit`: what rests is frozen, what is learned moves."""

from __future__ import annotations

import numpy as np
import pytest
from selective_nets import compiled, data, selective, small_net

import tfodl
from tflm_export.errors import TfodlError
from tfodl.callbacks.hypergrad import HyperSGD
from tfodl.neurons.cost import plan_cost


def fit(model, callback, epochs=3):
    model.run_eagerly = True  # a plan an epoch: a traced step would be taken twice
    x, y = data(32)
    return model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, callbacks=[callback]).history


def scotti_model(learn, **options):
    return compiled(tfodl.SelectiveModel(small_net()), HyperSGD(0.05, 0.9, learn=learn, **options))


def test_equilibrium_trains_all_then_those_above_eps():
    model = selective()
    callback = tfodl.EquilibriumSelection(1e-3, validation_data=data(12)[0])
    history = fit(model, callback)
    assert history["updated_share"][0] == 1.0 and history["updated_share"][-1] < 1.0
    first = plan_cost(callback.plans[0], model.groups)
    assert first.params == first.total_params and first.batchnorm_params == 48
    for group in callback.measured:
        moving = tuple(int(i) for i in np.flatnonzero(np.abs(callback.velocities[group.layer]) >= 1e-3))
        entry = callback.plans[-1].layer(group.layer)
        assert (entry.channels if entry else ()) == moving
    norm = callback.plans[-1].layer("stem_norm")
    assert norm is not None and norm.bias == "all"  # on batch statistics even where it rests


def test_equilibrium_at_the_ends_of_eps():
    everything, nothing = (tfodl.EquilibriumSelection(eps, validation_data=data(8)[0]) for eps in (0.0, 10.0))
    assert fit(selective(), everything)["updated_share"][-1] == 1.0
    model = selective()
    assert fit(model, nothing)["updated_share"][-1] == 0.0
    assert all(not entry.channels for entry in model.plan.layers)


def test_equilibrium_with_frozen_batch_norm():
    model = selective()
    callback = tfodl.EquilibriumSelection(1e-3, validation_data=data(8)[0], batchnorm=False)
    fit(model, callback)
    norms = {group.layer for group in model.groups if group.kind == "batchnorm"}
    assert not norms & {entry.name for plan in callback.plans for entry in plan.layers}


def test_scotti_learns_eps_and_freezes_below_it():
    model = scotti_model(("eps",), eps=1e-3, hyper_learning_rate=1e-4)
    callback = tfodl.ScottiSelection(validation_data=data(8)[0])
    history = fit(model, callback, 2)
    assert history["eps"][-1] != pytest.approx(1e-3, rel=1e-6)
    assert history["hyper_learning_rate"][-1] == pytest.approx(0.05)
    model.optimizer.learn = ()  # hold eps, so that the frozen set stays what it is now
    speeds = np.abs(callback.velocities["hidden"])
    threshold = float(np.median(speeds))
    model.optimizer._hyper["eps"].assign(threshold)
    before = model.base.get_layer("hidden").kernel.numpy()
    x, y = data(32)
    model.make_train_function(force=True)
    model.fit(x, y, batch_size=8, verbose=0)
    after = model.base.get_layer("hidden").kernel.numpy()
    resting = speeds.astype(np.float32) < np.float32(threshold)
    assert 0 < resting.sum() < 10
    assert np.array_equal(before[:, resting], after[:, resting])
    assert (before[:, ~resting] != after[:, ~resting]).any()


def test_nothing_is_frozen_until_velocities_exist():
    model = scotti_model(("eps",), eps=1e9)
    before = model.base.get_layer("hidden").kernel.numpy()
    fit(model, tfodl.ScottiSelection(validation_data=data(8)[0]), 1)
    assert (model.base.get_layer("hidden").kernel.numpy() != before).all(axis=0).any()


def test_ultimate_optimizer_with_equilibrium_saves_the_work():
    model = scotti_model(("learning_rate", "momentum"), eps=1e-3)
    callback = tfodl.ScottiSelection(validation_data=data(8)[0])
    history = fit(model, callback)
    assert history["eps"] == [pytest.approx(1e-3)] * 3
    assert history["hyper_learning_rate"][-1] != pytest.approx(0.05, rel=1e-6)
    assert history["hyper_momentum"][-1] != pytest.approx(0.9, rel=1e-7)
    assert model.plan == callback.plans[-1] and history["updated_share"][-1] < 1


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: tfodl.EquilibriumSelection(-1.0, validation_data=data(8)[0]), "eps must be"),
        (lambda: tfodl.EquilibriumSelection(1e-3, validation_data=data(8)[0], budget=5), "has no budget"),
        (lambda: tfodl.EquilibriumSelection(1e-3), "held-out inputs"),
        (lambda: tfodl.ScottiSelection(validation_data=data(8)[0], axis="in"), "axis must be 'out'"),
        (lambda: fit(selective(), tfodl.ScottiSelection(validation_data=data(8)[0])), "needs the optimizer"),
    ],
)
def test_bad_requests(make, text):
    with pytest.raises(TfodlError, match=text):
        make()
