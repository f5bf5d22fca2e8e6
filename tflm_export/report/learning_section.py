"""Sections of `report.html`: which channels of which layer learn, and what is dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tflm_export.front.dead_facts import dead_lines
from tflm_export.living.pool_facts import pool_text
from tflm_export.page.cells import strips
from tflm_export.page.document import Section, figure, paragraph, runs, table

STYLES = {"weights": "c0", "biases": "c3"}


def learning_section(facts: Mapping[str, Any]) -> Section:
    """The plan: a strip a trained tensor, marked where a channel learns."""
    rows = facts["trains"]
    if not rows:
        return Section("What learns", (paragraph("Nothing: this engine only infers."),))
    kinds = {row["op"]: row["kind"].lower() for row in facts["layers"]}
    drawn = [
        (f"{row['op']} {kinds.get(row['op'], '')}", _said(row), _flags(row), STYLES[row["what"]])
        for row in _shown(rows)
    ]
    same = table(
        ("op", "kind", "tensor", "what", "axis", "channels", "of", "which", "parameters"),
        [
            (row["op"], kinds.get(row["op"], ""), row["name"], row["what"], f"{row['axis']}put",
             len(row["channels"]), row["of"], runs(row["channels"]), row["parameters"])
            for row in rows
        ],
    )  # fmt: skip
    about = (
        f"{facts['trained_parameters']:,} parameters by {facts['gradients']} gradients of {facts['loss']}; "
        "marked are the channels that learn, from the first to the last; of a layer whose weights learn, its "
        "biases are in the table."
    )
    picture = strips(drawn, tuple(STYLES.items()))
    chooses = (paragraph(f"The device chooses: {pool_text(facts['pool'])}."),) if "pool" in facts else ()
    return Section("What learns", (figure("Channels that learn", about, picture, same), *chooses))


def _shown(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A row a layer, the first layer first: its weights where they learn, else its biases."""
    by_layer: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if row["what"] == "weights" or row["op"] not in by_layer:
            by_layer[row["op"]] = row
    return list(reversed(by_layer.values()))


def _flags(row: Mapping[str, Any]) -> list[bool]:
    chosen = set(row["channels"])
    return [i in chosen for i in range(row["of"])]


def _said(row: Mapping[str, Any]) -> str:
    count = f"{len(row['channels'])} of {row['of']} {row['axis']}put channels"
    return f"{row['name']}: {count}: {runs(row['channels'])}"


def dead_section(facts: Mapping[str, Any]) -> Section:
    """What has one value for every input."""
    lines = [line[0].upper() + line[1:] + "." for line in dead_lines(facts["dead"])]
    if not lines:
        lines = [f"Nothing is dead: none of {facts['dead']['of']:,} channels has one value for every input."]
    return Section("Dead channels", tuple(paragraph(line) for line in lines))
