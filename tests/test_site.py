"""The docs as a site: it builds without a warning, fetches nothing, and has every public name."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import docstring_markdown
import pytest
import site_pages

import tflm_export
import tfodl

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr[-3000:]
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}


def test_every_page_is_there_and_linked(site):
    pages = {place.replace(".md", ".html") for place in site_pages.sources()} | {"reference.html"}
    assert pages <= set(site)
    linked = set(re.findall(r'href="([\w]+\.html)', site["index.html"]))
    assert pages <= linked, "name it in mkdocs.yml, nav"


def test_nothing_is_fetched(site):
    fetched = re.compile(
        r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//|<link[^>]*stylesheet[^>]*href="(?:https?:)?//'
    )
    assert not [name for name, text in site.items() if fetched.search(text)]


def test_the_reference_has_every_public_name(site):
    shown = set(re.findall(r'id="[\w.]*?(\w+)"', site["reference.html"]))
    assert not {*tfodl._HOME, *tflm_export._HOME} - shown


@pytest.mark.parametrize("module", [docstring_markdown, site_pages], ids=lambda m: m.__name__)
def test_the_tools_examples(module):
    result = doctest.testmod(module)
    assert result.failed == 0 and result.attempted > 0
