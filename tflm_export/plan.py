"""`UpdatePlan`: what may change on the device, and how. Standard library only; the contract
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

from tflm_export.allowed import is_count, require
from tflm_export.budget import Budget
from tflm_export.errors import TfodlError
from tflm_export.files import write_text
from tflm_export.guard import Guard
from tflm_export.layer_update import LayerUpdate
from tflm_export.optimizer import Optimizer, is_learning_rate, no_learning_rate
from tflm_export.pool import Pool, check_pool_plan

__all__ = [
    "Budget",
    "Guard",
    "LayerUpdate",
    "Loss",
    "Memory",
    "Optimizer",
    "Pool",
    "UpdatePlan",
    "is_learning_rate",
    "no_learning_rate",
]

VERSION = 1
PAGE_BYTES, PAGES = 4096, range(4, 65)  # of a store
LOSSES = ("crossentropy", "bce", "mse", "reconstruction")
Loss = Literal["crossentropy", "bce", "mse", "reconstruction"]
POLICIES = ("reservoir", "balanced")
PLACES = ("ram", "flash")
OPTIONAL = (
    "store_bytes",
    "candidates",
    "memory",
    "pool",
    "guard",
    "spare_classes",
)  # fields that JSON leaves out where a plan does not use them


@dataclass(frozen=True)
class Memory:
    """What the device remembers and rehearses: latents of samples, with their labels (docs/living.md).

    samples, bytes: the capacity, one of the two; a sample takes its latent and 2 bytes of label.
    replays: remembered samples that a training step learns again. exemplar_replays: the same of samples that
        were shipped with the engine.
    policy: which samples stay when the memory is full: `"reservoir"` (every sample seen alike) or
        `"balanced"` (every class alike).
    where: the latents lie in `"ram"`, and are gone when the power is, or in `"flash"`, as records of the
        plan's store, which keeps the whole memory (docs/store.md); `bytes` are then of flash.

    >>> Memory(samples=50).replays
    3
    """

    samples: int | None = None
    bytes: int | None = None
    replays: int = 3
    exemplar_replays: int = 0
    policy: Literal["reservoir", "balanced"] = "reservoir"
    where: Literal["ram", "flash"] = "ram"

    def __post_init__(self) -> None:
        given = [size for size in (self.samples, self.bytes) if size is not None]
        require(
            len(given) == 1 and is_count(given[0]) and given[0] >= 1,
            f"Memory: give its capacity as samples or as bytes, a whole number >= 1; got samples "
            f"{self.samples!r} and bytes {self.bytes!r}.",
        )
        for name in ("replays", "exemplar_replays"):
            value = getattr(self, name)
            whole = is_count(value) and value <= 100
            require(whole, f"Memory: {name} must be a whole number from 0 to 100, got {value!r}.")
        require(self.policy in POLICIES, f"Memory: policy must be one of {POLICIES}, got {self.policy!r}.")
        require(self.where in PLACES, f"Memory: where must be one of {PLACES}, got {self.where!r}.")


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
        require(
            self.version == VERSION,
            f"UpdatePlan: version {self.version!r} is not supported; allowed: {VERSION}.",
        )
        names = [layer.name for layer in self.layers]
        repeated = sorted({name for name in names if names.count(name) > 1})
        require(not repeated, f"UpdatePlan: layers named more than once: {repeated}; merge their entries.")
        require(isinstance(self.head, bool), f"UpdatePlan: head must be true or false, got {self.head!r}.")
        require(
            self.loss in LOSSES,
            f"UpdatePlan: loss must be one of {LOSSES}, got {self.loss!r}.",
        )
        require(
            is_count(self.seed) and self.seed < 2**32,
            f"UpdatePlan: seed must be in [0, 2**32), got {self.seed!r}.",
        )
        require(
            all(isinstance(name, str) and name for name in self.candidates),
            f"UpdatePlan: candidates must be names of layers, got {self.candidates!r}.",
        )
        self._check_living()
        self._check_store()

    def _check_living(self) -> None:
        """Memory, pool, guard and spare classes, and what they need of each other."""
        require(
            self.memory is None or isinstance(self.memory, Memory),
            f"UpdatePlan: memory must be a Memory or None, got {self.memory!r}.",
        )
        require(
            self.memory is None or self.loss == "crossentropy",
            f"UpdatePlan: a memory keeps samples of classes, and the loss is {self.loss!r}; set the loss to "
            "'crossentropy' (compile --loss crossentropy), or leave the memory out.",
        )
        if self.pool is not None:
            check_pool_plan(self)
        require(
            self.guard is None or isinstance(self.guard, Guard),
            f"UpdatePlan: guard must be a Guard or None, got {self.guard!r}.",
        )
        require(
            self.guard is None or self.memory is not None,
            "UpdatePlan: guard judges by remembered pictures, and the plan has no memory; set memory, or "
            "drop the guard.",
        )
        require(
            is_count(self.spare_classes),
            f"UpdatePlan: spare_classes must be a whole number >= 0, got {self.spare_classes!r}.",
        )
        require(
            not self.spare_classes or (self.memory is not None and self.head),
            "UpdatePlan: spare_classes are learned by the head beside remembered samples; set head to true "
            "and a memory, or spare_classes to 0.",
        )

    def _check_store(self) -> None:
        in_flash = self.memory is not None and self.memory.where == "flash"
        require(
            not in_flash or (bool(self.store_bytes) and self.pool is None),
            "UpdatePlan: a memory in flash has its samples in the store; set store_bytes, without a pool, or "
            "memory.where to 'ram'.",
        )
        pages, rest = divmod(self.store_bytes, PAGE_BYTES) if is_count(self.store_bytes) else (-1, 0)
        require(
            pages in (0, *PAGES) and not rest,
            f"UpdatePlan: store_bytes must be 0 or 4 to 64 pages of {PAGE_BYTES}, got {self.store_bytes!r}.",
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
    require(isinstance(raw, dict), f"{where}: expected an object, got {type(raw).__name__}.")
    assert isinstance(raw, dict)
    allowed = {f.name for f in dataclasses.fields(kind)}
    unknown = sorted(set(raw) - allowed)
    require(not unknown, f"{where}: unknown field(s) {unknown}; allowed: {sorted(allowed)}.")
    return raw


def _plan_from_dict(raw: object) -> UpdatePlan:
    fields = dict(_fields(raw, UpdatePlan, "UpdatePlan"))
    require("layers" in fields, "UpdatePlan: field 'layers' is missing.")
    require(isinstance(fields["layers"], list), "UpdatePlan: 'layers' must be a list.")
    require(isinstance(fields.get("provenance", {}), dict), "UpdatePlan: 'provenance' must be an object.")
    layers = []
    for index, entry in enumerate(fields["layers"]):
        row = _fields(entry, LayerUpdate, f"UpdatePlan: layers[{index}]")
        require("name" in row, f"UpdatePlan: layers[{index}]: field 'name' is missing.")
        require(
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
    require(isinstance(fields.get("candidates", []), list), "UpdatePlan: 'candidates' must be a list.")
    if "optimizer" in fields:
        fields["optimizer"] = Optimizer(**_fields(fields["optimizer"], Optimizer, "UpdatePlan: optimizer"))
    return UpdatePlan(**fields)
