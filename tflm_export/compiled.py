"""`Compiled`: an engine, and the folder that it is kept in.

>>> compiled = compile_model(tflite, UpdatePlan())
>>> [path for path in sorted(compiled.files()) if not path.startswith("src/")]
['engine.json', 'model.tflite', 'plan.json']
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tflm_export.contracts import Contract
from tflm_export.emit.constants import ConstantsImage
from tflm_export.errors import ExportError
from tflm_export.files import replace_folder
from tflm_export.ir import Graph, Tensor
from tflm_export.living.memory import Exemplars
from tflm_export.memory.place import MemoryPlan
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import UpdatePlan

EXEMPLARS = "exemplars.npz"  # in the folder of an engine


@dataclass(frozen=True)
class Compiled:
    """An engine: the model and plan it was made from, and everything derived.

    graph: the training graph. sources: C++ text by path, library included. facts: plain values for JSON.
    contract: what a picture's pixels, or a sensor's values, are to the model; None where nobody said.
    exemplars: samples in flash that the plan's memory replays; None for no such. constants: the image in
    which the constants lie beside the program (`apart`); None: they are part of it.
    """

    tflite: bytes
    plan: UpdatePlan
    name: str
    graph: Graph
    memory: MemoryPlan
    sources: Mapping[str, str]
    facts: Mapping[str, Any]
    contract: Contract | None = None
    exemplars: Exemplars | None = None
    constants: ConstantsImage | None = None

    @property
    def input(self) -> Tensor:
        """What the engine takes: int8 `[1, ...]`."""
        return self.graph.tensors[self.graph.inputs[0]]

    @property
    def output(self) -> Tensor:
        """What an inference gives: int8 `[1, ...]`."""
        return self.graph.tensors[self.graph.outputs[0]]

    def to_int8(self, x: np.ndarray) -> np.ndarray:
        """Real inputs, any shape, as the engine's int8 input (`QParams.quantize`)."""
        return tensor_quant(self.graph, self.input.name).quantize(x)

    def to_real(self, y: np.ndarray) -> np.ndarray:
        """int8 outputs, any shape, as real numbers, float32."""
        return tensor_quant(self.graph, self.output.name).dequantize(y).astype(np.float32)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write everything to `folder`, which is replaced as a whole or not at all.

        Raises `ExportError` when it holds something that is no engine, `TfodlError` when it cannot be
        written.
        """
        target = Path(folder)
        if target.exists() and not (target.is_dir() and (not any(target.iterdir()) or _is_engine(target))):
            raise ExportError(
                f"{str(target)!r} exists and is not a compiled engine; name a new or empty folder."
            )
        return replace_folder(target, self.files())

    def files(self) -> dict[str, bytes]:
        """What `save` writes, by path."""
        files = {path: text.encode() for path, text in self.sources.items()}
        files["model.tflite"] = self.tflite
        files["plan.json"] = (self.plan.to_json() + "\n").encode()
        if self.exemplars is not None:
            files[EXEMPLARS] = self.exemplars.to_bytes()
        files |= {} if self.constants is None else self.constants.files()
        files["engine.json"] = (json.dumps(dict(self.facts), indent=2) + "\n").encode()
        return files

    def quantize(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures uint8 [N, H, W, C], grey or RGB, or values float [N, ...] of signals, as the engine's int8
        input, by its input contract.

        Raises `ExportError` when the engine has none, `TfodlError` for pictures of another shape.
        """
        if self.contract is None:
            raise ExportError(
                f"engine {self.name!r} does not know how pictures reach its model; compile it with --input, "
                "or give int8 values."
            )
        return self.contract.quantize(pictures, tensor_quant(self.graph, self.input.name))


def _is_engine(folder: Path) -> bool:
    return (folder / "engine.json").is_file() and (folder / "model.tflite").is_file()
