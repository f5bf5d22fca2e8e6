"""The command `tflm-export`: compile, verify, report, sketch, patch, learned.

Every failure is one line on stderr and exit status 2; nothing is left half-written.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tflm_export import __version__
from tflm_export.errors import ExportError, TfodlError, missing_package
from tflm_export.pool_options import PoolOptions, add_pool_options

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
ASK_FOR_LEARNING = ("loss", "store_bytes", "candidates", "pool", "memory", "spare_classes", "exemplars")
UNKNOWN_INPUT = "int8 values; --input says how the pixels of pictures become such"


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the error and where help is; exit 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message}. See {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        result: int = options.run(options)
        return result
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


def parser() -> Parser:
    """The whole command line."""
    top = Parser(prog="tflm-export", description="Compile int8 .tflite models to C++ training engines.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    one = _command(commands, "compile", compile_command, "model and update plan in, C++ engine out")
    one.add_argument("model", metavar="MODEL.tflite")
    one.add_argument(
        "--plan", metavar="PLAN.json", help="update plan (tfodl plan show reads it); default: the head trains"
    )
    one.add_argument(
        "--loss",
        choices=["crossentropy", "bce", "mse", "reconstruction"],
        help="what it learns by; default: the plan's, without a plan what the model's end speaks for",
    )
    one.add_argument(
        "--input",
        metavar="RULE",
        help="how pixels reach the model: -1..1, 0..1, 0..255, torch, caffe, LOW..HIGH or MEAN,STD; default: "
        "what MODEL.tflite.json says",
    )
    one.add_argument("--out", required=True, metavar="DIR", help="new, empty or an engine's folder")
    one.add_argument(
        "--store-bytes",
        type=int,
        metavar="N",
        help="flash in which the device keeps what it learned, whole pages of 4096 (default: the plan's)",
    )
    add_pool_options(one)
    one.add_argument("--name", default="engine", help="C++ namespace and file name (default: engine)")
    one.add_argument(
        "--gradients",
        choices=["int16", "float32"],
        default="int16",
        help="arithmetic of the backward pass; the other commands find it in DIR (default: int16)",
    )
    one.add_argument(
        "--keep-dead",
        action="store_true",
        help="compile channels of one value for every input, too; without it they are left out",
    )
    one.add_argument(
        "--ram",
        type=_positive,
        metavar="BYTES",
        help="what the engine may take of RAM, stack included: the more, the fewer cycles; default: little",
    )
    one.add_argument(
        "--row-fed",
        action="store_true",
        help="the engine asks for its picture row by row, so that it never is in RAM as a whole",
    )
    one.add_argument(
        "--pauses",
        action="store_true",
        help="the engine calls a function of the sketch's behind every kernel, for watchdogs and lines",
    )

    one.add_argument(
        "--spare-classes",
        type=_positive,
        metavar="K",
        help="outputs more, for classes that the device may meet (docs/living.md)",
    )
    one.add_argument(
        "--exemplars",
        metavar="X.npz",
        help="pictures (uint8) or int8 inputs x and labels y to ship as latents (docs/living.md)",
    )
    one.add_argument("--per-class", type=_positive, metavar="N", help="choose N of every class; default: all")
    one.add_argument(
        "--choose",
        choices=["random", "nearest", "herding"],
        default="random",
        help="how: at random, nearest to the class's mean latent, by herding (default: random)",
    )

    one = _command(commands, "verify", verify_command, "hold the engine to numpy, TFLite Micro, float64")
    one.add_argument("folder", metavar="DIR")
    one.add_argument(
        "--inputs", metavar="X.npy", help="int8 inputs or uint8 pictures [n, ...]; random by default"
    )
    one.add_argument(
        "--targets",
        metavar="Y.npy",
        help="their classes [n] (int8 [n, ...] for bce, 1 or 0, and mse; none for reconstruction)",
    )
    one.add_argument("--count", type=_positive, default=256, help="inferences to compare (default: 256)")
    one.add_argument("--steps", type=_positive, default=32, help="training steps to compare (default: 32)")
    one.add_argument("--board", action="store_true", help="on the emulated Cortex-M4F, too")
    one.add_argument("--without-tflm", action="store_true", help="go by numpy alone, not by TFLite Micro")

    one = _command(commands, "report", report_command, "RAM, flash and work, measured on the emulated board")
    one.add_argument("folder", metavar="DIR")
    one.add_argument("--json", action="store_true", help="as JSON")
    one.add_argument("--steps", type=_positive, default=2, help="training steps to run (default: 2)")
    one.add_argument("--per-op", action="store_true", help="the cycles of every kernel call, too")
    one.add_argument("--picture", metavar="FILE", help="draw the memory plan, too (.png, .svg or .pdf)")
    one.add_argument("--html", metavar="FILE", help="write a page to look at, too: one file, no network")
    one.add_argument("--log", metavar="RUN.jsonl", help="of tfodl board: what it learned, on the page, too")

    one = _command(commands, "sketch", sketch_command, "a library with a sketch, for Arduino and others")
    one.add_argument("folder", metavar="DIR")
    one.add_argument("--board", default="nano33ble", help="default: nano33ble")
    one.add_argument("--out", required=True, metavar="X.zip", help="for other formats than arduino: a folder")
    one.add_argument(
        "--format",
        default="arduino",
        help="arduino: the library as .zip (default); platformio: a project; cmake: the library as a folder",
    )
    one.add_argument("--maintainer", metavar="NAME", help="who answers for the library, 'Name <address>'")
    one.add_argument("--url", help="where the library lives, if you publish it")
    one.add_argument(
        "--example",
        default="serial",
        metavar="NAME",
        help="the sketch: serial (a host teaches; default), camera, motion, sound or anomaly",
    )
    one.add_argument(
        "--hz", type=float, metavar="N", help="rows a second of the recordings, for motion and anomaly"
    )
    one.add_argument("--unit", metavar="UNIT", help="of the recordings: g or m/s2, for motion and anomaly")
    one.add_argument("--measure", action="store_true", help="put measured costs into the metadata")
    one.add_argument(
        "--classes",
        metavar="NAME,NAME",
        help="names of the classes, in order, which the board tells its host",
    )

    one = _command(commands, "patch", patch_command, "write weights (of a board) back into the .tflite")
    one.add_argument("model", metavar="MODEL.tflite")
    one.add_argument("--weights", required=True, metavar="W.npz", help="arrays by tensor name")
    one.add_argument("--out", required=True, metavar="NEW.tflite")

    one = _command(commands, "learned", learned_command, "what a board has in its store, as a .tflite")
    one.add_argument("folder", metavar="DIR")
    one.add_argument("--store", required=True, metavar="AREA.bin", help="its store's flash, byte by byte")
    one.add_argument("--out", required=True, metavar="NEW.tflite")
    return top


def _command(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + "."
    )
    one.set_defaults(run=run)
    return one


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number >= 1")
    return value


def compile_command(options: argparse.Namespace) -> int:
    """`compile`: write the engine's folder."""
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
    folder = compiled.save(options.out)
    facts = compiled.facts
    print(
        f"{folder}: arena {facts['arena_bytes']:,} B, static RAM {facts['planned_static_ram_bytes']:,} B, "
        + _learns(facts)
    )
    if usual and usual.unlearned:
        print(f"why: {usual.unlearned}")
    if options.ram is not None:
        print(f"price: {ram_price(compiled.graph)}; tflm-export report {folder} counts the cycles")
    if "pool" in facts:
        print(f"chooses: {pool_text(facts['pool'])}")
    print(f"input: {contract.text if contract else UNKNOWN_INPUT}")
    if exemplars is not None:
        nbytes = len(exemplars) * facts["latent"]["bytes_a_sample"]
        print(f"exemplars: {len(exemplars)} samples, {nbytes:,} B of flash")
    for line in dead_lines(facts["dead"]):
        print(line)
    return 0


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
    from tflm_export.front.read_tflite import read_tflite
    from tflm_export.gradients.head import usual_loss
    from tflm_export.plan import UpdatePlan
    from tflm_export.usual import UsualPlan, usual_plan

    graph = read_tflite(tflite)
    if any(getattr(options, name) is not None for name in ASK_FOR_LEARNING):
        return UsualPlan(UpdatePlan(loss=usual_loss(graph)))
    return usual_plan(graph)


def _learns(facts: Any) -> str:
    if not facts["trained_parameters"]:
        return "nothing learns: for inference only"
    return (
        f"{facts['trained_parameters']:,} parameters learn by {facts['gradients']} gradients "
        f"of {facts['loss']}"
    )


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
    made = report(options.folder, steps=options.steps, per_op=options.per_op, **files)
    print(made.to_json() if options.json else made.to_text(), end="\n" if options.json else "")
    return 0


def sketch_command(options: argparse.Namespace) -> int:
    """`sketch`: write the .zip."""
    from tflm_export.board.examples import Example
    from tflm_export.board.layout import check_format
    from tflm_export.board.manifest import Manifest
    from tflm_export.board.sketch import make_sketch
    from tflm_export.boards import board

    check_format(options.format, board(options.board))
    example = Example(options.example, options.hz, options.unit)
    manifest = Manifest(options.maintainer, options.url)
    costs = None
    if options.measure:
        from tflm_export.report.report import report

        costs = report(options.folder).facts
    names = options.classes.split(",") if options.classes else ()
    asked = (costs, names, example, options.format, manifest)
    print(make_sketch(options.folder, options.board, options.out, *asked))
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


if __name__ == "__main__":
    sys.exit(main())
