"""The nets and plans that `engine.py` measures, and what others measured on the same nets.

Weights are drawn at random (or published, with `--weights imagenet`) and quantised after training on random
inputs: cycles, RAM and flash do not depend on their values, accuracy would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import keras
import numpy as np
from keras import layers

from tflm_export.compiler import Compiled, compile_model
from tflm_export.front.read_tflite import read_tflite
from tflm_export.plan import LayerUpdate, Memory, Optimizer, UpdatePlan
from tfodl import models, quantize, schemes

SEED = 0
DRAWN = {"bias_initializer": "random_uniform"}  # the converter drops a bias that is all 0
LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class Case:
    """One row of the table.

    build: the Keras model. plan: its update plan from the `.tflite`. yardstick: numbers of others, by name:
    `by`, and any of `cycles_inference`, `cycles_train_step` (under the same model, without wait states),
    `instructions_inference`, `instructions_train_step`, `total_ram_bytes`, `flash_bytes`, with `must` and
    `aim`, the share of the yardstick's cycles to stay below (of its instructions where it has no cycles).
    gradients: the arithmetic of the backward pass. row_fed: whether the picture comes row by row. ram_bytes:
    what the engine may take.
    """

    net: str
    plan_name: str
    build: Callable[[str | None], keras.Model]
    plan: Callable[[bytes], UpdatePlan]
    yardstick: dict[str, object] = field(default_factory=dict)
    gradients: Literal["int16", "float32"] = "int16"
    row_fed: bool = False
    ram_bytes: int | None = None

    def compiled(self, weights: str | None) -> Compiled:
        """The engine of `tflite(weights)` under the plan."""
        tflite = self.tflite(weights)
        how = {"gradients": self.gradients, "row_fed": self.row_fed, "ram_bytes": self.ram_bytes}
        return compile_model(tflite, self.plan(tflite), **how)

    def tflite(self, weights: str | None) -> bytes:
        """The int8 model, calibrated on 16 random inputs."""
        keras.utils.set_random_seed(SEED)
        model = self.build(weights)
        shape = model.input_shape[1:]
        return quantize.ptq(
            model, np.random.default_rng(SEED).uniform(-1, 1, (16, *shape)).astype(np.float32)
        )


def inference(_: bytes) -> UpdatePlan:
    """Nothing trains."""
    return UpdatePlan(head=False)


def head_only(_: bytes) -> UpdatePlan:
    """The classifier trains."""
    return UpdatePlan(head=True)


def reconstruct(_: bytes) -> UpdatePlan:
    """The last dense layer trains against a target."""
    return UpdatePlan(head=True, loss="mse")


def everything(tflite: bytes) -> UpdatePlan:
    """All weights and biases train."""
    graph = read_tflite(tflite)
    ops = [op for op in graph.ops if op.kind in LAYERS]
    channels = [range(graph.tensors[op.outputs[0]].shape[-1]) for op in ops]
    rows = [LayerUpdate(op.name, "out", tuple(c), "all") for op, c in zip(ops, channels, strict=True)]
    return UpdatePlan(layers=tuple(rows), head=True, optimizer=Optimizer(learning_rate=0.01))


def scheme(name: str) -> Callable[[bytes], UpdatePlan]:
    """A published sparse update (Lin et al. 2022), by the order of the convolutions in the `.tflite`."""

    def plan(tflite: bytes) -> UpdatePlan:
        graph = read_tflite(tflite)
        convolutions = [op for op in graph.ops if op.kind in LAYERS[:2]]
        published, rows = schemes.SCHEMES[name], []
        for index, op in enumerate(convolutions):
            ratio = published.ratios.get(index, 0.0)
            count = max(1, int(ratio * graph.tensors[op.inputs[1]].shape[-1])) if ratio else 0
            bias = index >= len(convolutions) - published.biases
            if count or bias:
                axis = "in" if op.kind == "CONV_2D" else "out"
                rows.append(LayerUpdate(op.name, axis, tuple(range(count)), "all" if bias else "none"))
        return UpdatePlan(layers=tuple(rows), head=True)

    return plan


def remembering(plan: Callable[[bytes], UpdatePlan]) -> Callable[[bytes], UpdatePlan]:
    """The same with a memory of 20 samples."""
    return lambda tflite: replace(plan(tflite), memory=Memory(samples=20))


def _model(name: str, shape: tuple[int, ...], **options: object) -> Callable[[str | None], keras.Model]:
    given = name in ("mcunet-5fps", "mbv2-w0.35", "proxyless-w0.3")
    return lambda weights: models.build(
        name, input_shape=shape, weights=weights if given else None, **options
    )


def published(name: str) -> Callable[[str | None], keras.Model]:
    """A net of the 256 KB paper at 128 px, for 10 classes."""
    return _model(name, (128, 128, 3), classes=10)


def _dense(inputs: int, *units: int) -> Callable[[str | None], keras.Model]:
    def build(_: str | None) -> keras.Model:
        hidden = [layers.Dense(n, activation="relu", **DRAWN) for n in units[:-1]]
        return keras.Sequential([keras.Input((inputs,)), *hidden, layers.Dense(units[-1], **DRAWN)])

    return build


def _small_cnn(_: str | None) -> keras.Model:
    stages: list[keras.Layer] = []
    for filters in (8, 16):
        conv = layers.Conv2D(filters, 3, padding="same", activation="relu", **DRAWN)
        stages += [conv, layers.MaxPooling2D()]
    return keras.Sequential([keras.Input((16, 16, 1)), *stages, layers.Flatten(), layers.Dense(10, **DRAWN)])


def _cmsis(cycles: float, instructions: float, arduino: float, arena: int) -> dict[str, object]:
    return {
        "by": "TFLite Micro + CMSIS-NN, -O2; RAM: its arena, without its stack",
        "cycles_inference": round(cycles * 1e6),
        "instructions_inference": round(instructions * 1e6),
        "instructions_inference_arduino": round(arduino * 1e6),
        "total_ram_bytes": arena,
        "must": 0.85,
        "aim": 0.6,
    }


def _aifes(instructions: int, arduino: int, ram: int) -> dict[str, object]:
    return {
        "by": "AIfES 2.2.0, float32, -O2",
        "instructions_train_step": instructions,
        "instructions_train_step_arduino": arduino,
        "total_ram_bytes": ram + 12_800,
        "must": 0.2,
        "aim": 0.1,
    }


MIT = {
    "by": "MIT tiny-training, -Ofast",
    "cycles_inference": 82_500_000,
    "cycles_train_step": 167_200_000,
    "instructions_inference": 65_300_000,
    "instructions_train_step": 120_100_000,
    "total_ram_bytes": 251_376,
    "flash_bytes": 662_296,
    "must_total_ram_bytes": 170_000,
    "aim_total_ram_bytes": 110_000,
    "must_flash_bytes": 600_000,
    "aim_flash_bytes": 560_000,
    "must_cycles_inference": 63_200_000,
    "aim_cycles_inference": 37_900_000,
    "must_cycles_train_step": 111_400_000,
    "aim_cycles_train_step": 62_700_000,
}

MLPERF = {
    "MobileNetV2-0.35 96x96x3": _model("mobilenet_v2", (96, 96, 3), classes=10, width=0.35),
    "MobileNetV1-0.25 96x96x3 (MLPerf VWW)": _model("mobilenet_v1", (96, 96, 3), classes=2, width=0.25),
    "ResNet-8 32x32x3 (MLPerf IC)": _model("resnet8", (32, 32, 3), classes=10),
    "DS-CNN 49x10x1 (MLPerf KWS)": _model("ds_cnn", (49, 10, 1), classes=12),
    "autoencoder 640 (MLPerf AD)": _model("autoencoder", (640,)),
}
CMSIS = (
    _cmsis(55.94, 45.99, 55.11, 204_756),
    _cmsis(29.03, 24.10, 28.56, 100_708),
    _cmsis(36.48, 29.86, 41.07, 54_996),
    _cmsis(9.172, 7.70, 9.23, 22_820),
    _cmsis(0.724, 0.583, 0.844, 2_580),
)

CASES = (
    Case("mcunet-5fps 128x128x3", "49 KB scheme", _model("mcunet-5fps", (128, 128, 3), classes=10),
         scheme("mcunet-5fps-49kb"), MIT),
    Case("mbv2-w0.35 96x96x3", "49 KB scheme", _model("mbv2-w0.35", (96, 96, 3), classes=10),
         scheme("mbv2-w0.35-49kb")),
    Case("mcunet-5fps 128x128x3", "49 KB scheme, float32 gradients",
         _model("mcunet-5fps", (128, 128, 3), classes=10), scheme("mcunet-5fps-49kb"), gradients="float32"),
    Case("mbv2-w0.35 96x96x3", "49 KB scheme, float32 gradients",
         _model("mbv2-w0.35", (96, 96, 3), classes=10), scheme("mbv2-w0.35-49kb"), gradients="float32"),
    *(Case("mcunet-5fps 128x128x3", f"49 KB scheme, {ram // 1000} KB of RAM",
           _model("mcunet-5fps", (128, 128, 3), classes=10), scheme("mcunet-5fps-49kb"), ram_bytes=ram)
      for ram in (200_000, 150_000)),
    *(Case("mcunet-5fps 128x128x3", f"49 KB scheme, row-fed, {ram // 1000} KB of RAM",
           _model("mcunet-5fps", (128, 128, 3), classes=10), scheme("mcunet-5fps-49kb"), row_fed=True,
           ram_bytes=ram)
      for ram in (80_000, 72_000)),
    Case("mbv2-w0.35 96x96x3", "49 KB scheme, memory", _model("mbv2-w0.35", (96, 96, 3), classes=10),
         remembering(scheme("mbv2-w0.35-49kb"))),
    *(Case(net, "inference", build, inference, yardstick)
      for (net, build), yardstick in zip(MLPERF.items(), CMSIS, strict=True)),
    Case("MobileNetV2-0.35 96x96x3", "inference, row-fed", MLPERF["MobileNetV2-0.35 96x96x3"], inference,
         row_fed=True),
    Case("MobileNetV2-0.35 96x96x3", "inference, row-fed, 24 KB of RAM",
         MLPERF["MobileNetV2-0.35 96x96x3"], inference, row_fed=True, ram_bytes=24_100),
    *(Case(net, "head", build, reconstruct if "autoencoder" in net else head_only)
      for net, build in MLPERF.items()),
    Case("linear 256-10", "everything", _dense(256, 10), everything, _aifes(301_550, 454_082, 21_664)),
    Case("dense 64-32-10", "everything", _dense(64, 32, 10), everything, _aifes(282_588, 424_914, 18_504)),
    Case("CNN 16x16x1, conv 8, conv 16, dense 10", "everything", _small_cnn, everything,
         _aifes(13_637_125, 15_196_761, 57_456)),
)  # fmt: skip
