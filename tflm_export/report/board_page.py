"""`board.html`: what a board did while it learned, from the lines of its log (`read_run`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tflm_export.living.selection import Axis, Selection
from tflm_export.page.cells import confusion
from tflm_export.page.curves import Curve, curves
from tflm_export.page.document import Section, cards, figure, page, paragraph, table
from tflm_export.page.markup import Markup
from tflm_export.report.board_events import lasted, marks, rows
from tflm_export.report.run_lines import Event, Run, Step, read_run, real, whole
from tflm_export.report.seen_sections import accuracy_section, selection_section

WINDOW = 50  # steps that the running figures are the mean of
OF_CLASS, CLASS_POINTS = 10, 60  # the same of a class's own steps, at least; so that a curve has some points
POINTS = 400  # of a curve, at most
MANY = 12  # classes that have a curve
Points = list[tuple[float, float]]


def board_page(lines: Iterable[object]) -> str:
    """The page of a run.

    lines: the log's, each as JSON gives it; what is not understood is left out.

    >>> log = [{"step": i, "time": i / 3, "label": 0, "predicted": i % 2, "loss": 1 / i} for i in range(1, 9)]
    >>> "50.0%" in board_page(log)
    True
    """
    run = read_run(lines)
    return page(f"Board {run.begin.get('engine', '')}".strip(), _head(run), board_sections(run))


def board_sections(run: Run) -> tuple[Section, ...]:
    """The page's sections; those of which the run has nothing are left out."""
    found = (_running(run), _by_class(run), _confusion(run), _loss(run), _evaluated(run), _selection(run))
    return tuple(section for section in (*found, _events(run)) if section is not None)


def _head(run: Run) -> list[Markup]:
    told = [step for step in run.steps if step.right is not None]
    shown = {"Samples": (f"{len(run.steps):,}", f"of {run.begin.get('samples', '?')}, each once")}
    if told:
        last = told[-WINDOW:]
        shown["Right"] = (_share(last), f"of the last {len(last)}; {_share(told[:WINDOW])} of the first")
    unplugged = len(run.of("unplugged"))
    shown["Unplugged"] = (f"{unplugged:,} ×", f"went on {len(run.of('resumed')):,} ×")
    shown["Time"] = (
        lasted(max((s.time for s in run.steps), default=0.0)),
        str(run.begin.get("port", "")),
    )
    about = [f"{name}: {run.begin[name]}" for name in ("data", "order", "seed") if name in run.begin]
    if run.left_out:
        about.append(f"{run.left_out:,} lines of the log were not understood and are left out")
    return [cards(shown), *([paragraph("; ".join(about) + ".")] if about else [])]


def _share(steps: Sequence[Step]) -> str:
    return f"{sum(bool(step.right) for step in steps) / max(1, len(steps)):.1%}"


