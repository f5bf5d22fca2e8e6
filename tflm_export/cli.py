"""The command `tflm-export`: compile, verify, report, sketch, patch, learned.

Every failure is one line on stderr and exit status 2; nothing is left half-written.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tflm_export.errors import ExportError, TfodlError, missing_package
from tflm_export.options import BAD_INPUT, parser
from tflm_export.pool_options import PoolOptions

FAILED, INTERRUPTED = 1, 130
ASK_FOR_LEARNING = ("loss", "store_bytes", "candidates", "pool", "memory", "spare_classes", "exemplars")
UNKNOWN_INPUT = "int8 values; --input says how the pixels of pictures become such"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except (ExportError, TfodlError) as error:
        message = str(error)
    except ModuleNotFoundError as error:
        message = missing_package(error)
    except OSError as error:
        message = f"{error.filename or 'file'}: {error.strerror or error}."
    except MemoryError:
        message = "out of memory."
    except KeyboardInterrupt:
        return INTERRUPTED
    print(f"tflm-export {options.command}: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT


def compile_command(options: argparse.Namespace) -> int:
    """`compile`: write the engine's folder."""
    from tflm_export.apart import apart
    from tflm_export.compiler import compile_model, with_spare_classes
    from tflm_export.front.dead_facts import dead_lines
    from tflm_export.living.pool_facts import pool_text
    from tflm_export.memory.price import ram_price
    from tflm_export.plan import UpdatePlan

    tflite = Path(options.model).read_bytes()
    usual = _usual(tflite, options) if options.plan is None else None
    plan = usual.plan if usual else UpdatePlan.load(options.plan)
    if options.loss is not None:
        plan = dataclasses.replace(plan, loss=options.loss)
    if options.store_bytes is not None:
        plan = dataclasses.replace(plan, store_bytes=options.store_bytes)
    asked = PoolOptions.of(vars(options))
    plan = asked.given(plan)
    contract = _contract(options.model, tflite, options.input)
    if options.spare_classes is not None:
        tflite, plan = with_spare_classes(tflite, plan, options.spare_classes)
    plan = asked.fitted(plan, tflite)
    how = {"gradients": options.gradients, "contract": contract, "keep_dead": options.keep_dead}
    how |= {"row_fed": options.row_fed, "ram_bytes": options.ram, "pauses": options.pauses}
    exemplars = _exemplars(options, tflite, plan, how)
    compiled = compile_model(tflite, plan, name=options.name, exemplars=exemplars, **how)
    if options.constants_at is not None:
        compiled = apart(compiled, options.constants_at)
    folder = compiled.save(options.out)
    facts = compiled.facts
    print(
        f"{folder}: arena {facts['arena_bytes']:,} B, static RAM {facts['planned_static_ram_bytes']:,} B, "
        + _learns(facts, options)
    )
    if usual and usual.unlearned:
        print(f"why: {usual.unlearned}")
    if options.ram is not None:
        print(f"price: {ram_price(compiled.graph)}; tflm-export report {folder} counts the cycles")
    if "pool" in facts:
        print(f"chooses: {pool_text(facts['pool'])}")
    if compiled.constants is not None:
        print(f"constants: {_place(compiled.constants)}, constants.bin and .hex")
    print(f"input: {contract.text if contract else UNKNOWN_INPUT}")
    if exemplars is not None:
        nbytes = len(exemplars) * facts["latent"]["bytes_a_sample"]
        print(f"exemplars: {len(exemplars)} samples, {nbytes:,} B of flash")
    for line in dead_lines(facts["dead"]):
        print(line)
    return 0


def _place(image: Any) -> str:
    return f"{len(image.data):,} B at {image.address:#x} of the flash, beside the program"


def _exemplars(options: argparse.Namespace, tflite: bytes, plan: Any, how: dict[str, Any]) -> Any:
    """What --exemplars and its two options ask for; None without."""
    from tflm_export.ship import read_samples, ship

    if options.exemplars is None:
        if options.per_class is not None:
            raise ExportError("--per-class chooses among exemplars; give --exemplars X.npz, too.")
        return None
    x, labels = read_samples(options.exemplars)
    return ship(tflite, plan, x, labels, per_class=options.per_class, rule=options.choose, **how)


def _contract(model: str, tflite: bytes, rule: str | None) -> Any:
    """The input contract that `rule` names, else that of the model's companion, else None."""
    from tflm_export.companion import read_companion
    from tflm_export.front.read_tflite import read_tflite
    from tflm_export.input_contract import InputContract

    if rule is None:
        return read_companion(model)
    graph = read_tflite(tflite)
    return InputContract.parse(rule, graph.tensors[graph.inputs[0]].shape[1:])


