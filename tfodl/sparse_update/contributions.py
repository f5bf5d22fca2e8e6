"""Contribution analysis (Lin et al. 2022, section 2.3): what training each layer brings, by training it."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from tflm_export.errors import TfodlError
from tflm_export.files import write_bytes, write_text
from tflm_export.plan import UpdatePlan
from tfodl.experiments import sweep
from tfodl.neurons.group import NeuronGroup
from tfodl.neurons.groups import neuron_groups
from tfodl.selection.schemes import entries
from tfodl.selective.model import SelectiveModel
from tfodl.tasks.keras_losses import keras_metrics

RATIOS = (0.125, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Training:
    """How one training of the analysis runs: SGD with momentum 0.9, gradients clipped to a norm of 1 (nets
    with folded batch norm diverge without), cosine decay, batch norm frozen.

    epochs, batch_size: as in Keras; learning_rate: at the start.
    """

    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 0.01


@dataclass(frozen=True)
class Contributions:
    """Gains in validation accuracy, as shares.

    convs: names of the convolutions in call order.
    head: accuracy with the classifier alone trained.
    biases: k -> gain of training the last k biases, over the classifier alone.
    weights: position in `convs` -> ratio -> gain of training that share of the layer's input channels, on top
        of all biases.
    """

    convs: tuple[str, ...]
    head: float
    biases: Mapping[int, float]
    weights: Mapping[int, Mapping[float, float]]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON, whole or not at all."""
        write_text(path, json.dumps(dataclasses.asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Contributions:
        """Read what `save` wrote. Raises `TfodlError` when it is something else."""
        try:
            raw = json.loads(Path(path).read_text())
            biases = {int(k): float(gain) for k, gain in raw["biases"].items()}
            weights = {
                int(i): {float(ratio): float(gain) for ratio, gain in row.items()}
                for i, row in raw["weights"].items()
            }
            return cls(tuple(raw["convs"]), float(raw["head"]), biases, weights)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise TfodlError(f"contributions {str(path)!r}: cannot be read ({error}).") from error


def analyse(
    model: keras.Model,
    data: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    folder: str | os.PathLike[str],
    *,
    training: Training = Training(),
    bias_counts: Sequence[int] | None = None,
    layers: Sequence[int] | None = None,
    ratios: Sequence[float] = RATIOS,
    seeds: Sequence[int] = (0,),
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    progress: bool = True,
) -> Contributions:
    """Measure the contributions of `model`'s convolutions, one training each, many at a time.

    model: Keras model that ends in logits. data: (x_train, y_train, x_val, y_val), x `[N,H,W,C]` as the model
    takes it, y `[N]` whole numbers. folder: work files and results; the same call goes on where it was
    killed (a Ray cluster of several machines needs it on a disk that all see).
    bias_counts: which k to measure; None is every k. layers: positions whose weights to measure; None is
    every convolution. seeds: gains are means over them. engine, workers, progress: as in `tfodl.sweep.run`.

    Raises `TfodlError` on positions, counts or ratios that the model does not have, and as `sweep.run` does.
    """
    convs = convolutions(neuron_groups(model))
    if convs and not any(group.bias for group in convs):
        raise TfodlError(
            f"contribution analysis: no convolution of model {model.name!r} has a bias (batch norm?); "
            "use tfodl.models.folded(model)."
        )
    counts = range(1, len(convs) + 1) if bias_counts is None else sorted(set(bias_counts) - {0})
    positions = range(len(convs)) if layers is None else sorted(set(layers))
    _check(len(convs), counts, positions, ratios)
    schemes: list[tuple[int, int | None, float]] = [(0, None, 0.0), (len(convs), None, 0.0)]
    schemes += [(k, None, 0.0) for k in counts]
    schemes += [(len(convs), i, ratio) for i in positions for ratio in ratios]
    files = _work_files(model, data, Path(folder))
    jobs = [
        {**files, "biases": k, "layer": i, "ratio": r, "seed": seed, "training": dataclasses.asdict(training)}
        for k, i, r in schemes
        for seed in seeds
    ]
    accuracies = sweep.run(
        measure, jobs, Path(folder) / "results.jsonl", engine=engine, workers=workers, progress=progress
    )
    means = np.reshape(accuracies, (len(schemes), len(seeds))).mean(axis=1)
    at = dict(zip(schemes, means.tolist(), strict=True))
    head, all_biases = at[0, None, 0.0], at[len(convs), None, 0.0]
    return Contributions(
        convs=tuple(group.layer for group in convs),
        head=head,
        biases={k: at[k, None, 0.0] - head for k in counts},
        weights={i: {r: at[len(convs), i, r] - all_biases for r in ratios} for i in positions},
    )


def measure(
    model: str,
    data: str,
    biases: int,
    layer: int | None,
    ratio: float,
    seed: int,
    training: Mapping[str, Any],
) -> float:
    """One job: validation accuracy after training the classifier, the last `biases` biases and, if `layer` is
    set, `ratio` of that convolution's input channels."""
    options = Training(**training)
    keras.utils.set_random_seed(seed)
    net = SelectiveModel(keras.saving.load_model(model, compile=False))
    convs = convolutions(net.groups)
    net.set_plan(UpdatePlan(entries(convs, {} if layer is None else {layer: ratio}, biases)))
    with np.load(data) as arrays:
        x_train, y_train, x_val, y_val = (arrays[name] for name in ("x_train", "y_train", "x_val", "y_val"))
    steps = options.epochs * -(-len(x_train) // options.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)
    net.compile(
        keras.optimizers.SGD(schedule, momentum=0.9, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=keras_metrics("crossentropy"),
    )
    net.fit(x_train, y_train, batch_size=options.batch_size, epochs=options.epochs, verbose=0)
    accuracy = net.evaluate(x_val, y_val, batch_size=256, verbose=0, return_dict=True)["accuracy"]
    keras.backend.clear_session()
    return float(accuracy)


def convolutions(groups: Sequence[NeuronGroup]) -> list[NeuronGroup]:
    """The convolutions in call order, depthwise ones too, the classifier not: what schemes count."""
    return [group for group in groups if group.kind in ("conv", "depthwise") and not group.head]


def _check(convs: int, counts: Sequence[int], positions: Sequence[int], ratios: Sequence[float]) -> None:
    if not convs:
        raise TfodlError("contribution analysis: the model has no convolution.")
    if wrong := [k for k in counts if not 0 < k <= convs]:
        raise TfodlError(f"contribution analysis: bias_counts must lie in 1..{convs}, got {wrong}.")
    if wrong := [i for i in positions if not 0 <= i < convs]:
        raise TfodlError(f"contribution analysis: layers must lie in 0..{convs - 1}, got {wrong}.")
    if bad := [r for r in ratios if not 0 < r <= 1]:
        raise TfodlError(f"contribution analysis: ratios must lie in (0, 1], got {bad}.")


def _work_files(
    model: keras.Model, data: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], folder: Path
) -> dict[str, str]:
    """Model and data where other processes find them, named by what is in them: a changed model or data set
    gives other files, other jobs."""
    stream = io.BytesIO()
    x_train, y_train, x_val, y_val = data
    np.savez(stream, x_train=x_train, y_train=y_train, x_val=x_val, y_val=y_val)
    weights = b"".join(np.ascontiguousarray(weight).tobytes() for weight in model.get_weights())
    paths = {
        "model": folder / f"model-{_digest(model.to_json().encode(), weights)}.keras",
        "data": folder / f"data-{_digest(*(np.ascontiguousarray(part).tobytes() for part in data))}.npz",
    }
    if not paths["data"].exists():
        write_bytes(paths["data"], stream.getvalue())
    if not paths["model"].exists():
        temporary = folder / f"saving-{os.getpid()}.keras"
        model.save(temporary)
        os.replace(temporary, paths["model"])
    return {name: str(path.absolute()) for name, path in paths.items()}


def _digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()[:16]
