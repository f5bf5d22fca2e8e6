"""What the stream study learns on: an engine's model and plan, a target stream, tests of two domains.

A task is made once and kept in a cache folder: the model trained on the source domain, the plan, the pictures
as latents. What lies below the cut never changes, so the study compiles the ops above it and plays latents
through them: the weights are those of the whole engine, bit for bit, in half the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import logging

from tflm_export.compiler import Compiled, compile_model, derive, without_dead
from tflm_export.emit import emit
from tflm_export.files import write_bytes
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.gradients.cut import Cut, find_cut, latent_reader
from tflm_export.ir import Graph
from tflm_export.library import library_sources
from tflm_export.living.capacity import check_exemplars
from tflm_export.living.choose import latents
from tflm_export.living.memory import Exemplars
from tflm_export.machines.host import HostEngine
from tflm_export.plan import Optimizer, UpdatePlan
from tfodl import datasets, models, schemes
from tfodl.datasets.split import hold_out
from tfodl.demo import adapt, device
from tfodl.demo.config import DemoConfig
from tfodl.demo.domains import Domains, halves, make_domains
from tfodl.int8.graph import from_op
from tfodl.quantize import convert, layer_map

SIZE = 96  # pixels a side of the larger net's pictures
PARTS = ("stream", "target", "source", "known")
TESTS, HELD_OUT_SEED = ("target", "source"), 100  # a stream that is not counted
FAST = ("-O3", "-march=native", "-ffp-contract=off", "-std=c++14", "-fPIC")  # the same integers, sooner


@dataclass(frozen=True)
class Task:
    """An engine before it meets the world.

    plan: what trains, addressed to the ops of `tflite`; without memory. upper: the ops above the cut. x: int8
    latents [N, ...] and y their labels, by part: "stream" (target pictures to learn from), "target" and
    "source" (held out), "known" (source pictures that the model was trained on).
    """

    name: str
    tflite: bytes
    plan: UpdatePlan
    upper: Graph
    x: dict[str, np.ndarray]
    y: dict[str, np.ndarray]

    @property
    def classes(self) -> int:
        return int(self.y["target"].max()) + 1

    def compile(self, plan: UpdatePlan, exemplars: Exemplars | None = None) -> Compiled:
        """The engine of the ops above the cut."""
        graph, memory = derive(self.upper, plan, "int16")
        check_exemplars(graph, plan, exemplars)
        sources = {**emit(graph, memory, plan, "engine", exemplars), **library_sources()}
        sources = {f"src/{path}": text for path, text in sources.items()}
        return Compiled(self.tflite, plan, "engine", graph, memory, sources, {}, exemplars=exemplars)


class Paced:
    """An engine whose learning rate is set anew whenever it is reset."""

    def __init__(self, host: HostEngine, rate: float):
        self._host, self._rate = host, rate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def reset(self) -> None:
        self._host.reset()
        self._host.set_learning_rate(self._rate)


Made = tuple[bytes, UpdatePlan, Domains, int]


def prepare(name: str, cache: Path) -> Task:
    """Task `name` of `TASKS`, from the cache where it is there."""
    folder = cache / name
    if not (folder / "latents.npz").exists():
        _write(folder, *TASKS[name]())
    with np.load(folder / "latents.npz") as archive:
        arrays = {key: archive[key] for key in archive.files}
    x, y = ({part: arrays[f"{axis}_{part}"] for part in PARTS} for axis in "xy")
    tflite, plan = (folder / "model.tflite").read_bytes(), UpdatePlan.load(folder / "plan.json")
    forward, cut = _cut(tflite, plan)
    upper = forward if cut.tensor in forward.inputs else from_op(forward, latent_reader(forward, cut).name)
    return Task(name, tflite, plan, upper, x, y)


def above(task: Task, plan: UpdatePlan) -> Task:
    """The same task from the cut of a plan whose candidates lie higher: fewer ops a step, the same bits."""
    graph = derive(task.upper, plan, "int16")[0]
    cut = find_cut(graph, plan)
    if cut.tensor in task.upper.inputs:
        return task
    upper = from_op(task.upper, latent_reader(task.upper, cut).name)
    return replace(task, upper=upper, x={part: latents(graph, plan, x) for part, x in task.x.items()})


def _cut(tflite: bytes, plan: UpdatePlan) -> tuple[Graph, Cut]:
    """The model without dead channels, and its cut."""
    forward = without_dead(simplify(read_tflite(tflite)), plan)
    return forward, find_cut(derive(forward, plan, "int16")[0], plan)


def _write(folder: Path, tflite: bytes, plan: UpdatePlan, domains: Domains, count: int) -> None:
    compiled = compile_model(tflite, plan)
    x, y, x_test, y_test = domains.target
    known, known_y, x_source, y_source = domains.source
    pictures = dict(zip(PARTS, (x[:count], x_test, x_source, known), strict=True))
    labels = dict(zip(PARTS, (y[:count], y_test, y_source, known_y), strict=True))
    found = {part: latents(compiled.graph, plan, compiled.to_int8(v)) for part, v in pictures.items()}
    write_bytes(folder / "model.tflite", tflite)
    plan.save(folder / "plan.json")
    arrays = {f"x_{part}": found[part] for part in PARTS} | {f"y_{part}": labels[part] for part in PARTS}
    np.savez(folder / "new.npz", **arrays)
    (folder / "new.npz").rename(folder / "latents.npz")


def digits() -> Made:
    """The demo's engine: source digits, velocity's plan, 1,000 digits of a badly mounted device."""
    config = DemoConfig()
    pictures = make_domains(config)
    model, contract = adapt.pretrain(pictures, config)
    domains = pictures.each(contract.apply)
    plan = adapt.device_plan(adapt.compare(model, domains, config)["velocity"], config)
    aware, tflite = device.quantise(model, domains, config)
    return tflite, layer_map.address(plan, aware, tflite), domains, config.device_samples


def pretrained(
    data: str,
    domains_of: Callable[[DemoConfig], Domains] = make_domains,
    net: str = "mbv2-w0.35",
    size: int = SIZE,
) -> Callable[[], Made]:
    """`net` with ImageNet weights and a head of the source half of `data`; its "49 KB" scheme learns the
    other half, as a badly mounted device sees it, or whatever `domains_of` makes of it."""

    def make() -> Made:
        domains = domains_of(DemoConfig(data=data, size=size)).each(models.preprocess)
        model = models.build(
            net, input_shape=domains.input_shape, classes=domains.classes, weights="imagenet"
        )
        x, y, x_test, y_test = domains.source
        _probe(model, x, y)
        logging.info("%s: float %.3f on source", data, adapt.accuracy(model, x_test, y_test))
        tflite = convert.to_int8(model, x[:256], isolate=True)
        plan = replace(schemes.plan(f"{net}-49kb", model), optimizer=Optimizer(0.002))
        return tflite, layer_map.address(plan, model, tflite), domains, len(domains.target[0])

    return make


def first_classes(count: int) -> Callable[[DemoConfig], Domains]:
    """`make_domains` of a set's first classes alone."""

    def make(config: DemoConfig) -> Domains:
        data = datasets.load(config.data, size=config.size, seed=config.seed)
        train, test = data.y_train < count, data.y_test < count
        part = replace(
            data,
            x_train=data.x_train[train],
            y_train=data.y_train[train],
            x_test=data.x_test[test],
            y_test=data.y_test[test],
            class_names=data.class_names[:count],
        )
        return halves(part, config.seed)

    return make


