"""`Manifest`: who answers for a library, as the registries of Arduino and PlatformIO want to know it.

>>> Manifest(maintainer="Ada <ada@example.org>").maintainer
'Ada <ada@example.org>'
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib import metadata

from tflm_export.errors import ExportError

NOBODY, NOWHERE = "tfodl contributors", "https://example.org"  # in arduino/, until a library is published
LONGEST_NAME = 63
AUTHORS = f'"authors": [{{"name": "{NOBODY}"}}]'  # of library.json


@dataclass(frozen=True)
class Manifest:
    """maintainer: a name, perhaps with an address in <>. url: of the library's home. None: this project's.

    Raises `ExportError` for what Arduino's registry refuses: an empty maintainer or one that begins with
    "Arduino", a url that is none.
    """

    maintainer: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        name, url = self.maintainer, self.url
        if name is not None and (
            not re.fullmatch(r"[^\n<>]+(<[^\s<>]+@[^\s<>]+>)?", name) or _is_arduino(name)
        ):
            raise ExportError(
                f"--maintainer {name!r}: give a name, perhaps with an address, as 'Ada Lovelace "
                "<ada@example.org>'; it must not begin with Arduino."
            )
        if url is not None and not re.fullmatch(r"https?://[\w.-]+\.[a-z]+(:\d+)?(/[^\s\"\\]*)?", url):
            raise ExportError(
                f"--url {url!r}: give where the library lives, as https://example.org/my-library."
            )

    def filled(self, text: str) -> str:
        """A manifest's text, in which placeholders stand."""
        name = self.maintainer or _own("Maintainer") or _own("Author") or NOBODY
        text = text.replace(f"maintainer={NOBODY}", f"maintainer={name}")
        return text.replace(AUTHORS, _authors(name)).replace(NOWHERE, self.url or _home())


def _authors(maintainer: str) -> str:
    """PlatformIO's row of the author and of who answers for the library."""
    name, _, address = maintainer.rstrip(">").partition("<")
    about = {"name": name.strip(), "email": address, "maintainer": True}
    rows = [{"name": NOBODY}] * (name.strip() != NOBODY) + [{k: v for k, v in about.items() if v}]
    return f'"authors": {json.dumps(rows)}'


def _is_arduino(name: str) -> bool:
    return name.strip().lower().startswith("arduino")


def _home() -> str:
    """Where this project lives, as its package says."""
    try:
        urls = metadata.metadata("tfodl").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return NOWHERE
    known = dict(row.split(", ", 1) for row in urls)
    return next((known[name] for name in ("Homepage", "Repository", "Source") if name in known), NOWHERE)


def _own(field: str) -> str:
    try:
        found = metadata.metadata("tfodl").get_all(field) or []
    except metadata.PackageNotFoundError:
        return ""
    return str(next(iter(found), ""))


def check_name(library: str) -> None:
    """Raise `ExportError` for a library's name that Arduino's registry does not take."""
    if len(library) > LONGEST_NAME:
        raise ExportError(
            f"library {library!r} has {len(library)} characters, Arduino's registry takes {LONGEST_NAME}; "
            "compile with a shorter --name."
        )
