"""`Budget` and `UpdatePlan`: what may change on the device. Standard library only; the contract
between `tfodl` (which makes plans) and `tflm_export` (which compiles them).

>>> plan = UpdatePlan(layers=(LayerUpdate("conv_1", "out", (0, 3), bias="selected"),), head=True)
>>> UpdatePlan.from_json(plan.to_json()) == plan
True
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tflm_export.errors import TfodlError
from tflm_export.files import write_text
from tflm_export.pool import Pool

VERSION = 1
LARGEST_BATCH = 2**15
PAGE_BYTES, PAGES = 4096, range(4, 65)  # of a store
AXES = ("out", "in")
BIASES = ("none", "selected", "all")
ROUNDINGS = ("stochastic", "accumulator")
LOSSES = ("crossentropy", "bce", "mse", "reconstruction")
Loss = Literal["crossentropy", "bce", "mse", "reconstruction"]
POLICIES = ("reservoir", "balanced")
PLACES = ("ram",)
OPTIONAL = (
    "store_bytes",
    "candidates",
    "memory",
    "pool",
    "guard",
    "spare_classes",
)  # fields that JSON leaves out where a plan does not use them
SMALLEST_RATE, LARGEST_RATE = 1e-30, 1e6  # kMaxLearningRate of support.h


def is_learning_rate(rate: float) -> bool:
    """Whether the device takes `rate`: finite, > 0, in the range that float32 and its steps have."""
    return SMALLEST_RATE <= rate <= LARGEST_RATE


def no_learning_rate(rate: object) -> str:
    """Why `rate` is refused."""
    return f"learning_rate must be a number from {SMALLEST_RATE:g} to {LARGEST_RATE:g}, got {rate!r}."


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise TfodlError(message)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True)
class Budget:
    """Upper limits on what an update may cost; `None` leaves a quantity free.

    params: trained parameters, classifier head apart.
    ram_bytes: RAM of the compiled engine, static and stack, bytes.
    flash_bytes: the engine's program and constants, bytes.
    macs: multiply-accumulates of one backward pass at batch 1.
    scheme_bytes: what a published scheme's size counts (Lin et al. 2022: saved activations, clip masks and
        trained weights at batch 1, no gradients), bytes.

    Raises `TfodlError` on a negative or non-integer limit.
    """

    params: int | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    macs: int | None = None
    scheme_bytes: int | None = None

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            _require(
                value is None or _is_count(value),
                f"Budget: {name} must be a whole number >= 0 or None, got {value!r}.",
            )

    @property
    def limits_engine(self) -> bool:
        """Whether bytes of the compiled engine are limited."""
        return self.ram_bytes is not None or self.flash_bytes is not None


@dataclass(frozen=True)
class LayerUpdate:
    """What trains in one layer.

    name: the Keras layer's name; for a compiled model the `.tflite` op: its output tensor's name,
        its weight tensor's name, or `#<op index>`.
    axis: `"out"` trains output channels (rows of the weight), `"in"` input channels (columns).
    channels: sorted indices along `axis` whose weights train; `()` trains no weight.
    bias: `"none"`, `"selected"` (the biases of `channels`, axis `"out"` only) or `"all"`.
    """

    name: str
    axis: Literal["out", "in"] = "out"
    channels: tuple[int, ...] = ()
    bias: Literal["none", "selected", "all"] = "none"

    def __post_init__(self) -> None:
        where = f"LayerUpdate {self.name!r}"
        named = isinstance(self.name, str) and bool(self.name)
        _require(named, f"LayerUpdate: name must be a non-empty string, got {self.name!r}.")
        _require(self.axis in AXES, f"{where}: axis must be one of {AXES}, got {self.axis!r}.")
        _require(self.bias in BIASES, f"{where}: bias must be one of {BIASES}, got {self.bias!r}.")
        channels = tuple(self.channels)
        _require(
            all(map(_is_count, channels)),
            f"{where}: channels must be whole numbers >= 0, got {channels[:8]!r}.",
        )
        _require(
            all(a < b for a, b in zip(channels, channels[1:], strict=False)),
            f"{where}: channels must be sorted and distinct; sort them and drop repeats.",
        )
        _require(
            not (self.axis == "in" and self.bias == "selected"),
            f"{where}: bias 'selected' needs axis 'out'; use 'all' or 'none' with axis 'in'.",
        )
        object.__setattr__(self, "channels", channels)


@dataclass(frozen=True)
class Optimizer:
    """The device's update rule: SGD on integer weights (docs/arithmetic.md, "Update").

    learning_rate: step size in the float model's terms; may be changed at run time.
    momentum: 0 keeps no velocity; otherwise 4 bytes a trained weight.
    batch: samples accumulated before a step; more than 1 costs 4 bytes a trained weight.
    rounding: `"stochastic"` (no memory) or `"accumulator"` (2 bytes a trained weight).
    qas: quantization-aware scaling (Lin et al. 2022, section 3.1).
    """

    learning_rate: float = 0.01
    momentum: float = 0.0
    batch: int = 1
    rounding: Literal["stochastic", "accumulator"] = "stochastic"
    qas: bool = True

    def __post_init__(self) -> None:
        number = _is_number(self.learning_rate) and is_learning_rate(self.learning_rate)
        _require(number, f"Optimizer: {no_learning_rate(self.learning_rate)}")
        number = _is_number(self.momentum) and 0 <= self.momentum < 1
        _require(number, f"Optimizer: momentum must be in [0, 1), got {self.momentum!r}.")
        whole = _is_count(self.batch) and 1 <= self.batch <= LARGEST_BATCH
        _require(
            whole, f"Optimizer: batch must be a whole number from 1 to {LARGEST_BATCH}, got {self.batch!r}."
        )
        _require(
            self.rounding in ROUNDINGS,
            f"Optimizer: rounding must be one of {ROUNDINGS}, got {self.rounding!r}.",
        )
        _require(isinstance(self.qas, bool), f"Optimizer: qas must be true or false, got {self.qas!r}.")


@dataclass(frozen=True)
class Memory:
    """What the device remembers and rehearses: latents of samples, with their labels (docs/living.md).

    samples, bytes: the capacity, one of the two; a sample takes its latent and 2 bytes of label.
    replays: remembered samples that a training step learns again. exemplar_replays: the same of samples that
        were shipped with the engine.
    policy: which samples stay when the memory is full: `"reservoir"` (every sample seen alike) or
        `"balanced"` (every class alike). where: `"ram"`.

    >>> Memory(samples=50).replays
    3
    """

    samples: int | None = None
    bytes: int | None = None
    replays: int = 3
    exemplar_replays: int = 0
    policy: Literal["reservoir", "balanced"] = "reservoir"
    where: Literal["ram"] = "ram"

    def __post_init__(self) -> None:
        given = [size for size in (self.samples, self.bytes) if size is not None]
        _require(
            len(given) == 1 and _is_count(given[0]) and given[0] >= 1,
            f"Memory: give its capacity as samples or as bytes, a whole number >= 1; got samples "
            f"{self.samples!r} and bytes {self.bytes!r}.",
        )
        for name in ("replays", "exemplar_replays"):
            value = getattr(self, name)
            whole = _is_count(value) and value <= 100
            _require(whole, f"Memory: {name} must be a whole number from 0 to 100, got {value!r}.")
        _require(self.policy in POLICIES, f"Memory: policy must be one of {POLICIES}, got {self.policy!r}.")
        _require(self.where in PLACES, f"Memory: where must be one of {PLACES}, got {self.where!r}.")


@dataclass(frozen=True)
class Guard:
    """When the device goes back to what it knew (docs/living.md).

    samples: pictures that are kept to judge by; each takes what a remembered one takes.
    held_out: one picture in so many judges, and is never learned from.
    every: training steps between two judgements; 0 for none but those that are asked for.

    >>> Guard(samples=20).every
    25
    """

    samples: int = 20
    held_out: int = 4
    every: int = 25

    def __post_init__(self) -> None:
        for name, least, most in (("samples", 1, 2**15), ("held_out", 2, 2**15), ("every", 0, 2**30)):
            value = getattr(self, name)
            _require(
                _is_count(value) and least <= value <= most,
                f"Guard: {name} must be a whole number from {least} to {most}, got {value!r}.",
            )


@dataclass(frozen=True)
class UpdatePlan:
    """Which channels of which layers learn, and how. Frozen, validated, JSON both ways.

    layers: one `LayerUpdate` a layer; a layer that is not named is frozen.
    head: the classifier (last dense layer) trains whole, outside the budget.
    loss: `"crossentropy"` (softmax cross-entropy on real logits), `"bce"` (binary cross-entropy, of one logit
        or several), `"mse"`, or `"reconstruction"` (mean squared difference of output and input).
    store_bytes: flash in which the device keeps what it learned (docs/store.md): 0 for none, else 4 to 64
        pages of 4,096 bytes.
    provenance: free facts (method, epoch, data set); `model_sha256` binds the plan to one `.tflite`.
    candidates: names of layers that may ever learn on the device, beside those that do; what lies below
        all of them is frozen for good. memory: what the device remembers; None is nothing.
    pool: how many channels of the candidates learn at a time, chosen on the device (docs/choosing.md), and
        `layers` are then those of the first epoch; None: `layers` learn, and nothing is chosen.
    guard: when it goes back to what it knew, by pictures of which it needs a memory; None is never.
    spare_classes: how many of the model's outputs, the last ones, wait for classes that the device may meet;
        they need a memory and the head.

    Raises `TfodlError` on anything that is not a plan.
    """

    layers: tuple[LayerUpdate, ...] = ()
    head: bool = True
    budget: Budget = field(default_factory=Budget)
    optimizer: Optimizer = field(default_factory=Optimizer)
    loss: Loss = "crossentropy"
    seed: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION
    store_bytes: int = 0
    candidates: tuple[str, ...] = ()
    memory: Memory | None = None
    pool: Pool | None = None
    guard: Guard | None = None
    spare_classes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "candidates", tuple(self.candidates))
        _require(
            self.version == VERSION,
            f"UpdatePlan: version {self.version!r} is not supported; allowed: {VERSION}.",
        )
        names = [layer.name for layer in self.layers]
        repeated = sorted({name for name in names if names.count(name) > 1})
        _require(not repeated, f"UpdatePlan: layers named more than once: {repeated}; merge their entries.")
        _require(isinstance(self.head, bool), f"UpdatePlan: head must be true or false, got {self.head!r}.")
        _require(
            self.loss in LOSSES,
            f"UpdatePlan: loss must be one of {LOSSES}, got {self.loss!r}.",
        )
        _require(
            _is_count(self.seed) and self.seed < 2**32,
            f"UpdatePlan: seed must be in [0, 2**32), got {self.seed!r}.",
        )
        _require(
            all(isinstance(name, str) and name for name in self.candidates),
            f"UpdatePlan: candidates must be names of layers, got {self.candidates!r}.",
        )
        _require(
            self.memory is None or (isinstance(self.memory, Memory) and self.loss == "crossentropy"),
            f"UpdatePlan: memory must be a Memory or None, and needs the loss 'crossentropy', for it keeps "
            f"classes; got {self.memory!r} and {self.loss!r}.",
        )
        self._check_pool()
        _require(
            self.guard is None or isinstance(self.guard, Guard),
            f"UpdatePlan: guard must be a Guard or None, got {self.guard!r}.",
        )
        _require(
            self.guard is None or self.memory is not None,
            "UpdatePlan: guard judges by remembered pictures, and the plan has no memory; set memory, or "
            "drop the guard.",
        )
        _require(
            _is_count(self.spare_classes),
            f"UpdatePlan: spare_classes must be a whole number >= 0, got {self.spare_classes!r}.",
        )
        _require(
            not self.spare_classes or (self.memory is not None and self.head),
            "UpdatePlan: spare_classes are learned by the head beside remembered samples; set head to true "
            "and a memory, or spare_classes to 0.",
        )
        pages, rest = divmod(self.store_bytes, PAGE_BYTES) if _is_count(self.store_bytes) else (-1, 0)
        _require(
            pages in (0, *PAGES) and not rest,
            f"UpdatePlan: store_bytes must be 0 or 4 to 64 pages of {PAGE_BYTES}, got {self.store_bytes!r}.",
        )

    def _check_pool(self) -> None:
        if self.pool is None:
            return
        _require(isinstance(self.pool, Pool), f"UpdatePlan: pool must be a Pool or None, got {self.pool!r}.")
        _require(bool(self.candidates), "UpdatePlan: a pool chooses among candidates; name at least one.")
        _require(
            self.memory is not None,
            "UpdatePlan: a pool needs a memory, for what was learned is measured on its samples; set memory.",
        )
        _require(
            self.store_bytes == 0,
            f"UpdatePlan: a pool keeps what it learned in an area of its own; set store_bytes to 0, "
            f"got {self.store_bytes}.",
        )
        named = [layer.name for layer in self.layers if layer.name not in self.candidates]
        _require(
            not named,
            f"UpdatePlan: layers {named} are no candidates; with a pool, layers are the first epoch's choice "
            "among candidates.",
        )
        for layer in self.layers:
            _require(
                layer.axis == "out" and layer.bias != "all",
                f"UpdatePlan: {layer.name!r}: a pool holds output channels with their own biases; give axis "
                f"'out' and bias 'selected' or 'none', got {layer.axis!r} and {layer.bias!r}.",
            )

    def __hash__(self) -> int:
        learning = (self.layers, self.head, self.budget, self.optimizer, self.loss, self.seed)
        living = (self.candidates, self.memory, self.pool, self.guard, self.spare_classes)
        return hash((*learning, self.store_bytes, *living))

    def layer(self, name: str) -> LayerUpdate | None:
        """The entry of layer `name`, or None when that layer is frozen."""
        return next((layer for layer in self.layers if layer.name == name), None)

    def to_json(self) -> str:
        """The plan as indented JSON; channel lists stay on one line, what it does not use is left out."""
        unused = {name for name in OPTIONAL if not getattr(self, name)}
        head = {name: value for name, value in dataclasses.asdict(self).items() if name not in unused}
        layers = head.pop("layers")
        head["provenance"] = dict(self.provenance)
        head["layers"] = "@layers@"
        rows = ",\n".join("    " + json.dumps(layer) for layer in layers)
        rows = f"[\n{rows}\n  ]" if layers else "[]"
        before, _, after = json.dumps(head, indent=2).rpartition('"@layers@"')  # the last: a name may be that
        return before + rows + after

    @classmethod
    def from_json(cls, text: str) -> UpdatePlan:
        """Parse and validate. Raises `TfodlError` for bad JSON, unknown or missing fields, bad values."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TfodlError(f"UpdatePlan: not JSON ({error}).") from error
        return _plan_from_dict(raw)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to `path`, whole or not at all."""
        write_text(path, self.to_json() + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> UpdatePlan:
        """Read a plan. Raises `TfodlError` when the file cannot be read or is not a plan."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TfodlError(f"UpdatePlan: cannot read {str(path)!r}: {error}.") from error
        return cls.from_json(text)


