"""The `tfodl` command: demo, finetune, quantize, board, plan show. Errors are one line and exit status 2."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tflm_export.errors import TfodlError, missing_package
from tflm_export.options import Parser
from tflm_export.plan import Budget, UpdatePlan
from tflm_export.pool_options import PoolOptions, add_pool_options
from tfodl.board.commands import add_board
from tfodl.jobs.settings import FinetuneJob, QuantizeJob
from tfodl.quiet import starting


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; returns the exit status (0 done, 2 the request cannot be met)."""
    args = _parser().parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    try:
        args.run(args)
    except (TfodlError, OSError) as error:
        print(f"tfodl: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"tfodl: {missing_package(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tfodl: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="tfodl", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    _add_demo(commands)
    _add_finetune(commands)
    _add_quantize(commands)
    add_board(commands)
    plan = commands.add_parser("plan", help="look at update plans").add_subparsers(
        dest="action", required=True, parser_class=Parser
    )
    show = plan.add_parser("show", help="print a plan as a table")
    show.add_argument("plan", help="plan JSON")
    show.set_defaults(run=lambda args: print(plan_table(UpdatePlan.load(args.plan))))
    return parser


def _add_demo(commands: argparse._SubParsersAction[Any]) -> None:
    demo = commands.add_parser(
        "demo", help="the whole way: data, float, int8, compile, verify, learn, sketch"
    )
    demo.add_argument("--out", default="build/demo", help="output folder (default build/demo)")
    demo.add_argument("--data", default="digits", help="data set name or a folder with a sub-folder a class")
    demo.add_argument(
        "--model", default="tiny_mobilenet", help="model name, .keras file or keras.applications name"
    )
    demo.add_argument("--size", type=int, help="resize pictures to SIZE x SIZE (a .keras file says its own)")
    demo.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    demo.add_argument("--seed", type=int, default=0)
    demo.set_defaults(run=_run_demo)


def _add_finetune(commands: argparse._SubParsersAction[Any]) -> None:
    tune = commands.add_parser(
        "finetune",
        help="fine-tune a Keras model under a budget; writes model and plan",
        argument_default=argparse.SUPPRESS,
    )
    _add_job_flags(tune, "model name, .keras file or keras.applications name")
    budget = tune.add_mutually_exclusive_group()
    budget.add_argument("--budget-params", type=int, help="trained parameters an epoch, head apart")
    budget.add_argument("--budget-ram", type=int, help="RAM of the compiled engine, static and stack, bytes")
    tune.add_argument(
        "--fit", metavar="BOARD", help="keep the engine within this board (default nano33ble); none: any size"
    )
    tune.add_argument(
        "--method",
        help="importance_random (default), top_layers_random, velocity, random, fisher, equilibrium, scotti, "
        "head, all",
    )
    tune.add_argument("--momentum", type=float, help="of SGD (default 0; 4 B a trained weight on the board)")
    tune.add_argument("--head-epochs", type=int, help="of the classifier alone first (default: if it is new)")
    tune.add_argument(
        "--device-batch",
        type=int,
        help="samples a step on the board (default: the batch size)",
    )
    tune.set_defaults(run=_run_finetune)


def _add_quantize(commands: argparse._SubParsersAction[Any]) -> None:
    quantize = commands.add_parser(
        "quantize", help="QAT and conversion to an int8 .tflite", argument_default=argparse.SUPPRESS
    )
    _add_job_flags(quantize, "a .keras file")
    quantize.add_argument(
        "--plan", help="an update plan of this model; written out addressed to the .tflite's ops"
    )
    quantize.add_argument(
        "--exemplars",
        type=int,
        metavar="N",
        help="write N training pictures of every class for the device, too",
    )
    add_pool_options(quantize)
    quantize.set_defaults(run=_run_quantize)


def _add_job_flags(command: argparse.ArgumentParser, model: str) -> None:
    """The flags of every job; what is not given is left to the job's own defaults."""
    command.add_argument("--model", required=True, help=model)
    command.add_argument(
        "--data", required=True, help="data set name, .npz file, folder of pictures, .csv or .wav"
    )
    command.add_argument(
        "--input",
        metavar="SCALING",
        help="how pixels reach the model: -1..1, 0..1, 0..255, torch, caffe, LOW..HIGH or MEAN,STD "
        "(--input=-1..1); default: as the model says or was published",
    )
    command.add_argument("--weights", metavar="imagenet", help="published weights of a model by name")
    command.add_argument("--epochs", type=int)
    command.add_argument("--batch-size", type=int)
    command.add_argument("--learning-rate", type=float)
    command.add_argument(
        "--size", type=int, help="resize pictures to SIZE x SIZE (a .keras file says its own)"
    )
    command.add_argument("--skip-bad", action="store_true", help="leave out pictures that cannot be read")
    command.add_argument("--window", type=int, help="rows (.csv) or samples (.wav) cut from a recording")
    command.add_argument(
        "--stride", type=int, help="from one window to the next (default: half; sounds: all)"
    )
    command.add_argument("--seed", type=int)
    command.add_argument("--calibration", type=int, help="samples that activation ranges are found by")
    command.add_argument("--out", required=True, help="output folder")


def _run_demo(args: argparse.Namespace) -> None:
    with starting():
        from tfodl.demo import DemoConfig, run

    run(DemoConfig(**_settings(DemoConfig, vars(args))))


def _run_finetune(args: argparse.Namespace) -> None:
    given = vars(args)
    budget = Budget(params=given.get("budget_params"), ram_bytes=given.get("budget_ram"))
    job = FinetuneJob(budget=budget, **_settings(FinetuneJob, given))
    with starting():
        from tfodl.jobs.finetune import finetune

    finetune(job)


def _run_quantize(args: argparse.Namespace) -> None:
    given = vars(args)
    job = QuantizeJob(**_settings(QuantizeJob, given) | {"chooses": PoolOptions.of(given)})
    with starting():
        from tfodl.jobs.quantize import quantize

    quantize(job)


def _settings(job: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given flags that are settings of `job`."""
    return {field.name: given[field.name] for field in dataclasses.fields(job) if field.name in given}


def plan_table(plan: UpdatePlan) -> str:
    """The plan as text: a line a layer, then head, budget and optimizer.

    >>> from tflm_export.plan import LayerUpdate
    >>> print(plan_table(UpdatePlan((LayerUpdate("conv", "out", (0, 1, 2, 7), "selected"),))).splitlines()[1])
    conv   out       4  selected  0-2 7
    """
    width = max([5, *(len(layer.name) for layer in plan.layers)])
    lines = [f"{'layer':<{width}}  axis  count  bias      channels"]
    for layer in plan.layers:
        count = len(layer.channels)
        row = (
            f"{layer.name:<{width}}  {layer.axis:<4}  {count:>5}  {layer.bias:<8}  {_ranges(layer.channels)}"
        )
        lines.append(row.rstrip())
    limits = {k: v for k, v in vars(plan.budget).items() if v is not None}
    lines.append(
        f"head: {'trains' if plan.head else 'frozen'}; budget: {limits or 'none'}; loss: {plan.loss}"
    )
    rule = ", ".join(f"{k} {v}" for k, v in vars(plan.optimizer).items())
    lines.append(f"optimizer: {rule}; seed {plan.seed}")
    if plan.candidates:
        lines.append(f"candidates: {', '.join(plan.candidates)}")
    if plan.memory is not None:
        facts = {name: value for name, value in vars(plan.memory).items() if value is not None}
        lines.append("memory: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
    if plan.guard is not None:
        lines.append("guard: " + ", ".join(f"{name} {value}" for name, value in vars(plan.guard).items()))
    lines += [f"{key}: {value}" for key, value in plan.provenance.items()]
    return "\n".join(lines)


def _ranges(channels: Sequence[int]) -> str:
    """Consecutive channels as `first-last`: (0, 1, 2, 7) -> "0-2 7"."""
    runs: list[list[int]] = []
    for channel in channels:
        if runs and channel == runs[-1][-1] + 1:
            runs[-1].append(channel)
        else:
            runs.append([channel])
    return " ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


if __name__ == "__main__":
    sys.exit(main())
