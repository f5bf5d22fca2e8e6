"""`Run`: a stream of samples into a board, with everything that happens on the way written down."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tflm_export.board.client import BoardClient
from tflm_export.board.info import Info
from tflm_export.board.learned import read_selection
from tflm_export.board.sketch_header import MOST_CLASSES
from tflm_export.compiler import Compiled
from tfodl.board.advice import advice, is_worse
from tfodl.board.classes import short
from tfodl.board.curve import Curve
from tfodl.board.line import Line, Restarted
from tfodl.board.run_log import RunLog
from tfodl.board.samples import Samples


class Run:
    """Lets the board on `line` learn `samples`.

    save_every: samples between two saves of an engine with a store; 0: at the end only. evaluate_every:
    samples between two evaluations; 0: at start and end. rate: learning rate; None: the plan's. after: called
    with the place in the stream after every sample.
    """

    def __init__(
        self,
        line: Line,
        compiled: Compiled,
        samples: Samples,
        log: RunLog,
        curve: Curve,
        *,
        save_every: int = 0,
        evaluate_every: int = 0,
        rate: float | None = None,
        after: Callable[[int], None] = lambda step: None,
    ):
        self._line, self._samples, self._log, self._curve = line, samples, log, curve
        self._compiled, self._plan, self._classes = compiled, compiled.plan, compiled.output.size
        self._save_every, self._evaluate_every, self._rate = save_every, evaluate_every, rate
        self._after = after
        self._step = self._saved = 0  # samples that the board has learned, and has in flash
        self._saving = (0, 0)  # how many a save is of, and the CRC of its weights
        self._labels: dict[int, int] = {}  # the board's number of classes that it did not have
        self._known = 0  # classes in use on the board
        self._judged = -1  # samples before the last evaluation
        self._before: np.ndarray | None = None  # counts of the evaluation at the start, and of the last
        self._counted: np.ndarray | None = None
        line.unplugged, line.resumed = self._unplugged, lambda: self._resumed(False)
        line.greet = self._give_rate

    def learn(self, rest: int = 0) -> None:
        """The whole stream, `rest` rounds of replays, the guard's word, a save and an evaluation; where the
        board loses its RAM on the way, again from what it has in flash."""
        while True:
            try:
                return self._go(rest)
            except Restarted as restarted:
                self._rewind(restarted.info)

    def _go(self, rest: int) -> None:
        self._prepare()
        if self._step == 0:
            self._evaluate("test")
        while self._step < len(self._samples.x):
            self._sample()
            self._after(self._step)
        for _ in range(rest):
            self._line.do(BoardClient.rest)
        if self._plan.guard is not None:
            self._judge()
        if self._saved != self._step or rest or self._plan.guard is not None:
            self._save()
        self._curve.end()
        if rest or self._plan.guard is not None or self._judged != self._step:
            self._evaluate("test")
        self._advise()
        self._log.event("end", step=self._step, steps=self._line.do(BoardClient.info).steps)

    def _advise(self) -> None:
        """Where the run did harm."""
        if self._before is not None and self._counted is not None and is_worse(self._before, self._counted):
            self._curve.say(advice(self._plan, self._rate))

    def _prepare(self) -> None:
        self._known = self._line.do(BoardClient.info).classes
        self._line.do(self._give_rate)
        for label, number in self._labels.items():
            self._line.do(partial(BoardClient.class_name, label=number, name=self._name(label)))

    def _give_rate(self, board: BoardClient) -> None:
        if self._rate is not None:
            board.set_learning_rate(self._rate)

    def _rewind(self, info: Info) -> None:
        """To what the board has in flash: of a save whose answer was lost its weights tell."""
        step, crc = self._saving
        self._step = self._saved = step if crc == info.weights_crc else self._saved
        self._labels = {label: number for label, number in self._labels.items() if number < info.classes}
        self._resumed(True)

    def _judge(self) -> None:
        kept, judges = self._line.do(BoardClient.judge)
        said = "what was learned is kept" if kept else "the last good state is back"
        self._curve.say(f"{judges} pictures judge: {said}")

    def _sample(self) -> None:
        facts, over = self._teach(self._step)
        self._step += 1
        self._log.step(self._step, **facts)
        right = facts["predicted"] == facts["label"] if "label" in facts else None
        self._curve.step(self._step, facts["loss"], right)
        if over:
            self._new_epoch()
        elif self._save_every and self._step % self._save_every == 0:
            self._save()
        if self._evaluate_every and self._step % self._evaluate_every == 0:
            self._evaluate("test")

    def _teach(self, i: int) -> tuple[dict[str, Any], bool]:
        """Sample `i`: what the log says of its training step, and whether the epoch is over."""
        label = int(self._samples.labels[i])
        facts, over = self._show(self._samples.x[i], label)
        number = self._number(label)
        if self._plan.memory is not None and number < self._known:
            facts["remembered"] = self._line.do(lambda board: board.remember(number))
        return {"label": label} | facts, over

    def _show(self, x: np.ndarray, label: int) -> tuple[dict[str, Any], bool]:
        number = self._number(label)
        if number >= self._known:
            return self._open_class(x, label), False
        result = self._line.do(lambda board: board.train(x, number))
        self._line.at(result.steps)
        return {"predicted": result.predicted, "loss": round(result.loss, 6)}, result.epoch_over

    def _open_class(self, x: np.ndarray, label: int) -> dict[str, Any]:
        name = self._name(label)
        number, loss = self._line.do(lambda board: board.new_class(x, name))
        self._line.at(self._line.do(BoardClient.info).steps)
        self._labels[label], self._known = number, number + 1
        self._log.event("class", label=number, name=name)
        self._curve.say(f"class {number}, {name!r}, is new to the board")
        return {"predicted": -1, "loss": round(loss, 6)}

    def _number(self, label: int) -> int:
        """The board's number of a class."""
        return self._labels.get(label, label)

    def _name(self, label: int) -> str:
        return short(self._samples.names[label])

    def _save(self) -> None:
        """Where the engine has flash."""
        if self._plan.pool is not None:
            self._new_epoch()
        elif self._plan.store_bytes:
            self._commit(BoardClient.save)

    def _new_epoch(self) -> None:
        epoch = self._commit(BoardClient.new_epoch)
        chosen = self._line.do(lambda board: read_selection(board, self._compiled))
        self._log.event(
            "epoch", step=self._step, epoch=epoch, axis=chosen.axis, channels=dict(chosen.channels)
        )

    def _commit(self, action: Callable[[BoardClient], int | None]) -> int | None:
        self._saving = (self._step, self._line.do(BoardClient.info).weights_crc)
        found = self._line.do(action)
        self._saved = self._step
        self._log.event("saved", step=self._step)
        return found

    def _evaluate(self, name: str) -> None:
        assert self._samples.test_labels is not None
        labels = np.array([self._number(int(y)) for y in self._samples.test_labels])
        known = labels < self._known
        if not known.any():
            return
        x, labels = self._samples.test_x[known], labels[known]
        counts = self._line.do(lambda board: self._counts(board, x, labels))
        self._counted, self._before = counts, counts if self._step == 0 else self._before
        accuracy, self._judged = float(np.trace(counts) / counts.sum()), self._step
        self._log.event(
            "evaluated", step=self._step, set=name, accuracy=round(accuracy, 6), confusion=counts.tolist()
        )
        self._curve.say(f"after {self._step} samples {accuracy:.1%} of {len(labels)} held-out ones are right")

    def _counts(self, board: BoardClient, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """By true and predicted class: counted on the board where it can."""
        if self._classes <= MOST_CLASSES:
            return board.evaluate(x, labels)
        counts = np.zeros((self._classes, self._classes), np.int64)
        for sample, label in zip(x, labels, strict=True):
            counts[label, board.predict(sample)[0]] += 1
        return counts

    def _unplugged(self) -> None:
        self._log.event("unplugged", step=self._step)
        self._curve.say(f"the cable was pulled after {self._step} samples; waiting for the board ...")

    def _resumed(self, restarted: bool) -> None:
        self._log.event("resumed", step=self._step, restarted=restarted)
        lost = "it was restarted: going on from what it had saved, " if restarted else ""
        self._curve.say(f"the board is back; {lost}{self._step} samples")
