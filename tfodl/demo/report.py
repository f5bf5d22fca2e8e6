"""What the demo leaves behind: `report.html`, `report.json`, `report.md`, pictures, and the table on the
terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tflm_export.files import write_text
from tflm_export.living.selection import Selection
from tflm_export.page.document import Section
from tflm_export.report.draw_selection import draw_selections
from tflm_export.report.engine_page import engine_page
from tflm_export.report.seen_sections import accuracy_section, selection_section
from tfodl.demo.adapt import Outcome
from tfodl.demo.choosing import Chosen
from tfodl.demo.device import Learning
from tfodl.demo.streams import REPLAYS, REST, SAMPLES, SHIPPED, SHOWN
from tfodl.experiments.figures import accuracy_figure, save_figure, selection_figure
from tfodl.stream.result import StreamResult


def table(report: Mapping[str, Any]) -> str:
    """The short table that ends the demo."""
    a = report["accuracy"]
    ram = f"arena {report['arena_bytes']:,} + other static " + (
        f"{report['static_ram_bytes'] - report['arena_bytes']:,} + stack {report['stack_bytes']:,}"
    )
    rows = [
        ("accuracy, source domain, float", f"{a['source']:.1%}"),
        (
            "accuracy, target domain, before",
            f"{a['target_before']:.1%} float, {a['device_before']:.1%} device",
        ),
        ("accuracy, target domain, after", f"{a['float_after']:.1%} float, {a['device_after']:.1%} device"),
        *((f"  {name}", f"{value:.1%}") for name, value in _by_method(report).items()),
        ("RAM", f"{report['total_ram_bytes']:,} B = {ram}"),
        ("flash", f"{report['flash_bytes']:,} B"),
        ("inference", _work(report, "inference")),
        ("training step", _work(report, "train_step")),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _work(report: Mapping[str, Any], kind: str) -> str:
    """Cycles, time on every board, cycles a MAC, instructions."""
    times = ", ".join(f"{ms[kind]:,.1f} ms on {name}" for name, ms in report["milliseconds"].items())
    return (
        f"{report['cycles'][kind]:,} cycles = {times}, {report['cycles_a_mac'][kind]:.2f} a MAC, "
        f"{report['instructions'][kind]:,} instructions"
    )


def _streams(report: Mapping[str, Any]) -> str:
    """A row a stream, and the accuracies before."""
    accuracy = report["accuracy"]
    rows = [f"| before | {accuracy['device_before']:.1%} | {accuracy['device_source']:.1%} | |"]
    for name, found in report["streams"].items():
        target, source = (found["accuracy"][domain] for domain in ("target", "source"))
        rows.append(f"| {name} | {target:.1%} | {source:.1%} | {found['forgetting']['target']:.1%} |")
    return "\n".join(rows)


def _by_method(report: Mapping[str, Any]) -> dict[str, float]:
    """Accuracy on the target domain after adaptation: in float, on the int8 graph in Keras, on the device."""
    return {
        **{f"{name}, float": value for name, value in report["float_methods"].items()},
        "velocity, int8 in Keras": report["int8_accuracy"][-1],
        "device's plan, float": report["accuracy"]["float_after"],
        "device's plan, device": report["accuracy"]["device_after"],
    }


def write(
    out: Path, report: Mapping[str, Any], methods: Mapping[str, Outcome], learning: Learning,
    channels: Mapping[str, int], memory_figure: Any, played: Mapping[str, StreamResult],
    chosen: Chosen | None,
) -> None:  # fmt: skip
    """Write every file of the report to `out`."""
    write_text(out / "report.json", json.dumps(report, indent=2) + "\n")
    sections = seen(learning, played, methods["velocity"], channels)
    if chosen is not None:
        sections.append(chosen_section(chosen))
        draw_selections(chosen.history, chosen.channels, out / "chosen.png")
    write_text(out / "report.html", engine_page(report, sections))
    accuracies = report["accuracy"]
    levels = {"before": accuracies["target_before"], "float": accuracies["float_after"]}
    in_keras = (accuracies["device_before"], *report["int8_accuracy"])
    curves = {
        "device, int8": (learning.samples, learning.accuracy),
        "Keras, int8, velocity": ([i * report["samples"] for i in range(len(in_keras))], in_keras),
    }
    save_figure(accuracy_figure(curves, levels, "labelled samples learnt from"), out / "accuracy.png")
    save_figure(selection_figure(methods["velocity"].plans, channels), out / "selection.png")
    save_figure(memory_figure, out / "memory.png")
    write_text(out / "report.md", markdown(report))


def seen(
    learning: Learning, played: Mapping[str, StreamResult], chosen: Outcome, channels: Mapping[str, int]
) -> list[Section]:
    """What the page shows of the learning: on the device, over the streams, and what velocity chose."""
    device = {"device, int8": list(zip(learning.samples, learning.accuracy, strict=True))}
    streams = {
        name: list(zip(result.samples.tolist(), result.overall["target"].tolist(), strict=True))
        for name, result in played.items()
    }
    epochs = [
        Selection(epoch, 0, {layer.name: layer.channels for layer in plan.layers if layer.name in channels})
        for epoch, plan in enumerate(chosen.plans)
    ]
    return [
        accuracy_section(device, title="Learning on the device"),
        accuracy_section(streams, title="The same pictures, class after class"),
        selection_section(epochs, channels),
    ]


def chosen_section(chosen: Chosen) -> Section:
    """What the device itself chose."""
    return selection_section(chosen.history, chosen.channels, title="What the device chose")


def chosen_text(facts: Mapping[str, Any] | None) -> str:
    """The same in words, with its picture; nothing where no device chose."""
    if facts is None:
        return ""
    target, source = (facts["stream"]["accuracy"][domain] for domain in ("target", "source"))
    return f"""
