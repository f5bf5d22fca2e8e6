"""Where neurons live: the only file that knows Keras layer classes.

A `Site` is one weight tensor of one layer with the neurons along its last axis (axes). An adapter runs a
layer's forward pass through a `Run`, which sees every site's input, weight and output before activation:
discovery, measuring and training are three kinds of `Run`.

A layer class of your own joins by a method `tfodl_neurons() -> Neurons` (see `Neurons`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import tensorflow as tf

from tflm_export.errors import TfodlError
from tfodl.neurons.group import Kind


@dataclass(frozen=True, eq=False)
class Neurons:
    """What a layer of your own returns from `tfodl_neurons()`.

    kernel: the weight variable, `[..., C_out]`; bias: `[C_out]` or None. The layer's output `[N, ..., C_out]`
    is taken as its neurons' outputs. Such a layer's weight gradient is computed whole, then masked.
    kind: what the kernel is laid out as: `"conv"` and `"dense"` may be chosen by input channel too,
        `"depthwise"` is `[kh, kw, C, multiplier]`.
    """

    kernel: keras.Variable
    bias: keras.Variable | None = None
    kind: Kind = "custom"


@dataclass(frozen=True, eq=False)
class Site:
    """One weight tensor with selectable neurons.

    name: path of the layer (`"backbone/conv_1"`; a separable convolution has `"sep/depthwise"` and `"sep"`).
    out_axes: how many trailing axes of `kernel` index output neurons (2 for a depthwise kernel).
    """

    name: str
    kind: Kind
    layer: keras.layers.Layer
    kernel: keras.Variable | None
    bias: keras.Variable | None = None
    out_axes: int = 1

    @property
    def weight(self) -> keras.Variable:
        """The variable whose last axes are the neurons: the kernel, or beta where a BN has no gamma."""
        variable = self.kernel if self.kernel is not None else self.bias
        assert variable is not None
        return variable

    @property
    def channels_out(self) -> int:
        shape = self.weight.shape
        return int(shape[-1]) if self.out_axes == 1 else int(shape[-2] * shape[-1])

    @property
    def channels_in(self) -> int | None:
        """Length of the kernel's input axis; None where there is none of its own."""
        return int(self.weight.shape[-2]) if self.kind in ("conv", "dense") else None


class Run:
    """Plain forward pass. Subclasses watch it (`Trace`, `Measure`) or change its gradients (`Train`)."""

    def linear(self, site: Site, x: Any, kernel: Any, forward: Callable[[Any, Any], Any]) -> Any:
        """`forward(x, kernel)`: `x [N, ..., C_in]` to `y [N, ..., C_out]`, before the bias."""
        return forward(x, kernel)

    def bias(self, site: Site, y: Any, bias: Any) -> Any:
        """`y` plus `bias [C]`; `bias` is None where the layer has none."""
        return y if bias is None else tf.nn.bias_add(y, tf.convert_to_tensor(bias))

    def input(self, site: Site, x: Any) -> Any:
        """A site's input, on its way in."""
        return x

    def output(self, site: Site, x: Any, y: Any) -> Any:
        """A site's output `y` (of input `x`) before batch norm and activation, on its way out."""
        return y

    def batchnorm(self, site: Site, call: Callable[..., Any], x: Any, **kwargs: Any) -> Any:
        return call(x, **kwargs)


class Adapter(Protocol):
    """Runs one layer through a `Run`."""

    sites: tuple[Site, ...]

    def call(self, run: Run, *args: Any, **kwargs: Any) -> Any: ...


def _biased(run: Run, site: Site, x: Any, kernel: Any, forward: Callable[[Any, Any], Any]) -> Any:
    x = run.input(site, x)
    y = run.linear(site, x, kernel, forward)
    y = run.bias(site, y, None if site.bias is None else site.layer.bias)
    return run.output(site, x, y)


def _activated(layer: keras.layers.Layer, y: Any) -> Any:
    return y if layer.activation is None else layer.activation(y)


class ConvAdapter:
    """Conv2D: a neuron is an output channel, kernel `[kh, kw, C_in, C_out]`."""

    def __init__(self, layer: keras.layers.Conv2D, name: str) -> None:
        self.layer = layer
        self.sites = (Site(name, "conv", layer, layer._kernel, layer.bias),)

    def call(self, run: Run, inputs: Any) -> Any:
        y = _biased(run, self.sites[0], inputs, self.layer.kernel, self.layer.convolution_op)
        return _activated(self.layer, y)