def _usual(tflite: bytes, options: argparse.Namespace) -> Any:
    """What learns where no plan says so. Who asks for learning gets an error where nothing can."""
    from tflm_export.companion import task_loss
    from tflm_export.front.read_tflite import read_tflite
    from tflm_export.gradients.head import usual_loss
    from tflm_export.plan import UpdatePlan
    from tflm_export.usual import UsualPlan, usual_plan

    graph, loss = read_tflite(tflite), options.loss or task_loss(options.model)
    if any(getattr(options, name) is not None for name in ASK_FOR_LEARNING):
        return UsualPlan(UpdatePlan(loss=loss or usual_loss(graph)))
    return usual_plan(graph, loss)


def _learns(facts: Any, options: argparse.Namespace) -> str:
    if not facts["trained_parameters"]:
        return "nothing learns: for inference only"
    return (
        f"{facts['trained_parameters']:,} parameters learn by {facts['gradients']} gradients "
        f"of {facts['loss']}, as {_whose_loss(options)}"
    )


def _whose_loss(options: argparse.Namespace) -> str:
    from tflm_export.companion import companion_path, task_loss

    if options.loss is not None:
        return "--loss says"
    if options.plan is not None:
        return "the plan says"
    told = task_loss(options.model) is not None
    return f"{companion_path(options.model)} says" if told else "the model's end has it (--loss)"


def verify_command(options: argparse.Namespace) -> int:
    """`verify`: exit status 1 when anything differs."""
    from tflm_export.report.verify import verify

    result = verify(
        options.folder,
        _array(options.inputs),
        _array(options.targets),
        count=options.count,
        steps=options.steps,
        board=options.board,
        tflm=not options.without_tflm,
    )
    print(result.summary())
    return 0 if result.ok else FAILED


def report_command(options: argparse.Namespace) -> int:
    """`report`: text or JSON on stdout."""
    from tflm_export.report.report import report

    if options.log is not None and options.html is None:
        raise ExportError("--log is shown on a page; give --html FILE, too.")
    files = {"picture": options.picture, "html": options.html, "log": options.log}
    made = report(options.folder, board=options.board, steps=options.steps, per_op=options.per_op, **files)
    print(made.to_json() if options.json else made.to_text(), end="\n" if options.json else "")
    return 0


def sketch_command(options: argparse.Namespace) -> int:
    """`sketch`: write the .zip."""
    from tflm_export.board.examples import Example
    from tflm_export.board.layout import check_format
    from tflm_export.board.manifest import Manifest
    from tflm_export.board.sketch import make_sketch, placed
    from tflm_export.boards import board
    from tflm_export.engine_folder import load

    check_format(options.format, board(options.board))
    example = Example(options.example, options.hz, options.unit)
    manifest = Manifest(options.maintainer, options.url)
    engine, target, costs = load(options.folder), board(options.board), None
    compiled = placed(engine, target)
    if options.measure:
        from tflm_export.report.report import report

        costs = report(engine, board=options.board).facts
    names = options.classes.split(",") if options.classes else ()
    asked = (costs, names, example, options.format, manifest, options.beside)
    print(make_sketch(compiled, options.board, options.out, *asked))
    if compiled.constants is not None:
        print(f"constants: {_place(compiled.constants)}; tfodl board constants writes them (docs/sketch.md)")
    return 0


def patch_command(options: argparse.Namespace) -> int:
    """`patch`: write the changed model."""
    import numpy as np

    from tflm_export.files import write_bytes
    from tflm_export.front.write_tflite import patch_constants

    try:
        with np.load(options.weights) as stored:
            changes = {name: stored[name] for name in stored.files}
    except (ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ExportError(f"{options.weights!r} is no .npz of arrays ({error}).") from error
    write_bytes(options.out, patch_constants(Path(options.model).read_bytes(), changes))
    print(options.out)
    return 0


def learned_command(options: argparse.Namespace) -> int:
    """`learned`: write the engine's model with the weights that its store, or its images, hold."""
    from tflm_export.engine_folder import load
    from tflm_export.files import write_bytes
    from tflm_export.front.write_tflite import patch_constants
    from tflm_export.living.image import read_image
    from tflm_export.store.state import read_weights

    compiled, area = load(options.folder), Path(options.store).read_bytes()
    if compiled.plan.pool is None:
        weights = read_weights(area, compiled.graph, compiled.plan)
    else:
        weights = read_image(area, compiled.graph, compiled.plan).weights
    write_bytes(options.out, patch_constants(compiled.tflite, weights))
    print(options.out)
    return 0


def _array(path: str | None) -> Any:
    """An array from a .npy file; None without a path."""
    import numpy as np

    if path is None:
        return None
    try:
        return np.load(path)
    except (ValueError, EOFError) as error:
        raise ExportError(f"{path!r} is no .npy array ({error}).") from error


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "compile": compile_command,
    "verify": verify_command,
    "report": report_command,
    "sketch": sketch_command,
    "patch": patch_command,
    "learned": learned_command,
}


if __name__ == "__main__":
    sys.exit(main())
