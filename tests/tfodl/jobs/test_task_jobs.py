"""Models of other tasks through the commands, from a `.npz` to an engine that is right and does the task."""

import keras
import numpy as np
import pytest
from keras import layers as L

from tflm_export.cli import main as tflm_export
from tflm_export.engine_folder import load
from tflm_export.machines.host import HostEngine
from tfodl.cli import main as tfodl
from tfodl.datasets.task_data import TaskData
from tfodl.tasks.task import Task, find_task

SMALL = ["--epochs", "2", "--batch-size", "16", "--calibration", "64"]


def inputs(count, seed):
    return np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)


def mlp(outputs, activation=None, *first):
    return keras.Sequential([keras.Input((8,)), *first, L.Dense(12, "relu"), L.Dense(outputs, activation)])


def labels(x):
    return np.stack([x[:, 0] > 0, x[:, 1] > x[:, 2], x[:, 3] + x[:, 4] > 0.5], 1).astype(int)


def low_rank(x):
    """Inputs that two numbers describe."""
    return np.tanh(x[:, :2] @ np.random.default_rng(9).normal(size=(2, 8))).astype(np.float32)


def parts(make_y, make_x=lambda x: x):
    raw = {"train": inputs(320, 1), "test": inputs(120, 2)}
    found = {f"x_{split}": make_x(x) for split, x in raw.items()}
    if make_y is not None:
        found |= {f"y_{split}": make_y(x) for split, x in raw.items()}
    return found


TASKS = {  # model, arrays, Keras's loss to begin with, what is printed, the plan's loss
    "binary": (
        lambda: mlp(1, "sigmoid"),
        parts(lambda x: labels(x)[:, 1]),
        "binary_crossentropy",
        "AUC",
        "bce",
    ),
    "numbers": (
        lambda: mlp(2, None, L.Rescaling(0.5, offset=0.1)),
        parts(lambda x: np.stack([x[:, 0] - x[:, 1], x[:, 2]], 1)),
        "mse",
        "MAE",
        "mse",
    ),
    "autoencoder": (
        lambda: keras.Sequential([keras.Input((8,)), L.Rescaling(0.5), L.Dense(12, "relu"), L.Dense(8)]),
        parts(None, low_rank) | {"y_test": np.arange(120) % 2},
        "mse",
        "reconstruction error",
        "reconstruction",
    ),
}


@pytest.fixture(scope="module", params=TASKS)
def walked(request, tmp_path_factory):
    """The folder of a walk through all commands, with what was printed."""
    make, arrays, loss, *_ = TASKS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    keras.utils.set_random_seed(0)
    model = make()
    x = arrays["x_train"]
    if request.param == "autoencoder":
        arrays = arrays | {
            "x_test": np.where((arrays["y_test"] == 1)[:, None], inputs(120, 5), arrays["x_test"])
        }
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(x, arrays.get("y_train", 0.5 * x), epochs=12, verbose=0)
    model.save(folder / "mine.keras")
    np.savez(folder / "data.npz", **arrays)
    return request.param, folder, arrays


def test_a_model_of_another_task_arrives(walked, monkeypatch, capsys):
    task, folder, arrays = walked
    *_, metric, loss = TASKS[task]
    monkeypatch.chdir(folder)
    common = ["--data", "data.npz", *SMALL]
    tune = ["--budget-ram", "8000", "--learning-rate", "0.005", "--method", "random"]
    assert tfodl(["finetune", "--model", "mine.keras", *common, *tune, "--out", "tuned"]) == 0
    tuned = capsys.readouterr().out
    assert f"before training: {metric}" in tuned and f"after training: {metric}" in tuned
    quantize = ["--model", "tuned/model.keras", "--plan", "tuned/plan.json", *common, "--out", "int8"]
    assert tfodl(["quantize", *quantize]) == 0
    assert f"as int8: {metric}" in capsys.readouterr().out
    assert tflm_export(["compile", "int8/model.tflite", "--plan", "int8/plan.json", "--out", "engine"]) == 0
    assert tflm_export(["verify", "engine", "--count", "16", "--steps", "4"]) == 0
    compiled = load("engine")
    assert compiled.plan.loss == loss and compiled.plan.layers
    assert good(task, HostEngine(compiled), arrays)


def good(task, engine, arrays):
    """Whether the engine does its task on the test inputs."""
    y = arrays["y_test"]
    q = [row[None] for row in engine.compiled.quantize(arrays["x_test"])]  # values as they are
    if task == "autoencoder":
        scores = np.array([engine.score(row) for row in q])
        return np.median(scores[y == 1]) > 3 * np.median(scores[y == 0])
    said = np.concatenate([engine.compiled.to_real(engine.infer(row)) for row in q])
    if task == "numbers":
        return np.abs(said - y).mean() < 0.4 * np.abs(y - y.mean(0)).mean()
    return np.mean([engine.predict(row) == label for row, label in zip(q, y, strict=True)]) > 0.8


@pytest.mark.parametrize(
    "model, make_y, found",
    [
        (lambda: mlp(3, "softmax"), lambda x: x[:, :3].argmax(1), ("crossentropy", "accuracy", 3, True)),
        (lambda: mlp(2), lambda x: labels(x)[:, 0], ("crossentropy", "accuracy", 2, False)),
        (lambda: mlp(1), lambda x: labels(x)[:, 0], ("bce", "auc", 1, False)),
        (lambda: mlp(3, "sigmoid"), labels, ("bce", "auc", 3, True)),
        (lambda: mlp(1), lambda x: x[:, 0], ("mse", "loss", 1, False)),
        (lambda: mlp(8), None, ("reconstruction", "loss", 8, False)),
    ],
)
def test_the_task_is_found(model, make_y, found):
    arrays = parts(make_y)
    data = TaskData(*(arrays.get(f"{k}_{split}") for split in ("train", "test") for k in "xy"), "here")
    assert find_task(model(), data, "m") == Task(*found)


@pytest.mark.parametrize(
    "model, arrays, words",
    [
        (
            lambda: mlp(3, "softmax"),
            parts(labels),
            "a softmax chooses one class. For classes save y.argmax(axis=1)",
        ),
        (lambda: mlp(2), parts(labels), "end the model in Dense(3)"),
        (lambda: mlp(1, "relu"), parts(lambda x: x[:, 0]), "end the model in a Dense without activation"),
        (lambda: mlp(3), parts(None), "an autoencoder gives what it takes, [8]"),
        (lambda: mlp(2), parts(lambda x: labels(x).sum(1)), "end the model in 4 logits"),
        (lambda: mlp(3), parts(lambda x: np.where(x[:, :3] > 9, 0, np.nan)), "y holds NaN"),
    ],
)
@pytest.mark.parametrize("command", ["finetune", "quantize"])
def test_a_model_for_another_task_is_refused_before_training(
    model, arrays, words, command, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    model().save("mine.keras")
    np.savez("data.npz", **arrays)
    assert tfodl([command, "--model", "mine.keras", "--data", "data.npz", "--out", "out"]) == 2
    heard = capsys.readouterr()
    assert words in heard.err and heard.err.count("\n") == 1 and "Epoch" not in heard.out
