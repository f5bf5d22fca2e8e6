"""`Loaded`: a model for the data's classes, and how it takes pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras
import numpy as np

from tflm_export.companion import read_companion
from tflm_export.input_contract import InputContract
from tflm_export.plan import UpdatePlan
from tfodl import models
from tfodl.jobs.input_check import check_input
from tfodl.models.head import with_classes
from tfodl.models.scaling import find_contract


@dataclass(frozen=True)
class Loaded:
    """contract: how pictures reach `model`. trained: whether it comes trained for the data's classes: from a
    file, with the classifier that is in it."""

    model: keras.Model
    contract: InputContract
    trained: bool

    def check(self, x: np.ndarray, y: np.ndarray) -> None:
        """Print the contract and, of a trained model, what it makes of pictures `x` uint8 [N, H, W, C] of
        classes `y` [N], with a warning where that speaks against the contract."""
        print(f"input: {self.contract.text}")
        if not self.trained:
            print("the model is not trained for these classes yet: its input is not checked")
            return
        found = check_input(self.model, self.contract, x, y)
        print(found.line)
        if found.warning:
            print(f"warning: {found.warning}")


def load_model(
    name: str, shape: tuple[int, int, int], classes: int, given: str | None = None, weights: str | None = None
) -> Loaded:
    """The model `name` (a builder's, or a file) for pictures of `shape` and `classes` classes.

    given: the scaling that was asked for, a form of `InputContract.parse`. Without one the contract is that
    of the file's companion, and without that what is found in the model (`find_contract`).
    Raises `TfodlError` as `models.load` does, and for a companion of another file.
    """
    if not models.is_file(name):
        model, trained = models.load(name, input_shape=shape, classes=classes, weights=weights), False
        saved = None
        if weights is None:
            hint = "; --weights imagenet begins with published ones" if models.has_weights(name) else ""
            print(f"model {name}: its weights are drawn at random{hint}")
    else:
        fitted = with_classes(models.load(name, input_shape=shape, weights=weights), classes, name)
        if fitted.changed:
            print(f"model {name}: {fitted.changed}")
        model, trained = fitted.model, not fitted.fresh
        saved = None if given else read_companion(name)
    contract = InputContract.parse(given, shape) if given else saved or find_contract(model, shape)
    return Loaded(model, contract, trained)


def note_input(plan: UpdatePlan, contract: InputContract) -> UpdatePlan:
    """`plan` with the contract among its free facts, for people; the model's companion is what is read."""
    return replace(plan, provenance={**plan.provenance, "input": contract.text})