class Conv1DAdapter(ConvAdapter):
    """Conv1D, causal too: kernel `[k, C_in, C_out]`."""

    def call(self, run: Run, inputs: Any) -> Any:
        at, padding = self.layer, self.layer.padding
        if padding == "causal":
            inputs, padding = keras.ops.pad(inputs, at._compute_causal_padding()), "valid"

        def forward(x: Any, kernel: Any) -> Any:
            return keras.ops.conv(x, kernel, list(at.strides), padding, at.data_format, at.dilation_rate)

        return _activated(at, _biased(run, self.sites[0], inputs, at.kernel, forward))


class DepthwiseAdapter:
    """DepthwiseConv2D and 1D: a neuron is one filter, kernel `[..., C_in, multiplier]`."""

    def __init__(self, layer: keras.layers.DepthwiseConv2D, name: str) -> None:
        self.layer = layer
        self.sites = (Site(name, "depthwise", layer, layer.kernel, layer.bias, out_axes=2),)

    def _forward(self, x: Any, kernel: Any) -> Any:
        at = self.layer
        return keras.ops.depthwise_conv(
            x, kernel, at.strides, at.padding, data_format=at.data_format, dilation_rate=at.dilation_rate
        )

    def call(self, run: Run, inputs: Any) -> Any:
        y = _biased(run, self.sites[0], inputs, self.layer.kernel, self._forward)
        return _activated(self.layer, y)


class SeparableAdapter:
    """SeparableConv2D and 1D: the depthwise filters and the pointwise channels are two sites."""

    def __init__(self, layer: keras.layers.SeparableConv2D, name: str) -> None:
        self.layer = layer
        self.sites = (
            Site(f"{name}/depthwise", "depthwise", layer, layer.depthwise_kernel, out_axes=2),
            Site(name, "conv", layer, layer.pointwise_kernel, layer.bias),
        )

    def _depthwise(self, x: Any, kernel: Any) -> Any:
        at = self.layer
        return keras.ops.depthwise_conv(
            x, kernel, at.strides, at.padding, data_format=at.data_format, dilation_rate=at.dilation_rate
        )

    def _pointwise(self, x: Any, kernel: Any) -> Any:
        return keras.ops.conv(x, kernel, 1, "valid", data_format=self.layer.data_format)

    def call(self, run: Run, inputs: Any) -> Any:
        depthwise, pointwise = self.sites
        middle = _biased(run, depthwise, inputs, self.layer.depthwise_kernel, self._depthwise)
        y = _biased(run, pointwise, middle, self.layer.pointwise_kernel, self._pointwise)
        return _activated(self.layer, y)


class DenseAdapter:
    """Dense: a neuron is a unit, kernel `[C_in, units]`."""

    def __init__(self, layer: keras.layers.Dense, name: str) -> None:
        self.layer = layer
        self.sites = (Site(name, "dense", layer, layer._kernel, layer.bias),)

    def call(self, run: Run, inputs: Any, training: Any = None) -> Any:
        y = _biased(run, self.sites[0], inputs, self.layer.kernel, keras.ops.matmul)
        return _activated(self.layer, y)


