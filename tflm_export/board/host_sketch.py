"""`build_sketch`: the very sketch that goes to a board, as a program on this computer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tflm_export.board.examples import Example
from tflm_export.board.sketch import SERIAL, sketch_files
from tflm_export.boards import board
from tflm_export.compiler import Compiled
from tflm_export.files import write_bytes
from tflm_export.machines.host import FLAGS, compile_cpp, kernel_objects, object_name
from tflm_export.template import template_text


def build_sketch(
    compiled: Compiled, folder: Path, names: Sequence[str] = (), flags: Sequence[str] = FLAGS
) -> Path:
    """The sketch of `compiled`, built in `folder`: a program whose serial line is stdin and stdout.

    names: of the classes. flags: of all but the kernels; where they are not the kernels' own, the protocol is
    built with them, too. The environment's TFODL_FLASH names the file that is its flash; without it what it
    saves ends with it. Raises `ExportError` when it does not build.
    """
    source = write_sketch(compiled, folder, names)
    main, sketch = folder / "host_sketch.cpp", folder / "sketch.cpp"
    write_bytes(folder / "host" / "Arduino.h", template_text("host_arduino.h").encode())
    write_bytes(main, template_text("host_sketch.cpp").encode())
    write_bytes(sketch, b"#include <Arduino.h>\n" + (folder / SERIAL.path).read_bytes())
    return link_host(compiled, [main, sketch], source, folder / "sketch", flags)


def write_sketch(
    compiled: Compiled, folder: Path, names: Sequence[str] = (), example: Example = SERIAL
) -> Path:
    """The library's files below `folder`; its folder of sources."""
    for path, data in sketch_files(compiled, board("nano33ble"), compiled.facts, names, example).items():
        write_bytes(folder / path, data)
    return folder / "src"


def link_host(
    compiled: Compiled, mains: Sequence[Path], source: Path, out: Path, flags: Sequence[str]
) -> Path:
    """A program of `mains`, the engine and the library in `source`."""
    protocol = [
        source / "tfodl" / "serial_protocol.cpp",
        *sorted((source / "tfodl" / "serial").glob("*.cpp")),
    ]
    own = [] if tuple(flags) == FLAGS else protocol
    files = [source / f"{compiled.name}{part}.cpp" for part in ("", "_constants")] + own
    built = {object_name(source, path) for path in own}
    kernels = [path for path in kernel_objects(source, FLAGS) if path.name not in built]
    include = (f"-I{source}", f"-I{out.parent / 'host'}", "-DTFODL_HOST")
    compile_cpp([*map(str, (*mains, *files, *kernels)), *include, "-o", str(out)], flags)
    return out
