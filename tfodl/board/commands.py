"""The flags of `tfodl board`."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from tflm_export.options import Parser
from tfodl.quiet import starting


def add_board(commands: argparse._SubParsersAction[Any]) -> None:
    """Add `board` with its actions to the command line."""
    actions = commands.add_parser(
        "board", help="teach a board over its cable, read and write what it learned"
    )
    one = actions.add_subparsers(dest="action", required=True, parser_class=Parser)
    _add_learn(one)
    pull = _action(one, "pull", _pull, "write what a board learned as a .tflite")
    pull.add_argument("engine", metavar="ENGINE", help="folder of the engine that it runs")
    pull.add_argument("--out", required=True, metavar="NEW.tflite")
    push = _action(one, "push", _push, "write a learned .tflite into a board, and save it there")
    push.add_argument("engine", metavar="ENGINE", help="folder of the engine that it runs")
    push.add_argument("model", metavar="LEARNED.tflite")
    constants = _action(one, "constants", _constants, "write an engine's constants beside a board's sketch")
    constants.add_argument("engine", metavar="ENGINE", help="folder of the engine that it runs")
    constants.add_argument("--over", action="store_true", help="whatever lies there, write over it")
    _action(one, "about", _about, "what a board runs and how it stands, as JSON")


def _action(one: argparse._SubParsersAction[Any], name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = one.add_parser(name, help=text, argument_default=argparse.SUPPRESS)
    parser.add_argument("--port", help="serial port (default: the one with a board on it)")
    parser.set_defaults(run=run)
    return parser


def _add_learn(one: argparse._SubParsersAction[Any]) -> None:
    learn = _action(one, "learn", _learn, "stream samples into a board and watch it learn")
    learn.add_argument("engine", metavar="ENGINE", help="folder of the engine that it runs")
    learn.add_argument(
        "--data", required=True, help="data set name, .npz file, folder of pictures, .csv or .wav"
    )
    learn.add_argument("--sim", action="store_true", help="the very sketch, run on this computer")
    learn.add_argument("--order", help="classes, shuffled (default) or drifting")
    learn.add_argument("--domain", choices=["source", "target"], help="of digits (default source)")
    learn.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    learn.add_argument("--seed", type=int, help="of the order (default 0)")
    learn.add_argument(
        "--classes",
        type=lambda text: tuple(text.split(",")),
        metavar="NAME,NAME",
        help="names of the engine's classes, in order, for a board that tells none",
    )
    learn.add_argument("--samples", type=int, metavar="N", help="of the stream (default: all)")
    learn.add_argument("--tests", type=int, metavar="N", help="held-out samples that judge (default 200)")
    learn.add_argument(
        "--save-every", type=int, metavar="N", help="samples between two saves (default: the end)"
    )
    learn.add_argument("--evaluate-every", type=int, metavar="N", help="samples (default: start and end)")
    learn.add_argument("--rest", type=int, metavar="N", help="rounds of replays after the stream")
    learn.add_argument("--rate", type=float, help="learning rate (default: the plan's)")
    learn.add_argument(
        "--fresh", action="store_true", help="begin with what was flashed; forgets what was learned"
    )
    learn.add_argument("--log", metavar="RUN.jsonl", help="log of the run (default run.jsonl)")
    learn.add_argument("--html", metavar="FILE", help="page of the run (default board.html)")
    learn.add_argument("--out", metavar="NEW.tflite", help="write what was learned")
    learn.add_argument("--unplug", type=int, metavar="N", help="with --sim: pull the cable after N samples")


def _learn(args: argparse.Namespace) -> None:
    with starting():
        from tfodl.board.job import LearnJob, learn
    given = vars(args)
    learn(LearnJob(**{f.name: given[f.name] for f in dataclasses.fields(LearnJob) if f.name in given}))


def _pull(args: argparse.Namespace) -> None:
    from tfodl.board.job import pull

    pull(args.engine, args.out, getattr(args, "port", None))


def _push(args: argparse.Namespace) -> None:
    from tfodl.board.job import push

    push(args.engine, args.model, getattr(args, "port", None))


def _constants(args: argparse.Namespace) -> None:
    from tfodl.board.job import put_constants

    put_constants(args.engine, getattr(args, "port", None), getattr(args, "over", False))


def _about(args: argparse.Namespace) -> None:
    from tfodl.board.job import about

    print(json.dumps(about(getattr(args, "port", None)), indent=2))
