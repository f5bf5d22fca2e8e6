"""Published Sparse Update schemes as data (Lin et al. 2022, "On-Device Training Under 256KB Memory").

A scheme says, for the convolutions of a net in call order (depthwise ones counted, the classifier not), which
train what share of their input channels, and how many of the last convolutions train their biases.

>>> SCHEMES["mcunet-5fps-49kb"].biases
20
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from tflm_export.errors import TfodlError
from tflm_export.plan import LayerUpdate, UpdatePlan

if TYPE_CHECKING:
    from tfodl.neurons.group import NeuronGroup


@dataclass(frozen=True)
class Scheme:
    """One published scheme.

    name: of the scheme; net: the model of `tfodl.models` that it was searched for.
    kilobytes: the memory that the paper prints, KB.
    biases: this many of the last convolutions train their biases.
    ratios: convolution index -> share of input channels whose weights train (0: searched, none taken).
    """

    name: str
    net: str
    kilobytes: int
    biases: int
    ratios: Mapping[int, float]


# net: rows of (KB, b, "index:ratio ..."); "a b c:r" gives all three the ratio r.
_PRINTED = {
    "mbv2-w0.35": (
        (49, 16, "36:1 39:1 40:0 41:.25 42:.125 45:.125 48:.125 49:.125"),
        (73, 20, "32:.125 33:.5 36:.5 39:1 41:.25 42:.125 45:.125 48:1"),
        (99, 25, "27 30 33 36 39:1 42:.125 45:.5 48:1"),
        (123, 31, "27 30 33 36 39:1 42:.5 45:1 48:1"),
        (138, 34, "27 30 33 36 39 42 45 48:1"),
    ),
    "mcunet-5fps": (
        (49, 20, "23:0 24:.25 27:.5 30:.5 33:0 39:0"),
        (74, 21, "21:1 23:0 24:1 26:0 27:.5 30:1"),
        (99, 22, "21 24 27 30:1 36:.125 39:.25"),
        (124, 24, "21:.25 24 27 30:1 33:.5 39:.5"),
        (148, 23, "21 24 27 30 36:1 39:.5"),
    ),
    "proxyless-w0.3": (
        (49, 21, "39:.25 42:1 44:0 45:1 50:0 51:.125 54:.25 57:.25"),
        (74, 28, "33:.5 36:.25 39 42 45:1 51:.5 54:.25 57:.5"),
        (98, 25, "36:1 39:.5 42 45:1 48:.25 51:.5 54 57:1"),
        (120, 32, "36 39 42 45:1 48:.5 51 54 57:1"),
        (148, 45, "36 39 42 45 48 51 54 57:1"),
    ),
}


def _parse(text: str) -> Mapping[int, float]:
    """`"27 30:1 36:.5"` -> {27: 1.0, 30: 1.0, 36: 0.5}."""
    ratios: dict[int, float] = {}
    waiting: list[int] = []
    for word in text.split():
        index, _, ratio = word.partition(":")
        waiting.append(int(index))
        if ratio:
            ratios |= dict.fromkeys(waiting, float(ratio))
            waiting = []
    return MappingProxyType(ratios)


SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        f"{net}-{kilobytes}kb": Scheme(f"{net}-{kilobytes}kb", net, kilobytes, biases, _parse(text))
        for net, rows in _PRINTED.items()
        for kilobytes, biases, text in rows
    }
)


def plan(name: str, model: Any) -> UpdatePlan:
    """The published scheme `name` as a plan for `model` (a Keras model or its neuron groups).

    Convolutions train their first `ratio · C_in` input channels (axis "in"; depthwise ones their first
    filters), the last b convolutions their biases. The schemes count layers, not names, so a net of the same
    build at another width or size takes them too (MobileNetV2 1.0 the mbv2 schemes). A convolution whose bias
    is a batch norm's beta trains none: fold the batch norm, or let the callback's `batchnorm` train it.

    Raises `TfodlError` for an unknown scheme, or a model with too few convolutions for it.
    """
    if name not in SCHEMES:
        raise TfodlError(f"scheme {name!r} is unknown; allowed: {', '.join(SCHEMES)}.")
    from tfodl.neurons.groups import neuron_groups

    scheme = SCHEMES[name]
    groups = model if isinstance(model, (list, tuple)) else neuron_groups(model)
    convs = [group for group in groups if group.kind in ("conv", "depthwise") and not group.head]
    if max(*scheme.ratios, scheme.biases - 1) >= len(convs):
        raise TfodlError(
            f"scheme {name!r} needs {max(scheme.ratios) + 1} convolutions, the model has {len(convs)}; "
            f"it was searched for {scheme.net!r}."
        )
    layers = entries(convs, scheme.ratios, scheme.biases)
    return UpdatePlan(layers=layers, provenance={"method": "sparse_update", "scheme": name})


def entries(
    convs: Sequence[NeuronGroup], ratios: Mapping[int, float], biases: int
) -> tuple[LayerUpdate, ...]:
    """Plan entries of a scheme: `ratios` by position in `convs`, biases of the last `biases` of them."""
    rows = []
    for index, group in enumerate(convs):
        biased = index >= len(convs) - biases and group.bias
        channels = first_channels(group, ratios.get(index, 0.0))
        if channels or biased:
            axis: Literal["out", "in"] = "in" if group.kind == "conv" else "out"
            rows.append(LayerUpdate(group.layer, axis, channels, "all" if biased else "none"))
    return tuple(rows)


def first_channels(group: NeuronGroup, ratio: float) -> tuple[int, ...]:
    """The first `ratio` of a group's input channels (of a depthwise one's filters), at least one if any."""
    length = group.length("in" if group.kind in ("conv", "dense") else "out")
    return tuple(range(max(1, int(ratio * length)) if ratio > 0 else 0))
