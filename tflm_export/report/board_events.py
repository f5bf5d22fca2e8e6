"""What happened to a board while it learned, for people: rows of a table, marks of a curve."""

from __future__ import annotations

from collections.abc import Sequence

from tflm_export.page.curves import Mark
from tflm_export.report.run_lines import Event, Run, real

SAID = {
    "unplugged": "the cable was pulled",
    "resumed": "went on",
    "saved": "saved to flash",
    "epoch": "chose anew what learns",
    "class": "a new class",
    "evaluated": "evaluated",
    "begin": "began",
    "end": "ended",
}
WRITTEN = {"unplugged": "unplugged", "class": "new class"}
HEIGHTS = {"resumed": 12.0, "epoch": 6.0}  # of short marks at the axis; the others are as high as the picture
FIGURES = ("accuracy", "mae", "r2", "auc", "f1", "error")
MOST_ROWS, MOST_WRITTEN = 40, 12
OFTEN = {"saved", "epoch", "evaluated"}  # what many rows are made one of


def marks(run: Run) -> list[Mark]:
    """Moments of the run on its curves; words only where there is room for them."""
    found = run.of("unplugged", "resumed", "epoch", "class")
    few = sum(event.name in WRITTEN for event in found) <= MOST_WRITTEN
    return [
        Mark(
            float(event.step),
            f"{SAID[event.name]}, after step {event.step:,}",
            WRITTEN.get(event.name, "") if few else "",
            HEIGHTS.get(event.name),
        )
        for event in found
    ]


def rows(run: Run) -> list[tuple[str, str, str, str]]:
    """(seconds, after step, what, which); of a long run what comes often is one row between the rest."""
    groups: list[list[Event]] = []
    recent: dict[str, list[Event]] = {}  # by name, since the last event that has a row of its own
    for event in run.events:
        if event.name in recent:
            recent[event.name].append(event)
            continue
        groups.append([event])
        if event.name not in OFTEN:
            recent = {}
        elif len(run.events) > MOST_ROWS:
            recent[event.name] = groups[-1]
    return [_row(group) for group in groups]


def _row(group: Sequence[Event]) -> tuple[str, str, str, str]:
    first, last = group[0], group[-1]
    if len(group) == 1:
        return f"{first.time:,.1f}", f"{first.step:,}", SAID[first.name], about(first)
    times, steps = f"{first.time:,.1f} to {last.time:,.1f}", f"{first.step:,} to {last.step:,}"
    said = "; ".join(filter(None, [f"{len(group):,} times", about(last) and f"at last {about(last)}"]))
    return times, steps, SAID[first.name], said


def about(event: Event) -> str:
    """Which class, how well, with what.

    >>> about(Event("resumed", 40, 3.0, {"restarted": False, "steps": 40}))
    'kept its power, 40 samples learned'
    """
    facts = event.facts
    shown = [str(facts[name]) for name in ("name", "set") if name in facts]
    for name in FIGURES:
        value = real(facts.get(name))
        if value is not None:
            shown.append(f"{name} {value:.1%}" if name == "accuracy" else f"{name} {value:.4g}")
    if "epoch" in facts:
        shown.append(f"epoch {facts['epoch']}")
    if "restarted" in facts:
        shown.append("had lost its power" if facts["restarted"] else "kept its power")
    if "steps" in facts:
        shown.append(f"{facts['steps']} samples learned")
    return ", ".join(shown)


def lasted(seconds: float) -> str:
    """A time for people.

    >>> lasted(0.42), lasted(95), lasted(4000)
    ('0.4 s', '95 s', '67 min')
    """
    if seconds < 600:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
