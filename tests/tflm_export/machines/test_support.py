"""What the harness brings where a compiler has none: arithmetic against numpy's and Python's, functions of
memory against Python's bytes."""

import ctypes
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflm_export.machines.emulator.toolchain import SUPPORT

BITS = st.integers(0, 2**32 - 1)
WIDE = st.integers(0, 2**64 - 1)
NEAR = st.builds(lambda base, more: (base + more) % 2**32, BITS, st.integers(-3, 3))
FLAGS = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fno-builtin"]
FLAGS += ["-fsanitize=undefined", "-fno-sanitize-recover"]
LIBGCC = """
#include <stdint.h>
uint64_t __udivmoddi4(uint64_t a, uint64_t b, uint64_t* rest) { *rest = a % b; return a / b; }
int64_t __divmoddi4(int64_t a, int64_t b, int64_t* rest) { *rest = a % b; return a / b; }
"""


@pytest.fixture(scope="module")
def rom(tmp_path_factory):
    """The same C, compiled for the host, which lacks what Xtensa's libgcc has."""
    made = tmp_path_factory.mktemp("rom") / "rom.so"
    (made.parent / "libgcc.c").write_text(LIBGCC)
    sources = [*map(str, (SUPPORT / "xtensa").glob("board_rom*.c")), str(made.parent / "libgcc.c")]
    subprocess.run(["gcc", *FLAGS, *sources, "-o", str(made)], check=True)
    return ctypes.CDLL(str(made))


@pytest.fixture(scope="module")
def libc(tmp_path_factory):
    """The same, each function called our_*."""
    made = tmp_path_factory.mktemp("libc") / "libc.so"
    names = [f"-D{name}=our_{name}" for name in ("memcpy", "memmove", "memset", "memcmp", "strlen")]
    source = str(SUPPORT / "libc" / "memory.c")
    subprocess.run(["gcc", *FLAGS, *names, source, "-o", str(made)], check=True)
    return ctypes.CDLL(str(made))


def call(rom, name, result, kind, *values):
    function = getattr(rom, name)
    function.restype, function.argtypes = result, [kind] * len(values)
    return function(*values)


def as_float(bits):
    return float(np.uint32(bits).view(np.float32))


def same(found, expected):
    found, expected = np.float32(found), np.float32(expected)
    return bool(np.isnan(found) and np.isnan(expected)) or found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "name, of_numpy", [("__addsf3", np.add), ("__subsf3", np.subtract), ("__mulsf3", np.multiply)]
)
def test_floats(rom, name, of_numpy):
    @given(BITS, BITS, st.booleans())
    def check(a, b, near):
        b = (a ^ b & 0x80000007) if near else b
        one, other = as_float(a), as_float(b)
        with np.errstate(all="ignore"):
            expected = of_numpy(np.float32(one), np.float32(other))
        assert same(call(rom, name, ctypes.c_float, ctypes.c_float, one, other), expected)

    check()
    edges = [0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000]
    for a in [*edges, *(e | 0x80000000 for e in edges)]:
        for b in [*edges, *(e | 0x80000000 for e in edges)]:
            check.hypothesis.inner_test(a, b, False)


@given(value=BITS)
def test_numbers_become_floats_and_back(rom, value):
    signed = value - 2**32 * (value >> 31)
    assert same(call(rom, "__floatunsisf", ctypes.c_float, ctypes.c_uint32, value), np.float32(value))
    assert same(call(rom, "__floatsisf", ctypes.c_float, ctypes.c_int32, signed), np.float32(signed))
    back = as_float(value & 0x7FFFFFFF)
    if back < 2**32:
        assert call(rom, "__fixunssfsi", ctypes.c_uint32, ctypes.c_float, back) == int(back)


@given(a=WIDE, b=WIDE, shift=st.integers(0, 63))
def test_products_and_quotients(rom, a, b, shift):
    u32, u64, i32, i64 = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32, ctypes.c_int64
    b = (b >> shift) or 1
    low, low_b = a % 2**32, b % 2**32 or 1
    assert call(rom, "__muldi3", u64, u64, a, b) == a * b % 2**64
    assert call(rom, "__umulsidi3", u64, u32, low, low_b) == low * low_b
    assert call(rom, "__udivsi3", u32, u32, low, low_b) == low // low_b
    assert call(rom, "__umodsi3", u32, u32, low, low_b) == low % low_b
    assert call(rom, "__udivdi3", u64, u64, a, b) == a // b
    assert call(rom, "__umoddi3", u64, u64, a, b) == a % b
    for name, kind, bits, x, y in (("__divsi3", i32, 32, low, low_b), ("__divdi3", i64, 64, a, b)):
        x, y = (v - (v >> (bits - 1) << bits) for v in (x, y))
        quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        if y and quotient < 2 ** (bits - 1):
            assert call(rom, name, kind, kind, x, y) == quotient


@given(
    data=st.binary(min_size=1, max_size=60),
    start=st.integers(0, 59),
    to=st.integers(0, 59),
    n=st.integers(0, 60),
)
def test_memory(libc, data, start, to, n):
    """Moves that overlap either way, at any alignment; copies, fills and comparisons."""
    start, to = min(start, len(data) - 1), min(to, len(data) - 1)
    n = min(n, len(data) - max(start, to))
    block, size = ctypes.create_string_buffer(data), ctypes.c_size_t(n)
    at = ctypes.addressof(block)
    libc.our_memmove(ctypes.c_void_p(at + to), ctypes.c_void_p(at + start), size)
    assert block.raw[:-1] == data[:to] + data[start : start + n] + data[to + n :]
    other = ctypes.create_string_buffer(len(data))
    libc.our_memcpy(ctypes.byref(other, to), ctypes.byref(block, start), size)
    assert other.raw[to : to + n] == block.raw[start : start + n]
    libc.our_memset(ctypes.byref(other, to), ctypes.c_int(0x1A5), size)
    assert other.raw == bytes(to) + b"\xa5" * n + bytes(len(data) - to - n)
    first, second = data[start : start + n], data[to : to + n]
    order = libc.our_memcmp(first, second, size)
    assert (order > 0) - (order < 0) == (first > second) - (first < second)
    text = data.replace(b"\0", b"a")
    libc.our_strlen.restype = ctypes.c_size_t
    assert libc.our_strlen(text) == len(text)
