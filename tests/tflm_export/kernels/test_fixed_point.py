"""High products, by halves too for cores whose multiplier gives 32 bits, against numbers of 64 bits."""

import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest

LIBRARY = Path(__file__).parents[3] / "arduino" / "src"
PROGRAM = """
#include <stdio.h>
#include "tfodl/detail/fixed_point.h"
int main() {
  int32_t pair[2];
  while (fread(pair, 8, 1, stdin) == 1) {
    const int32_t found[2] = {tfodl::multiply_and_shift<31>(pair[0], pair[1]),
                              tfodl::multiply_and_shift<32>(pair[0], pair[1])};
    fwrite(found, 8, 1, stdout);
  }
}
"""
FLAGS = ["-std=c++14", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-fno-sanitize-recover"]


@pytest.mark.parametrize("core", [[], ["-D__ARM_ARCH_6M__"]], ids=["wide", "halves"])
def test_high_products(core, tmp_path):
    (tmp_path / "program.cpp").write_text(PROGRAM)
    command = ["g++", *FLAGS, *core, f"-I{LIBRARY}", "program.cpp", "-o", "program"]
    subprocess.run(command, cwd=tmp_path, check=True)
    edges = sorted(
        {sign * (1 << bit) + d for bit in (0, 15, 16, 30, 31) for sign in (-1, 1) for d in (-1, 0, 1)}
    )
    edges = [e for e in edges if -(2**31) <= e < 2**31]
    pairs = np.array(list(product(edges, edges)), np.int64)
    drawn = np.random.default_rng(0).integers(-(2**31), 2**31, (100_000, 2))
    pairs = np.concatenate([pairs, drawn, drawn >> np.array([16, 1])])
    pairs = pairs[(pairs != -(2**31)).any(axis=1)]
    done = subprocess.run([tmp_path / "program"], input=pairs.astype("<i4").tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[:500]
    found = np.frombuffer(done.stdout, "<i4").reshape(-1, 2)
    exact = pairs[:, 0] * pairs[:, 1]  # below 2^62
    np.testing.assert_array_equal(found[:, 0], (exact + 2**30) >> 31)
    np.testing.assert_array_equal(found[:, 1], (exact + 2**31) >> 32)
