"""What `tflm-export sketch --format` writes: the library as it is, or with what a builder wants around it.

| format | what `--out` is |
|---|---|
| `arduino` | a .zip: "Add .ZIP Library" of the IDE |
| `platformio` | a folder, a project: `platformio.ini`, the sketch in `src`, the library below `lib` |
| `cmake` | a folder, the library: `add_subdirectory` of it makes a target that has the folder's name |
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tflm_export.board.examples import Example
from tflm_export.board.partitions import PARTITIONS
from tflm_export.boards import Board
from tflm_export.errors import ExportError
from tflm_export.files import replace_folder

FORMATS = ("arduino", "platformio", "cmake")
OTHER_CORES = {"raspberrypi/pico"}  # there Arduino's; Earle Philhower's has a place for an area
_OWNER = "arduino-libraries"  # of the sensors' libraries, in PlatformIO's registry
_INI = """\
; Made by tflm-export: pio run --target upload
[env:{board}]
platform = {platform}
board = {board}
framework = arduino
monitor_speed = 115200
"""


def check_format(form: str, target: Board, keeps: bool = False) -> None:
    """Raise `ExportError` for an unknown format, or a board that it does not have.

    keeps: whether the engine keeps in flash what it learned, which the registry's core must have a place for.
    """
    if form not in FORMATS:
        raise ExportError(f"format {form!r} is not known; allowed: {', '.join(FORMATS)}.")
    if form == "platformio" and not target.platformio:
        raise ExportError(
            f"PlatformIO has no Arduino core for {target.title} in its registry; take --format arduino "
            "or cmake."
        )
    if form == "platformio" and keeps and target.platformio in OTHER_CORES:
        raise ExportError(
            f"PlatformIO's registry has another Arduino core for {target.title} than the one in whose flash "
            "the library keeps what was learned; take --format arduino or cmake, or compile without "
            "store_bytes and pool."
        )


def check_place(form: str, out: Path) -> None:
    """Raise `ExportError` where `out` is no place for the format: a .zip, or a new or empty folder."""
    if form != "arduino" and out.suffix == ".zip":
        raise ExportError(f"--format {form} writes a folder, and {str(out)!r} is a .zip; give a folder.")
    if form != "arduino" and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ExportError(f"{str(out)!r} exists; name a new or empty folder.")


def write_folder(
    form: str, out: Path, files: Mapping[str, bytes], library: str, example: Example, target: Board
) -> Path:
    """Write the library's `files` as the format has them."""
    if form == "cmake":
        return replace_folder(out, files)
    sketch = b"#include <Arduino.h>\n" + files[example.path]
    project = {f"lib/{library}/{path}": data for path, data in files.items()}
    own = example.beside(PARTITIONS)
    project |= {PARTITIONS: files[own]} if own in files else {}
    ini = _ini(example, target, own in files)
    return replace_folder(out, project | {"platformio.ini": ini, "src/main.cpp": sketch})


def _ini(example: Example, target: Board, partitions: bool) -> bytes:
    platform, board = target.platformio.split("/")
    needs = f"lib_deps = {_OWNER}/{example.kind.library}\n" if example.kind.library else ""
    needs += f"board_build.partitions = {PARTITIONS}\n" if partitions else ""
    return (_INI.format(platform=platform, board=board) + needs).encode()