def running(values: Sequence[tuple[int, float]], window: int, most: int = POINTS) -> Points:
    """(step, mean of the last `window` values), at most `most` of them, the last among them.

    >>> running([(1, 0.0), (2, 1.0), (3, 1.0)], 2)
    [(1.0, 0.0), (2.0, 0.5), (3.0, 1.0)]
    """
    every, total, found = max(1, -(-len(values) // most)), 0.0, []
    for i, (step, value) in enumerate(values):
        total += value - (values[i - window][1] if i >= window else 0.0)
        if (len(values) - 1 - i) % every == 0:
            found.append((float(step), total / min(i + 1, window)))
    return found


def _right(steps: Iterable[Step]) -> list[tuple[int, float]]:
    return [(step.step, float(step.right)) for step in steps if step.right is not None]


def _running(run: Run) -> Section | None:
    right = _right(run.steps)
    if not right:
        return None
    curve = Curve(f"mean of the last {WINDOW}", [(x, 100 * y) for x, y in running(right, WINDOW)])
    picture = curves([curve], "samples", "right, %", (0.0, 100.0), marks(run), " %")
    about = (
        "What the board said of a sample before it learned it. High lines: unplugged, or a new class; at the "
        "axis, short: chose anew, longer: went on."
    )
    same = table(("samples", "right"), [(int(x), f"{y / 100:.1%}") for x, y in curve.points])
    title = f"Right of the last {WINDOW}"
    return Section("Running accuracy", (figure(title, about, picture, same),))


def _by_class(run: Run) -> Section | None:
    own = {i: [s for s in run.steps if s.label == i] for i in range(len(run.names))}
    seen = {i: steps for i, steps in own.items() if steps}
    if not seen:
        return None
    longest = max(len(steps) for steps in seen.values())
    window = max(OF_CLASS, longest // CLASS_POINTS)
    lines = {run.names[i]: running(_right(steps), window, CLASS_POINTS) for i, steps in seen.items()}
    rows = [
        (run.names[i], len(steps), _share(steps), _share(steps[-window:]), steps[0].step, steps[-1].step)
        for i, steps in seen.items()
    ]
    same = table(("class", "samples", "right", f"of the last {window}", "first step", "last step"), rows)
    if len(lines) > MANY:
        return Section("By class", (same,))
    drawn = [Curve(name, [(x, 100 * y) for x, y in points], thin=True) for name, points in lines.items()]
    picture = curves(drawn, "samples", "right, %", (0.0, 100.0), unit=" %")
    about = "Of the samples of each class, before the board learned them."
    return Section("By class", (figure(f"Right of the last {window}", about, picture, same),))


def _confusion(run: Run) -> Section | None:
    """As the board last counted it, or as it answered in the second half of the run."""
    counts, when = _counted(run)
    if not counts:
        return None
    names = list(run.names)[: len(counts)]
    rows = [(name, *row) for name, row in zip(names, counts, strict=True)]
    same = table(("was", *names), rows)
    if len(names) > 3 * MANY:
        return Section("Confusion", (paragraph(when), same))
    return Section("Confusion", (figure("True and predicted", when, confusion(counts, names), same),))


def _counted(run: Run) -> tuple[list[list[int]], str]:
    size = len(run.names)
    for event in reversed(run.of("evaluated")):
        rows = _square(event.facts.get("confusion"), size)
        if rows:
            return (
                rows,
                f"{event.facts.get('set', 'test')} samples, counted on the board after step {event.step}.",
            )
    half = [s for s in run.steps[len(run.steps) // 2 :] if s.label is not None and s.predicted is not None]
    counts = [[0] * size for _ in range(size)]
    for step in half:
        counts[step.label or 0][step.predicted or 0] += 1
    return (counts if half else []), "Answers before learning, in the second half of the run."


def _square(given: object, size: int) -> list[list[int]]:
    """`size` rows of as many counts; [] for anything else."""
    rows = given if isinstance(given, list) else []
    counts = [[whole(n, 10**9) for n in row] for row in rows if isinstance(row, list)]
    known = [[n for n in row if n is not None] for row in counts]
    return known if len(known) == size and all(len(row) == size for row in known) else []


def _loss(run: Run) -> Section | None:
    losses = [(step.step, step.loss) for step in run.steps if step.loss is not None]
    if not losses:
        return None
    points = running(losses, WINDOW)
    picture = curves([Curve(f"mean of the last {WINDOW}", points)], "samples", "loss", marks=marks(run))
    same = table(("samples", "loss"), [(int(x), round(y, 4)) for x, y in points])
    return Section(
        "Loss", (figure("Running mean", "Of every sample, before the board learned it.", picture, same),)
    )


def _evaluated(run: Run) -> Section | None:
    lines: dict[str, Points] = {}
    for event in run.of("evaluated"):
        share = real(event.facts.get("accuracy"))
        if share is not None:
            lines.setdefault(str(event.facts.get("set", "test")), []).append((float(event.step), share))
    return accuracy_section(lines, title="Evaluated on the board") if lines else None


def _selection(run: Run) -> Section | None:
    """Where the log has the channels that the board chose."""
    found = [chosen for event in run.of("epoch") if (chosen := _chosen(event)) is not None]
    if not found:
        return None
    names = dict.fromkeys(name for one in found for name in one.channels)
    most = {
        name: 1 + max((c for one in found for c in one.channels.get(name, ())), default=0) for name in names
    }
    return selection_section(found, most)


def _chosen(event: Event) -> Selection | None:
    given = event.facts.get("channels")
    if not isinstance(given, Mapping):
        return None
    chosen = {str(name): _channels(listed) for name, listed in given.items()}
    axis: Axis = "in" if event.facts.get("axis") == "in" else "out"
    return Selection(whole(event.facts.get("epoch"), 10**9) or 0, event.step, chosen, axis)


def _channels(listed: object) -> tuple[int, ...]:
    found = listed if isinstance(listed, list) else []
    return tuple(c for c in (whole(one, 2**15) for one in found) if c is not None)


def _events(run: Run) -> Section | None:
    happened = rows(run)
    if not happened:
        return None
    return Section("What happened", (table(("seconds", "after step", "what", "which"), happened),))
