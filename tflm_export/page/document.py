"""The document: sections, figures with their table, and the page around them.

Nothing is loaded and nothing runs: the page's own policy forbids both.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template

from tflm_export.page.markup import EMPTY, Markup, element, text

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
$style</style>
</head>
<body>
$body
</body>
</html>
""")


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    body: tuple[Markup, ...]

    @property
    def anchor(self) -> str:
        """Its name in links."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Picture:
    """An SVG's children on a canvas of `width` x `height`, what they show, and names of their colours."""

    content: Markup
    width: float
    height: float
    legend: tuple[tuple[str, str], ...] = ()


def page(title: str, head: Sequence[Markup], sections: Sequence[Section]) -> str:
    """The whole file."""
    links = (element("a", text(s.title), href=f"#{s.anchor}") for s in sections)
    bodies = (
        element("section", element("h2", text(s.title)), *s.body, id=s.anchor, class_="part")
        for s in sections
    )
    body = element(
        "main", element("h1", text(title)), *head, element("nav", *links, aria_label="Sections"), *bodies
    )
    style = resources.files("tflm_export.page").joinpath("page.css").read_text(encoding="utf-8")
    return PAGE.substitute(title=text(title), style=style, body=body)


def paragraph(line: str) -> Markup:
    """Plain text."""
    return element("p", text(line))


def cards(facts: Mapping[str, tuple[str, str]]) -> Markup:
    """Figures that are read first: `{name: (value, what it is made of)}`."""
    found = (
        element("div", element("dt", text(name)), element("dd", text(value), element("small", text(note))))
        for name, (value, note) in facts.items()
    )
    return element("dl", *found, class_="cards")


def table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> Markup:
    """Numbers go right, all else left; the first cell of a row is its heading."""
    top = element("tr", *(element("th", text(name), scope="col") for name in head))
    body = (element("tr", *(_cell(value, i == 0) for i, value in enumerate(row))) for row in rows)
    above = element("caption", text(caption)) if caption else EMPTY
    whole = element("table", above, element("thead", top), element("tbody", *body))
    return element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption or "table")


def _cell(value: object, first: bool) -> Markup:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    shown = text(f"{value:,}" if number else value)
    kind = "number" if number else None
    return element("th", shown, scope="row", class_=kind) if first else element("td", shown, class_=kind)


def figure(title: str, about: str, picture: Picture, same: Markup) -> Markup:
    """A picture with its name and what it says, the meaning of its colours, and `same`, its table."""
    swatches = (element("li", _swatch(style), text(name)) for name, style in picture.legend)
    svg = element(
        "svg",
        element("title", text(title)),
        element("desc", text(about)),
        picture.content,
        viewBox=f"0 0 {picture.width:g} {picture.height:g}",
        role="img",
        aria_label=f"{title}. {about}",
    )
    return element(
        "figure",
        element("figcaption", element("strong", text(title)), text(f" {about}")),
        element("ul", *swatches, class_="legend") if picture.legend else EMPTY,
        element("div", svg, class_="scroll", tabindex=0, role="region", aria_label=title),
        element("details", element("summary", text("The same as a table")), same),
    )


def _swatch(style: str) -> Markup:
    """A line for a curve, a box for all else."""
    line = style.startswith("curve")
    shape = element(
        "path", d="M0 5H28" if line else "M0 0H10V10H0Z", class_=style if line else f"fill {style}"
    )
    width = 28 if line else 10
    return element("svg", shape, viewBox=f"0 0 {width} 10", width=width, height=10, aria_hidden="true")


def runs(numbers: Iterable[int]) -> str:
    """Whole numbers in short.

    >>> runs([7, 0, 1, 2, 9, 10])
    '0-2, 7, 9-10'
    """
    ordered = sorted(numbers)
    grouped = itertools.groupby(enumerate(ordered), lambda pair: pair[1] - pair[0])
    ends = [(found[0], found[-1]) for _, group in grouped if (found := [n for _, n in group])]
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in ends)
