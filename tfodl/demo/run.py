"""The demo's stages in order: the only place that knows them all."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from tflm_export.board.sketch import make_sketch
from tflm_export.compiler import Compiled, compile_model
from tflm_export.machines.measure import measure
from tflm_export.machines.profile import profile
from tflm_export.report.draw import memory_figure
from tflm_export.report.report import make_report
from tflm_export.report.verify import verify
from tflm_export.variable import variables
from tfodl.demo import adapt, choosing, device, report, streams
from tfodl.demo.config import DemoConfig
from tfodl.demo.domains import HELD_OUT, Domains, make_domains
from tfodl.demo.progress import Stages
from tfodl.jobs.files import make_folder
from tfodl.jobs.loaded import note_input
from tfodl.models.scaling import device_contract
from tfodl.neurons.groups import neuron_groups
from tfodl.quantize import layer_map


def run(config: DemoConfig) -> dict[str, Any]:
    """Run the whole demo; returns what `report.json` holds.

    Raises `TfodlError` or `ExportError` when something asked for cannot be had.
    """
    out, stages = make_folder(config.out), Stages(11 + config.choose)
    with stages.stage("data", f"{config.data}, source and target domain"):
        pictures = make_domains(config)
    with stages.stage("model", f"{config.model}, trained on the source domain"):
        model, contract = adapt.pretrain(pictures, config)
        domains = pictures.each(contract.apply)
        found = {
            "source": adapt.accuracy(model, *domains.source[2:]),
            "target_before": adapt.accuracy(model, *domains.target[2:]),
        }
        print(f"      accuracy {found['source']:.1%} on source, {found['target_before']:.1%} on target")
        print(f"      input {contract.text}")
    with stages.stage("float", f"adapt under a budget of {config.budget_share:.0%}, by four methods"):
        methods = adapt.compare(model, domains, config)
        plan = adapt.device_plan(methods["velocity"], config)
        found["float_after"] = adapt.float_twin(model, domains, plan, config).accuracy[-1]
        print("      " + ", ".join(f"{name} {o.accuracy[-1]:.1%}" for name, o in methods.items()))
    with stages.stage("quantise", "QAT on the source domain, int8 .tflite"):
        aware, tflite = device.quantise(model, domains, config)
        contract = device_contract(contract, aware.folded.rescaling)
    with stages.stage("int8", "adapt the int8 graph in Keras: velocity goes on from the float plan, QAS"):
        int8 = adapt.adapt_int8(aware, tflite, plan, domains, config)
        print(f"      accuracy {int8.accuracy[-1]:.1%}")
    with stages.stage("compile", "C++ training engine for the same plan, with a static memory plan"):
        addressed = note_input(layer_map.address(plan, aware, tflite), contract)
        compiled = compile_model(tflite, addressed, contract=contract)
        folder = compiled.save(out / "engine")
        print(f"      arena {compiled.memory.arena:,} B, lower bound {compiled.memory.lower_bound:,} B")
    with stages.stage("verify", "against TFLite Micro, numpy, TensorFlow and the emulated Cortex-M4F"):
        checks = _verify(compiled, pictures, config)
    with stages.stage("learn", "the device takes target pictures one by one"):
        learning = device.learn(compiled, pictures, config, HELD_OUT)
        found["device_before"], found["device_after"] = learning.accuracy[0], learning.accuracy[-1]
        print(f"      accuracy {found['device_before']:.1%} -> {found['device_after']:.1%}")
    with stages.stage("stream", "the same pictures class after class, with and without a memory"):
        played = streams.play(compiled, pictures, config)
        found["device_source"] = float(played[streams.FULL].overall["source"][0])
        print("      target, source: " + "; ".join(f"{name} {streams.ends(r)}" for name, r in played.items()))
    chosen = None
    if config.choose:
        with stages.stage("choose", "the device chooses which channels learn, epoch by epoch"):
            chosen = choosing.choose(compiled, pictures, config)
            if chosen is not None:
                print(f"      target, source: {streams.ends(chosen.result)}; {len(chosen.history)} epochs")
    with stages.stage("sketch", "Arduino library and sketch as a .zip"):
        make_sketch(compiled, "nano33ble", out / "sketch.zip")
    with stages.stage("report", "measure on the emulated Cortex-M4F, write tables and pictures"):
        x = compiled.quantize(pictures.target[0][:2])
        measured = measure(compiled, x[:, None], pictures.target[1][:2])
        calls = profile(compiled, x[:, None], pictures.target[1][:2])
        facts = dict(make_report(compiled, measured, calls).facts)
    facts |= {
        "accuracy": found,
        "float_methods": {name: outcome.accuracy[-1] for name, outcome in methods.items()},
        "int8_accuracy": int8.accuracy,
        "learning": asdict(learning),
        "streams": {name: result.to_dict() for name, result in played.items()},
        "chosen": chosen.to_dict() if chosen is not None else None,
        "verification": checks,
        "samples": config.device_count(len(domains.target[0]) - HELD_OUT),
        "steps": learning.samples[-1],
        "budget_share": config.budget_share,
        "seconds": stages.seconds,
    }
    channels = {g.layer: g.channels for g in neuron_groups(model) if g.selectable}
    figure = memory_figure(compiled, measured.stack_bytes)
    report.write(out, facts, methods, learning, channels, figure, played, chosen)
    played[streams.FULL].plot(out / "stream.png")
    print(f"\n{report.table(facts)}\n\nreport: {out}/report.html; engine: {folder}; sketch: {out}/sketch.zip")
    return facts


def _verify(compiled: Compiled, pictures: Domains, config: DemoConfig) -> dict[str, Any]:
    """Every comparison of the demo, as plain values. Raises `TfodlError` when one fails."""
    x, y = compiled.quantize(pictures.target[0]), pictures.target[1]
    result = verify(
        compiled, x[: config.verify_inputs], y[: config.verify_inputs].tolist(),
        count=config.verify_inputs, steps=config.m4_steps, board=True,
    )  # fmt: skip
    cosines = device.tensorflow_cosines(compiled, x[: config.verify_inputs], y[: config.verify_inputs])
    print("      " + result.summary().replace("\n", "\n      "))
    lowest = min(cosines.values())
    print(f"      TensorFlow  {len(cosines)} gradients: lowest cosine {lowest:.5f}")
    device.require_verified(result.ok and lowest >= 0.999)
    return {
        "inputs": result.inputs,
        "tflm_mismatches": result.tflm_mismatches,
        "steps": result.steps,
        "weight_mismatches": result.weight_mismatches,
        "board_steps": result.board_steps,
        "board_mismatches": result.board_mismatches,
        "tensorflow_cosine": float(np.float64(lowest)),
        "trained_tensors": len(variables(compiled.graph)),
    }
