"""The commands of a page's shell block, run to the letter: what a reader would type."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)


def example(path: str) -> object:
    """The module of an example's file.

    >>> example("examples/motion.py").WINDOW
    64
    """
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_chain(page: str) -> list[str]:
    """Run the first shell block of a page below the working directory, which `cd` changes; its programs."""
    from tflm_export.cli import main as tflm_export
    from tfodl.cli import main as tfodl

    programs: dict[str, Callable[[list[str]], int]] = {"tfodl": tfodl, "tflm-export": tflm_export}
    done = []
    block = BLOCK.search((ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert block is not None
    for line in block[1].splitlines():
        program, *arguments = shlex.split(line)
        if program == "python":
            example(arguments[0]).main(*arguments[1:])
        elif program == "cd":
            os.chdir(arguments[0])
        else:
            assert programs[program](arguments) == 0, line
            done.append(arguments[0])
    return done
