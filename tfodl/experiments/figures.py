"""Pictures drawn from results only: accuracy while learning, selection per layer and epoch."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tflm_export.files import write_bytes
from tflm_export.plan import UpdatePlan


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write `figure` as PNG, whole or not at all, without pyplot: a notebook's
    backend stays as it is. Raises `TfodlError` when it cannot."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    write_bytes(path, buffer.getvalue())


def accuracy_figure(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], levels: Mapping[str, float], x_label: str
) -> Figure:
    """Accuracy curves `{name: (x, fraction)}` with horizontal reference `levels {name: fraction}`."""
    figure = Figure(figsize=(7.5, 4.2))
    axes = figure.subplots()
    for name, (x, y) in curves.items():
        axes.plot(x, 100 * np.asarray(y), marker="o", markersize=3, label=name)
    for index, (name, level) in enumerate(levels.items()):
        axes.axhline(100 * level, color=f"C{index + len(curves)}", linestyle="--", linewidth=1)
        axes.text(
            1.01, 100 * level, f"{name} {100 * level:.1f}", transform=axes.get_yaxis_transform(), va="center"
        )
    axes.set(xlabel=x_label, ylabel="accuracy, %", ylim=(0, 102))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def curves_figure(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Accuracy after every epoch, a panel a data set: `{set: {name: fractions}}`."""
    figure = Figure(figsize=(max(6, 3.4 * len(panels)), 3.2))
    every = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, curves) in zip(every, panels.items(), strict=True):
        for name, curve in curves.items():
            axes.plot(range(1, len(curve) + 1), 100 * np.asarray(curve), marker="o", markersize=3, label=name)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
    every[0].set_ylabel("test accuracy, %")
    every[0].legend(fontsize=7)
    return figure


def interval_figure(differences: Mapping[str, Mapping[str, tuple[float, float]]], x_label: str) -> Figure:
    """A row a name, a mark a set with its interval: `{set: {name: (mean, half)}}`; 0 is a line."""
    names = list(dict.fromkeys(name for row in differences.values() for name in row))
    figure = Figure(figsize=(7, 1.2 + 0.4 * len(names)))
    axes = figure.subplots()
    axes.axvline(0, color="k", linewidth=1)
    for index, (label, row) in enumerate(differences.items()):
        shift = 0.25 * (index - (len(differences) - 1) / 2)
        places = [names.index(name) + shift for name in row]
        means, halves = zip(*row.values(), strict=True)
        axes.errorbar(means, places, xerr=halves, fmt="o", capsize=3, label=label)
    axes.set(xlabel=x_label, yticks=range(len(names)), yticklabels=names)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def selection_shares(plans: Sequence[UpdatePlan], channels: Mapping[str, int]) -> np.ndarray:
    """Share of each layer's channels that every epoch's plan trains: float [layers, epochs].

    channels: `{layer name: number of channels}`, in the model's order.
    """
    shares = np.zeros((len(channels), len(plans)))
    for column, plan in enumerate(plans):
        for row, (name, count) in enumerate(channels.items()):
            layer = plan.layer(name)
            shares[row, column] = len(layer.channels) / count if layer else 0.0
    return shares


def selection_figure(plans: Sequence[UpdatePlan], channels: Mapping[str, int]) -> Figure:
    """Heat map of `selection_shares`: which layers learn in which epoch."""
    shares = selection_shares(plans, channels)
    figure = Figure(figsize=(1.5 + 0.45 * max(8, len(plans)), 1 + 0.28 * max(4, len(channels))))
    axes = figure.subplots()
    image = axes.imshow(100 * shares, aspect="auto", vmin=0, vmax=100, cmap="viridis")
    axes.set(xlabel="epoch", yticks=range(len(channels)), yticklabels=list(channels))
    axes.set_xticks(range(len(plans)), [str(epoch + 1) for epoch in range(len(plans))])
    figure.colorbar(image, label="channels that learn, %")
    return figure
