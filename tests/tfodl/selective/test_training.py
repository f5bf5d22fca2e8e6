"""`SelectiveModel`: frozen is frozen bit for bit, and what trains follows TensorFlow's own gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from selective_nets import compiled, data, random_plan, selective, sequence_net, sequences, small_net

import tfodl
from tflm_export.errors import TfodlError
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.callbacks.hypergrad import HyperSGD
from tfodl.neurons.cost import full_plan
from tfodl.neurons.group import whole

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9, weight_decay=1e-2),
    "nesterov_clip": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, global_clipnorm=1.0),
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True, weight_decay=0.1),
    "lion": lambda: keras.optimizers.Lion(0.01, weight_decay=0.1),
    "adafactor": lambda: keras.optimizers.Adafactor(0.1, weight_decay=0.1),
    "muon": lambda: keras.optimizers.Muon(0.02, weight_decay=0.1),
    "lamb": lambda: keras.optimizers.Lamb(0.01, weight_decay=0.1),
    "nadam": lambda: keras.optimizers.Nadam(0.01, weight_decay=0.1),
    "adamax": lambda: keras.optimizers.Adamax(0.01, weight_decay=0.1),
    "ftrl": lambda: keras.optimizers.Ftrl(0.1, learning_rate_power=-0.3),
    "adagrad": lambda: keras.optimizers.Adagrad(0.05, weight_decay=0.1),
    "adadelta": lambda: keras.optimizers.Adadelta(1.0, weight_decay=0.1),
    "schedule_free": lambda: keras.optimizers.ScheduleFreeAdamW(0.01, weight_decay=0.1),
    "hyper": lambda: HyperSGD(0.05, learn=("learning_rate", "momentum")),
    "accumulating": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
}

TRACED = ("sgd", "adamw")  # the others run step by step, which is faster here


def trained_mask(model: tfodl.SelectiveModel, variable: keras.Variable) -> np.ndarray:
    """Which entries of `variable` the plan lets train, worked out from the plan alone."""
    mask = np.zeros(variable.shape, bool)
    for site in model.sites:
        group = model._wiring.groups[site.name]
        entry = whole(group) if group.head and model.plan.head else model.plan.layer(site.name)
        if entry is None:
            continue
        channels = list(entry.channels)
        if variable is site.kernel:
            flat = mask.reshape(*mask.shape[: mask.ndim - site.out_axes], -1)
            if entry.axis == "in":
                mask[..., channels, :] = True
            else:
                flat[..., channels] = True
        elif variable is site.bias:
            own = entry.bias == "selected" or group.kind == "batchnorm"
            mask[channels if own else slice(None)] = entry.bias != "none" or group.kind == "batchnorm"
    return mask


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_entries_stay_bit_identical_and_others_move(name):
    model = selective(OPTIMIZERS[name]())
    model.run_eagerly = name not in TRACED
    x, y = data(32)
    rng = np.random.default_rng(len(name))
    for axis in ("out", "in", "out"):
        model.set_plan(random_plan(model, rng, axis=axis))
        before = [variable.numpy() for variable in model.base.trainable_variables]
        model.fit(x, y, batch_size=8, verbose=0)
        for variable, old in zip(model.base.trainable_variables, before, strict=True):
            mask = trained_mask(model, variable)
            new = variable.numpy()
            assert np.array_equal(new[~mask].view(np.uint32), old[~mask].view(np.uint32)), variable.path
            if mask.any() and name != "ftrl":  # which shrinks this net until nothing is left to learn
                assert (new[mask] != old[mask]).any(), variable.path


NETS = {"maps": (small_net, data), "sequences": (sequence_net, sequences)}


@pytest.mark.parametrize("kind", NETS)
def test_one_step_is_plain_gradient_descent_on_the_chosen_entries(kind):
    net, samples = NETS[kind]
    model = selective(keras.optimizers.SGD(0.1), net=net)
    x, y = samples(16)
    for seed, axis in enumerate(("out", "in", "out", "out")):
        plan = random_plan(model, np.random.default_rng(seed), axis=axis)
        norms = tuple(entry for entry in plan.layers if not entry.name.endswith("norm"))
        model.set_plan(UpdatePlan(norms, head=True))
        variables = model.base.trainable_variables
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model.base(x, training=False))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        before = [variable.numpy() for variable in variables]
        model.train_on_batch(x, y)
        for variable, old, gradient in zip(variables, before, gradients, strict=True):
            wanted = old - 0.1 * gradient.numpy() * trained_mask(model, variable)
            np.testing.assert_allclose(variable.numpy(), wanted, atol=2e-6, err_msg=variable.path)


@pytest.mark.parametrize("kind", NETS)
def test_everything_trained_is_plain_keras(kind):
    net, samples = NETS[kind]
    plain, model = compiled(net()), selective(net=net)
    x, y = samples(32)
    model.set_plan(full_plan(model.groups))
    for net in (plain, model):
        net.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(plain.variables[: len(plain.variables)], model.base.variables, strict=False):
        if a.path in {v.path for v in plain.weights}:
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-4, err_msg=a.path)


def test_save_load_predicts_the_same_and_keeps_the_plan(tmp_path):
    model = selective()
    x, y = data(32)
    model.set_plan(random_plan(model, np.random.default_rng(3)))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.plan == model.plan
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert np.array_equal(loaded.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0))
    history = [net.fit(x, y, shuffle=False, verbose=0).history["loss"] for net in (model, loaded)]
    assert history[0] == pytest.approx(history[1], rel=1e-5)


def test_summary_has_a_row_a_layer():
    model = selective()
    model.set_plan(UpdatePlan((LayerUpdate("hidden", channels=(1, 2)),)))
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    row = next(line for line in text.splitlines() if line.startswith("hidden"))
    assert row.split()[:6] == ["hidden", "dense", "10", "2", "130", "24"]
    assert all(group.layer in text for group in model.groups)


def test_new_channels_of_the_same_layers_trace_nothing_new():
    model = selective()
    x, y = data(16)
    for channels in ((0,), (1, 5), (2, 3, 4)):
        model.set_plan(UpdatePlan((LayerUpdate("stem", channels=channels),)))
        model.fit(x, y, batch_size=8, verbose=0)
    assert len(model._wiring.functions) == 1


def test_plans_of_few_channels_settle_on_few_traced_steps(caplog):
    """Another pair of layers every epoch: without general steps each pair would be traced."""
    model = selective()
    x, y = data(8)
    names = [group.layer for group in model.groups if group.selectable]
    pairs = [(a, b) for a in names for b in names if a < b]
    with caplog.at_level("WARNING"):
        for pair in pairs:
            model.set_plan(UpdatePlan(tuple(LayerUpdate(name, channels=(1,)) for name in pair)))
            model.fit(x, y, batch_size=8, verbose=0)
    assert len(pairs) == 15 and len(model._wiring.functions) <= 6
    assert "retracing" not in caplog.text


def test_wrapped_model_is_left_as_it_was():
    net = small_net()
    model = compiled(tfodl.SelectiveModel(net))
    x, y = data(16)
    model.fit(x, y, verbose=0)
    assert all("call" not in vars(layer) for layer in net._flatten_layers())


@pytest.mark.parametrize(
    "entry, text",
    [
        (LayerUpdate("nowhere", channels=(0,)), "'nowhere' is not in this model"),
        (LayerUpdate("stem", channels=(8,)), "channels 0..7"),
        (LayerUpdate("stem", bias="all"), "only its bias but has none"),
        (LayerUpdate("depthwise", axis="in", channels=(0,)), "no input channels"),
    ],
)
def test_plan_that_does_not_fit_is_refused_and_changes_nothing(entry, text):
    model = selective()
    before = model.plan
    with pytest.raises(TfodlError, match=text):
        model.set_plan(UpdatePlan((entry,)))
    assert model.plan == before


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"steps_per_execution": 2}])
def test_keras_s_ways_to_run_give_the_same_weights(options):
    x, y = data(32)
    results = []
    for extra in ({}, options):
        model = selective()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.05), loss, **extra)
        model.set_plan(
            UpdatePlan((LayerUpdate("stem", channels=(1, 2)), LayerUpdate("hidden", "in", (0, 5))))
        )
        model.fit(x, y, batch_size=16, shuffle=False, verbose=0)
        results.append([variable.numpy() for variable in model.base.trainable_variables])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_mixed_precision_trains_and_freezes():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        net = small_net()
    finally:
        keras.config.set_dtype_policy("float32")
    model = compiled(tfodl.SelectiveModel(net), keras.optimizers.SGD(0.05))
    rows = (
        LayerUpdate("stem", channels=(1, 2)),
        LayerUpdate("inner/project", channels=(0,), bias="selected"),
    )
    norms = tuple(whole(group) for group in model.groups if group.layer == "stem_norm")
    model.set_plan(UpdatePlan((*rows, *norms)))
    kernel = net.get_layer("stem").kernel
    before = kernel.numpy()
    model.fit(*data(32), verbose=0)
    moved = (kernel.numpy() != before).any(axis=(0, 1, 2))
    assert moved.tolist() == [False, True, True, False, False, False, False, False]


def test_xla_is_left_out():
    """The number of chosen channels is data, which XLA cannot compile."""
    model = selective()
    with pytest.warns(UserWarning, match="jit_compile=False"):
        model.compile("sgd", "mse", jit_compile=True)
    assert model.jit_compile is False


def test_ema_is_refused():
    model = selective(keras.optimizers.SGD(0.1, use_ema=True))
    x, y = data(8)
    with pytest.raises(TfodlError, match="use_ema"):
        model.fit(x, y, verbose=0)