## What the device chose
![what the device chose](chosen.png)

The target pictures once, shuffled, through an engine that chooses by itself: of {facts["channels"]:,}
channels of {len(facts["candidates"])} layers those learn that a pool of {facts["pool_bytes"]:,} B holds,
chosen anew by {facts["rule"]} every {facts["epoch_steps"]:,} steps.
In the end {target:.1%} on target, {source:.1%} on source.
A row a channel, a column an epoch, black where it learned.
"""


def markdown(report: Mapping[str, Any]) -> str:
    """The report for people."""
    methods = "\n".join(f"| {name} | {value:.1%} |" for name, value in _by_method(report).items())
    checks = report["verification"]
    stages = "\n".join(f"| {name} | {seconds:.1f} |" for name, seconds in report["seconds"].items())
    return f"""# A board that learns

[The same as a page](report.html), with memory, layers and flash.

```
{table(report)}
```

## Learning on the device
![accuracy](accuracy.png)

The emitted engine, batch 1, int8 weights, {report["samples"]:,} labelled target pictures,
{report["steps"]:,} steps; beside it the same int8 graph learning in Keras. Held-out accuracy; the dashed
lines are the float model before adaptation and the device's plan trained in float.

## Memory over one training step
![memory](memory.png)

## The same pictures, class after class
![stream](stream.png)

Nobody shuffles what a device sees. The emitted engine takes the {report["samples"]:,} target pictures once,
one class after the other; accuracy in the end, and forgetting, the mean over classes of the best accuracy on
the way less the last.

| | target | source | forgetting, target |
|---|--:|--:|--:|
{_streams(report)}

A memory keeps {SAMPLES} samples a class and replays {REPLAYS} of them a step; {SHIPPED} source pictures a
class are shipped as exemplars, of which {SHOWN} are learnt again a step; rest is {REST} rounds of replays
when the stream is over. Joint training has all pictures of both domains, shuffled, several times. The picture
is of the stream with replay and exemplars: thin lines are classes, black is all; large dots are what the
memory held in the end.
{chosen_text(report["chosen"])}
## Adaptation to the target domain
| method | accuracy |
|---|---|
| no adaptation | {report["accuracy"]["target_before"]:.1%} |
{methods}

Random and velocity choose neurons under {report["budget_share"]:.0%} of the selectable parameters anew
every epoch; the head always trains. The device's plan is the last that velocity chose in float; it learns
one sample at a time. The int8 graph in Keras has the device's forward pass bit for bit, scales gradients
by QAS and rounds updates as the device does, but learns in batches: velocity begins with the device's plan
and chooses anew every epoch. Channels chosen in float, per layer and epoch:

![selection](selection.png)

## Verification
- logits against TFLite Micro's interpreter, {checks["inputs"]} real inputs:
  {checks["tflm_mismatches"]} differ;
- {checks["steps"]} training steps on the host against the numpy specification:
  {checks["weight_mismatches"]} weights differ;
- {checks["board_steps"]} training steps on the emulated Cortex-M4F against the host:
  {checks["board_mismatches"]} weights differ;
- gradients against TensorFlow on the dequantised graph: lowest cosine of a tensor
  {checks["tensorflow_cosine"]:.5f}.

## Time
| stage | seconds |
|---|---|
{stages}
"""
