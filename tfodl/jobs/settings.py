"""What a job is asked to do: frozen, validated before TensorFlow starts.

>>> FinetuneJob(model="tiny_mobilenet", data="digits", out="build/tuned").epochs
10
"""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass, field

from tflm_export.boards import BOARDS
from tflm_export.errors import TfodlError
from tflm_export.input_contract import InputContract
from tflm_export.plan import Budget, UpdatePlan
from tflm_export.pool_options import PoolOptions

COLOUR = (1, 1, 3)  # a picture of which every form of scaling can be said


@dataclass(frozen=True)
class _Job:
    """What every job needs.

    model: model name, `.keras` file or class name of keras.applications.
    data: data set name, `.npz` file or folder of pictures.
    out: output folder.
    epochs, batch_size: passes over the train pictures and pictures a step, whole numbers >= 1.
    learning_rate: step size, finite and > 0.
    size: side in pixels that pictures are resized to; None is what a model from a file takes, else theirs.
    skip_bad: leave pictures of a folder out that cannot be read.
    window, stride: rows or samples of a window cut from a recording, and from one to the next, whole numbers
        >= 1; None is what the model takes, and half of it (sounds: all of it).
    seed: of every draw, in [0, 2**32).
    calibration: train pictures that activation ranges are found by, a whole number >= 1.
    input: how pixels reach the model, a form of `InputContract.parse`; None is as the model's companion or
        the model itself says.

    weights: of a model by name: `"imagenet"`, published ones; None draws them.

    Raises `TfodlError` for a value outside these.
    """

    model: str
    data: str
    out: str
    epochs: int = 1
    batch_size: int = 32
    learning_rate: float | None = 0.01
    size: int | None = None
    seed: int = 0
    calibration: int = 512
    skip_bad: bool = False
    window: int | None = None
    stride: int | None = None
    input: str | None = None
    weights: str | None = None

    def __post_init__(self) -> None:
        for field_ in dataclasses.fields(self):
            if "str" in str(field_.type):
                self._require_text(field_.name)
        for name in ("epochs", "batch_size", "size", "calibration", "window", "stride"):
            self._require_whole(name, 1, or_none=name in ("size", "window", "stride"))
        rate = self.learning_rate
        if rate is not None and not (_is_number(rate) and 0 < rate < math.inf):
            raise TfodlError(f"--learning-rate must be a finite number > 0, got {self.learning_rate!r}.")
        if self.weights not in (None, "imagenet"):
            raise TfodlError(f"--weights must be imagenet or left out, got {self.weights!r}.")
        if not (_is_whole(self.seed) and 0 <= self.seed < 2**32):
            raise TfodlError(f"--seed must be a whole number in [0, 2**32), got {self.seed!r}.")
        if self.input is not None:
            InputContract.parse(str(self.input), COLOUR)

    def _require_text(self, name: str) -> None:
        value = getattr(self, name)
        if not (value is None or isinstance(value, (str, os.PathLike))):
            raise TfodlError(f"{_flag(name)} must be text, got {value!r}.")

    def _require_whole(self, name: str, least: int, or_none: bool) -> None:
        value = getattr(self, name)
        if not (value is None and or_none) and not (_is_whole(value) and value >= least):
            raise TfodlError(f"{_flag(name)} must be a whole number >= {least}, got {value!r}.")


@dataclass(frozen=True)
class FinetuneJob(_Job):
    """Fine-tune a Keras model under a budget.

    learning_rate: None finds one by short trials on held-out pictures.
    method: a key of `finetune.METHODS`; the default is what scripts/compare.py recommends.
    fit: a board whose RAM and flash bound the budget, or "none".
    momentum: of SGD, in [0, 1); the board keeps it, at 4 bytes a trained weight.
    head_epochs: of the classifier alone before the method; None is some where the head is new.
    device_batch: samples a step on the board, with the rate in proportion; None is `batch_size`. More than 1
        takes 4 bytes a trained weight.
    """

    epochs: int = 10
    learning_rate: float | None = None
    momentum: float = 0.0
    head_epochs: int | None = None
    device_batch: int | None = None
    calibration: int = 64
    method: str = "importance_random"
    budget: Budget = field(default_factory=Budget)
    fit: str = "nano33ble"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_whole("head_epochs", 0, or_none=True)
        self._require_whole("device_batch", 1, or_none=True)
        if not (_is_number(self.momentum) and 0 <= self.momentum < 1):
            raise TfodlError(f"--momentum must be a number in [0, 1), got {self.momentum!r}.")
        if self.fit != "none" and self.fit not in BOARDS:
            raise TfodlError(f"--fit must be one of {', '.join(BOARDS)} or none, got {self.fit!r}.")


@dataclass(frozen=True)
class QuantizeJob(_Job):
    """QAT and conversion.

    plan: file of an update plan that shall be addressed to the `.tflite`'s ops. exemplars: training pictures
        of every class, drawn at random, to be written for `tflm-export compile --exemplars`; 0 for none.
    chooses: what the plan leaves to the device; without `plan` it is of a new one.
    """

    epochs: int = 2
    learning_rate: float | None = 1e-4
    plan: str | None = None
    exemplars: int = 0
    chooses: PoolOptions = PoolOptions()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_whole("exemplars", 0, or_none=False)

    def wanted_plan(self) -> UpdatePlan | None:
        """The plan to be addressed, None where none is asked for. Raises `TfodlError`."""
        if self.plan is None and not self.chooses.asked:
            return None
        return self.chooses.given(UpdatePlan.load(self.plan) if self.plan else UpdatePlan())


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
