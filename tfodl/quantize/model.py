"""Quantisation-aware training and post-training quantisation.

A Keras model is folded (folding/), rebuilt in tf_keras, wrapped (fake_quant.py) by
tensorflow-model-optimization with fake quantisation exactly where the int8 graph rounds, and fine-tuned:
weights symmetric per output channel (per tensor in Dense), activations asymmetric per tensor
(Jacob et al., "Quantization and Training of Neural Networks", CVPR 2018, section 3).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tflm_export.errors import TfodlError
from tflm_export.plan import LOSSES, UpdatePlan
from tfodl.datasets.split import draw
from tfodl.datasets.training_data import check_inputs, check_training_data
from tfodl.quantize import convert
from tfodl.quantize.fake_quant import by_node, fake_quantised
from tfodl.quantize.folding.fold import fold
from tfodl.quantize.folding.folded import FoldedModel, Node

CALIBRATION_BATCHES = 16


def qat(
    model: Any,
    x: Any,
    y: Any,
    *,
    epochs: int = 1,
    batch_size: int = 32,
    learning_rate: float = 1e-4,
    seed: int = 0,
    plan: UpdatePlan | None = None,
    calibration: int | None = None,
    verbose: int | str = 0,
    loss: str = "crossentropy",
) -> QATModel:
    """Fine-tune `model` with Adam while its weights and activations round as they will in int8.

    model: Keras 3 or tf_keras model, one input, one output (logits or probabilities); it is not changed.
    x, y: inputs [N, ...] as the model takes them, labels [N] (class indices) or one-hot; for another loss
        rows as the model gives them, for `"reconstruction"` None.
    loss: a plan's (docs/tasks.md).
    epochs: 0 calibrates the activation ranges only. calibration: inputs that the ranges are first found by,
        drawn, each class by its share; None is 16 batches.
    plan: only its channels change, every other kernel and bias stays bit-identical; batch normalisation is
        folded, so its gamma and beta are part of the kernels here. None trains everything.
    Raises `TfodlError` for layers without an int8 form, data that cannot be learnt, an unknown plan layer.
    """
    folded = fold(model)
    if folded.nodes[-1].kind == "Sigmoid" and loss == "crossentropy":
        raise TfodlError(
            "qat: the model ends in a sigmoid but learns by softmax cross-entropy; "
            "end it in logits, one a class, or train by another loss: loss='bce'."
        )
    masks = update_masks(folded, plan)
    x, y, strata = _checked(folded, x, y, loss)
    _check_settings(epochs, batch_size, learning_rate)
    result = QATModel(folded, masks)
    x = result.rescale(x)
    tf_keras.utils.set_random_seed(seed)
    count = CALIBRATION_BATCHES * batch_size if calibration is None else calibration
    result.calibrate(x[draw(strata, count, seed)], batch_size, count)
    optimizer = tf_keras.optimizers.Adam(learning_rate)
    metrics = [tf_keras.metrics.SparseCategoricalAccuracy("accuracy")] if loss == "crossentropy" else []
    result.model.compile(optimizer, _loss(loss, folded), metrics=metrics)
    if epochs:
        optimizer.build(result.model.trainable_variables)  # in the first step, it would be traced twice
        history = result.model.fit(x, y, epochs=epochs, batch_size=batch_size, verbose=verbose)
        result.history = history.history
    return result


def ptq(model: Any, x: Any) -> bytes:
    """Post-training quantisation: the int8 `.tflite` of `model`, calibrated on the inputs `x` [N, ...].

    Raises `TfodlError` as `qat` does.
    """
    return convert.to_int8(model, representative=x)


class QATModel:
    """A model under quantisation-aware training.

    model: the tf_keras model with fake quantisation (its input is what `rescale` gives).
    folded: the nodes as they were before training; `trained()` gives them as they are now.
    history: metric name -> a value an epoch.
    """

    def __init__(self, folded: FoldedModel, masks: dict[str, tuple[np.ndarray, np.ndarray]]):
        self.folded = folded
        self.history: dict[str, list[float]] = {}
        wrapped = fake_quantised(folded)
        self._layers = by_node(folded, wrapped)
        self.model = _MaskedModel(wrapped.inputs, wrapped.outputs)
        self.model.masks = {
            variable.ref(): mask
            for name, pair in masks.items()
            for variable, mask in zip(self._variables(name), pair, strict=True)
        }

    def rescale(self, x: np.ndarray) -> np.ndarray:
        """The inputs as the graph's first tensor has them: after the folded rescaling."""
        return self.folded.rescaling.apply(x)

    def predict(self, x: Any, batch_size: int = 64) -> np.ndarray:
        """Outputs [N, classes] float32, with everything rounded as in int8."""
        x = check_inputs(x, self.folded.input_shape, "predict")
        found: np.ndarray = self.model.predict(self.rescale(x), batch_size=batch_size, verbose=0)
        return found

    def evaluate(self, x: Any, y: Any, batch_size: int = 64) -> dict[str, float]:
        """Loss and accuracy on inputs [N, ...] and labels [N], as plain floats."""
        x = check_inputs(x, self.folded.input_shape, "evaluate")
        values = self.model.evaluate(
            self.rescale(x), np.asarray(y), batch_size=batch_size, verbose=0, return_dict=True
        )
        return {name: float(value) for name, value in values.items()}

    def trained(self) -> FoldedModel:
        """The nodes with their present kernels and biases (not rounded)."""
        nodes = []
        for node in self.folded.nodes:
            if node.kernel is not None:
                kernel, bias = (variable.numpy() for variable in self._variables(node.name))
                node = dataclasses.replace(node, kernel=kernel, bias=bias)
            nodes.append(node)
        return dataclasses.replace(self.folded, nodes=tuple(nodes))

    def to_int8(self) -> bytes:
        """The int8 `.tflite`; `tfodl.quantize.convert.to_int8` does the work."""
        return convert.to_int8(self)

    def calibrate(self, x: np.ndarray, batch_size: int, count: int | None = None) -> None:
        """Set every activation range from `count` of `x` (already rescaled), 16 batches at most for None; no
        weight changes."""
        for variable in self.model.non_trainable_variables:
            if variable.name.split(":")[0].endswith(("_min", "_max")):
                variable.assign(tf.zeros_like(variable))
        x = x[: CALIBRATION_BATCHES * batch_size if count is None else count]
        for start in range(0, len(x), batch_size):
            self.model(x[start : start + batch_size], training=True)

    def _variables(self, name: str) -> tuple[Any, Any]:
        """Kernel and bias variables of the node `name`."""
        weights = self._layers[name].trainable_weights
        kernel = next(v for v in weights if v.name.split(":")[0].endswith("kernel"))
        return kernel, next(v for v in weights if v.name.split(":")[0].endswith("bias"))


