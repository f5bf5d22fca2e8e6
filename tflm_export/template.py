"""The C++ templates of `templates/`, and how their fields are filled.

>>> fill("constants.h", name="net", version="1", tables="").splitlines()[-1]
'}  // namespace net'
"""

from __future__ import annotations

from importlib import resources
from string import Template


def template_text(name: str) -> str:
    """The template called `name`, with its fields open."""
    return resources.files("tflm_export").joinpath("templates", name).read_text(encoding="utf-8")


def fill(name: str, fields: dict[str, str] | None = None, /, **more: str | int) -> str:
    """The template called `name`, filled; it may use fewer fields. Raises `KeyError` for one that is open."""
    return Template(template_text(name)).substitute(fields or {}, **more)
