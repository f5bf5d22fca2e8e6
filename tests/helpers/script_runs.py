"""Scripts run in processes of their own that share one import of TensorFlow."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_scripts(commands: Mapping[Path, Sequence[object]]) -> list[subprocess.CompletedProcess[str]]:
    """What became of each command, a script and its arguments, that was run in the folder it belongs to."""
    told = json.dumps({str(folder): list(map(str, command)) for folder, command in commands.items()})
    runner = [sys.executable, __file__, told]
    done = subprocess.run(runner, check=True, capture_output=True, text=True, timeout=600)
    return [subprocess.CompletedProcess(*one) for one in json.loads(done.stdout)]


def _run(folder: str, command: list[str]) -> list[object]:
    """Arguments, exit status, stdout and stderr of a child that becomes the script."""
    files = [os.memfd_create(name) for name in ("stdout", "stderr")]
    child = os.fork()
    if child == 0:
        for number, file in enumerate(files, 1):
            os.dup2(file, number)
        os.chdir(folder)
        sys.argv, sys.path[0] = command, str(Path(command[0]).parent)
        runpy.run_path(command[0], run_name="__main__")
        sys.exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return [command, status, *(_text(file) for file in files)]


def _text(file: int) -> str:
    os.lseek(file, 0, os.SEEK_SET)
    with os.fdopen(file) as opened:
        return opened.read()


if __name__ == "__main__":
    import tfodl.experiments.at_rest
    import tfodl.experiments.whole_net  # noqa: F401

    print(json.dumps([_run(folder, command) for folder, command in json.loads(sys.argv[1]).items()]))
