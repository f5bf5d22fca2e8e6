"""griffe extension: our docstrings as Markdown. Examples become blocks, arguments a list."""

from __future__ import annotations

import re
from typing import Any

import griffe

ARGUMENT = re.compile(r"^([a-z_]\w*(?:, [a-z_]\w*)*): ", re.M)
OUTCOME = re.compile(r"^(?=Raises |Returns )", re.M)


def as_markdown(docstring: str) -> str:
    """The same text for a page.

    >>> as_markdown("Adds.\\n\\nx, y: numbers.\\nRaises nothing.\\n\\n>>> add(1, 2)\\n3").splitlines()[2:]
    ['- `x, y`: numbers.', '', 'Raises nothing.', '', '```pycon', '>>> add(1, 2)', '3', '```']
    """
    return "\n\n".join(_part(part) for part in docstring.strip().split("\n\n"))


def _part(part: str) -> str:
    """Lines without an empty one between them."""
    if part.startswith(">>> "):
        return f"```pycon\n{part}\n```"
    return OUTCOME.sub("\n", ARGUMENT.sub(r"\n- `\1`: ", part)).strip("\n")


class AsMarkdown(griffe.Extension):
    """Changes every docstring that is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """An object and its docstring were read."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
