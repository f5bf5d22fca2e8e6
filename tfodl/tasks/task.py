"""`Task`: what a model is for, found from its end and from the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from tflm_export.errors import TfodlError
from tfodl.datasets.task_data import TaskData
from tfodl.models.head import head_of
from tfodl.tasks.scores import auc, f1, mean_auc, r2, threshold

ALARMS = 0.01  # share of normal samples above an autoencoder's threshold


@dataclass(frozen=True)
class Task:
    """A plan's loss, and what a model is judged by.

    metric: a key of Keras's logs: "accuracy", "auc" (higher is better) or "loss". outputs: of the model.
    probabilities: whether it ends in a softmax or sigmoids.
    """

    loss: Literal["crossentropy", "bce", "mse", "reconstruction"] = "crossentropy"
    metric: str = "accuracy"
    outputs: int = 0
    probabilities: bool = False

    @property
    def named(self) -> str:
        """For people."""
        names = {
            "crossentropy": f"one of {self.outputs} classes, by cross-entropy",
            "bce": f"{_count(self.outputs, 'label')}, by binary cross-entropy",
            "mse": f"{_count(self.outputs, 'number')}, by mean squared error",
            "reconstruction": "an autoencoder, by its reconstruction error",
        }
        return names[self.loss]

    def metrics(self) -> list[Any]:
        """What Keras measures beside the loss."""
        if self.loss != "bce":
            return ["accuracy"] if self.loss == "crossentropy" else []
        options: dict[str, Any] = {"from_logits": not self.probabilities, "name": "auc"}
        return [keras.metrics.AUC(multi_label=self.outputs > 1, **options)]

    def better(self, after: float, before: float) -> bool:
        """Whether a value of `metric` is better than another, or as good."""
        return after <= before if self.metric == "loss" else after >= before

    def text(self, value: float) -> str:
        """A value of `metric` for people.

        >>> Task().text(0.912), Task("mse", "loss").text(0.01234)
        ('accuracy 91.2%', 'mean squared error 0.0123')
        """
        if self.metric == "accuracy":
            return f"accuracy {value:.1%}"
        squares = "reconstruction error" if self.loss == "reconstruction" else "mean squared error"
        return f"AUC {value:.3f}" if self.metric == "auc" else f"{squares} {value:.3g}"

    def report(self, y: np.ndarray, said: np.ndarray, strange: np.ndarray | None = None) -> str:
        """How good outputs `said` [N, ...] are for targets `y`, in words.

        strange: of an autoencoder's test samples, 1 for those that are not normal.

        >>> Task("mse", "loss", 1).report(np.array([[0.0], [2.0]]), np.array([[0.5], [1.5]]))
        'MAE 0.5, R2 0.750'
        """
        if self.loss == "mse":
            return f"MAE {np.abs(y - said).mean():.3g}, R2 {r2(y, said):.3f}"
        if self.loss == "bce":
            half = 0.5 if self.probabilities else 0.0
            return f"AUC {mean_auc(y, said):.3f}, F1 {f1(y, (said > half).astype(int)):.3f}"
        if self.loss == "crossentropy":
            return f"accuracy {(said.argmax(-1) == y).mean():.1%}"
        errors = ((y - said) ** 2).reshape(len(y), -1).mean(axis=1)
        normal = errors if strange is None else errors[strange == 0]
        line = (
            f"reconstruction error {normal.mean():.3g}; above {threshold(normal, ALARMS):.3g} are "
            f"{ALARMS:.0%} of the normal samples"
        )
        return line if strange is None else f"{line}; AUC {auc(normal, errors[strange == 1]):.3f}"


def find_task(model: keras.Model, data: TaskData, name: str) -> Task:
    """What `model` is for with `data`. name: of the model, for errors.

    Raises `TfodlError` where its end and the data do not fit each other.
    """
    shape, activation = tuple(model.output_shape[1:]), head_of(model).activation
    where = f"model {name!r}: ends in {activation}, {list(shape)}, and data set {data.name!r} holds "
    if data.kind == "normal":
        if shape != data.x_train.shape[1:]:
            raise TfodlError(
                f"{where}no y: an autoencoder gives what it takes, {list(data.x_train.shape[1:])}. Give the "
                "model such an end, or the data a y."
            )
        return Task("reconstruction", "loss", int(np.prod(shape)), activation == "sigmoid")
    y = data.y_train
    assert y is not None
    if data.kind == "classes":
        return _classes(shape, activation, y, where)
    if activation == "softmax":
        advice = {"numbers": "y.astype(int)", "labels": "y.argmax(axis=1)"}[data.kind]
        raise TfodlError(
            f"{where}{data.kind}, y {y.dtype} {list(y.shape)}: a softmax chooses one class. For classes save "
            f"{advice}; for {data.kind} end the model in {_count(y.shape[1], 'output')} without it."
        )
    if shape != y.shape[1:]:
        raise TfodlError(
            f"{where}y {list(y.shape)}: end the model in Dense({y.shape[1]}), one output for each of them."
        )
    if data.kind == "labels":
        return Task("bce", "auc", y.shape[1], _sigmoid(activation, where))
    if activation != "linear":
        raise TfodlError(f"{where}numbers: end the model in a Dense without activation.")
    return Task("mse", "loss", y.shape[1])


def _classes(shape: tuple[int, ...], activation: str, y: np.ndarray, where: str) -> Task:
    least, most = int(y.min()), int(y.max())
    if shape == (1,) and least >= 0 and most <= 1:
        return Task("bce", "auc", 1, _sigmoid(activation, where))
    if len(shape) != 1 or least < 0 or most >= shape[0] or activation not in ("linear", "softmax"):
        raise TfodlError(
            f"{where}classes {least} to {most}: end the model in {most + 1} logits or a softmax over them, "
            "for two classes in one logit or sigmoid; of numbers save y as float."
        )
    return Task("crossentropy", "accuracy", shape[0], activation == "softmax")


def _sigmoid(activation: str, where: str) -> bool:
    if activation not in ("linear", "sigmoid"):
        raise TfodlError(f"{where}labels: end the model in logits (no activation) or sigmoids.")
    return activation == "sigmoid"


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n > 1)}"
