"""The options of the command `tflm-export`.

>>> parser().parse_args(["verify", "engine"]).count
256
>>> parser().parse_args(["compile", "m.tflite", "--ram", "nano33ble", "--out", "engine"]).ram
208720
"""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from tflm_export import __version__
from tflm_export.boards import BOARDS
from tflm_export.pool_options import add_pool_options

BAD_INPUT = 2  # exit status


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the error and where help is; exit 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message}. See {self.prog} --help.\n")


def parser() -> Parser:
    """The whole command line; `command` says which."""
    top = Parser(prog="tflm-export", description="Compile int8 .tflite models to C++ training engines.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    _compile(_command(commands, "compile", "model and update plan in, C++ engine out"))
    _verify(_command(commands, "verify", "hold the engine to numpy, TFLite Micro, float64"))
    _report(_command(commands, "report", "RAM, flash and work, measured on the emulated board"))
    _sketch(_command(commands, "sketch", "a library with a sketch, for Arduino and others"))
    _patch(_command(commands, "patch", "write weights (of a board) back into the .tflite"))
    _learned(_command(commands, "learned", "what a board has in its store, as a .tflite"))
    return top


def _compile(one: argparse.ArgumentParser) -> None:
    one.add_argument("model", metavar="MODEL.tflite")
    one.add_argument(
        "--plan", metavar="PLAN.json", help="update plan (tfodl plan show reads it); default: the head trains"
    )
    one.add_argument(
        "--loss",
        choices=["crossentropy", "bce", "mse", "reconstruction"],
        help="what it learns by; default: the plan's, else that of MODEL.tflite.json, else what the model's "
        "end speaks for",
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
    _engine(one)
    _samples(one)


def _engine(one: argparse.ArgumentParser) -> None:
    """How `compile` makes the engine: its name, arithmetic, memories."""
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
        type=_ram,
        metavar="BYTES",
        help="what the engine may take of RAM, stack included, or a board's name for what that leaves: the "
        "more, the fewer cycles; default: little",
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
        "--constants-at",
        type=_constants_at,
        metavar="ADDRESS",
        help="read weights and other constants from an image of their own at this address of the flash, or "
        "where a board has them, by its name; sketch --board does so by itself (docs/sketch.md)",
    )


def _samples(one: argparse.ArgumentParser) -> None:
    """What `compile` leaves for the device to meet, and what it ships with the engine."""
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


def _verify(one: argparse.ArgumentParser) -> None:
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


def _report(one: argparse.ArgumentParser) -> None:
    one.add_argument("folder", metavar="DIR")
    one.add_argument("--board", default="nano33ble", help="whose core, clock and limits (default: nano33ble)")
    one.add_argument("--json", action="store_true", help="as JSON")
    one.add_argument("--steps", type=_positive, default=2, help="training steps to run (default: 2)")
    one.add_argument("--per-op", action="store_true", help="the cycles of every kernel call, too")
    one.add_argument("--picture", metavar="FILE", help="draw the memory plan, too (.png, .svg or .pdf)")
    one.add_argument("--html", metavar="FILE", help="write a page to look at, too: one file, no network")
    one.add_argument("--log", metavar="RUN.jsonl", help="of tfodl board: what it learned, on the page, too")


def _sketch(one: argparse.ArgumentParser) -> None:
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
    one.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="DIR",
        help="another engine of the same sketch, once for each; what this one keeps lies before theirs",
    )


def _patch(one: argparse.ArgumentParser) -> None:
    one.add_argument("model", metavar="MODEL.tflite")
    one.add_argument("--weights", required=True, metavar="W.npz", help="arrays by tensor name")
    one.add_argument("--out", required=True, metavar="NEW.tflite")


def _learned(one: argparse.ArgumentParser) -> None:
    one.add_argument("folder", metavar="DIR")
    one.add_argument("--store", required=True, metavar="AREA.bin", help="its store's flash, byte by byte")
    one.add_argument("--out", required=True, metavar="NEW.tflite")


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + "."
    )
    return one


def _ram(text: str) -> int:
    if text in BOARDS:
        return BOARDS[text].ram_bytes
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither bytes nor a board; boards: {', '.join(BOARDS)}"
        )
    return int(text)


def _constants_at(text: str) -> int:
    row = BOARDS.get(text)
    if row is not None and row.constants is not None:
        return row.constants.start
    try:
        return int(text, 0)
    except ValueError:
        known = ", ".join(name for name, row in BOARDS.items() if row.constants is not None)
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither an address, as 0x90000, nor a board with a place for constants: {known}"
        ) from None


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number >= 1")
    return value
