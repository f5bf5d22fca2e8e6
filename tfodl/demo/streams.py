"""The target pictures as life brings them: class after class, with a memory and without; the upper line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tflm_export.compiler import Compiled, compile_model
from tflm_export.living.memory import Exemplars
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.ship import ship
from tfodl import stream
from tfodl.demo.config import DemoConfig
from tfodl.demo.domains import Domains
from tfodl.stream import StreamResult

SAMPLES, SHIPPED = 20, 5  # of a class: remembered, shipped
REPLAYS, SHOWN = 3, 3  # a step: of the memory, of the exemplars
REST = 100  # rounds of replays after the stream
POINTS, TESTED = 5, 500  # times that accuracy is taken, and on how many pictures of a domain
FULL, RESTED = "replay and exemplars", "replay, exemplars and rest"


def play(compiled: Compiled, pictures: Domains, config: DemoConfig) -> dict[str, StreamResult]:
    """Every stream of uint8 `pictures` through the emitted engine; `compiled` is the one without memory."""
    rate = replace(compiled.plan.optimizer, learning_rate=config.stream_learning_rate)
    plan = replace(compiled.plan, optimizer=rate)
    memory = Memory(samples=SAMPLES * pictures.classes, replays=REPLAYS)
    shown = replace(plan, memory=replace(memory, exemplar_replays=SHOWN))
    engines = {
        "without memory": _again(compiled, plan),
        "replay": _again(compiled, replace(plan, memory=memory)),
        FULL: _again(compiled, shown, _exemplars(compiled, shown, pictures)),
    }
    samples = target(pictures, config)
    places = stream.order(samples[1], "classes", config.seed)
    ordered = samples[0][places], samples[1][places]
    found = {name: _played(engine, ordered, pictures) for name, engine in engines.items()}
    found[RESTED] = _played(engines[FULL], ordered, pictures, REST)
    return found | {"joint training": _played(engines["without memory"], _joint(pictures, config), pictures)}


def ends(result: StreamResult) -> str:
    """Accuracies in the end, for a line on the terminal."""
    return f"{result.accuracy('target'):.1%}, {result.accuracy('source'):.1%}"


def _again(compiled: Compiled, plan: UpdatePlan, exemplars: Exemplars | None = None) -> Compiled:
    """The same model under another plan."""
    return compile_model(compiled.tflite, plan, contract=compiled.contract, exemplars=exemplars)


def _exemplars(compiled: Compiled, plan: UpdatePlan, pictures: Domains) -> Exemplars:
    x, y, *_ = pictures.source
    return ship(compiled.tflite, plan, x, y, per_class=SHIPPED, contract=compiled.contract)


def _played(
    engine: Compiled, samples: tuple[np.ndarray, np.ndarray], pictures: Domains, rest: int = 0
) -> StreamResult:
    return stream.play(engine, samples, tests(pictures), points=POINTS, rest=rest)


def tests(pictures: Domains) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Held-out pictures of both domains, with labels."""
    parts = {"target": pictures.target, "source": pictures.source}
    return {name: (x[:TESTED], y[:TESTED]) for name, (_, _, x, y) in parts.items()}


def target(pictures: Domains, config: DemoConfig) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of the target domain to learn from, with labels."""
    x, y, *_ = pictures.target
    count = config.device_count(len(x))
    return x[:count], y[:count]


def _joint(pictures: Domains, config: DemoConfig) -> tuple[np.ndarray, np.ndarray]:
    """Target and source pictures, shuffled anew in every pass."""
    x, y = (
        np.concatenate([target, source])
        for target, source in zip(target(pictures, config), pictures.source[:2], strict=True)
    )
    rng = np.random.default_rng(config.seed)
    places = np.concatenate([rng.permutation(len(y)) for _ in range(config.stream_passes)])
    return x[places], y[places]
