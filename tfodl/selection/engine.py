"""`Engine`: RAM and flash that a plan on a Keras model costs on the device, by the compiler's own planner.

>>> engine = Engine(tflite, {"block/conv": "#3"})
>>> conv = LayerUpdate("block/conv", "out", (0, 1), "selected")
>>> engine.ram_bytes(UpdatePlan()) < engine.ram_bytes(UpdatePlan((conv,)))
True
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tflm_export.errors import ExportError, TfodlError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.memory.engine_size import EngineSize
from tflm_export.plan import Budget, UpdatePlan


class Engine:
    """Sizes of the engines that plans on one Keras model compile to.

    tflite: the model in int8; its weights and scales do not matter. ops: layer name -> op `"#i"`; entries of
    layers that are not in it (batch norms, folded there) cost nothing. gradients: as for `compile_model`.

    Raises `ExportError` for a model that the compiler does not take.
    """

    def __init__(self, tflite: bytes, ops: Mapping[str, str], gradients: str = "int16") -> None:
        self._size = EngineSize(simplify(read_tflite(tflite)), gradients)
        self._ops = dict(ops)

    @classmethod
    def of(cls, model: Any, gradients: str = "int16") -> Engine:
        """The engine of a Keras model, `SelectiveModel` or `Int8Model`, by a dry conversion: some seconds.

        Raises `TfodlError` naming the layer that has no int8 form.
        """
        from tfodl.quantize.dry import dry_int8  # TensorFlow only where a model is given

        return cls(*dry_int8(model), gradients)

    def ram_bytes(self, plan: UpdatePlan) -> int:
        """Static RAM and stack, bytes: never less than the compiled engine's, at most some 0.5 % more."""
        found: int = self._asked(self._size.ram_bytes, plan)
        return found

    def least_ram_bytes(self, plan: UpdatePlan) -> int:
        """The same before its buffers are placed, without gaps: fast, and a little less than `ram_bytes`."""
        found: int = self._asked(self._size.least_ram_bytes, plan)
        return found

    def fits(self, plan: UpdatePlan, ram_bytes: int) -> bool:
        """Whether `least_ram_bytes` is at most `ram_bytes`: faster still."""
        found: bool = self._asked(lambda addressed: self._size.fits(addressed, ram_bytes), plan)
        return found

    def flash_bytes(self, plan: UpdatePlan) -> int:
        """Constants and program, bytes: an estimate from above."""
        found: int = self._asked(self._size.flash_bytes, plan)
        return found

    def _asked(self, size: Any, plan: UpdatePlan) -> Any:
        rows = tuple(
            dataclasses.replace(row, name=self._ops[row.name]) for row in plan.layers if row.name in self._ops
        )
        try:
            return size(dataclasses.replace(plan, layers=rows))
        except ExportError as error:
            raise TfodlError(f"this plan does not compile: {error}") from error


@dataclasses.dataclass(frozen=True)
class Room:
    """What a budget in bytes leaves to a plan on an engine; `frame` is the plan without its layers."""

    engine: Engine
    budget: Budget
    frame: UpdatePlan

    def fits(self, layers: tuple[Any, ...], spare: int = 0) -> bool:
        """Whether the engine keeps the budget with `spare` bytes of RAM to go, before placement."""
        plan, ram, flash = self._plan(layers), self.budget.ram_bytes, self.budget.flash_bytes
        if ram is not None and not self.engine.fits(plan, ram - spare):
            return False
        return flash is None or self.engine.flash_bytes(plan) <= flash

    def over(self, layers: tuple[Any, ...]) -> int:
        """Bytes of RAM that the placed engine takes beyond the budget."""
        ram = self.budget.ram_bytes
        return 0 if ram is None else max(0, self.engine.ram_bytes(self._plan(layers)) - ram)

    def left(self, layers: tuple[Any, ...]) -> float:
        """Share of the RAM budget that is not used, before placement; 1 where RAM is free."""
        ram = self.budget.ram_bytes
        return 1.0 if not ram else 1 - self.engine.least_ram_bytes(self._plan(layers)) / ram

    def require(self) -> None:
        """Raises `TfodlError` when not even the frame, the classifier alone, keeps the budget."""
        if not self.fits(()) or self.over(()):
            raise TfodlError(self._refusal())

    def _refusal(self) -> str:
        ram, flash = self.engine.ram_bytes(self.frame), self.engine.flash_bytes(self.frame)
        asked = f"ram_bytes={self.budget.ram_bytes}, flash_bytes={self.budget.flash_bytes}"
        return (
            f"budget {asked} is too small for this model: the engine that trains the classifier alone takes "
            f"{ram:,} B of RAM and about {flash:,} B of flash. Raise it, take smaller pictures or a narrower "
            "network, or a batch of 1 without momentum."
        )

    def _plan(self, layers: tuple[Any, ...]) -> UpdatePlan:
        return dataclasses.replace(self.frame, layers=(*layers, *self.frame.layers))
