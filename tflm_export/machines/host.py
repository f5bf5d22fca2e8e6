"""Build an emitted engine with the host's g++ and drive it from Python: the device, simulated exactly.

>>> engine = HostEngine(compile_model(tflite, plan))
>>> losses = [engine.train_step(inputs[0], 3) for _ in range(20)]
>>> losses[-1] < losses[0], engine.predict(inputs[0])
(True, 3)
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.edges import inputs_of, outputs_of
from tflm_export.emit.harness import harness
from tflm_export.engine_folder import opened
from tflm_export.errors import ExportError
from tflm_export.files import replace_folder
from tflm_export.ir import Op
from tflm_export.ops import LOSSES
from tflm_export.plan import no_learning_rate
from tflm_export.simulate.step import Target
from tflm_export.template import fill
from tflm_export.variable import Variable, variables

FLAGS = ("-O2", "-ffp-contract=off", "-std=c++14", "-fPIC", "-Wall", "-Wextra")


class HostEngine:
    """One engine in a shared library of its own: its weights are its own too.

    engine: compiled, or the folder that `tflm-export compile` wrote. Raises `ExportError` when it does not
    build, and when an engine that only infers is asked to learn.
    """

    def __init__(self, engine: Compiled | str | os.PathLike[str], flags: Sequence[str] = FLAGS):
        self.compiled = opened(engine)
        self._temporary = tempfile.TemporaryDirectory(prefix="tfodl-host-")
        folder = replace_folder(Path(self._temporary.name) / "sources", sources_of(self.compiled))
        library = Path(self._temporary.name) / "engine.so"
        build_library(folder / "src", self.compiled, library, flags)
        self._library = self._bind(ctypes.CDLL(str(library)))
        if self.compiled.constants is not None:
            self.write_constants(self.compiled.constants.data)
        graph = self.compiled.graph
        self._inputs, self._outputs = inputs_of(graph), outputs_of(graph)
        self._loss = graph.loss
        self._variables = variables(graph)
        self.reset()

    def write_constants(self, image: bytes) -> None:
        """Put `image` where an engine whose constants lie apart has them; it looks there anew."""
        place = ctypes.c_char.in_dll(self._library, f"{self.compiled.name}_constants")
        ctypes.memmove(ctypes.addressof(place), image, len(image))
        self._library.shim_constants_changed()

    def _bind(self, library: ctypes.CDLL) -> ctypes.CDLL:
        """The library's functions with their types."""
        _bind(library)
        return library if self.compiled.graph.loss is None else _bind_training(library)

    def infer(self, x: np.ndarray) -> np.ndarray:
        """The output int8 for one input int8 (the input tensor's shape; several as `Edge` has them)."""
        self._fill(x)
        self._library.shim_infer()
        return self._read(self._library.shim_output(), self._outputs.shape)

    def logits(self, x: np.ndarray) -> np.ndarray:
        """What the loss reads, int8."""
        logits = self.compiled.graph.tensors[self._learning().inputs[0]]
        self._fill(x)
        self._library.shim_infer()
        return self._read(self._library.shim_logits(), logits.shape)

    def predict(self, x: np.ndarray) -> int:
        """The class with the largest output; of one sigmoid 0 or 1."""
        if self._reconstructs():
            raise ExportError(
                "this engine is an autoencoder, which knows no classes; score(x) says how strange x is."
            )
        self._fill(x)
        return int(self._library.shim_predict())

    def score(self, x: np.ndarray) -> float:
        """An autoencoder's reconstruction error of `x` int8, real units: how strange it is."""
        if not self._reconstructs():
            raise ExportError(
                "this engine is no autoencoder; compile it with a plan whose loss is 'reconstruction'."
            )
        self._fill(x)
        return float(self._library.shim_score())

    def _reconstructs(self) -> bool:
        return self._loss is not None and LOSSES[self._loss.kind].target == "input"

    def train_step(self, x: np.ndarray, label: Target = None) -> float:
        """One step on input `x` int8 and its target, as `Simulator.train_step` does; the loss before it."""
        loss = self._learning()
        self._fill(x)
        if LOSSES[loss.kind].by_label:
            assert isinstance(label, (int, np.integer))
            return float(self._library.shim_train_label(int(label)))
        if self._reconstructs():
            return float(self._library.shim_train_target(None))
        logits = self.compiled.graph.tensors[loss.inputs[0]]
        target = np.ascontiguousarray(label, np.int8).reshape(logits.shape)
        return float(self._library.shim_train_target(target.ctypes.data))

    def set_learning_rate(self, rate: float) -> None:
        """Takes effect in the next step. Raises `ExportError` for what is no rate, as `Simulator` does."""
        self._learning()
        if not self._library.shim_set_learning_rate(rate):
            raise ExportError(no_learning_rate(rate))

    def saturated_share(self) -> float:
        """Share of the trained tensors' weights at +-127: the engine's health (docs/sketch.md)."""
        self._learning()
        return float(self._library.shim_saturated_share())

    def reset(self) -> None:
        """Weights, optimizer, step count and states as they were flashed."""
        self.reset_state()
        if self._loss is not None:
            self._library.shim_reset()

    def reset_state(self) -> None:
        """What the net remembers from one inference to the next, as before the first."""
        self._library.shim_reset_state()

    def weights(self) -> dict[str, np.ndarray]:
        """Every trained tensor whole (frozen rows as in the model), by its name in the model."""
        found: dict[str, np.ndarray] = {}
        for i, variable in enumerate(self._variables):
            whole = self.compiled.graph.constant(variable.tensor)
            found[variable.tensor] = variable.put(whole, self._parameter(i, variable))
        return found

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Set trained tensors from arrays like those of `weights()`."""
        for i, variable in enumerate(self._variables):
            if variable.tensor in weights:
                self._parameter(i, variable)[...] = variable.take(weights[variable.tensor]).reshape(-1)

    def _learning(self) -> Op:
        """The loss of an engine that learns."""
        if self._loss is None:
            raise ExportError("this engine only infers; compile it with a plan that trains something.")
        return self._loss

    def _parameter(self, i: int, variable: Variable) -> np.ndarray:
        """The engine's own memory of a trained tensor, as a flat array."""
        nbytes = self._library.shim_parameter_bytes(i)
        data = (ctypes.c_char * nbytes).from_address(self._library.shim_parameter(i))
        return np.frombuffer(data, variable.dtype)

    def _fill(self, x: np.ndarray) -> None:
        x = self._inputs.checked(x)
        ctypes.memmove(self._library.shim_input(), np.ascontiguousarray(x).ctypes.data, x.size)

    @staticmethod
    def _read(address: int, shape: tuple[int, ...]) -> np.ndarray:
        size = int(np.prod(shape))
        return np.frombuffer(ctypes.string_at(address, size), np.int8).reshape(shape).copy()