def same_domain(config: DemoConfig) -> Domains:
    """The halves of `make_domains`, both as the pictures are."""
    data = datasets.load(config.data, size=config.size, seed=config.seed)
    train, test = (hold_out(y, len(y) // 2, config.seed) for y in (data.y_train, data.y_test))
    source, target = (
        (data.x_train[a], data.y_train[a], data.x_test[b], data.y_test[b])
        for a, b in zip(train, test, strict=True)
    )
    return Domains(source, target, data.classes)


def _probe(model: keras.Model, x: np.ndarray, y: np.ndarray) -> None:
    """Train the head alone, on features computed once."""
    keras.utils.set_random_seed(0)
    head = model.layers[-1]
    features = keras.Model(model.input, head.input).predict(x, batch_size=64, verbose=0)
    probe = keras.Sequential([keras.Input(features.shape[1:]), keras.layers.Dense(head.units)])
    probe.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    probe.fit(features, y, epochs=20, batch_size=64, verbose=0)
    head.set_weights(probe.get_weights())


TASKS: dict[str, Callable[[], Made]] = {
    "digits": digits,
    "flower_photos": pretrained("flower_photos_128"),
    "flower_photos, same domain": pretrained("flower_photos_128", same_domain),
    "flower_photos, same domain, mcunet-5fps": pretrained(
        "flower_photos_128", same_domain, "mcunet-5fps", 128
    ),
    "flowers102": pretrained("flowers102_128", first_classes(20)),
}