def update_masks(folded: FoldedModel, plan: UpdatePlan | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Node name -> bool masks (kernel's shape, bias's shape) of what `plan` lets change; {} for no plan.

    Raises `TfodlError` for a plan layer that the model lacks, or a channel that the layer lacks.
    """
    if plan is None:
        return {}
    known = {node.name for node in folded.weighted()}
    unknown = sorted({layer.name for layer in plan.layers} - known - set(folded.absorbed))
    if unknown:
        raise TfodlError(f"UpdatePlan: layers {unknown} are not in the model; its layers: {sorted(known)}.")
    masks = {node.name: _node_masks(node, plan) for node in folded.weighted()}
    if plan.head:
        kernel, bias = masks[folded.head.name]
        masks[folded.head.name] = (np.ones_like(kernel), np.ones_like(bias))
    return masks


def _node_masks(node: Node, plan: UpdatePlan) -> tuple[np.ndarray, np.ndarray]:
    assert node.kernel is not None and node.bias is not None
    kernel, bias = np.zeros(node.kernel.shape, bool), np.zeros(node.bias.shape, bool)
    update = plan.layer(node.name)
    if update is None:
        return kernel, bias
    depthwise = node.kind == "DepthwiseConv2D"
    flat = kernel.reshape(*kernel.shape[:2], -1) if depthwise else kernel  # a view
    axis = -1 if update.axis == "out" or depthwise else -2
    size = flat.shape[axis]
    if update.channels and update.channels[-1] >= size:
        raise TfodlError(
            f"UpdatePlan: layer {node.name!r} has {size} channels along {update.axis!r}, got channel "
            f"{update.channels[-1]}."
        )
    chosen = list(update.channels)
    np.moveaxis(flat, axis, 0)[chosen] = True
    if update.bias != "none":
        bias[slice(None) if update.bias == "all" else chosen] = True
    return kernel, bias


def _checked(folded: FoldedModel, x: Any, y: Any, loss: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets, and what a draw goes by: the classes, or nothing. Raises `TfodlError`."""
    if loss not in LOSSES:
        raise TfodlError(f"qat: loss must be one of {LOSSES}, got {loss!r}.")
    if loss == "crossentropy":
        x, y = check_training_data(x, y, folded.input_shape, _classes(folded), "qat")
        return x, y, y
    x = check_inputs(x, folded.input_shape, "qat")
    strata = np.zeros(len(x), int)
    if loss == "reconstruction":
        return x, folded.rescaling.apply(x), strata
    y = np.asarray(y, np.float32).reshape(len(np.asarray(y)), -1)
    if y.shape != (len(x), _classes(folded)) or not np.isfinite(y).all():
        raise TfodlError(
            f"qat: {loss} needs finite targets [{len(x)}, {_classes(folded)}], one for each output; got "
            f"{list(y.shape)}."
        )
    return x, y, strata


def _loss(loss: str, folded: FoldedModel) -> Any:
    """A plan's loss in tf_keras."""
    if loss == "crossentropy":
        return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=not folded.gives_probabilities)
    if loss == "bce":
        return tf_keras.losses.BinaryCrossentropy(from_logits=folded.nodes[-1].kind != "Sigmoid")
    return tf_keras.losses.MeanSquaredError()


def _classes(folded: FoldedModel) -> int:
    bias = folded.head.bias
    assert bias is not None
    return len(bias)


def _check_settings(epochs: int, batch_size: int, learning_rate: float) -> None:
    if epochs < 0 or batch_size < 1 or not 0 < learning_rate < float("inf"):
        raise TfodlError(
            f"qat: needs epochs >= 0, batch_size >= 1, learning_rate > 0; got {epochs}, {batch_size}, "
            f"{learning_rate}."
        )


class _MaskedModel(tf_keras.Model):
    """Restores what a mask holds back after every step: exact, whatever the optimizer does."""

    masks: dict[Any, np.ndarray]

    def train_step(self, data: Any) -> dict[str, Any]:
        before = {
            variable.ref(): tf.identity(variable)
            for variable in self.trainable_variables
            if variable.ref() in self.masks
        }
        logs = super().train_step(data)
        for variable in self.trainable_variables:
            if variable.ref() in before:
                variable.assign(tf.where(self.masks[variable.ref()], variable, before[variable.ref()]))
        found: dict[str, Any] = logs
        return found
