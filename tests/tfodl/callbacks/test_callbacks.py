"""The selection callbacks in `fit`: budgets, logs, plans, the paper's first epoch, resuming."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from selective_nets import data, selective

import tfodl
from tflm_export.errors import TfodlError
from tflm_export.plan import Budget, LayerUpdate, UpdatePlan
from tfodl.callbacks import Selection
from tfodl.callbacks.hypergrad import HyperSGD
from tfodl.selection.fixed_plan import fixed_plan
from tfodl.selection.velocity import similarity, velocity_update

LOGGED = {"updated_share", "selected_neurons", "flops_saved", "flops_saved_paper"}


def eager(optimizer=None):
    """A net whose steps are not traced: with a plan an epoch, each would be taken twice."""
    model = selective(optimizer)
    model.run_eagerly = True
    return model


def fit(model, callback, epochs=3, **kwargs):
    model.run_eagerly = True
    x, y = data(32)
    return model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, callbacks=[callback], **kwargs)


class Tap(keras.callbacks.Callback):
    """Pre-activation outputs of `hidden` at the start of every epoch, computed by plain Keras."""

    def __init__(self, x):
        super().__init__()
        self.x, self.outputs = x, []

    def _hidden(self):
        base = self.model.base
        hidden = base.get_layer("hidden")
        features = keras.Model(base.input, hidden.input)(self.x, training=False)
        return np.asarray(features) @ hidden.kernel.numpy() + hidden.bias.numpy()

    def on_epoch_begin(self, epoch, logs=None):
        self.outputs.append(self._hidden())


@pytest.mark.parametrize("mode", ["pooled", "per_sample"])
def test_velocity_is_what_the_paper_defines(mode):
    model, (x, y) = eager(), data(32)
    callback = tfodl.VelocitySelection(
        Budget(params=150), validation_data=x[:10], similarity=mode, batch_size=4
    )
    tap = Tap(x[:10])
    seen = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(callback.velocities.get("hidden"))
    )
    model.fit(x, y, batch_size=16, epochs=4, verbose=0, callbacks=[tap, callback, record])
    phi, velocity = np.ones(10), np.zeros(10)
    for epoch in range(1, 4):
        now = similarity(tap.outputs[epoch], tap.outputs[epoch - 1], mode)
        velocity = velocity_update(now - phi, velocity)
        phi = now
        np.testing.assert_allclose(seen[epoch], velocity, atol=2e-6)


def test_velocity_logs_keeps_the_budget_and_ranks_by_velocity_per_parameter():
    model = selective()
    callback = tfodl.VelocitySelection(0.3, validation_data=data(8), seed=5)
    history = fit(model, callback, 4).history
    assert set(history) > LOGGED | {"mean_abs_velocity"}
    assert all(isinstance(v, float) for key in LOGGED for v in history[key])
    assert len(callback.plans) == 4 and callback.plans[-1] == model.plan
    assert 0 < max(history["updated_share"]) <= 0.3
    known = {group.layer: group for group in model.groups}
    speed = {
        (name, i): abs(v) / (known[name].weights_per_channel + known[name].bias)
        for name, values in callback.velocities.items()
        for i, v in enumerate(values)
    }
    chosen = {(e.name, c) for e in model.plan.layers if known[e.name].selectable for c in e.channels}
    assert min(speed[key] for key in chosen) >= max(speed[key] for key in set(speed) - chosen)


def test_velocity_of_input_channels():
    model, (x, _) = selective(), data(8)
    callback = tfodl.VelocitySelection(
        Budget(scheme_bytes=1500), validation_data=x, axis="in", batchnorm=False
    )
    fit(model, callback, 3)
    assert {g.layer: len(callback.velocities[g.layer]) for g in callback.pool if g.axis == "in"} == {
        "stem": 3, "inner/project": 8, "separable": 8, "hidden": 12,
    }  # fmt: skip
    np.testing.assert_allclose(callback.velocities["stem"], 0, atol=1e-12)  # the pictures never move
    assert 0 < model.cost.scheme_bytes <= 1500


def test_first_epoch_takes_the_given_plan_else_a_random_one():
    x, _ = data(8)
    first = UpdatePlan((LayerUpdate("hidden", channels=(0,)),))
    given = tfodl.VelocitySelection(100, validation_data=x, initial=first)
    fit(selective(), given, 2)
    assert given.plans[0].layers == first.layers != given.plans[1].layers
    free = tfodl.VelocitySelection(100, validation_data=x, seed=3)
    random = tfodl.RandomSelection(100, seed=3)
    fit(selective(), free, 1)
    fit(selective(), random, 1)
    assert free.plans[0].layers == random.plans[0].layers


def test_random_is_one_permutation_redrawn_and_repeatable():
    runs = []
    for seed in (1, 1, 2):
        callback = tfodl.RandomSelection(150, seed=seed)
        fit(selective(), callback, 3)
        runs.append(callback.plans)
    assert runs[0] == runs[1] and runs[0] != runs[2]
    assert len({plan.layers for plan in runs[0]}) == 3


def test_batchnorm_and_head_switches():
    norms = {"stem_norm", "depthwise_norm", "inner/norm"}
    for switch, head in ((True, True), (False, False), ("selected", True)):
        model = selective()
        before = {v.path: v.numpy() for v in model.base.variables}
        fit(model, tfodl.RandomSelection(150, batchnorm=switch, head=head), 1)
        changed = {v.path for v in model.base.variables if not np.array_equal(v.numpy(), before[v.path])}
        assert {e.name for e in model.plan.layers} & norms == (norms if switch is True else set()) or (
            switch == "selected"
        )
        assert ("head/kernel" in changed) is head
        assert any("moving_mean" in path for path in changed) is (switch is True)
        assert any("gamma" in path for path in changed) is (switch is not False)


@pytest.mark.parametrize(
    "wanted, layers",
    [
        ("head", set()),
        ("biases", {"depthwise", "inner/project", "separable", "hidden", "head"}),
        (["hidden", "inner/project"], {"hidden", "inner/project"}),
        (UpdatePlan((LayerUpdate("stem", channels=(1,)),)), {"stem"}),
    ],
)
def test_fixed_plans(wanted, layers):
    model = selective()
    callback = tfodl.FixedSelection(wanted)
    fit(model, callback, 2)
    assert {entry.name for entry in model.plan.layers} == layers and callback.plans[0] == callback.plans[1]


def test_fixed_plan_from_a_file(tmp_path):
    plan = UpdatePlan((LayerUpdate("hidden", channels=(0, 3), bias="selected"),), head=False)
    plan.save(tmp_path / "plan.json")
    model = selective()
    fit(model, tfodl.FixedSelection(str(tmp_path / "plan.json")), 1)
    assert model.plan == plan


def test_rule_of_ones_own():
    class Magnitude(Selection):
        method = "magnitude"

        def scores(self, epoch):
            weights = {site.name: site.weight.numpy() for site in self.model.sites}
            return {g.layer: np.abs(weights[g.layer]).reshape(-1, g.channels).sum(0) for g in self.pool}

    model = selective()
    history = fit(model, Magnitude(0.2, batchnorm=False), 2).history
    assert set(history) >= LOGGED and 0 < history["updated_share"][0] <= 0.2


class Stop(keras.callbacks.Callback):
    """An interruption before epoch `at`."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.at:
            raise KeyboardInterrupt


