"""Person / no person from ImageNet weights: Sparse Update, Velocity, Random, head only and full update.

After Quélennec et al., WACV-W 2024, at their smallest budget, 8.8 % of the convolutions' parameters:

    python scripts/reproduce_vww.py                         # person windows, small scale, 2 cores
    python scripts/reproduce_vww.py --data vww --size 128 --train_limit 0 --test_limit 0 --epochs 50

Writes results.json, .md and .png, and jobs.jsonl (one line a training; a killed run goes on) to --out.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags, logging

from tflm_export.errors import TfodlError
from tflm_export.files import write_text
from tfodl.experiments import sweep

METHODS = ("head", "random", "sparse_update", "velocity", "all")
VALIDATION = 50  # held-out pictures that velocities are measured on

# What the papers print on these nets. None of it is this experiment: other data, 7 sets' mean, full scale.
PAPER = {
    "source": "Quélennec et al., WACV-W 2024, and its successor; MobileNetV2-w0.35, mean of seven data sets",
    "velocity": 0.7447,
    "random_input_channels_in_the_best_layers": 0.7491,
    "budget": {"conv_weights_of_mobilenet_v2_1.0": 192_311, "share": 0.088},
}


@dataclass(frozen=True)
class Config:
    """One experiment. train_limit, test_limit: pictures at most, 0 is all; budget: share of the convolutions'
    parameters; probe_epochs: the classifier first trains alone on frozen features, for every method alike;
    learning_rate: of Adam at the start of a cosine decay; batch norm is frozen."""

    data: str = "person_windows_96"
    model: str = "mbv2-w0.35"
    size: int = 96
    train_limit: int = 1500
    test_limit: int = 1000
    probe_epochs: int = 20
    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 5e-4
    budget: float = 0.088


def train(config: Mapping[str, Any], method: str, seed: int) -> dict[str, Any]:
    """One training; returns the test accuracy after every epoch and what the last plan trains."""
    import keras

    from tfodl import SelectiveModel, models

    options = Config(**config)
    keras.utils.set_random_seed(seed)
    x_train, y_train, x_test, y_test, held_out, classes = _data(options, seed)
    net = models.build(options.model, input_shape=x_train.shape[1:], classes=classes, weights="imagenet")
    _probe(net, x_train, y_train, options)
    model = SelectiveModel(net)
    steps = options.epochs * -(-len(x_train) // options.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)
    model.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        x_train,
        y_train,
        validation_data=(x_test, y_test),
        batch_size=options.batch_size,
        epochs=options.epochs,
        callbacks=[_selection(method, options, held_out, seed, model)],
        verbose=0,
    )
    scheme = nearest_scheme(options, model.groups) if method == "sparse_update" else None
    facts = {"test": len(x_test), "scheme": scheme}
    return {"accuracy": history.history["val_accuracy"], **facts, **_cost(model)}


def _probe(net: Any, x: np.ndarray, y: np.ndarray, options: Config) -> None:
    """Train the classifier alone, on features computed once, so that its random start upsets no layer."""
    import keras

    features = keras.Model(net.input, net.get_layer("pool").output).predict(x, verbose=0)
    classifier = net.get_layer("classifier")
    head = keras.Sequential([keras.Input(features.shape[1:]), keras.layers.Dense(classifier.units)])
    head.layers[0].set_weights(classifier.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    head.compile(keras.optimizers.Adam(0.01), loss)
    head.fit(features, y, batch_size=options.batch_size, epochs=options.probe_epochs, verbose=0)
    classifier.set_weights(head.layers[0].get_weights())


def _data(options: Config, seed: int) -> tuple[Any, ...]:
    """Train pictures (drawn with `seed`), test pictures (always the same), and the held-out ones."""
    from tfodl import datasets, models

    data = datasets.load(options.data, size=options.size)
    train = options.train_limit + VALIDATION if options.train_limit else None
    data = data.subset(None, options.test_limit or None, seed=0).subset(train, None, seed=seed)
    (x_train, y_train), (held_out, _) = data.hold_out(VALIDATION, seed)
    x_train, x_test, held_out = map(models.preprocess, (x_train, data.x_test, held_out))
    return x_train, y_train, x_test, data.y_test, held_out, data.classes


def _selection(method: str, options: Config, held_out: np.ndarray, seed: int, model: Any) -> Any:
    from tfodl import FixedSelection, RandomSelection, VelocitySelection

    if method == "velocity":
        return VelocitySelection(options.budget, validation_data=held_out, batchnorm=False, seed=seed)
    if method == "random":
        return RandomSelection(options.budget, batchnorm=False, seed=seed)
    if method == "sparse_update":
        return FixedSelection(nearest_scheme(options, model.groups))
    return FixedSelection(method)


def nearest_scheme(options: Config, groups: Sequence[Any]) -> str:
    """The published scheme whose share of the convolutions' parameters is nearest to the budget.

    Raises `TfodlError` when none was published for the model.
    """
    from tfodl import plan_cost, schemes

    net = "mbv2-w0.35" if options.model == "mobilenet_v2" else options.model
    names = [name for name, scheme in schemes.SCHEMES.items() if scheme.net == net]
    if not names:
        raise TfodlError(f"no Sparse Update scheme was published for model {options.model!r}.")
    shares = {name: plan_cost(schemes.plan(name, groups), groups).share for name in names}
    return min(names, key=lambda name: abs(shares[name] - options.budget))


def _cost(model: Any) -> dict[str, Any]:
    cost = model.cost
    return {
        "params": cost.params,
        "share": cost.share,
        "ram_bytes": cost.scheme_bytes,
        "macs": dataclasses.asdict(cost.macs),
    }


def main(
    config: Config,
    out: Path,
    methods: Sequence[str] = METHODS,
    seeds: int = 3,
    engine: Any = "local",
    workers: int | None = None,
) -> dict[str, Any]:
    """Run what is missing, write results.json, .md and .png to `out`; returns the results."""
    unknown = sorted(set(methods) - set(METHODS))
    if unknown:
        raise TfodlError(f"methods {unknown} are unknown; allowed: {', '.join(METHODS)}.")
    if seeds < 1:
        raise TfodlError(f"seeds must be >= 1, got {seeds}.")
    jobs = [
        {"config": dataclasses.asdict(config), "method": method, "seed": seed}
        for seed in range(seeds)
        for method in methods
    ]
    outcomes = sweep.run(train, jobs, out / "jobs.jsonl", engine=engine, workers=workers)
    trainings = [job | outcome for job, outcome in zip(jobs, outcomes, strict=True)]
    results = {
        "scale": scale_of(config, seeds),
        "config": dataclasses.asdict(config),
        "methods": {method: summary([t for t in trainings if t["method"] == method]) for method in methods},
        "test_error": float(np.mean([_standard_error(training) for training in trainings])),
        "paper": PAPER,
    }
    write_text(out / "results.md", table(results) + "\n")
    write_text(out / "results.json", json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    draw(results, out / "results.png")
    return results


def scale_of(config: Config, seeds: int) -> str:
    """In words, what was run and what it is not."""
    limits = [
        f"{limit:,} {name}" if limit else f"all {name}"
        for name, limit in (("train", config.train_limit), ("test", config.test_limit))
    ]
    name = "Visual Wake Words" if config.data == "vww" else config.data
    other = "" if config.data == "vww" else " This is not Visual Wake Words: compare methods, not papers."
    return (
        f"{name}, {limits[0]} and {limits[1]} pictures at {config.size} px, {config.model} from ImageNet "
        f"weights, {config.probe_epochs} epochs of the classifier alone, then {config.epochs} by each "
        f"method, {seeds} seeds, batch norm frozen.{other}"
    )


def summary(trainings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and sample standard deviation of the final accuracy over seeds, and the cost."""
    final = [training["accuracy"][-1] for training in trainings]
    costs = {key: trainings[-1][key] for key in ("params", "share", "ram_bytes", "macs", "scheme")}
    return {
        "accuracy_mean": float(np.mean(final)),
        "accuracy_std": float(np.std(final, ddof=1)) if len(final) > 1 else None,
        "accuracy_by_seed": final,
        "curves": [training["accuracy"] for training in trainings],
        **costs,
    }


