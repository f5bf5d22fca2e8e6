"""The C++ library as text: from a source checkout, or from the data of an installed package."""

from __future__ import annotations

from pathlib import Path

from tflm_export.errors import ExportError

PLACES = (Path(__file__).parent.parent / "arduino", Path(__file__).parent / "arduino")


def library_root() -> Path:
    """The folder `arduino` with library.properties, src and examples. Raises `ExportError`."""
    for place in PLACES:
        if (place / "src" / "tfodl" / "kernels.h").is_file():
            return place
    raise ExportError(f"the C++ library is missing; looked in {', '.join(map(str, PLACES))}. Install again.")


def library_sources() -> dict[str, str]:
    """Kernels and headers by path below `src`."""
    src = library_root() / "src"
    files = sorted(path for path in src.rglob("*") if path.suffix in (".h", ".cpp"))
    return {path.relative_to(src).as_posix(): path.read_text(encoding="utf-8") for path in files}
