"""`play`: a stream through an engine, sample by sample, with tests on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.errors import TfodlError
from tflm_export.gradients.cut import find_cut
from tflm_export.living.capacity import classes
from tflm_export.living.choosing import simulator_of
from tflm_export.living.judging import is_judge
from tflm_export.living.memory import ReplayMemory
from tflm_export.machines.choosing_host import host_engine
from tflm_export.store.samples import capacity
from tfodl.datasets.training_data import check_inputs, check_labels
from tfodl.stream.result import StreamResult

Arrays = tuple[np.ndarray, np.ndarray]


def play(
    compiled: Compiled,
    stream: tuple[Any, Any] | Iterable[tuple[Any, int]],
    tests: Mapping[str, tuple[Any, Any]],
    *,
    machine: Any = "host",
    points: int | Sequence[int] = 10,
    rest: int = 0,
) -> StreamResult:
    """Let the engine `compiled` learn a stream one sample at a time, and take its accuracy on the way.

    A sample is a `train_step`, then a `remember` where the plan has a memory; where it has a guard, a `judge`
    comes after the last one.
    stream: arrays (x [N, ...], labels [N]), or any iterable of (x, label). tests: (x, labels) by name. x is
        float as the model takes it, uint8 pictures (the engine then needs an input contract), or int8 as the
        engine takes it.
    machine: `"host"` (the emitted engine, fast), `"numpy"` or `"keras"` (`Int8Model`), which make the same
        weights, bit for bit. Or one of these made before, to play again: it is reset.
    points: how many times accuracy is taken, evenly; or after how many samples. Always at start and end.
    rest: rounds of the plan's replays after the last sample, as of a device with nothing else to do.

    Raises `TfodlError` for labels that the engine has no class for, an empty stream, no tests, bad points, a
    rest without a memory.
    """
    net, samples = _machine(compiled, machine), _samples(compiled, stream)
    sets = {name: _arrays(compiled, *test, name) for name, test in tests.items()}
    if not sets:
        raise TfodlError("stream: there is no test set; give tests={'target': (x, y)}.")
    taken, memory = _points(points, len(samples)), _mirror(compiled)
    if rest and memory is None:
        raise TfodlError("stream: rest is of replays, and the plan has no memory; set memory, or rest to 0.")
    net.reset()
    right = [_right(net, sets)]
    for i, (x, label) in enumerate(samples):
        net.train_step(x, label)
        if memory is not None:
            net.remember(label)
            plan = compiled.plan
            if not is_judge(_latent(net, compiled), label, plan.guard, plan.spare_classes, memory):
                memory.remember(_packed(i), label)
        if i + 1 == len(samples):
            _rest(net, compiled, rest)
        if i + 1 in taken:
            right.append(_right(net, sets))
    per_class, overall = _accuracies(right, sets, classes(compiled.graph))
    labels = np.array([label for _, label in samples])
    return StreamResult(labels, taken, per_class, overall, _held(memory), _weights(net))


def _latent(net: Any, compiled: Compiled) -> np.ndarray:
    """What a guard tells a picture by; nothing without one."""
    return np.zeros(0, np.int8) if compiled.plan.guard is None else net.latent()


def _rest(net: Any, compiled: Compiled, rounds: int) -> None:
    """The replays of `rounds` steps, without the steps' own samples; then the guard's last word."""
    for _ in range(rounds):
        assert compiled.plan.memory is not None
        for _ in range(compiled.plan.memory.replays):
            net.replay()
        for _ in range(compiled.plan.memory.exemplar_replays):
            net.replay_exemplar()
    if compiled.plan.guard is not None:
        net.judge()


def _machine(compiled: Compiled, machine: Any) -> Any:
    """One of the three machines by name, or the one given."""
    if not isinstance(machine, str):
        return machine
    makers: dict[str, Callable[[], Any]] = {
        "host": lambda: host_engine(compiled),
        "numpy": lambda: simulator_of(compiled.graph, compiled.plan, compiled.exemplars),
        "keras": lambda: _keras(compiled),
    }
    if machine not in makers:
        raise TfodlError(f"stream: machine must be one of {tuple(makers)}, got {machine!r}.")
    return makers[machine]()


def _keras(compiled: Compiled) -> Any:
    from tfodl.stream.choosing_engine import ChoosingKerasEngine
    from tfodl.stream.keras_engine import KerasEngine

    return (KerasEngine if compiled.plan.pool is None else ChoosingKerasEngine)(compiled)


def _samples(compiled: Compiled, stream: Any) -> list[tuple[np.ndarray, int]]:
    """The stream as pairs of int8 [1, ...] and a label."""
    if not (isinstance(stream, tuple) and len(stream) == 2):
        pairs = list(stream)
        stream = [x for x, _ in pairs], [label for _, label in pairs]
    pictures, labels = stream
    if not len(pictures):
        raise TfodlError("stream: it is empty; give one sample or more.")
    x, y = _arrays(compiled, pictures, labels, "the stream")
    return [(x[i : i + 1], int(label)) for i, label in enumerate(y)]


def _arrays(compiled: Compiled, x: Any, y: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """int8 [N, ...] and labels int64 [N]."""
    shape, x = compiled.input.shape[1:], np.asarray(x)
    if x.shape[1:] != shape or not len(x):
        raise TfodlError(
            f"stream: {name}: inputs must be [N >= 1, {', '.join(map(str, shape))}], got {list(x.shape)}."
        )
    if x.dtype == np.uint8:
        x = compiled.quantize(x)
    elif x.dtype != np.int8:
        x = compiled.to_int8(check_inputs(x, shape, f"stream: {name}"))
    return x, check_labels(y, len(x), classes(compiled.graph), f"stream: {name}")


def _points(points: int | Sequence[int], count: int) -> np.ndarray:
    """After how many samples accuracy is taken, with 0 and `count`."""
    if isinstance(points, int) and points >= 1:
        points = np.linspace(0, count, points + 1).round().astype(int).tolist()
    whole = isinstance(points, Sequence) and all(isinstance(p, int) and 0 <= p <= count for p in points)
    if not whole:
        raise TfodlError(
            f"stream: points must be a number >= 1, or whole numbers 0..{count}, got {points!r}."
        )
    return np.unique([0, *points, count])  # type: ignore[misc]


def _right(net: Any, sets: Mapping[str, Arrays]) -> dict[str, np.ndarray]:
    """Which test pictures the net, as it is now, gets right: bool [N] by test set."""
    return {name: _predictions(net, x) == y for name, (x, y) in sets.items()}


def _predictions(net: Any, x: np.ndarray) -> np.ndarray:
    if hasattr(net, "classify"):
        found: np.ndarray = net.classify(x)
        return found
    if hasattr(net, "predict"):
        return np.array([net.predict(picture[None]) for picture in x])
    return np.array([int(net.logits(picture[None]).argmax()) for picture in x])


def _accuracies(
    right: Sequence[Mapping[str, np.ndarray]], sets: Mapping[str, Arrays], count: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Fraction right [P, classes] and [P], by test set."""
    per_class, overall = {}, {}
    for name, (_, y) in sets.items():
        rows = np.array([point[name] for point in right])
        found = [
            rows[:, y == c].mean(axis=1) if (y == c).any() else np.full(len(rows), np.nan)
            for c in range(count)
        ]
        per_class[name], overall[name] = np.stack(found, axis=1), rows.mean(axis=1)
    return per_class, overall


def _mirror(compiled: Compiled) -> ReplayMemory | None:
    """A memory that keeps what the engine's keeps, but each sample's place in the stream for its latent."""
    plan, graph = compiled.plan, compiled.graph
    if plan.memory is None:
        return None
    size = capacity(plan.memory, find_cut(graph, plan).nbytes)
    return ReplayMemory(size, (4,), classes(graph), plan.memory.policy, plan.seed)


def _packed(place: int) -> np.ndarray:
    return np.array([place], np.int32).view(np.int8)


def _held(memory: ReplayMemory | None) -> np.ndarray | None:
    if memory is None:
        return None
    return memory.latents[: len(memory)].copy().view(np.int32).reshape(-1).astype(np.int64)


def _weights(net: Any) -> dict[str, np.ndarray]:
    found = net.weights() if callable(net.weights) else net.weights
    return {name: value.copy() for name, value in found.items()}
