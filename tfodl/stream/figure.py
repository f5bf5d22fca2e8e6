"""The picture of a `StreamResult`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib import colormaps
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from tfodl.stream.result import StreamResult


def stream_figure(result: StreamResult) -> Figure:
    """Accuracy of every class (thin) and of all (black) over the stream, a panel a test set; below, a dot a
    sample of the stream in its class's row, larger where the memory holds it in the end."""
    tests = list(result.overall)
    figure = Figure(figsize=(7.5, 2.6 * len(tests) + 1.8))
    heights = [*[3.0] * len(tests), 1.6]
    *panels, strip = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    classes = next(iter(result.per_class.values())).shape[1]
    colours = colormaps["tab20" if classes > 10 else "tab10"]
    for axes, test in zip(panels, tests, strict=True):
        for c in range(classes):
            y = 100 * result.per_class[test][:, c]
            axes.plot(result.samples, y, color=colours(c % colours.N), linewidth=0.9)
        axes.plot(result.samples, 100 * result.overall[test], color="black", linewidth=2)
        axes.set(
            ylabel="accuracy, %", ylim=(-2, 102), title=f"{test}: {result.accuracy(test):.1%} in the end"
        )
        axes.grid(alpha=0.3)
    shown = [colours(int(label) % colours.N) for label in result.labels]
    strip.scatter(range(1, len(shown) + 1), result.labels, c=shown, s=2)
    if result.remembered is not None and len(result.remembered):
        held = result.remembered
        strip.scatter(held + 1, result.labels[held], c=[shown[i] for i in held], s=18)
    strip.set(xlabel="samples of the stream", ylabel="class")
    return figure
