"""`report.html`: what an engine takes and does, as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tflm_export.board.fit import MEMORIES
from tflm_export.page.document import Section, cards, page, paragraph, table
from tflm_export.page.markup import Markup
from tflm_export.report.board_facts import board_text
from tflm_export.report.lasting_section import lasting_section
from tflm_export.report.layers_section import layers_section
from tflm_export.report.learning_section import dead_section, learning_section
from tflm_export.report.memory_section import flash_section, memory_section

Facts = Mapping[str, Any]


def engine_page(facts: Facts, seen: Sequence[Section] = ()) -> str:
    """The page of a report's facts (`make_report`, with `calls` for cycles by layer).

    seen: sections of what was seen while it learned (`accuracy_section`, `selection_section`); they come
    first.
    """
    sections = [
        *seen,
        memory_section(facts),
        layers_section(facts),
        flash_section(facts),
        learning_section(facts),
        dead_section(facts),
        lasting_section(facts),
    ]
    head = [_cards(facts), *(paragraph(text) for text in facts["advice"]), _boards(facts)]
    return page(f"Engine {facts['name']}", head, sections)


def _cards(facts: Facts) -> Markup:
    static, stack = facts["static_ram_bytes"], facts["stack_bytes"]
    ram = f"static {static:,} + stack {stack:,}; arena {facts['arena_bytes']:,}"
    shown = {
        "RAM": (f"{facts['total_ram_bytes']:,} B", ram),
        "Flash": (f"{facts['flash_bytes']:,} B", f"model file {facts['model_bytes']:,}"),
        "Inference": _work(facts, "inference"),
    }
    if facts["trained_parameters"]:
        shown["Training step"] = _work(facts, "train_step")
        shown["Learns"] = (f"{facts['trained_parameters']:,}", f"parameters, by {facts['loss']}")
    else:
        shown["Learns"] = ("nothing", "this engine only infers")
    return cards(shown)


def _work(facts: Facts, kind: str) -> tuple[str, str]:
    cycles = facts["cycles"][kind]
    return f"{cycles / 1e6:,.4g} M", f"cycles, {facts['cycles_a_mac'][kind]:.2f} a MAC"


def _boards(facts: Facts) -> Markup:
    """Whether it fits each board, and how long it takes there."""
    rows = [
        (
            name,
            "yes" if fits else "no: " + _over(facts["over"][name]),
            *(facts["milliseconds"][name][kind] for kind in ("inference", "train_step")),
        )
        for name, fits in facts["fits"].items()
    ]
    about = f"{board_text(facts['board'])}; without waits for flash"
    return table(("board", "fits", "inference, ms", "training step, ms"), rows, about)


def _over(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} B too much {MEMORIES[kind]}" for kind, n in sizes.items())
