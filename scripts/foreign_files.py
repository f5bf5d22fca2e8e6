"""Files of other makers: which compile, build, equal TFLite Micro, and learn with right gradients.

    python scripts/foreign_files.py FOLDER

Every `.tflite` below FOLDER with int8 ops goes, in a process of its own with a time-out, through `compile`,
the host build and `verify`; where a head is found, the last layers train, too. FOLDER/index.jsonl, where
there, says whose a file is: lines with `sha` (of the file), `repo` and `path`. To --out go runs.jsonl (one
line a file; a killed run goes on) and table.md.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from runs import Runs
from tqdm import tqdm

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError, TfodlError
from tflm_export.files import write_text
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.gradients.head import head_of, logits_of
from tflm_export.ir import Graph, Op
from tflm_export.machines.tflm import tflm_takes
from tflm_export.ops import OPS, WEIGHTED
from tflm_export.plan import LayerUpdate, UpdatePlan
from tflm_export.report.verify import COSINE, Verification, verify
from tflm_export.usual import usual_plan

flags.DEFINE_integer("blocks", 6, "layers with weights before the head that train, too", lower_bound=1)
flags.DEFINE_integer("count", 4, "inferences, and training steps, to compare", lower_bound=1)
flags.DEFINE_integer("seconds", 900, "for one file", lower_bound=1)
flags.DEFINE_integer("workers", 1, "files at a time", lower_bound=1)
flags.DEFINE_string("out", "results/foreign", "folder for results")
flags.DEFINE_string("one", None, "a file: print its row as JSON and end")
FLAGS = flags.FLAGS
MUST = 180  # files with right gradients of the head


def walk(tflite: bytes) -> dict[str, Any]:
    """How far a file comes: `compile`, `equal`, `head` and `blocks`, each with what was said."""
    try:
        compiled = compile_model(tflite, usual_plan(read_tflite(tflite)).plan)
    except (ExportError, TfodlError) as error:
        return {"compile": str(error)}
    row: dict[str, Any] = {"compile": "ok", "learns": compiled.facts["trained_parameters"]}
    result = verify(compiled, count=FLAGS.count, steps=FLAGS.count)
    row |= {"tflm": result.unrun or "runs", "differ": _differ(result), "inputs": result.inputs}
    if row["learns"]:
        return row | {"head": _gradients(result), "blocks": blocks(tflite, compiled.plan)}
    return row


def blocks(tflite: bytes, plan: UpdatePlan) -> str:
    """What comes of training the last layers before the head, too."""
    graph = simplify(read_tflite(tflite))
    layers = [LayerUpdate(op.name, "out", _channels(graph, op), "all" if op.bias else "none")
              for op in last_layers(graph, plan)]  # fmt: skip
    if not layers:
        return "no layer before the head"
    try:
        compiled = compile_model(tflite, UpdatePlan(tuple(layers), head=True, loss=plan.loss))
        return _gradients(verify(compiled, count=1, steps=FLAGS.count, tflm=False))
    except (ExportError, TfodlError) as error:
        return str(error)


def last_layers(graph: Graph, plan: UpdatePlan) -> list[Op]:
    """The last layers with weights of their own on the way to the head, the deepest first."""
    head = head_of(graph, logits_of(graph, plan.loss))
    way, found = set(head.inputs[:1]), []
    for op in reversed(graph.ops):
        if way & set(op.outputs):
            way |= set(op.inputs)
            own = op.kind in WEIGHTED and len(graph.consumers(op.inputs[1])) == 1
            found += [op] if own and graph.tensors[op.inputs[1]].data is not None else []
    return found[: FLAGS.blocks][::-1]


def _channels(graph: Graph, op: Op) -> tuple[int, ...]:
    """The output channels whose weights may train: all that hold no -128; none of a dilated convolution."""
    weights, axis = graph.constant(op.inputs[1]), OPS[op.kind].axes["out"]
    lowest = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1).min(axis=1)
    return () if "dilated" in op.attrs else tuple(np.flatnonzero(lowest > -128).tolist())


def _gradients(result: Verification) -> str:
    """The lowest cosine, or what differs."""
    if result.weight_mismatches:
        return f"{result.weight_mismatches} weights differ"
    return f"{result.lowest_cosine:.5f}"


def _differ(result: Verification) -> int:
    return result.simulator_mismatches + (result.tflm_mismatches or 0)


def is_int8(tflite: bytes) -> bool:
    """Whether most values that a file's ops compute are int8."""
    import tflite as schema

    try:
        model = schema.Model.GetRootAsModel(tflite, 0)
        types: Counter[int] = Counter()
        for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
            ops = map(graph.Operators, range(graph.OperatorsLength()))
            outputs = [op.Outputs(i) for op in ops for i in range(op.OutputsLength())]
            types.update(graph.Tensors(i).Type() for i in outputs if i >= 0)
    except Exception:  # a damaged file is somebody's int8 file, too
        return True
    rivals = (schema.TensorType.INT16, schema.TensorType.UINT8, schema.TensorType.FLOAT32)
    return types[schema.TensorType.INT8] > max(types[kind] for kind in rivals)