class BatchNormAdapter:
    """BatchNormalization: a neuron is a channel's gamma and beta."""

    def __init__(self, layer: keras.layers.BatchNormalization, name: str) -> None:
        self.layer = layer
        scale, center = layer.gamma if layer.scale else None, layer.beta if layer.center else None
        learns = scale is not None or center is not None
        self.sites = (Site(name, "batchnorm", layer, scale, center),) if learns else ()
        self._call = type(layer).call.__get__(layer)

    def call(self, run: Run, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if not self.sites:
            return self._call(inputs, training=False, mask=mask)
        y = run.batchnorm(self.sites[0], self._call, inputs, training=training, mask=mask)
        return run.output(self.sites[0], inputs, y)


class CustomAdapter:
    """A layer of the user's own with `tfodl_neurons()`."""

    def __init__(self, layer: Any, name: str) -> None:
        neurons = layer.tfodl_neurons()
        axes = 2 if neurons.kind == "depthwise" else 1
        self.sites = (Site(name, neurons.kind, layer, neurons.kernel, neurons.bias, axes),)
        self._call = type(layer).call.__get__(layer)

    def call(self, run: Run, x: Any, *args: Any, **kwargs: Any) -> Any:
        x = run.input(self.sites[0], x)
        return run.output(self.sites[0], x, self._call(x, *args, **kwargs))


ADAPTERS: dict[Any, Callable[[Any, str], Any]] = {
    keras.layers.SeparableConv2D: SeparableAdapter,
    keras.layers.DepthwiseConv2D: DepthwiseAdapter,
    keras.layers.Conv2D: ConvAdapter,
    keras.layers.SeparableConv1D: SeparableAdapter,
    keras.layers.DepthwiseConv1D: DepthwiseAdapter,
    keras.layers.Conv1D: Conv1DAdapter,
    keras.layers.Dense: DenseAdapter,
    keras.layers.BatchNormalization: BatchNormAdapter,
}


# Layers that run what they hold in a loop of their own, or change its weights: they stay frozen as a whole.
CLOSED = (keras.layers.Wrapper, keras.layers.RNN)


def _adapter_class(layer: Any) -> Callable[[Any, str], Any] | None:
    if hasattr(layer, "tfodl_neurons"):
        return CustomAdapter
    plain = layer.quantization_mode is None and not getattr(layer, "lora_enabled", False)
    for kind, adapter in ADAPTERS.items():
        if isinstance(layer, kind) and type(layer).call is kind.call and plain:
            return adapter
    return None


def _leaves(layer: keras.layers.Layer, prefix: str, seen: set[int]) -> list[tuple[str, keras.layers.Layer]]:
    """(path, layer) of every layer that owns weights, containers opened, shared layers once."""
    rows = []
    for child in layer._flatten_layers(include_self=False, recursive=False):
        if id(child) in seen:
            continue
        seen.add(id(child))
        closed = isinstance(child, CLOSED) or _adapter_class(child) is not None
        if not closed and (inner := _leaves(child, f"{prefix}{child.name}/", seen)):
            rows += inner
        else:
            rows.append((f"{prefix}{child.name}", child))
    return rows


def adapters(model: keras.Model) -> tuple[dict[keras.layers.Layer, Adapter], list[str]]:
    """Adapters of the supported trainable layers, and the names of other layers with trainable weights.

    Raises `TfodlError` when the model is not built, two layers share one path, or channels come first.
    """
    if not model.built:
        raise TfodlError(
            f"Model {model.name!r} has no weights yet; build it or call it on a batch before tfodl sees it."
        )
    found: dict[keras.layers.Layer, Adapter] = {}
    others: list[str] = []
    leaves = _leaves(model, "", set())
    _check_distinct([path for path, _ in leaves], model.name)
    for path, layer in leaves:
        make = _adapter_class(layer)
        if make is not None and layer.trainable and layer.built:
            _check_channels_last(layer, path)
            found[layer] = make(layer, path)
        elif layer.trainable_variables:
            others.append(f"{path} ({type(layer).__name__})")
    return found, others


def _check_distinct(paths: Sequence[str], model: str) -> None:
    repeated = sorted({path for path in paths if paths.count(path) > 1})
    if repeated:
        raise TfodlError(f"Model {model!r}: several layers are named {repeated}; give each its own name.")


def _check_channels_last(layer: Any, path: str) -> None:
    first = getattr(layer, "data_format", None) == "channels_first"
    if isinstance(layer, keras.layers.BatchNormalization):
        first = layer.axis not in (-1, layer.input_spec.ndim - 1)
    if first:
        raise TfodlError(
            f"Layer {path!r}: data_format 'channels_first' is not supported; allowed 'channels_last', as the "
            "device has it. Build the model with channels last, or set the layer's trainable to False."
        )


def calls(run: Run, found: dict[keras.layers.Layer, Adapter]) -> dict[keras.layers.Layer, Callable[..., Any]]:
    """What `intercept` needs to run a model through `run`."""

    def bound(adapter: Adapter) -> Callable[..., Any]:
        found: Callable[..., Any] = tf.autograph.experimental.do_not_convert(
            lambda *args, **kwargs: adapter.call(run, *args, **kwargs)
        )
        return found

    return {layer: bound(adapter) for layer, adapter in found.items()}
