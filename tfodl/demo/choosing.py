"""The device chooses: an engine with a pool takes the target pictures, and tells which channels learned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tflm_export.boards import board
from tflm_export.compiler import Compiled, compile_model
from tflm_export.errors import ExportError
from tflm_export.living.selection import Selection
from tflm_export.machines.choosing_host import ChoosingEngine
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.report.propose import SAMPLES, propose
from tfodl import stream
from tfodl.demo.config import DemoConfig
from tfodl.demo.domains import Domains
from tfodl.demo.streams import POINTS, target, tests
from tfodl.stream import StreamResult

BOARD = "nano33ble"


@dataclass(frozen=True)
class Chosen:
    """What the emitted engine chose while it learned. plan: candidates and pool. history: who learned, epoch
    by epoch. channels: how many each candidate has, by its op."""

    plan: UpdatePlan
    history: tuple[Selection, ...]
    channels: dict[str, int]
    result: StreamResult

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        pool = self.plan.pool
        assert pool is not None
        return {
            "candidates": list(self.plan.candidates),
            "pool_bytes": pool.bytes,
            "rule": pool.rule,
            "epoch_steps": pool.epoch,
            "channels": sum(self.channels.values()),
            "learned": [selection.count for selection in self.history],
            "stream": self.result.to_dict(),
        }


def choose(compiled: Compiled, pictures: Domains, config: DemoConfig) -> Chosen | None:
    """The target pictures once, shuffled, through an engine that chooses among the layers that `BOARD` holds;
    None, and a line that says why, where it holds none of them.

    compiled: the demo's engine, of which the model counts.
    """
    try:
        plan = _plan(compiled, pictures, config)
    except ExportError as error:
        print(f"      nothing to choose: {error}")
        return None
    x, y = target(pictures, config)
    places = stream.order(y, "shuffled", config.seed)
    engine = compile_model(compiled.tflite, plan, contract=compiled.contract)
    host = ChoosingEngine(engine)
    result = stream.play(engine, (x[places], y[places]), tests(pictures), machine=host, points=POINTS)
    channels = {c.layer.name: c.channels for c in host.layers}
    return Chosen(engine.plan, tuple(host.history), channels, result)


def _plan(compiled: Compiled, pictures: Domains, config: DemoConfig) -> UpdatePlan:
    """The plan that is proposed for the board; the stream has `config.choose_epochs` epochs."""
    rate = replace(compiled.plan.optimizer, learning_rate=config.choose_learning_rate)
    memory = Memory(samples=SAMPLES)
    steps = len(target(pictures, config)[1]) * (1 + memory.replays)
    how = {"rule": config.choose_rule, "epoch": max(1, steps // config.choose_epochs)}
    return propose(compiled.tflite, board(BOARD), replace(compiled.plan, optimizer=rate, memory=memory), how)
