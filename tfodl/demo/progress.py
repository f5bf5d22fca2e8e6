"""Numbered stages on the terminal, each timed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stages:
    """Announces stages and keeps their durations.

    seconds: `{stage: seconds}` of the stages that ended.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """Announce stage `name`, time it, print how long it took."""
        print(f"[{len(self.seconds) + 1}/{self.total}] {name}: {what}", flush=True)
        begin = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begin, 1)
        print(f"      {self.seconds[name]:.1f} s", flush=True)
