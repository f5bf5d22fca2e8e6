"""`make_sketch`: a compiled engine as the .zip that the Arduino IDE's "Add .ZIP Library" takes.

One top folder `TFODL_NAME` with src (kernels, engine, TFODL_NAME.h), a sketch (`examples.Example`), extras
(model, plan, memory.md, metadata.json with the costs), LICENSE and README. PlatformIO and CMake take
the same folder, which holds a manifest for each. Engines of two names live side by side.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tflm_export.apart import apart
from tflm_export.board.beside import taken_bytes
from tflm_export.board.examples import Example
from tflm_export.board.fit import check_fits, limits
from tflm_export.board.layout import check_format, check_place, write_folder
from tflm_export.board.manifest import Manifest, check_name
from tflm_export.board.partitions import PARTITIONS, partitions
from tflm_export.board.sketch_header import library_header
from tflm_export.boards import BOARDS, Board, board
from tflm_export.compiler import Compiled
from tflm_export.emit.memory_table import memory_table
from tflm_export.engine_folder import opened
from tflm_export.errors import ExportError
from tflm_export.files import write_bytes
from tflm_export.library import library_root
from tflm_export.living.image import area_bytes
from tflm_export.ops import LOSSES
from tflm_export.plan import PAGE_BYTES
from tflm_export.store.facts import check_area
from tflm_export.store.geometry import BANK, BANK_PAGES

SERIAL, OWN = Example("serial"), Manifest()
MANIFESTS = ("library.properties", "library.json", "CMakeLists.txt")  # Arduino's, PlatformIO's, CMake's
COPIED = (*MANIFESTS, "keywords.txt", "LICENSE", "README.md")
SIZES = ("arena_bytes", "planned_static_ram_bytes", "static_ram_bytes", "stack_bytes", "flash_bytes")
COSTS = (*SIZES, "constants_at", "constants_bytes", "macs", "cycles", "milliseconds", "instructions")
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file, so that the same engine gives the same bytes


def make_sketch(
    engine: Compiled | str | os.PathLike[str],
    board_name: str,
    out: str | os.PathLike[str],
    costs: Mapping[str, Any] | None = None,
    names: Sequence[str] = (),
    example: Example = SERIAL,
    form: str = "arduino",
    manifest: Manifest = OWN,
    beside: Sequence[Compiled | str | os.PathLike[str]] = (),
) -> Path:
    """Write the library of an engine, compiled or in its folder, to `out`, whole or not at all.

    costs: facts of `report`, measured; the plan's own figures are used without them. names: of the classes,
    which the board tells its host; none: it knows numbers only. example: the sketch. form: of `FORMATS`, a
    .zip or a folder (`layout`). manifest: who answers for it. beside: other engines of the same sketch,
    before whose areas in flash this one's lies. Raises `ExportError` for an unknown board, a folder without
    an engine, an engine that only infers, is not one for the sketch, keeps what it learned where the board
    has no area for it, or has more static memory than the board, or a wrong number of names.
    """
    target = board(board_name)
    compiled = placed(opened(engine), target)
    check_format(form, target, bool(area_bytes(compiled.graph, compiled.plan)))
    check_name(library_name(compiled))
    if compiled.graph.loss is None:
        raise ExportError(
            f"engine {compiled.name!r} only infers, the sketch is for one that learns; put the engine's src "
            "folder into your own sketch, or compile it with a plan that trains something."
        )
    example.check(compiled, target)
    _check_keeps(compiled, target)
    facts = dict(compiled.facts) | dict(costs or {})
    taken = taken_bytes(compiled, beside, target)
    check_fits(compiled, costs or {}, target, taken)
    _check_names(compiled, names)
    check_place(form, Path(out))
    library = library_name(compiled)
    files = sketch_files(compiled, target, facts, names, example, manifest, taken)
    if form != "arduino":
        return write_folder(form, Path(out), files, library, example, target)
    write_bytes(out, archive(files, library))
    for path, data in _constants_files(compiled).items():  # for a flashing tool
        write_bytes(Path(out).with_suffix(f".{path}"), data)
    return Path(out)


def placed(compiled: Compiled, target: Board) -> Compiled:
    """The engine with its constants where the board has them. Raises `ExportError` where it has no place."""
    if target.constants is not None:
        return apart(compiled, target.constants.start)
    if compiled.constants is not None:
        beside = ", ".join(name for name, row in BOARDS.items() if row.constants is not None)
        raise ExportError(
            f"engine {compiled.name!r} reads its constants at {compiled.constants.address:#x}, and on "
            f"{target.title} they are part of the sketch; compile without --constants-at, or name a board "
            f"that has them beside it: {beside}."
        )
    return compiled


def sketch_files(
    compiled: Compiled,
    target: Board,
    facts: Mapping[str, Any],
    names: Sequence[str] = (),
    example: Example = SERIAL,
    manifest: Manifest = OWN,
    taken: int = 0,
) -> dict[str, bytes]:
    """Every file of the library by its path below the top folder. taken: bytes of flash of other engines."""
    root, library = library_root(), library_name(compiled)
    texts = {path: (root / path).read_text("utf-8") for path in COPIED} | {example.path: example.text()}
    texts["library.properties"] += f"depends={example.kind.library}\n" if example.kind.library else ""
    files = {path: manifest.filled(_named(text, compiled, example)).encode() for path, text in texts.items()}
    files |= {path: text.encode() for path, text in compiled.sources.items()}
    files[f"src/{library}.h"] = library_header(compiled, names, taken // PAGE_BYTES).encode()
    files["src/TFODL.h"] = f'#include "{library}.h"\n'.encode()
    if target.area == "partition" and area_bytes(compiled.graph, compiled.plan):
        area = area_bytes(compiled.graph, compiled.plan) + taken
        files[example.beside(PARTITIONS)] = partitions(area).encode()
    files |= {f"extras/{path}": data for path, data in _constants_files(compiled).items()}
    files["extras/model.tflite"] = compiled.tflite
    files["extras/plan.json"] = (compiled.plan.to_json() + "\n").encode()
    files["extras/memory.md"] = memory_table(compiled.graph, compiled.memory).encode()
    files["extras/metadata.json"] = (json.dumps(metadata(facts, target), indent=2) + "\n").encode()
    return files


def metadata(facts: Mapping[str, Any], target: Board) -> dict[str, Any]:
    """What the engine costs and what the board leaves to a sketch, bytes."""
    used = {name: facts[name] for name in COSTS if name in facts}
    kept = ("name", "version", "model_sha256", "trained_parameters", "gradients", "input")
    about = {name: facts[name] for name in kept}
    return about | {"fqbn": target.fqbn, "board_allows": limits(target)} | used


def library_name(compiled: Compiled) -> str:
    """What builders know the engine's library by."""
    return f"TFODL_{compiled.name}"