def ran(path: Path) -> dict[str, Any]:
    """A file's row, walked in a process of its own; a crash or a time-out is a finding."""
    command = [sys.executable, __file__, "--one", str(path), *sys.argv[1:]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FLAGS.seconds)
    except subprocess.TimeoutExpired:
        return {"compile": f"time-out after {FLAGS.seconds} s", "tflm": "not asked"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return {"compile": f"crash, status {done.returncode}: {last}", "tflm": "not asked"}
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def origin(folder: Path) -> dict[str, str]:
    """Project and path by the file's SHA-256, as FOLDER/index.jsonl has them."""
    index = folder / "index.jsonl"
    lines = map(json.loads, index.read_text().splitlines()) if index.is_file() else ()
    return {line["sha"]: f"{line['repo']}: {line['path']}" for line in lines if "sha" in line}


def outcome(row: dict[str, Any]) -> str:
    """One word, or a few."""
    if row["compile"] != "ok":
        return row["compile"].split(",")[0] if is_fault(row["compile"]) else "refused"
    if row["differ"]:
        return f"{row['differ']} outputs differ"
    return "equal" if row["tflm"] == "runs" else "equals numpy"


def is_fault(said: str) -> bool:
    """Whether it is no refusal in one line."""
    return said.startswith(("crash", "time-out"))


def right(said: str) -> bool:
    """Whether gradients are right, by what `_gradients` said."""
    return said.startswith("1.") or (said.startswith("0.") and float(said) >= COSINE)


def table(rows: list[dict[str, Any]]) -> str:
    """Sums, then a line a file."""
    taken = [row for row in rows if row["tflm"] == "runs"]
    compiled = [row for row in taken if row["compile"] == "ok"]
    heads = [row for row in rows if "head" in row]
    projects = {str(row["file"]).partition(": ")[0] for row in rows}
    deep = [row["blocks"] for row in heads if row["blocks"] != "no layer before the head"]
    lines = [
        f"{len(rows)} int8 files of {len(projects)} projects; TFLite Micro takes {len(taken)} of them. "
        "Of these:",
        "",
        "| | files |",
        "|---|--:|",
        f"| compile | {len(compiled)} ({100 * len(compiled) / max(1, len(taken)):.1f} %) |",
        f"| build and equal TFLite Micro bit for bit | {sum(outcome(row) == 'equal' for row in compiled)} |",
        f"| crash, or run out of time | {sum(is_fault(row['compile']) for row in rows)} |",
        f"| have a head that learns | {len(heads)} |",
        f"| its gradients are right (must {MUST}) | {sum(right(row['head']) for row in heads)} |",
        f"| those of {FLAGS.blocks} layers before it, too | {sum(map(right, deep))} of {len(deep)} |",
        "",
        "| file | SHA-256 | outcome | gradients: head | last layers | said |",
        "|---|---|---|--:|--:|---|",
    ]
    for row in sorted(rows, key=lambda row: str(row["file"])):
        said = row["compile"] if row["compile"] != "ok" else "" if row["tflm"] == "runs" else row["tflm"]
        deeper = row.get("blocks", "")
        said, deeper = (said, deeper) if right(deeper) or not deeper else (said + deeper, "-")
        lines.append(
            f"| {row['file']} | {row['sha256'][:16]} | {outcome(row)} | {row.get('head', '')} | {deeper} "
            f"| {' '.join(said.split())[:150].replace('|', '/')} |"
        )
    return "\n".join(lines) + "\n"


def files(folder: Path) -> list[tuple[str, Path]]:
    """SHA-256 and path of every int8 file, each content once, the small ones first."""
    paths = sorted(folder.rglob("*.tflite"), key=lambda path: path.stat().st_size)
    found = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}
    return [(sha, path) for sha, path in found.items() if is_int8(path.read_bytes())]


def one(path: Path) -> None:
    """Print the row of one file."""
    tflite = path.read_bytes()
    row = walk(tflite)
    if "tflm" not in row:
        try:
            tflm_takes(tflite)
            row["tflm"] = "runs"
        except ExportError as error:
            row["tflm"] = str(error)
    print(json.dumps(row))


def main(arguments: list[str]) -> None:
    if FLAGS.one:
        one(Path(FLAGS.one))
        return
    if len(arguments) != 2:
        raise app.UsageError("give the folder of files")
    folder, out = Path(arguments[1]), Path(FLAGS.out)
    named, runs = origin(folder), Runs(out / "runs.jsonl")
    with ThreadPoolExecutor(FLAGS.workers) as pool:
        todo = files(folder)

        def row(item: tuple[str, Path]) -> dict[str, Any]:
            sha, path = item
            return runs.get({"sha256": sha}, lambda: {"file": named.get(sha, path.name)} | ran(path))

        rows = list(tqdm(pool.map(row, todo), total=len(todo), unit="file"))
    write_text(out / "table.md", table(rows))


if __name__ == "__main__":
    app.run(main)
