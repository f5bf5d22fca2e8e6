"""mkdocs hook: the site from the very pages that read well in the repository.

README, CONTRIBUTING and CHANGELOG join the pages of docs/, links between them are turned to the site's own,
pictures that they show come along, and the reference is made of the packages' public names.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import tflm_export
import tfodl

ROOT = Path(__file__).parent.parent
JOINED = {"README.md": "readme.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"(\]\()(?!\w+:|#)([^)#\s]+)")
NEEDS = re.compile(r"^( *```python) needs-\w+$", re.M)  # for the tests, not for the site
REFERENCE = "reference.md"


def site_place(page: str, link: str) -> str:
    """Where a link of a page leads on the site: both by their paths in the repository.

    >>> site_place("README.md", "docs/models.md"), site_place("docs/index.md", "../CONTRIBUTING.md")
    ('models.md', 'contributing.md')
    >>> site_place("docs/results.md", "../results/a.png")
    'files/results/a.png'
    """
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return JOINED.get(target, f"files/{target}")


def linked(page: str, text: str) -> str:
    """A page's text with the site's own links; all pages lie beside each other."""
    return LINK.sub(lambda found: found[1] + site_place(page, found[2]), text)


def sources() -> dict[str, str]:
    """Every page's path in the repository, by its place on the site; the reference apart."""
    own = {path.name: f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))}
    return own | {place: path for path, place in JOINED.items()}


def reference() -> str:
    """A heading and a directive a public name; mkdocstrings puts the docstring there."""
    parts = ["# Reference", "The names of [the public names](api.md), from their docstrings."]
    for package in (tfodl, tflm_export):
        parts.append(f"## {package.__name__}")
        for name, home in sorted(package._HOME.items()):
            home = home if home.startswith("t") and "." in home else f"{package.__name__}.{home}"
            parts.append(f"::: {home}.{name}")
    return "\n\n".join(parts) + "\n"


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add what lies outside of docs/."""
    made = {place: (ROOT / path).read_text(encoding="utf-8") for path, place in JOINED.items()}
    for place, text in (made | {REFERENCE: reference()}).items():
        files.append(File.generated(config, place, content=text))
    for page in sources().values():
        text = (ROOT / page).read_text(encoding="utf-8")
        for link in (site_place(page, found[2]) for found in LINK.finditer(text)):
            path = ROOT / link.removeprefix("files/")
            if link.startswith("files/") and files.get_file_from_path(link) is None and path.is_file():
                files.append(File.generated(config, link, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the page's links."""
    source = sources().get(page.file.src_uri)
    return markdown if source is None else linked(source, NEEDS.sub(r"\1", markdown))
