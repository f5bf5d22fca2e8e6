"""Biases packed in flash: the board's `unpack_biases` undoes what numpy packed, to the last bit."""

import subprocess

import numpy as np
from digits_net import LAYERS, digits_net
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_runner import HOST, SOURCES

from tflm_export.compiler import compile_model
from tflm_export.cpp import definition
from tflm_export.emit.packed_biases import Packed, pack, packed_biases, unpack
from tflm_export.plan import UpdatePlan
from tflm_export.report.verify import verify

INT32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300)
EXTREMES = [0, -1, 1, 2**31 - 1, -(2**31), 2**30, -(2**30), 127, -128]


@settings(max_examples=200, deadline=None)
@given(st.lists(INT32, min_size=1, max_size=80))
def test_packing_loses_nothing(values):
    array = np.array(values, np.int32)
    packed = pack(array)
    np.testing.assert_array_equal(unpack(packed, len(values)), array)
    assert packed.data.nbytes <= -(-33 * array.size // 8)


def test_the_board_unpacks_what_numpy_packed(tmp_path):
    rng = np.random.default_rng(0)
    sets = [(rng.normal(size=n) * 2.0**k).astype(np.int32) for n, k in ((1, 0), (70, 3), (576, 17), (33, 29))]
    sets += [np.zeros(9, np.int32), np.array(EXTREMES, np.int32)]
    sets += [np.where(rng.random(60) < 0.1, 2**30, rng.integers(-4000, 4000, 60)).astype(np.int32)]
    cases = [(values, pack(values)) for values in sets]
    cases.append((sets[1], Packed(32, sets[1].view(np.uint8))))  # the widest fields
    lines, rows = ["#include <stdint.h>", '#include "tfodl/support.h"'], []
    for i, (real, packed) in enumerate(cases):
        lines += [definition("uint8_t", f"packed{i}", packed.data), definition("int32_t", f"right{i}", real)]
        lines.append(f"int32_t bias{i}[{real.size}];")
        rows.append(f"{{packed{i}, bias{i}, {real.size}, {packed.bits}}}")
    same = " || ".join(f"memcmp(bias{i}, right{i}, sizeof right{i})" for i in range(len(cases)))
    lines += ["#include <string.h>", f"const tfodl::PackedBias table[] = {{{', '.join(rows)}}};"]
    lines.append(f"int main() {{ tfodl::unpack_biases(table, {len(rows)}); return {same}; }}")
    (tmp_path / "main.cpp").write_text("\n".join(lines))
    program, support = tmp_path / "main", SOURCES / "tfodl" / "detail" / "support.cpp"
    subprocess.run([*HOST, tmp_path / "main.cpp", support, "-o", program], check=True)
    assert subprocess.run([program]).returncode == 0


def test_biases_are_packed_where_that_saves_flash():
    few, many = np.arange(20, dtype=np.int32), np.arange(100, dtype=np.int32)
    assert packed_biases({"b": few}) == {} and packed_biases({}) == {}
    assert packed_biases({"a": few, "b": many})["b"].bits == 8
    assert packed_biases({"b": np.full(100, 2**30, np.int32)}) == {}


def test_a_bias_of_which_a_part_trains_is_unpacked_whole(monkeypatch):
    monkeypatch.setattr("tflm_export.emit.packed_biases.CODE_BYTES", -(2**20))  # small nets pack, too
    assert any(layer.bias == "selected" for layer in LAYERS)
    compiled = compile_model(digits_net(), UpdatePlan(LAYERS))
    assert "tfodl::unpack_biases(" in compiled.sources["src/engine.cpp"]
    result = verify(compiled, count=8, steps=2)
    assert result.ok, result.summary()
