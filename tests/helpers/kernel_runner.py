"""Calls the C++ kernels: on the host, under address and undefined-behaviour sanitizers, or on an emulated
Cortex-M4 (`TFODL_KERNELS=m4`), where the paths for its DSP instructions run.

Arrays travel to a child process (tests/cpp/kernel_runner.cpp), where each gets memory of exactly its size (on
the Cortex-M4: with guard bytes around), and what the kernel left in them travels back into the same numpy
arrays.

>>> y = np.zeros(3, np.int8)
>>> call("lookup_s8", np.arange(-128, 128).astype(np.int8), np.array([5, -7, 0], np.int8), 3, y)
0
>>> y.tolist()
[5, -7, 0]
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import struct
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "arduino" / "src"
RUNNER = ROOT / "tests" / "cpp"
PROGRAM = RUNNER / "kernel_runner.cpp"
ON_M4 = os.environ.get("TFODL_KERNELS") == "m4"
FLAGS = ("-std=c++14", "-funsigned-char", "-Wall", "-Wextra", "-Wshadow", "-Werror", f"-I{SOURCES}")
SANITIZE = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
HOST = ("g++", *FLAGS, *SANITIZE, "-Wconversion", "-O1")
CORE = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=softfp", "-mfpu=fpv4-sp-d16")
M4 = (
    "arm-none-eabi-g++",
    *CORE,
    *FLAGS,
    "-Wno-psabi",
    "-fno-rtti",
    "-fno-exceptions",
    "-Os",
    "-ffunction-sections",
    "-fsanitize=shift,signed-integer-overflow",
    "-fsanitize-undefined-trap-on-error",
)
QEMU = ("qemu-system-arm", "-machine", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none")
SEMIHOSTING = ("-semihosting-config", "enable=on,target=native")
SCRATCH_FILL = 0xA5


@dataclass
class Conv:
    """`tfodl::Conv`, field by field."""

    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    k_h: int
    k_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    in_zero: int
    out_zero: int
    act_min: int
    act_max: int
    weights: np.ndarray | None
    bias: np.ndarray | None
    multiplier: np.ndarray | None
    shift: np.ndarray | None
    slot: np.ndarray | None = None
    trained: np.ndarray | None = None
    columns: np.ndarray | None = None
    n_columns: int = 0


@dataclass
class ConvGrad:
    """`tfodl::ConvGrad`."""

    scale: np.ndarray
    exponent: int
    headroom: int


@dataclass
class GradScale:
    """`tfodl::GradScale`; kernels change it."""

    exponent: int = 0
    shift: int = 0


@dataclass
class Reconstruction:
    """`tfodl::Reconstruction`."""

    factor: int
    exponent: int
    y_zero: int
    x_zero: int
    ratio: int
    shift: int


@dataclass
class Sgd:
    """`tfodl::Sgd`; rounding 0 is stochastic, 1 accumulator."""

    learning_rate: float
    seed: int
    step: int
    momentum: int
    rounding: int
    apply: bool


@dataclass
class UpdateState:
    """`tfodl::UpdateState`."""

    scale: np.ndarray
    batch: np.ndarray | None
    momentum: np.ndarray | None
    accumulator: np.ndarray | None
    tensor: int
    channels: np.ndarray | None
    n: int


@dataclass
class Add:
    """`tfodl::Add`."""

    a_zero: int
    b_zero: int
    out_zero: int
    act_min: int
    act_max: int
    a_multiplier: int
    b_multiplier: int
    out_multiplier: int
    a_shift: int
    b_shift: int
    out_shift: int


@dataclass
class Requantize:
    """`tfodl::Requantize`."""

    in_zero: int
    b_zero: int
    out_zero: int
    act_min: int
    act_max: int
    multiplier: int
    shift: int


@dataclass
class Pool:
    """`tfodl::Pool`."""

    in_h: int
    in_w: int
    channels: int
    out_h: int
    out_w: int
    k_h: int
    k_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    act_min: int = -128
    act_max: int = 127


@dataclass
class Pad:
    """`tfodl::Pad`."""

    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    top: int
    left: int
    front: int
    value: int


@dataclass
class Spread:
    """`tfodl::Spread`."""

    repeat: int
    size: int


@dataclass
class Reduce:
    """`tfodl::Reduce`."""

    outer: int
    first: int
    middle: int
    second: int
    inner: int


@dataclass
class Rows:
    """`tfodl::Rows` and `ConstRows`."""

    data: np.ndarray
    rows: int


def scratch(nbytes: int) -> np.ndarray:
    """Scratch of `nbytes` bytes, full of rubbish."""
    return np.full(nbytes, SCRATCH_FILL, np.uint8)


def call(kernel: str, *arguments: Any) -> int:
    """Call `kernel`; arrays and `GradScale`s among the arguments hold afterwards what it left in them.

    Raises `AssertionError` with the sanitizer's report when the kernel broke a rule.
    """
    message = [struct.pack("<q", len(kernel)), kernel.encode()]
    arrays: list[np.ndarray] = []
    scales: list[GradScale] = []
    for argument in arguments:
        _encode(argument, message, arrays, scales)
    pipe = _process()
    try:
        pipe.stdin.write(b"".join(message))
        pipe.stdin.flush()
        (result,) = _receive(pipe, "<q")
        for scale in scales:
            scale.exponent, scale.shift = _receive(pipe, "<qq")
        for array in arrays:
            array.reshape(-1).view(np.uint8)[...] = np.frombuffer(pipe.stdout.read(array.nbytes), np.uint8)
    except (struct.error, ValueError, OSError):
        _process.cache_clear()
        raise AssertionError(f"{kernel}: the runner stopped:\n{pipe.stderr.read().decode()}") from None
    return result


def _receive(pipe: Any, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, pipe.stdout.read(struct.calcsize(layout)))


def _encode(value: Any, out: list[bytes], arrays: list[np.ndarray], scales: list[GradScale]) -> None:
    if value is None:
        out.append(struct.pack("<q", -1))
    elif isinstance(value, np.ndarray):
        same = next((i for i, seen in enumerate(arrays) if seen is value), None)
        if same is not None:
            out.append(struct.pack("<q", -2 - same))
            return
        assert value.flags.c_contiguous and value.flags.writeable
        arrays.append(value)
        out.append(struct.pack("<q", value.nbytes))
        out.append(value.tobytes())
    elif dataclasses.is_dataclass(value):
        if isinstance(value, GradScale):
            scales.append(value)
        for field in dataclasses.fields(value):
            _encode(getattr(value, field.name), out, arrays, scales)
    elif isinstance(value, float):
        out.append(struct.pack("<q", struct.unpack("<i", struct.pack("<f", value))[0]))
    else:
        out.append(struct.pack("<q", int(value)))


@functools.cache
def _process() -> subprocess.Popen[bytes]:
    path, complaint = _built()
    assert not complaint, complaint
    command = [*QEMU, *SEMIHOSTING, "-kernel", path] if ON_M4 else [path]
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, **pipes)  # type: ignore[call-overload]


@functools.cache
def _built() -> tuple[str, str]:
    """The runner's path, or why it does not compile (once, not again for every test)."""
    try:
        return build(), ""
    except AssertionError as error:
        return "", str(error)


