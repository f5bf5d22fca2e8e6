"""The kernel tests once more on an emulated Cortex-M4, compiled as Arduino compiles (-Os): there the paths
for its DSP instructions run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("family", ["forward", "gradient", "update", "stream", "float"])
def test_on_the_cortex_m4(family):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, str(HERE / f"test_kernels_{family}.py")],
        env=os.environ | {"TFODL_KERNELS": "m4"}, capture_output=True, text=True, timeout=540,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
