"""Which samples are shipped with an engine: a few of every class, chosen by their latents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.gradients.cut import find_cut
from tflm_export.ir import Graph
from tflm_export.living.memory import Exemplars
from tflm_export.plan import UpdatePlan
from tflm_export.simulate.evaluate import run_forward

BATCH = 32  # pictures that run at a time


def latents(graph: Graph, plan: UpdatePlan, x: np.ndarray) -> np.ndarray:
    """Latents int8 [N, ...] of inputs int8 [N, ...], of a training graph under its plan."""
    cut = find_cut(graph, plan)
    parts = []
    for start in range(0, len(x), BATCH):
        values = {graph.inputs[0]: x[start : start + BATCH]}
        for op in graph.ops[: cut.position]:
            run_forward(op, graph, values)
        parts.append(values[cut.tensor])
    return np.concatenate(parts)


def make_exemplars(
    graph: Graph,
    plan: UpdatePlan,
    x: np.ndarray,
    labels: np.ndarray,
    per_class: int,
    rule: str = "random",
    seed: int = 0,
) -> Exemplars:
    """Exemplars of an engine with training graph `graph`, from inputs int8 [N, ...], as `choose` does."""
    found = latents(graph, plan, x)
    places = choose(found, labels, per_class, rule, seed)
    return Exemplars(found[places], np.asarray(labels)[places])


def choose(
    latents: np.ndarray, labels: np.ndarray, per_class: int, rule: str = "random", seed: int = 0
) -> np.ndarray:
    """Places int64 of `per_class` samples of every class, class by class; of a smaller class all.

    latents: [N, ...]; labels: [N]. rule: `"random"`; `"nearest"`, nearest to the class's mean latent; or
    `"herding"`, one after the other so that their mean stays nearest to it, the k-th `argmin_x |mu - (x + sum
    of those before) / k|` (Welling 2009; Rebuffi et al., "iCaRL", CVPR 2017, algorithm 4). seed: of
    `"random"`.
    Raises `ExportError` for another rule, or fewer than one a class.

    >>> line = np.array([[0], [1], [2], [9], [10], [11]])
    >>> choose(line, np.array([0, 0, 0, 1, 1, 1]), 1, "nearest")
    array([1, 4])
    """
    if rule not in RULES:
        raise ExportError(f"exemplars: rule must be one of {tuple(RULES)}, got {rule!r}.")
    if per_class < 1:
        raise ExportError(f"exemplars: per class must be 1 or more, got {per_class}.")
    labels, rng = np.asarray(labels).reshape(-1), np.random.default_rng(seed)
    places = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        places.append(own[RULES[rule](latents[own], min(per_class, len(own)), rng)])
    return np.concatenate(places)


def _random(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(len(x))[:count]


def _nearest(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    x = _rows(x)
    return np.argsort(((x - x.mean(axis=0)) ** 2).sum(axis=1), kind="stable")[:count]


def _herding(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    x = _rows(x)
    mean, total = x.mean(axis=0), np.zeros(x.shape[1])
    taken: list[int] = []
    for k in range(1, count + 1):
        away = ((mean - (x + total) / k) ** 2).sum(axis=1)
        away[taken] = np.inf
        taken.append(int(away.argmin()))
        total += x[taken[-1]]
    return np.array(taken)


def _rows(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, np.float64).reshape(len(x), -1)


Rule = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
RULES: dict[str, Rule] = {"random": _random, "nearest": _nearest, "herding": _herding}