def _fields(raw: object, kind: type, where: str) -> dict[str, Any]:
    _require(isinstance(raw, dict), f"{where}: expected an object, got {type(raw).__name__}.")
    assert isinstance(raw, dict)
    allowed = {f.name for f in dataclasses.fields(kind)}
    unknown = sorted(set(raw) - allowed)
    _require(not unknown, f"{where}: unknown field(s) {unknown}; allowed: {sorted(allowed)}.")
    return raw


def _plan_from_dict(raw: object) -> UpdatePlan:
    fields = dict(_fields(raw, UpdatePlan, "UpdatePlan"))
    _require("layers" in fields, "UpdatePlan: field 'layers' is missing.")
    _require(isinstance(fields["layers"], list), "UpdatePlan: 'layers' must be a list.")
    _require(isinstance(fields.get("provenance", {}), dict), "UpdatePlan: 'provenance' must be an object.")
    layers = []
    for index, entry in enumerate(fields["layers"]):
        row = _fields(entry, LayerUpdate, f"UpdatePlan: layers[{index}]")
        _require("name" in row, f"UpdatePlan: layers[{index}]: field 'name' is missing.")
        _require(
            isinstance(row.get("channels", []), list),
            f"UpdatePlan: layers[{index}]: 'channels' must be a list.",
        )
        layers.append(LayerUpdate(**row))
    fields["layers"] = tuple(layers)
    if "budget" in fields:
        fields["budget"] = Budget(**_fields(fields["budget"], Budget, "UpdatePlan: budget"))
    if fields.get("memory") is not None:
        fields["memory"] = Memory(**_fields(fields["memory"], Memory, "UpdatePlan: memory"))
    if fields.get("pool") is not None:
        fields["pool"] = Pool(**_fields(fields["pool"], Pool, "UpdatePlan: pool"))
    if fields.get("guard") is not None:
        fields["guard"] = Guard(**_fields(fields["guard"], Guard, "UpdatePlan: guard"))
    _require(isinstance(fields.get("candidates", []), list), "UpdatePlan: 'candidates' must be a list.")
    if "optimizer" in fields:
        fields["optimizer"] = Optimizer(**_fields(fields["optimizer"], Optimizer, "UpdatePlan: optimizer"))
    return UpdatePlan(**fields)
