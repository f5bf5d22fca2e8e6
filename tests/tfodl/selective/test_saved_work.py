"""What a plan freezes is not computed: the traced step is searched for the gradients that it runs."""

from __future__ import annotations

from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from selective_nets import compiled, data

import tfodl
import tfodl.neurons.sites
import tfodl.selective.norms
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.neurons.cost import full_plan
from tfodl.neurons.group import whole
from tfodl.neurons.intercept import intercept

DX, DW = "Conv2DBackpropInput", "Conv2DBackpropFilter"


@pytest.fixture
def model():
    """Three 3x3 convolutions with batch norm, then the head."""
    keras.utils.set_random_seed(0)
    x = h = keras.Input((12, 12, 3))
    for name in ("a", "b", "c"):
        h = keras.layers.Conv2D(8, 3, name=name, use_bias=False)(h)
        h = keras.layers.BatchNormalization(name=f"{name}_norm")(h)
        h = keras.layers.ReLU(6.0)(h)
    h = keras.layers.GlobalAveragePooling2D()(h)
    return compiled(tfodl.SelectiveModel(keras.Model(x, keras.layers.Dense(4, name="head")(h))))


def needed_ops(model: tfodl.SelectiveModel) -> list[tf.Operation]:
    """Operations of the training step that something it returns or assigns depends on."""
    model.make_train_function()
    scope, _ = model._traced(model._wiring.step)
    x, y = data(8)
    with intercept(scope):
        step = tf.function(lambda x, y: model.train_step((x, y)))
        graph = step.get_concrete_function(tf.constant(x), tf.constant(y)).graph
    todo = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    todo += [op for op in graph.get_operations() if op.type.startswith("Assign")]
    seen: set[tf.Operation] = set()
    while todo:
        op = todo.pop()
        if op not in seen:
            seen.add(op)
            todo += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return list(seen)


def counted(model, plan) -> tuple[int, int]:
    model.set_plan(plan)
    kinds = Counter(op.type for op in needed_ops(model))
    return kinds[DX], kinds[DW]


def test_everything_trained_has_every_gradient(model):
    assert counted(model, full_plan(model.groups)) == (2, 3)


def test_head_alone_has_no_convolution_gradient(model):
    assert counted(model, UpdatePlan()) == (0, 0)


@pytest.mark.parametrize("name, dx", [("a", 2), ("b", 1), ("c", 0)])
def test_nothing_below_the_shallowest_trained_tensor(model, name, dx):
    assert counted(model, UpdatePlan((LayerUpdate(name, channels=(2,)),))) == (dx, 1)
    assert counted(model, UpdatePlan((LayerUpdate(name, "in", (1,)),))) == (dx, 1)


def test_batch_norms_alone_have_no_weight_gradient(model):
    norms = tuple(whole(group) for group in model.groups if group.kind == "batchnorm")
    assert counted(model, UpdatePlan(norms)) == (2, 0)


@pytest.mark.parametrize("axis, fed", [("out", 2), ("in", 0)])
def test_only_chosen_channels_meet_in_the_weight_gradient(model, axis, fed):
    """Input 0 of the op is the saved activation, input 2 the output's gradient: one of them is gathered."""
    model.set_plan(UpdatePlan((LayerUpdate("b", axis, (1, 4)),)))
    (op,) = [op for op in needed_ops(model) if op.type == DW]
    assert op.inputs[fed].op.type == "GatherV2"
    assert op.inputs[2 - fed].op.type != "GatherV2"


def test_frozen_batch_norm_is_folded_into_its_convolution(model):
    """No map is multiplied: with all norms frozen, every Mul of the forward pass is of kernel size."""
    model.set_plan(UpdatePlan())
    ops = needed_ops(model)
    maps = [op for op in ops if op.type in ("Mul", "Sub", "AddV2") and (op.outputs[0].shape.rank or 0) == 4]
    assert all(op.outputs[0].shape[0] == 3 for op in maps), [op.name for op in maps]  # kernels are 3x3
    x, _ = data(8)
    with model.watch(tfodl.neurons.sites.Run()):
        plain = model.base(x, training=False)
    scope, _ = model._traced(model._wiring.step)
    with intercept(scope):
        folded = model.base(x, training=True)
    np.testing.assert_allclose(plain, folded, atol=1e-5)


@pytest.mark.parametrize(("size", "scaled"), [(2, "maps"), (24, "kernels")])
def test_the_smaller_of_kernel_and_map_is_scaled(size, scaled):
    """A kernel that outweighs its map is not copied; either way the gradients are TensorFlow's."""
    keras.utils.set_random_seed(0)
    x = keras.Input((size, size, 16), batch_size=8)
    h = keras.layers.Conv2D(24, 3, padding="same", name="conv")(x)
    h = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization(name="norm")(h))
    base = keras.Model(x, keras.layers.Dense(4, name="head")(h))
    base.get_layer("norm").set_weights(list(np.random.default_rng(0).uniform(0.5, 2, (4, 24))))
    model = compiled(tfodl.SelectiveModel(base, UpdatePlan((LayerUpdate("conv", "out", (1, 4, 5)),))))
    model.make_train_function()
    pictures, labels = tf.random.normal((8, size, size, 16)), tf.range(8) % 4
    kernel = base.get_layer("conv").kernel
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            value = loss(labels, base(x, training=True))
        return tape.gradient(value, kernel.value)

    with tf.GradientTape() as tape:
        value = loss(labels, base(pictures, training=False))
    expected = tape.gradient(value, kernel.value).numpy()
    scope, _ = model._traced(model._wiring.step)
    with intercept(scope):
        found = gradient(pictures).numpy()
        graph = gradient.get_concrete_function(pictures).graph
    np.testing.assert_allclose(found[..., [1, 4, 5]], expected[..., [1, 4, 5]], rtol=1e-4, atol=1e-6)
    assert not found[..., [0, 2, 3, *range(6, 24)]].any()
    products = [tuple(op.outputs[0].shape) for op in graph.get_operations() if op.type == "Mul"]
    assert ((3, 3, 16, 24) in products) is (scaled == "kernels")


def test_least_epsilon_of_the_fused_kernel():
    """The kernel takes a smaller one for 1.001e-5, without a word."""
    for epsilon, able in ((1e-3, True), (1e-6, False)):
        layer = keras.layers.BatchNormalization(epsilon=epsilon)
        layer.build((None, 5, 5, 3))
        assert tfodl.selective.norms.can_fuse(layer, tf.zeros((2, 5, 5, 3)), None) is able


def test_fused_batch_norm_is_keras_s_own(model):
    """Forward, gradients and moving averages of the fused kernel against the layer itself."""
    layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-2)
    layer.build((None, 5, 5, 3))
    rng = np.random.default_rng(0)
    layer.gamma.assign(rng.normal(size=3))
    layer.beta.assign(rng.normal(size=3))
    x = tf.constant(rng.normal(size=(4, 5, 5, 3)) * 2 + 1, tf.float32)
    weigh = tf.constant(rng.normal(size=(4, 5, 5, 3)), tf.float32)
    start = [variable.numpy() for variable in layer.variables]
    results = []
    for call in (lambda: layer(x, training=True), lambda: tfodl.selective.norms.fused(layer, x)):
        for variable, value in zip(layer.variables, start, strict=True):
            variable.assign(value)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(call() * weigh)
        gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])
        results.append([loss, *gradients, layer.moving_mean.numpy(), layer.moving_variance.numpy()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
