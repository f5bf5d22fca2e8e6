"""Every selection rule on an `Int8Model`: integers stay integers, what is frozen stays."""

from __future__ import annotations

import numpy as np
import pytest
from int8_nets import digits, int8_model

import tfodl
from tflm_export.errors import TfodlError
from tflm_export.plan import Budget, LayerUpdate, UpdatePlan
from tfodl.callbacks.gradients import weight_gradients
from tfodl.callbacks.hypergrad import HyperSGD

HELD_OUT = tuple(part[:8] for part in digits())
RULES = {
    "velocity": lambda: tfodl.VelocitySelection(Budget(scheme_bytes=1500), HELD_OUT),
    "velocity_in": lambda: tfodl.VelocitySelection(0.3, HELD_OUT, axis="in"),
    "random": lambda: tfodl.RandomSelection(0.3),
    "fixed": lambda: tfodl.FixedSelection(["op_0"]),
    "biases": lambda: tfodl.FixedSelection("biases"),
    "equilibrium": lambda: tfodl.EquilibriumSelection(1e-3, HELD_OUT),
    "top_layers": lambda: tfodl.TopLayersRandom(Budget(scheme_bytes=1500), HELD_OUT),
    "importance": lambda: tfodl.ImportanceRandom(Budget(scheme_bytes=1500), HELD_OUT),
    "fisher": lambda: tfodl.Fisher(0.3, HELD_OUT),
}


@pytest.mark.parametrize("name", RULES)
def test_rule_trains_whole_steps_of_what_it_chose(name):
    model, rule = int8_model(), RULES[name]()
    model.compile()
    x, y = (part[:32] for part in digits())
    for epoch in range(2):
        before = [v.numpy() for v in model.base.trainable_variables]
        model.fit(x, y, batch_size=8, epochs=epoch + 1, initial_epoch=epoch, verbose=0, callbacks=[rule])
        trained = {id(variable): mask for variable, mask in chosen(model)}
        for variable, old in zip(model.base.trainable_variables, before, strict=True):
            new = variable.numpy()
            assert np.array_equal(new, np.round(new))
            frozen = ~np.broadcast_to(trained.get(id(variable), False), new.shape)
            assert np.array_equal(new[frozen], old[frozen]), variable.path
    assert rule.plans[-1].head


def chosen(model):
    """(variable, bool mask) by the plan alone."""
    for site in model.sites:
        entry = model.plan.layer(site.name)
        group = next(g for g in model.groups if g.layer == site.name)
        if group.head and model.plan.head:
            yield site.kernel, True
            yield site.bias, True
        elif entry is not None:
            mask = np.isin(np.arange(group.length(entry.axis)), entry.channels)
            shape = (-1, 1) if entry.axis == "in" else site.kernel.shape[-site.out_axes :]
            yield site.kernel, mask.reshape(shape)
            yield site.bias, mask if entry.bias == "selected" else entry.bias == "all"


def test_learned_eps_is_refused_on_integers():
    model = int8_model()
    model.compile(HyperSGD())
    x, y = digits()
    with pytest.raises(TfodlError, match="Int8Model rounds its steps.*use EquilibriumSelection"):
        model.fit(x[:8], y[:8], verbose=0, callbacks=[tfodl.ScottiSelection(HELD_OUT)])


def test_layers_are_ranked_by_gradients_of_real_weights():
    """A step of one LSB changes the real weight by its scale: norms are those of the real weights."""
    model = int8_model()
    model.compile()
    found = weight_gradients(model, model.groups, HELD_OUT)
    site = next(site for site in model.sites if site.name == "op_0")
    scale = np.ravel(site.kernel.quantum.scale)
    assert len(set(scale.tolist())) > 1
    model.set_plan(UpdatePlan((LayerUpdate("op_0", channels=tuple(range(len(scale)))),), head=False))
    seen = {}
    model.optimizer.apply = lambda grads, variables: seen.update(
        zip([v.path for v in variables], grads, strict=True)
    )
    model.run_eagerly = True
    model.train_on_batch(*HELD_OUT)
    real = seen[site.kernel.path].numpy() / scale
    np.testing.assert_allclose(found["op_0"], real, rtol=1e-4, atol=1e-5 * np.abs(real).max())
