"""HTML and SVG as text that is safe by its type: `Markup` is made here alone, and names go through `text`.

>>> element("p", text("<b>"), class_="note")
'<p class="note">&lt;b&gt;</p>'
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import NewType

Markup = NewType("Markup", str)
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
EMPTY = Markup("")


def text(value: object) -> Markup:
    """A name or a number for a page: escaped; what is no character, or turns the line around, as U+FFFD.

    >>> text('<script>"\\x00"')
    '&lt;script&gt;&quot;\\ufffd&quot;'
    """
    return Markup(html.escape(UNPRINTABLE.sub("\ufffd", str(value))))


def element(tag: str, *children: Markup, **attributes: object) -> Markup:
    """`<tag ...>children</tag>`. An attribute that is None is left out; `class_` is class, `_` stands
    for `-`; floats are rounded to a hundredth.

    >>> element("rect", x=1.0, width=2.125, data_name='"', fill=None)
    '<rect x="1" width="2.12" data-name="&quot;"></rect>'
    """
    given = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    shown = "".join(f' {name}="{_value(value)}"' for name, value in given.items() if value is not None)
    return Markup(f"<{tag}{shown}>{''.join(children)}</{tag}>")


def _value(value: object) -> Markup:
    return Markup(f"{value:.2f}".rstrip("0").rstrip(".")) if isinstance(value, float) else text(value)


def joined(parts: Iterable[Markup]) -> Markup:
    """Parts one after the other."""
    return Markup("".join(parts))