def _standard_error(training: Mapping[str, Any]) -> float:
    """Of an accuracy measured on so many test pictures."""
    accuracy = training["accuracy"][-1]
    return float(np.sqrt(accuracy * (1 - accuracy) / training["test"]))


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Final accuracy by method, every seed a dot and their mean a dash, and the mean learning curves."""
    from matplotlib.figure import Figure

    from tfodl.experiments.figures import save_figure

    figure = Figure(figsize=(10, 4))
    final, curves = figure.subplots(1, 2)
    methods = results["methods"]
    for index, (name, row) in enumerate(methods.items()):
        seeds = row["accuracy_by_seed"]
        final.plot([index] * len(seeds), [100 * value for value in seeds], "o", color=f"C{index}", alpha=0.6)
        final.plot(index, 100 * row["accuracy_mean"], "_", color="k", markersize=24)
        mean = 100 * np.mean(row["curves"], axis=0)
        curves.plot(np.arange(1, len(mean) + 1), mean, marker="o", color=f"C{index}", label=name)
    labels = [f"{name}\n{row['share']:.1%}" for name, row in methods.items()]
    final.set_xticks(range(len(methods)), labels, fontsize=8)
    final.set(ylabel="test accuracy, %", title="after the last epoch; share of parameters trained")
    curves.xaxis.get_major_locator().set_params(integer=True)
    curves.set(xlabel="epoch", ylabel="test accuracy, %", title="mean of seeds")
    curves.legend(fontsize=8)
    figure.text(0.5, -0.08, results["scale"], ha="center", wrap=True, fontsize=7)
    save_figure(figure, path)


def table(results: Mapping[str, Any]) -> str:
    """The results in Markdown: the scale, a row a method, the paper's row, how far to trust it."""
    rows = [results["scale"], "", "| method | accuracy | trained | training RAM, KiB |", "|---|---|---|---|"]
    for name, row in results["methods"].items():
        spread = f" ± {100 * row['accuracy_std']:.1f}" if row["accuracy_std"] is not None else ""
        label = name if row["scheme"] is None else f"{name} ({row['scheme']})"
        rows.append(
            f"| {label} | {100 * row['accuracy_mean']:.1f}{spread} % | {row['share']:.1%} "
            f"| {row['ram_bytes'] / 1024:.1f} |"
        )
    paper = results["paper"]
    rows += [
        f"| the papers: velocity | {100 * paper['velocity']:.2f} % | – | – |",
        "",
        f"The papers' row: {paper['source']}; redrawn random input channels reach "
        f"{100 * paper['random_input_channels_in_the_best_layers']:.2f} % there. Spread: standard "
        "deviation over seeds. All seeds share one test set, whose own standard error is "
        f"{100 * results['test_error']:.1f} points: smaller differences between methods show nothing.",
    ]
    return "\n".join(rows)


def _flags() -> None:
    for field in dataclasses.fields(Config):
        define = {"str": flags.DEFINE_string, "int": flags.DEFINE_integer, "float": flags.DEFINE_float}
        define[str(field.type)](field.name, field.default, f"see Config ({field.type})")
    flags.DEFINE_list("methods", list(METHODS), "which methods")
    flags.DEFINE_integer("seeds", 3, "trainings a method")
    flags.DEFINE_string("out", "results/vww", "folder of the results")
    flags.DEFINE_enum("engine", "local", sweep.ENGINES, "processes of this machine, or a Ray cluster")
    flags.DEFINE_integer("workers", None, "trainings at a time")


def _run(_: Sequence[str]) -> None:
    values = flags.FLAGS
    config = Config(**{field.name: values[field.name].value for field in dataclasses.fields(Config)})
    try:
        results = main(config, Path(values.out), values.methods, values.seeds, values.engine, values.workers)
    except TfodlError as error:
        logging.error("%s", error)
        raise SystemExit(2) from error
    print(table(results))


if __name__ == "__main__":
    _flags()
    app.run(_run)
