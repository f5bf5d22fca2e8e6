"""Training on the host: step time and peak memory of update plans, against two ways without them.

    python benchmarks/host.py                               every net of the table, some 25 minutes
    python benchmarks/host.py --case mobilenet_v2-0.35@96   one net, 3 minutes
    python benchmarks/host.py --no-memory                   step times only

(a) plain Keras `fit`, everything trainable; (b) the papers' way: everything trainable, gradients masked after
a full backward pass. All variants of a net run in turns within one process, so their ratios do not hang on
what else the machine does; each has its peak memory (resident set over the built model's) measured in a
process of its own. Writes build/bench/host.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import tfodl
from tflm_export.files import write_text
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl import models, schemes
from tfodl.neurons.cost import full_plan, plan_cost
from tfodl.neurons.group import NeuronGroup, whole

BATCH, CLASSES, SHARE = 32, 10, 0.088
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    f"mobilenet_v2-{width}@{size}": ("mobilenet_v2", {"width": width, "input_shape": (size, size, 3)})
    for width in (0.35, 1.0)
    for size in (96, 128)
} | {name: (name, {"input_shape": (64, 64, 3)}) for name in ("resnet18", "resnet50")}
OUT = Path("build/bench/host.json")
PLANS = Path("build/bench/plans")
NORMS_TRAIN = ("a: plain Keras", "b: masked after full backward", "all", "velocity 8.8 %")
NO_MEMORY = ("b: masked after full backward", "all", "all, norms frozen", "head")


class MaskedAfterwards(keras.Model):
    """What the papers' code does: gradients of everything, then masks."""

    def __init__(self, base: keras.Model, plan: UpdatePlan) -> None:
        super().__init__()
        self.base = base
        selective = tfodl.SelectiveModel(base, plan)
        trained = {id(v): mask for v, mask in selective.trained()}
        self._mask_of = [trained.get(id(v), False) for v in base.trainable_variables]
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.base(x, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred)
        variables = self.base.trainable_variables
        gradients = tape.gradient(loss, [v.value for v in variables])
        masked = [_masked(g, m) for g, m in zip(gradients, self._mask_of, strict=True)]
        self.optimizer.apply(masked, variables)
        return self.compute_metrics(x, y, y_pred)


def _masked(gradient: Any, mask: Any) -> Any:
    if mask is None:
        return gradient
    return tf.zeros_like(gradient) if mask is False else tf.where(mask, gradient, tf.zeros_like(gradient))


def compiled(model: keras.Model) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss, metrics=["accuracy"])
    return model


def build(case: str) -> keras.Model:
    name, options = CASES[case]
    keras.utils.set_random_seed(0)
    return models.build(name, classes=CLASSES, **options)


def batches(case: str) -> tf.data.Dataset:
    shape = CASES[case][1]["input_shape"]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(BATCH, *shape)).astype(np.float32), rng.integers(0, CLASSES, BATCH)
    return tf.data.Dataset.from_tensors((x, y)).repeat()


def velocity_plan(case: str, batchnorm: bool) -> UpdatePlan:
    """What `VelocitySelection` chooses at 8.8 % after two short epochs; kept while this run lasts."""
    path = PLANS / f"{case}-{batchnorm}.json"
    if path.exists():
        return UpdatePlan.load(path)
    model = compiled(tfodl.SelectiveModel(build(case)))
    held_out = next(iter(batches(case)))[0][:8]
    callback = tfodl.VelocitySelection(SHARE, validation_data=held_out.numpy(), batchnorm=batchnorm)
    model.fit(batches(case), steps_per_epoch=2, epochs=2, verbose=0, callbacks=[callback])
    callback.plans[-1].save(path)
    return callback.plans[-1]


def scheme_plan(name: str, groups: tuple[NeuronGroup, ...]) -> UpdatePlan:
    """A published scheme; where a bias is a batch norm's beta, gamma and beta train on frozen averages."""
    convs = [group for group in groups if group.kind in ("conv", "depthwise")]
    scheme = schemes.SCHEMES[name]
    norms = [group.batchnorm for group in convs[-scheme.biases :] if group.batchnorm]
    known = {group.layer: group for group in groups}
    rows = [LayerUpdate(norm, "out", whole(known[norm]).channels, "none") for norm in norms]
    return UpdatePlan((*schemes.plan(name, groups).layers, *rows))


def frozen_norms(plan: UpdatePlan, groups: tuple[NeuronGroup, ...]) -> UpdatePlan:
    norms = {group.layer for group in groups if group.kind == "batchnorm"}
    return UpdatePlan(tuple(entry for entry in plan.layers if entry.name not in norms), head=plan.head)


def plain(case: str, train_norms: bool = True) -> keras.Model:
    model = build(case)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = train_norms
    return model