def _bind(library: ctypes.CDLL) -> ctypes.CDLL:
    for name in ("input", "output"):
        getattr(library, f"shim_{name}").restype = ctypes.c_void_p
    return library


def _bind_training(library: ctypes.CDLL) -> ctypes.CDLL:
    for name in ("logits", "parameter"):
        getattr(library, f"shim_{name}").restype = ctypes.c_void_p
    for name in ("train_label", "train_target", "score"):
        getattr(library, f"shim_{name}").restype = ctypes.c_float
    library.shim_train_target.argtypes = [ctypes.c_void_p]
    library.shim_set_learning_rate.argtypes = [ctypes.c_float]
    library.shim_set_learning_rate.restype = ctypes.c_bool
    library.shim_saturated_share.restype = ctypes.c_float
    library.shim_parameter_bytes.restype = ctypes.c_uint32
    return library


def sources_of(compiled: Compiled) -> dict[str, bytes]:
    """The engine's sources as files, below src/."""
    return {path: text.encode() for path, text in compiled.sources.items()}


def build_library(source: Path, compiled: Compiled, out: Path, flags: Sequence[str] = FLAGS) -> None:
    """Link the engine in `source` and its kernels to the shared library `out`."""
    name = compiled.name
    shim = out.with_suffix(".shim.cpp")
    shim.write_text(_shim(compiled))
    objects = kernel_objects(source, flags)
    sources = [source / f"{name}.cpp", source / f"{name}_constants.cpp", shim]
    compile_cpp([*map(str, sources), *map(str, objects), f"-I{source}", "-shared", "-o", str(out)], flags)


