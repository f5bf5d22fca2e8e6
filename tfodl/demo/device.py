"""Int8: quantise, hold to TensorFlow, then let the emitted engine learn sample by sample."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from tqdm import tqdm

from tflm_export.compiler import Compiled
from tflm_export.errors import TfodlError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.machines.host import HostEngine
from tflm_export.simulate.reference import cosine
from tflm_export.simulate.step import Simulator
from tflm_export.variable import variables
from tfodl import quantize
from tfodl.demo.config import DemoConfig
from tfodl.demo.domains import Domains
from tfodl.int8.dequantized import gradients
from tfodl.quantize import convert
from tfodl.quantize.model import QATModel

CHECKED_STEPS = 8  # samples whose gradients are compared with TensorFlow's
POINTS = 5  # times that held-out accuracy is taken in a pass


@dataclass(frozen=True)
class Learning:
    """Accuracy (fraction) on held-out target pictures after `samples` training steps, from 0 on."""

    samples: tuple[int, ...]
    accuracy: tuple[float, ...]


def quantise(model: keras.Model, domains: Domains, config: DemoConfig) -> tuple[QATModel, bytes]:
    """QAT on the source domain, and the int8 `.tflite` that it gives."""
    x, y, *_ = domains.source
    aware = quantize.qat(model, x, y, epochs=config.qat_epochs, seed=config.seed)
    return aware, convert.to_int8(aware)


def tensorflow_cosines(compiled: Compiled, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Cosine of every trained tensor's gradient, by the device's integers and by TensorFlow on the
    dequantised graph; the lowest over a few samples."""
    model = read_tflite(compiled.tflite)
    device = Simulator(compiled.graph, compiled.plan)
    lowest: dict[str, float] = {}
    for index in range(CHECKED_STEPS):
        reference = gradients(model, x[index : index + 1], y[index : index + 1])
        for name, found in device.gradients(x[index : index + 1], int(y[index])).items():
            wanted = _trained_part(compiled, name, reference[name])
            lowest[name] = min(lowest.get(name, 1.0), cosine(found, wanted))
    return lowest


def _trained_part(compiled: Compiled, name: str, whole: np.ndarray) -> np.ndarray:
    """The entries of a whole gradient that the plan trains."""
    variable = next(v for v in variables(compiled.graph) if v.tensor == name)
    return np.take(whole, variable.channels, axis=variable.axis)


def require_verified(ok: bool) -> None:
    """Raise `TfodlError` unless every comparison held."""
    if not ok:
        raise TfodlError("verification failed: see the lines above; the engine must not be flashed.")


def accuracy(engine: HostEngine, x: np.ndarray, y: np.ndarray) -> float:
    """Fraction of int8 `x` that the engine, as it is now, classifies as `y`."""
    return float(
        np.mean([engine.predict(picture[None]) == label for picture, label in zip(x, y, strict=True)])
    )


def learn(compiled: Compiled, pictures: Domains, config: DemoConfig, held_out: int) -> Learning:
    """Train the engine, built for the host, on labelled uint8 target pictures one by one.

    held_out: target pictures at the end of the train split that are not learnt from.
    """
    engine = HostEngine(compiled)
    x, y, x_test, y_test = pictures.each(compiled.quantize).target
    n = config.device_count(len(x) - held_out)
    every = max(1, n // POINTS)
    samples, curve = [0], [accuracy(engine, x_test, y_test)]
    for step in tqdm(range(1, n * config.device_epochs + 1), unit="sample", leave=False, disable=None):
        engine.set_learning_rate(config.device_rate((step - 1) // n))
        engine.train_step(x[(step - 1) % n][None], int(y[(step - 1) % n]))
        if step % every == 0:
            samples.append(step)
            curve.append(accuracy(engine, x_test, y_test))
    return Learning(tuple(samples), tuple(curve))
