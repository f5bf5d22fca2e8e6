"""Targets of tasks without classes as a board takes them, and what its outputs are worth."""

from __future__ import annotations

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.ops.result import tensor_quant
from tfodl.tasks.scores import auc, f1, mean_auc, r2


def scores(compiled: Compiled, said: np.ndarray, x: np.ndarray, y: np.ndarray | None) -> dict[str, float]:
    """How good outputs int8 [N, K] are: `mae` and `r2` of numbers, `auc` and `f1` of labels, `error` of an
    autoencoder, and `auc` where it is known which samples are strange.

    x: the inputs. y: targets real [N, K], 1 or 0 [N, L], 1 for a strange sample [N] or None.
    """
    real, loss = compiled.to_real(said), compiled.plan.loss
    if loss == "mse":
        assert y is not None
        return {"mae": float(np.abs(y - real).mean()), "r2": r2(y, real)}
    if loss == "bce":
        assert y is not None
        half = 0.0 if compiled.output.name == _logits(compiled) else 0.5
        return {"auc": mean_auc(y, real), "f1": f1(y, (real > half).astype(int))}
    errors = ((real - _given(compiled, x).reshape(real.shape)) ** 2).mean(axis=1)
    if y is None:
        return {"error": float(errors.mean())}
    return {"error": float(errors[y == 0].mean()), "auc": auc(errors[y == 0], errors[y == 1])}


def wanted(compiled: Compiled, y: np.ndarray | None, count: int) -> np.ndarray:
    """Targets as the board takes them, int8 [N, K]: of numbers y [N, K], of labels 1 and 0 [N, L] or [N]."""
    if y is None:
        return np.zeros((count, 0), np.int8)
    if compiled.plan.loss == "mse":
        found: np.ndarray = tensor_quant(compiled.graph, _logits(compiled)).quantize(y)
        return found
    return y.reshape(count, -1).astype(np.int8)


def _logits(compiled: Compiled) -> str:
    loss = compiled.graph.loss
    assert loss is not None
    return loss.inputs[0]


def _given(compiled: Compiled, x: np.ndarray) -> np.ndarray:
    """Inputs as the model has them, real."""
    values = x if x.dtype == np.int8 else compiled.quantize(x)
    return tensor_quant(compiled.graph, compiled.input.name).dequantize(values)