def _named(text: str, compiled: Compiled, example: Example) -> str:
    """A file of the library, called after one engine, with its sketch; PlatformIO's names have no
    underscores."""
    library = library_name(compiled)
    text = text.replace(" engine::", f" {compiled.name}::")
    text = text.replace(SERIAL.kind.folder, example.kind.folder)
    dashed = "-".join(filter(None, library.split("_")))
    text = text.replace("TFODL.h", f"{library}.h").replace("name=TFODL\n", f"name={library}\n")
    return text.replace('"name": "TFODL"', f'"name": "{dashed}"').replace("> TFODL >", f"> {library} >")


def archive(files: Mapping[str, bytes], top: str) -> bytes:
    """A .zip of `files` below the folder `top`; the same files give the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(files):
            info = zipfile.ZipInfo(f"{top}/{path}", EPOCH)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            packed.writestr(info, files[path])
    return stream.getvalue()


def _constants_files(compiled: Compiled) -> dict[str, bytes]:
    return {} if compiled.constants is None else compiled.constants.files()


def _check_keeps(compiled: Compiled, target: Board) -> None:
    """Refuse an engine with a store or a pool where the library has no area of flash that holds it."""
    plan = compiled.plan
    if not (plan.store_bytes or plan.pool is not None):
        return
    if not target.area:
        keeping = ", ".join(name for name, row in BOARDS.items() if row.area)
        raise ExportError(
            f"engine {compiled.name!r} keeps what it learned in flash, and the library has no area for it on "
            f"{target.title}; it has one on {keeping}. Compile without store_bytes and pool, or add the "
            "board's flash (docs/add_board.md)."
        )
    if target.area != "bank":
        return
    if plan.pool is not None:
        raise ExportError(
            f"engine {compiled.name!r} chooses: it reads what it learned where it lies, in pages of 4 KB, "
            f"and the flash of {target.title} is erased in sectors of 128 KB. Compile it without the pool, "
            "with store_bytes, or take another board."
        )
    check_area(compiled.graph, plan, BANK_PAGES, BANK, target.title)


def _check_names(compiled: Compiled, names: Sequence[str]) -> None:
    if not names:
        return
    loss = compiled.graph.loss
    assert loss is not None
    if not LOSSES[loss.kind].by_label:
        raise ExportError(
            f"sketch --classes: engine {compiled.name!r} has no classes; it learns by {loss.kind}."
        )
    wanted = compiled.output.size - compiled.plan.spare_classes
    if len(names) != wanted:
        raise ExportError(
            f"sketch: {len(names)} names of classes were given; the model has {wanted} classes."
        )
    wrong = next((name for name in names if not name.strip() or list(names).count(name) > 1), None)
    if wrong is not None:
        raise ExportError(
            f"sketch --classes: {wrong!r} is given twice; a name a class, in order."
            if wrong.strip()
            else f"sketch --classes: a name is empty, got {','.join(names)!r}; give a name a class, in order."
        )