def _shim(compiled: Compiled) -> str:
    """The engine's functions with C names."""
    name, loss = compiled.name, compiled.graph.loss
    calls = {
        "train_label": "-1.0f",
        "train_target": "-1.0f",
        "score": "-1.0f",
        "predict": f"{name}::predict()",
    }
    target = "" if loss is None else LOSSES[loss.kind].target
    if target == "input":
        calls |= {"train_target": f"{name}::train_step()", "score": f"{name}::score()", "predict": "-1"}
    elif target:
        taker = "train_label" if target == "label" else "train_target"
        calls[taker] = f"{name}::train_step({taker.removeprefix('train_')})"
    files = ["shim.cpp"] + ["shim_constants.cpp"] * (compiled.constants is not None)
    if loss is not None:
        files += ["shim_training.cpp"]
        if compiled.plan.store_bytes or compiled.plan.pool is not None:
            files += ["cut_flash.h"]
        files += ["shim_store.cpp"] if compiled.plan.store_bytes else []
        if compiled.plan.memory is not None:
            kept = "living_state" if compiled.plan.memory.where == "ram" else "samples"
            kind = kept if compiled.plan.pool is None else "choosing"
            files += ["shim_living.cpp", f"shim_{kind}.cpp"]
        files += ["shim_new_classes.cpp"] if compiled.plan.spare_classes else []
        files += ["shim_judging.cpp"] if compiled.plan.guard is not None else []
    calls |= harness(compiled.graph, name)
    return "".join(fill(file, calls, name=name) for file in files)


def kernel_objects(source: Path, flags: Sequence[str]) -> list[Path]:
    """The library's object files, compiled once for every content and kept in the temporary folder."""
    files = sorted((source / "tfodl").rglob("*.[ch]*"))
    digest = hashlib.sha256(repr((tuple(flags), object_name.__name__)).encode())
    for file in files:
        digest.update(file.relative_to(source).as_posix().encode() + file.read_bytes())
    cache = Path(tempfile.gettempdir()) / f"tfodl-kernels-{os.getuid()}" / digest.hexdigest()[:24]
    if not cache.is_dir():
        _compile_kernels([f for f in files if f.suffix == ".cpp"], source, cache, flags)
    return sorted(cache.glob("*.o"))


def object_name(source: Path, file: Path) -> str:
    """What a kernel's object is called among all of them, whose files may have one name in two folders.

    >>> object_name(Path("src"), Path("src/tfodl/store/store.cpp"))
    'tfodl.store.store.o'
    """
    return ".".join(file.relative_to(source).with_suffix(".o").parts)


def _compile_kernels(files: Sequence[Path], source: Path, cache: Path, flags: Sequence[str]) -> None:
    cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=cache.parent))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [[str(f), "-c", f"-I{source}", "-o", str(fresh / object_name(source, f))] for f in files]
        list(pool.map(lambda job: compile_cpp(job, flags), jobs))
    try:
        fresh.rename(cache)
    except OSError:  # another process was faster
        shutil.rmtree(fresh, ignore_errors=True)


def compile_cpp(arguments: Sequence[str], flags: Sequence[str]) -> None:
    """Run g++. Raises `ExportError` with its first complaint, or when there is none."""
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        raise ExportError("g++ is not installed; on Debian or Ubuntu: apt-get install g++")
    done = subprocess.run([compiler, *flags, *arguments], capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line or "undefined" in line]
        raise ExportError(f"host build failed: {(lines or done.stderr.splitlines() or ['no message'])[0]}")