def variants(case: str) -> dict[str, Callable[[], keras.Model]]:
    """Name to maker of a model that is ready to compile."""

    def selective(make_plan: Callable[[tuple[NeuronGroup, ...]], UpdatePlan]) -> Callable[[], keras.Model]:
        def make() -> keras.Model:
            model = tfodl.SelectiveModel(build(case))
            model.set_plan(make_plan(model.groups))
            return model

        return make

    rows: dict[str, Callable[[], keras.Model]] = {
        "a: plain Keras": lambda: plain(case),
        "a': plain Keras, norms frozen": lambda: plain(case, train_norms=False),
        "b: masked after full backward": lambda: MaskedAfterwards(build(case), velocity_plan(case, True)),
        "all": selective(full_plan),
        "all, norms frozen": selective(lambda groups: frozen_norms(full_plan(groups), groups)),
        "velocity 8.8 %": selective(lambda groups: velocity_plan(case, True)),
        "velocity 8.8 %, norms frozen": selective(lambda groups: velocity_plan(case, False)),
        "head": selective(lambda groups: UpdatePlan()),
    }
    if case.startswith("mobilenet_v2"):
        for name in (name for name in schemes.SCHEMES if name.startswith("mbv2")):
            rows[f"scheme {name}"] = selective(lambda groups, name=name: scheme_plan(name, groups))
    return rows


def step_times(case: str, names: list[str], rounds: int, steps: int) -> dict[str, dict[str, float]]:
    """Least seconds a step, and seconds to the first step, of each variant, in turns."""
    makers, data = variants(case), batches(case)
    ready, rows = {}, {}
    for name in names:
        ready[name] = compiled(makers[name]())
        start = time.perf_counter()
        ready[name].fit(data, steps_per_epoch=2, verbose=0)
        rows[name] = {"first_s": time.perf_counter() - start, "step_s": float("inf")}
    for _ in range(rounds):
        for name, model in ready.items():
            start = time.perf_counter()
            model.fit(data, steps_per_epoch=steps, verbose=0)
            rows[name]["step_s"] = min(rows[name]["step_s"], (time.perf_counter() - start) / steps)
    for name, model in ready.items():
        if isinstance(model, tfodl.SelectiveModel):
            rows[name] |= _plan_facts(model)
    return rows


def _plan_facts(model: tfodl.SelectiveModel) -> dict[str, float]:
    cost = plan_cost(model.plan, model.groups)
    return {
        "share": cost.share,
        "forward_macs": cost.macs.forward,
        "dx_macs": cost.macs.dx,
        "dw_macs": cost.macs.dw,
        "flops_saved": cost.flops_saved,
        "flops_saved_paper": cost.flops_saved_paper,
    }


def peak_bytes(case: str, name: str) -> int:
    """Peak resident memory that training adds to the built model, in a fresh process."""
    command = [sys.executable, __file__, "--case", case, "--child", name]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def child(case: str, name: str) -> None:
    data = batches(case)
    model = compiled(variants(case)[name]())
    model.predict(data, steps=1, verbose=0)
    before = _status("VmRSS")
    model.fit(data, steps_per_epoch=2, verbose=0)
    print(max(0, _status("VmHWM") - before))


def _status(field: str) -> int:
    """A field of /proc/self/status, bytes. (`getrusage` would count the parent's peak, too.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def table(case: str, rows: dict[str, dict[str, Any]]) -> str:
    a, frozen = rows["a: plain Keras"], rows["a': plain Keras, norms frozen"]
    lines = [
        f"{case}, batch {BATCH}",
        f"{'':36s} {'ms':>7s} {'x a':>6s} {'x full':>6s} {'MB':>6s} {'x a':>6s}",
    ]
    for name, row in rows.items():
        same = a if name in NORMS_TRAIN else frozen
        row["ratio"], row["ratio_same_mode"] = row["step_s"] / a["step_s"], row["step_s"] / same["step_s"]
        line = f"{name:36s} {row['step_s'] * 1e3:7.1f} {row['ratio']:6.2f} {row['ratio_same_mode']:6.2f}"
        if "peak_bytes" in row:
            row["memory_ratio"] = row["peak_bytes"] / a["peak_bytes"]
            line += f" {row['peak_bytes'] / 1e6:6.0f} {row['memory_ratio']:6.2f}"
        lines.append(line)
    return "\n".join(lines)


def names_of(case: str, all_schemes: bool) -> list[str]:
    return [name for name in variants(case) if all_schemes or not _later_scheme(name)]


def add_memory(case: str, rows: dict[str, dict[str, Any]]) -> None:
    for name in (name for name in rows if name not in NO_MEMORY):
        print(f"  memory: {name}", file=sys.stderr, flush=True)
        rows[name]["peak_bytes"] = peak_bytes(case, name)


def _later_scheme(name: str) -> bool:
    return name.startswith("scheme") and not name.endswith("49kb")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", default="all", choices=[*CASES, "all"])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--all-schemes", action="store_true", help="every published scheme, not only 49 KB")
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.case, arguments.child)
    for path in PLANS.glob("*.json"):
        path.unlink()
    facts = {"batch": BATCH, "cpus": os.cpu_count(), "tensorflow": tf.__version__, "keras": keras.__version__}
    report: dict[str, Any] = {**facts, "cases": {}}
    for case in CASES if arguments.case == "all" else [arguments.case]:
        rows = step_times(case, names_of(case, arguments.all_schemes), arguments.rounds, arguments.steps)
        report["cases"][case] = rows
        for again in (False, True) if arguments.memory else (False,):
            if again:
                add_memory(case, rows)
            print(table(case, rows), flush=True)
            write_text(arguments.out, json.dumps(report, indent=2) + "\n")
    return None


if __name__ == "__main__":
    main()