def test_backup_and_restore_goes_on_with_the_same_plans(tmp_path):
    x, y = data(32)

    def run(epochs, stop=None):
        model = eager(keras.optimizers.Adam(0.01))
        callback = tfodl.VelocitySelection(150, validation_data=x[:8], seed=2)
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        callbacks = [callback, Stop(stop), backup] if stop is not None else [callback]
        callbacks += [backup] if stop is None and epochs is None else []
        return model, callback, callbacks

    straight, wanted, callbacks = run(6)
    straight.fit(x, y, batch_size=16, epochs=6, shuffle=False, verbose=0, callbacks=callbacks)
    broken, _, callbacks = run(6, stop=3)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(x, y, batch_size=16, epochs=6, shuffle=False, verbose=0, callbacks=callbacks)
    resumed, got, callbacks = run(None)
    resumed.fit(x, y, batch_size=16, epochs=6, shuffle=False, verbose=0, callbacks=callbacks)
    assert got.plans == wanted.plans
    for a, b in zip(straight.base.variables, resumed.base.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


class Kill(keras.callbacks.Callback):
    """An interruption in the middle of epoch 2."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (2, 1):
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["velocity", "scotti"])
def test_epoch_that_was_cut_short_is_begun_again_with_its_plan(tmp_path, kind):
    x, y = data(32)

    def run(*more):
        optimizer = HyperSGD(0.05, eps=1e-3) if kind == "scotti" else keras.optimizers.SGD(0.05)
        model = eager(optimizer)
        rule = (
            tfodl.ScottiSelection(validation_data=x[:8])
            if kind == "scotti"
            else tfodl.VelocitySelection(150, validation_data=x[:8])
        )
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / kind), save_freq=1)
        try:
            model.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[rule, backup, *more])
        except KeyboardInterrupt:
            assert more
        return model, rule

    _, cut = run(Kill())
    _, resumed = run()
    assert len(cut.plans) == 3 and len(resumed.plans) == 4
    assert resumed.plans[:3] == cut.plans
    again = [np.abs(rule.velocities["hidden"]).max() for rule in (cut, resumed)]
    assert again[0] > 0 and again[0] != again[1]  # measured anew before epoch 3


def test_whole_epoch_is_not_taken_for_one_cut_short():
    model, x = selective(), data(8)[0]
    rule = tfodl.VelocitySelection(150, validation_data=x, seed=1)
    fit(model, rule, 1)
    state = model.selection_state
    other = selective()
    other._wiring.restored = dict(state)
    again = tfodl.VelocitySelection(150, validation_data=x, seed=7)
    fit(other, again, 1)
    assert again.plans[0] != rule.plans[0]


@pytest.mark.parametrize(
    "plan, switch, norms",
    [
        ("all", None, "all"),
        ("all", False, None),
        ("all", "selected", "selected"),
        (["inner/project"], "selected", "selected"),
        (["inner/project"], None, None),
    ],
)
def test_fixed_plans_follow_the_batch_norm_switch(plan, switch, norms):
    groups = selective().groups
    rule = tfodl.FixedSelection(plan, **({} if switch is None else {"batchnorm": switch}))
    entry = fixed_plan(rule.wanted, groups, rule.options).layer("inner/norm")
    assert (entry.bias if entry else None) == norms


def test_fit_anew_starts_anew():
    model, (x, _) = selective(), data(8)
    callback = tfodl.VelocitySelection(150, validation_data=x)
    for _ in range(2):
        fit(model, callback, 2)
        assert len(callback.plans) == 2


def test_measuring_takes_two_passes_in_batches():
    model, (x, _) = selective(), data(10)
    sizes = []
    callback = tfodl.VelocitySelection(150, validation_data=x, batch_size=4)

    original = type(model.base).call

    def counted(self, inputs, *args, **kwargs):
        if self is model.base and not kwargs.get("training", True):
            sizes.append(inputs.shape[0])
        return original(self, inputs, *args, **kwargs)

    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        type(model.base).call = counted
        fit(model, callback, 3)
    finally:
        type(model.base).call = original
        tf.config.run_functions_eagerly(False)
    assert [size for size in sizes if size] == [4, 4, 4, 4, 2, 2] * 2


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: tfodl.VelocitySelection(10), "held-out inputs"),
        (lambda: tfodl.VelocitySelection(10, validation_data=np.zeros((1, 2)), mu=2), "mu must be"),
        (
            lambda: tfodl.VelocitySelection(10, validation_data=np.zeros((1, 2)), variant="x"),
            "variant must be",
        ),
        (
            lambda: tfodl.VelocitySelection(10, validation_data=np.zeros((1, 2)), similarity="x"),
            "mode must be",
        ),
        (lambda: tfodl.RandomSelection(10, batchnorm="some"), "batchnorm must be"),
        (lambda: tfodl.RandomSelection(10, axis="up"), "axis must be"),
        (lambda: tfodl.RandomSelection(10, seed=-1), "seed must be"),
        (lambda: tfodl.RandomSelection(10, rule="best"), "rule must be one of"),
    ],
)
def test_bad_options(make, text):
    with pytest.raises(TfodlError, match=text):
        make()


@pytest.mark.parametrize(
    "callback, text",
    [
        (tfodl.RandomSelection(3), "too small for one neuron"),
        (tfodl.RandomSelection(Budget(flash_bytes=9)), "flash_bytes alone limits no selection"),
        (tfodl.FixedSelection(["nowhere"]), "no layers"),
        (tfodl.FixedSelection("nowhere.json"), "cannot read"),
        (tfodl.FixedSelection(3), "must be an UpdatePlan"),
    ],
)
def test_requests_that_cannot_be_met(callback, text):
    with pytest.raises(TfodlError, match=text):
        fit(selective(), callback, 1)


def test_plain_models_are_refused():
    model = selective()
    plain = model.base
    plain.compile("sgd", "mse")
    with pytest.raises(TfodlError, match="needs a SelectiveModel"):
        fit(plain, tfodl.RandomSelection(100), 1)


def test_neurons_that_cannot_change_are_not_chosen_again(tmp_path):
    """Nor after an interruption; without the option they are."""
    x, y = data(32)
    dead = {1, 4, 7, 8}

    def run(skip_dead, epochs, *more):
        model = eager()
        hidden = model.base.get_layer("hidden")
        hidden.bias.assign(np.where(np.isin(np.arange(10), list(dead)), -100.0, 0.0))
        rule = tfodl.RandomSelection(150, seed=1, skip_dead=skip_dead)
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, callbacks=[rule, *more, backup])
        return [dead & set(entry.channels if (entry := p.layer("hidden")) else ()) for p in rule.plans]

    with pytest.raises(KeyboardInterrupt):
        run(True, 9, Stop(4))
    found = run(True, 9)
    assert len(found) == 9 and set.union(*found[:4])  # some before it
    assert sum(map(len, found)) == len(set.union(*found)) > 2  # each once
    assert sum(map(len, run(False, 9))) > sum(map(len, found))
