"""`Loaded`: a model for the data's classes, and how it takes pictures or signals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import keras
import numpy as np

from tflm_export.companion import read_companion
from tflm_export.contracts import Contract
from tflm_export.errors import TfodlError
from tflm_export.input_contract import InputContract
from tflm_export.plan import UpdatePlan
from tflm_export.signal_contract import SignalContract
from tfodl import models
from tfodl.datasets import Dataset
from tfodl.jobs.input_check import check_input
from tfodl.models.head import with_classes
from tfodl.models.scaling import find_contract
from tfodl.quantize.folding.fold import fold

SEEN = 1000  # signals that are looked at
LEAST, MOST = 0.01, 30.0  # deviation of what a first layer learns from


@dataclass(frozen=True)
class Loaded:
    """contract: how samples reach `model`. trained: whether it comes trained for the data's classes: from a
    file, with the classifier that is in it."""

    model: keras.Model
    contract: Contract
    trained: bool

    def check(self, x: np.ndarray, y: np.ndarray) -> None:
        """Print the contract and, of a trained model, what it makes of samples `x` [N, ...] of classes
        `y` [N], with a warning where that speaks against the contract."""
        print(f"input: {self.contract.text}")
        if isinstance(self.contract, SignalContract) and (line := _far_from_one(self, x)):
            print(f"warning: {line}")
        if not self.trained:
            print("the model is not trained for these classes yet: its input is not checked")
            return
        found = check_input(self.model, self.contract, x, y)
        print(found.line)
        if found.warning:
            print(f"warning: {found.warning}")


def load_model(
    name: str,
    shape: tuple[int, ...],
    classes: int,
    given: str | None = None,
    weights: str | None = None,
    data: Dataset | None = None,
) -> Loaded:
    """The model `name` (a builder's, or a file) for samples of `shape` and `classes` classes.

    given: the scaling that was asked for, a form of `InputContract.parse`. Without one the contract is that
    of the file's companion, and without that what is found in the model (`find_contract`).
    data: what the model is for. Values of signals reach a model from a file as they are, and a model by name
    by their mean and deviation.
    Raises `TfodlError` as `models.load` does, for a companion of another file or of another kind of data, and
    for a scaling of pixels where there are none.
    """
    signals = data if data is not None and data.signals else None
    if given and signals is not None:
        raise TfodlError(
            f"--input {given!r}: says what pixels are to a model; {signals.name!r} holds signals, which "
            "reach it as they are. Leave it out, and begin the model with keras.layers.Normalization."
        )
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
    if signals is not None:
        return Loaded(model, _of_signals(name, signals, saved), trained)
    if isinstance(saved, SignalContract):
        raise TfodlError(f"model file {name!r}: was made for {saved.text}; the data are pictures.")
    contract = InputContract.parse(given, shape) if given else saved or find_contract(model, shape)
    return Loaded(model, contract, trained)


def _of_signals(name: str, data: Dataset, saved: Contract | None) -> SignalContract:
    """How the values of `data` reach the model: as its companion says; by name as they are spread; as they
    are."""
    if not models.is_file(name):
        return SignalContract.standard(data.x_train, data.sound)
    contract = saved or SignalContract(data.input_shape, sound=data.sound)
    if not isinstance(contract, SignalContract):
        raise TfodlError(f"model file {name!r}: was made for {contract.text}; the data are signals.")
    if contract.sound != data.sound:
        raise TfodlError(
            f"model file {name!r}: was made for {contract.sound}, the data are {data.sound}; give such."
        )
    return contract


def _far_from_one(loaded: Loaded, x: np.ndarray) -> str | None:
    """What to say of values that a model will hardly learn from; None where all is well."""
    assert isinstance(loaded.contract, SignalContract)
    rule = fold(loaded.model).rescaling
    spread = float(rule.apply(loaded.contract.apply(x[:SEEN])).std())
    if LEAST <= spread <= MOST:
        return None
    return (
        f"values reach the model's first layer with a deviation of {spread:.3g}; begin the model with "
        "keras.layers.Normalization (adapted to the train data), or scale the values to about 1."
    )


def note_input(plan: UpdatePlan, contract: Contract) -> UpdatePlan:
    """`plan` with the contract among its free facts, for people; the model's companion is what is read."""
    return replace(plan, provenance={**plan.provenance, "input": contract.text})
