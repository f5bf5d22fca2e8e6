"""What Keras users do with a model gives with a `SelectiveModel` what plain Keras gives, or a clear error."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfodl
from tflm_export.errors import TfodlError
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.selective.step import Train, step_of

L = keras.layers
TRAINED = ("b", "head")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def chain(**options) -> keras.Model:
    """Convolutions a and b, batch norm between, head; plain Keras would train b and head alone."""
    keras.utils.set_random_seed(3)
    x = keras.Input((6, 6, 2))
    h = L.Conv2D(4, 3, activation="relu", name="a")(x)
    h = L.BatchNormalization(name="norm")(h)
    h = L.Conv2D(5, 2, activation="relu", name="b", **options)(h)
    h = L.GlobalAveragePooling2D()(h)
    return keras.Model(x, L.Dense(3, name="head")(h))


def data(count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, count)
    return (rng.normal(size=(count, 6, 6, 2)) + y[:, None, None, None] * 0.5).astype(np.float32), y


def twins(make_optimizer=lambda: keras.optimizers.SGD(0.05), **options) -> list[keras.Model]:
    """A `SelectiveModel` that trains b and the head, and plain Keras with everything else frozen."""
    plain, wrapped = chain(**options), tfodl.SelectiveModel(chain(**options))
    for layer in plain.layers:
        layer.trainable = layer.name in TRAINED
    wrapped.set_plan(UpdatePlan((LayerUpdate("b", "out", tuple(range(5)), "all"),)))
    for model in (wrapped, plain):
        model.compile(make_optimizer(), LOSS, metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")])
    return [wrapped, plain]


def assert_same(wrapped: tfodl.SelectiveModel, plain: keras.Model, atol: float = 1e-5) -> None:
    pairs = zip(wrapped.base.get_weights(), chain_order(plain), strict=True)
    for got, wanted in pairs:
        np.testing.assert_allclose(got, wanted, atol=atol)


def chain_order(plain: keras.Model) -> list[np.ndarray]:
    return [weight.numpy() for layer in plain.layers for weight in layer.weights]


OPTIMIZERS = {
    "clipnorm": lambda: keras.optimizers.SGD(0.1, momentum=0.9, clipnorm=0.05),
    "global_clipnorm": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.01),
    "clipvalue": lambda: keras.optimizers.SGD(0.1, clipvalue=0.01),
    "schedule": lambda: keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 4)),
    "accumulation": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_options(name):
    x, y = data()
    wrapped, plain = twins(OPTIMIZERS[name])
    histories = [
        m.fit(x, y, batch_size=6, epochs=2, shuffle=False, verbose=0).history for m in (wrapped, plain)
    ]
    assert_same(wrapped, plain)
    for key in ("loss", "accuracy"):
        assert histories[0][key] == pytest.approx(histories[1][key], abs=1e-4)


def test_weights_of_classes_and_samples_and_validation_data():
    x, y = data()
    wrapped, plain = twins()
    ways = (
        {"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}},
        {"sample_weight": np.linspace(0, 2, len(x))},
        {"validation_data": (x[:8], y[:8], np.arange(8.0))},
        {"validation_split": 0.25},
    )
    for way in ways:
        one, two = (m.fit(x, y, batch_size=6, shuffle=False, verbose=0, **way) for m in (wrapped, plain))
        assert set(one.history) == set(two.history)
        for key, values in two.history.items():
            assert one.history[key] == pytest.approx(values, abs=1e-4), key
    assert_same(wrapped, plain)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_regularizer": keras.regularizers.L2(0.1), "bias_regularizer": keras.regularizers.L1(0.1)},
        {"activity_regularizer": keras.regularizers.L2(0.1)},
        {"kernel_constraint": keras.constraints.UnitNorm(axis=[0, 1, 2])},
    ],
)
def test_regularizers_and_constraints(options):
    x, y = data()
    wrapped, plain = twins(**options)
    for model in (wrapped, plain):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    assert_same(wrapped, plain)


class Batches(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        self.x, self.y = data()

    def __len__(self):
        return 4

    def __getitem__(self, index):
        at = slice(6 * index, 6 * index + 6)
        return self.x[at], self.y[at]


def test_data_in_all_forms_train_and_measure_alike():
    x, y = data()
    forms = {
        "arrays": ((x, y), {"batch_size": 6}),
        "dataset": (tf.data.Dataset.from_tensor_slices((x, y)).batch(6), {}),
        "pydataset": (Batches(), {}),
        "list": ([(x[i : i + 6], y[i : i + 6]) for i in range(0, 24, 6)], {}),
    }
    speeds, weights = [], []
    for name, (form, options) in forms.items():
        model = twins()[0]
        rule = tfodl.VelocitySelection(60, form, batchnorm=False, batch_size=6)
        given = (
            (x, y) if name == "arrays" else ((batch for batch in form * 3),) if name == "list" else (form,)
        )
        steps = {"steps_per_epoch": 4} if name == "list" else {}
        model.fit(*given, epochs=3, shuffle=False, verbose=0, callbacks=[rule], **options, **steps)
        speeds.append(np.concatenate(list(rule.velocities.values())))
        weights.append(model.get_weights())
    assert np.abs(speeds[0]).max() > 1e-4
    for speed, other in zip(speeds[1:], weights[1:], strict=True):
        np.testing.assert_allclose(speed, speeds[0], atol=1e-6)
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda x, y: iter([(x, y)]), "gone through every epoch"),
        (lambda x, y: tf.data.Dataset.from_tensors((x, y)).repeat(), "without end"),
        (lambda x, y: [], "holds no batch"),
        (lambda x, y: 3, "must be arrays"),
    ],
)
def test_validation_data_that_cannot_be_measured_on(make, text):
    x, y = data()
    model = twins()[0]
    with pytest.raises(TfodlError, match=text):
        model.fit(x, y, epochs=2, verbose=0, callbacks=[tfodl.VelocitySelection(60, make(x, y))])


def two_inputs(structure: str) -> tuple[keras.Model, keras.Model]:
    """Two pictures through one shared convolution, then dense; and the model of the shared outputs."""
    keras.utils.set_random_seed(0)
    a, b = keras.Input((4, 4, 2), name="a"), keras.Input((4, 4, 2), name="b")
    shared = L.Conv2D(3, 3, name="shared")
    maps = [shared(a), shared(b)]
    h = L.Concatenate()([L.Flatten()(m) for m in maps])
    inputs = [a, b] if structure == "list" else {"a": a, "b": b}
    return keras.Model(inputs, L.Dense(3, name="head")(L.Dense(6, name="hidden")(h))), keras.Model(
        inputs, maps
    )


@pytest.mark.parametrize("structure", ["list", "dict"])
def test_several_inputs_and_a_shared_layer(structure):
    base, maps = two_inputs(structure)
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 12, 4, 4, 2)).astype(np.float32)
    x = [a, b] if structure == "list" else {"a": a, "b": b}
    y = rng.integers(0, 3, 12)
    model = tfodl.SelectiveModel(base)
    model.compile(keras.optimizers.SGD(0.1), LOSS)
    rule = tfodl.VelocitySelection(100, (x, y), mu=0.0, batch_size=5)
    before = [m.numpy() for m in maps(x)]
    model.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=[rule])
    now = [m.numpy() for m in maps(x)]
    rule.measure()
    both = [np.concatenate(m) for m in (now, before)]  # one neuron, seen twice a sample
    wanted = tfodl.velocity.similarity(*both) - 1
    np.testing.assert_allclose(rule.velocities["shared"], wanted, atol=1e-6)
    for rule in (tfodl.Fisher(100, (x, y)), tfodl.ImportanceRandom(100, (x, y))):
        model.fit(x, y, epochs=1, verbose=0, callbacks=[rule])
    assert model.predict(x, verbose=0).shape == (12, 3)


def test_shared_layer_s_gradient_is_the_sum_over_its_calls():
    base, _ = two_inputs("list")
    rng = np.random.default_rng(1)
    x = [part.astype(np.float32) for part in rng.normal(size=(2, 12, 4, 4, 2))]
    y = rng.integers(0, 3, 12)
    model = tfodl.SelectiveModel(base, UpdatePlan((LayerUpdate("shared", channels=(0,)),), head=False))
    model.compile(keras.optimizers.SGD(1.0), LOSS)
    kernel = base.get_layer("shared").kernel
    with tf.GradientTape() as tape:
        loss = LOSS(y, base(x))
    gradient = tape.gradient(loss, kernel.value).numpy()
    before = kernel.numpy()
    model.train_on_batch(x, y)
    np.testing.assert_allclose((before - kernel.numpy())[..., 0], gradient[..., 0], atol=1e-6)
    assert np.array_equal(before[..., 1:], kernel.numpy()[..., 1:])


def test_recurrent_and_wrapped_layers_stay_frozen_and_are_named_once(caplog):
    keras.utils.set_random_seed(0)
    x = keras.Input((5, 4))
    h = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both_ways")(x)
    h = L.TimeDistributed(L.Dense(4), name="each")(h)
    h = L.MultiHeadAttention(2, 2, name="attention")(h, h)
    h = L.GRU(3, name="gru")(h)
    base = keras.Model(x, L.Dense(3, name="head")(L.Dense(5, name="hidden")(h)))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 5, 4)).astype(np.float32), rng.integers(0, 3, 12)
    with caplog.at_level("WARNING"):
        model = tfodl.SelectiveModel(base)
        model.compile(keras.optimizers.AdamW(0.1, weight_decay=0.1), LOSS)
        before = {layer.name: layer.get_weights() for layer in base.layers}
        model.fit(x, y, epochs=2, verbose=0, callbacks=[tfodl.VelocitySelection(0.5, (x, y))])
    named = [r.getMessage() for r in caplog.records if "stay frozen" in r.getMessage()]
    assert len(named) == 1
    for name in ("both_ways/forward_lstm (LSTM)", "each (TimeDistributed)", "attention/", "gru (GRU)"):
        assert name in named[0]
    for layer in base.layers:
        same = all(map(np.array_equal, layer.get_weights(), before[layer.name]))
        assert same is (layer.name not in ("hidden", "head")) or not layer.get_weights()


def test_each_model_s_frozen_layers_are_named(caplog):
    for name in ("one", "two"):
        x = keras.Input((4,))
        base = keras.Model(x, L.Dense(2)(L.LayerNormalization(name=name)(x)))
        with caplog.at_level("WARNING"):
            tfodl.neuron_groups(base)
        assert f"{name} (LayerNormalization)" in caplog.text


def test_layers_that_are_not_trainable_stay_so():
    base = chain()
    base.get_layer("b").trainable = False
    base.get_layer("norm").trainable = False
    x, y = data()
    model = tfodl.SelectiveModel(base)
    assert [group.layer for group in model.groups] == ["a", "head"]
    model.compile("adam", LOSS)
    before = {layer.name: layer.get_weights() for layer in base.layers}
    model.fit(x, y, verbose=0)
    for name in ("b", "norm"):
        assert all(map(np.array_equal, base.get_layer(name).get_weights(), before[name]))
    base.get_layer("a").trainable = False
    model.compile("adam", LOSS)
    with pytest.raises(TfodlError, match=r"\['a'\] became trainable=False after the model was wrapped"):
        model.fit(x, y, verbose=0)


def test_models_with_steps_or_losses_of_their_own_are_refused():
    class Own(keras.Model):
        def train_step(self, data):
            return {"loss": 0.0}

    base = chain()
    with pytest.raises(TfodlError, match="has its own train_step"):
        tfodl.SelectiveModel(Own(base.input, base.output))
    with pytest.raises(TfodlError, match="already"):
        tfodl.SelectiveModel(tfodl.SelectiveModel(base))
    nested = keras.Model(base.input, L.Dense(2, name="top")(Own(base.input, base.output)(base.input)))
    assert "head" in {group.layer.split("/")[-1] for group in tfodl.SelectiveModel(nested).groups}


def test_clone_is_a_selective_model_with_the_plan():
    model = twins()[0]
    twin = keras.models.clone_model(model)
    assert isinstance(twin, tfodl.SelectiveModel) and twin.plan == model.plan
    twin.set_weights(model.get_weights())
    x, y = data()
    assert np.array_equal(twin.predict(x, verbose=0), model.predict(x, verbose=0))
    twin.compile(keras.optimizers.SGD(0.1), LOSS)
    twin.fit(x, y, verbose=0)
    assert np.array_equal(
        model.base.get_layer("a").get_weights()[0], twin.base.get_layer("a").get_weights()[0]
    )


def test_callbacks_of_keras_beside_a_rule(tmp_path):
    x, y = data()
    model = twins(lambda: keras.optimizers.SGD(0.1, momentum=0.9))[0]
    rates = []
    callbacks = [
        tfodl.VelocitySelection(60, (x[:6], y[:6])),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.1 / (epoch + 1)),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_: rates.append(float(model.optimizer.learning_rate))
        ),
        keras.callbacks.EarlyStopping("loss", patience=5, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True, monitor="loss"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TerminateOnNaN(),
    ]
    model.fit(x, y, batch_size=8, epochs=3, verbose=0, validation_data=(x, y), callbacks=callbacks)
    assert rates == pytest.approx([0.1, 0.05, 0.1 / 3])
    head, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert {"updated_share", "mean_abs_velocity", "flops_saved"} <= set(head.split(",")) and len(rows) == 3
    column = head.split(",").index("mean_abs_velocity")
    assert [float(row.split(",")[column]) > 0 for row in rows] == [False, True, True]
    loaded = keras.saving.load_model(tmp_path / "best.keras")
    assert loaded.plan in callbacks[0].plans


def test_half_precision_with_loss_scaling_trains_and_freezes():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        base = chain()
        model = tfodl.SelectiveModel(base, UpdatePlan((LayerUpdate("b", channels=(1, 3)),)))
        model.compile(keras.optimizers.Adam(0.01), LOSS)
    finally:
        keras.config.set_dtype_policy("float32")
    x, y = data()
    kernel = base.get_layer("b").kernel
    before = kernel.numpy()
    model.fit(x, y, epochs=2, verbose=0)
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    moved = (kernel.numpy() != before).any(axis=(0, 1, 2))
    assert moved.tolist() == [False, True, False, True, False]
    rule = tfodl.Fisher(50, (x, y), batchnorm=False)
    model.fit(x, y, verbose=0, callbacks=[rule])
    assert rule.plans[0].layers


def test_folded_batch_norm_keeps_no_map():
    """A step that runs eagerly would keep every map that it has seen."""
    model = twins()[0]
    run = Train(step_of(UpdatePlan(), model._wiring.groups), model._mask_of, model._wiring.followers)
    with model.watch(run):
        model.base(data()[0], training=True)
    assert not run._folded


def test_channels_first_is_refused():
    x = keras.Input((2, 6, 6))
    h = L.Conv2D(3, 3, data_format="channels_first", name="conv")(x)
    with pytest.raises(TfodlError, match="'conv': data_format 'channels_first' is not supported"):
        tfodl.neuron_groups(keras.Model(x, L.Dense(2)(L.Flatten()(h))))
    h = L.BatchNormalization(axis=1, name="norm")(x)
    with pytest.raises(TfodlError, match="'norm'"):
        tfodl.neuron_groups(keras.Model(x, L.Dense(2)(L.Flatten()(h))))
