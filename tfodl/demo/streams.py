"""The target pictures as life brings them: class after class, with a memory and without; the upper line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tflm_export.compiler import Compiled, compile_model
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


def play(tflite: bytes, plan: UpdatePlan, domains: Domains, config: DemoConfig) -> dict[str, StreamResult]:
    """Every stream through the emitted engine; `plan`: of the engine without memory."""
    plan = replace(plan, optimizer=replace(plan.optimizer, learning_rate=config.stream_learning_rate))
    memory = Memory(samples=SAMPLES * domains.classes, replays=REPLAYS)
    engines = {
        "without memory": compile_model(tflite, plan),
        "replay": compile_model(tflite, replace(plan, memory=memory)),
        FULL: _with_exemplars(tflite, replace(plan, memory=replace(memory, exemplar_replays=SHOWN)), domains),
    }
    samples = _target(domains, config)
    places = stream.order(samples[1], "classes", config.seed)
    ordered = samples[0][places], samples[1][places]
    found = {name: _played(engine, ordered, domains) for name, engine in engines.items()}
    found[RESTED] = _played(engines[FULL], ordered, domains, REST)
    return found | {"joint training": _played(engines["without memory"], _joint(domains, config), domains)}


def ends(result: StreamResult) -> str:
    """Accuracies in the end, for a line on the terminal."""
    return f"{result.accuracy('target'):.1%}, {result.accuracy('source'):.1%}"


def _with_exemplars(tflite: bytes, plan: UpdatePlan, domains: Domains) -> Compiled:
    x, y, *_ = domains.source
    to_int8 = compile_model(tflite, UpdatePlan()).to_int8
    return compile_model(tflite, plan, exemplars=ship(tflite, plan, to_int8(x), y, per_class=SHIPPED))


def _played(
    engine: Compiled, samples: tuple[np.ndarray, np.ndarray], domains: Domains, rest: int = 0
) -> StreamResult:
    parts = {"target": domains.target, "source": domains.source}
    tests = {name: (x[:TESTED], y[:TESTED]) for name, (_, _, x, y) in parts.items()}
    return stream.play(engine, samples, tests, points=POINTS, rest=rest)


def _target(domains: Domains, config: DemoConfig) -> tuple[np.ndarray, np.ndarray]:
    x, y, *_ = domains.target
    count = config.device_count(len(x))
    return x[:count], y[:count]


def _joint(domains: Domains, config: DemoConfig) -> tuple[np.ndarray, np.ndarray]:
    """Target and source pictures, shuffled anew in every pass."""
    x, y = (
        np.concatenate([target, source])
        for target, source in zip(_target(domains, config), domains.source[:2], strict=True)
    )
    rng = np.random.default_rng(config.seed)
    places = np.concatenate([rng.permutation(len(y)) for _ in range(config.stream_passes)])
    return x[places], y[places]