def build() -> str:
    """The runner's path; compiled when the sources have changed."""
    sources = [*sorted(SOURCES.rglob("*.cpp")), PROGRAM]
    others = [*sorted(SOURCES.rglob("*.*")), PROGRAM, RUNNER / "wire.h", *sorted(RUNNER.glob("board*"))]
    digest = hashlib.sha256(repr(M4 if ON_M4 else HOST).encode())
    for path in (Path(__file__), *others):
        digest.update(path.read_bytes())
    target = Path(tempfile.gettempdir()) / f"tfodl-kernels-{os.getuid()}-{digest.hexdigest()[:16]}"
    if not target.exists():
        with tempfile.TemporaryDirectory() as folder:
            with ThreadPoolExecutor(2) as pool:
                objects = list(pool.map(lambda path: _compile(path, Path(folder)), sources))
            _link(objects, Path(folder))
            staged = target.with_suffix(f".{os.getpid()}")
            staged.write_bytes(Path(folder, "runner").read_bytes())
            staged.chmod(0o755)
            staged.replace(target)
    return str(target)


def _compile(source: Path, folder: Path) -> str:
    target = folder / f"{source.parent.name}-{source.stem}.o"
    optimize = ["-O0"] if source == PROGRAM else []  # one small function a kernel: compile it fast
    _run([*(M4 if ON_M4 else HOST), *optimize, "-c", str(source), "-o", str(target)])
    return str(target)


def _link(objects: list[str], folder: Path) -> None:
    if not ON_M4:
        _run(["g++", *SANITIZE, *objects, "-o", f"{folder}/runner"])
        return
    start = str(folder / "start.o")
    _run(["arm-none-eabi-gcc", *CORE, "-O2", "-c", str(RUNNER / "board_start.c"), "-o", start])
    specs = ["--specs=rdimon.specs", "--specs=nano.specs", "-Wl,--gc-sections", f"-T{RUNNER / 'board.ld'}"]
    _run(["arm-none-eabi-g++", *CORE, *specs, *objects, start, "-o", f"{folder}/runner"])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
