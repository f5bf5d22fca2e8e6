"""Every selection rule on the same task: digits learned upright, then seen by a badly mounted device.

python examples/selection.py velocity        one rule, under a minute
python examples/selection.py                 lists the rules
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import keras

import tfodl
from tfodl import Budget, datasets, models
from tfodl.callbacks.hypergrad import HyperSGD

SOURCE, TARGET = datasets.load("digits"), datasets.load("digits", domain="target")
X, Y = models.preprocess(TARGET.x_train[:750]), TARGET.y_train[:750]
HELD_OUT = (models.preprocess(TARGET.x_train[750:782]), TARGET.y_train[750:782])
SHARE = 0.088  # the papers' budget: 8.8 % of the weights

RULES: dict[str, Callable[[], tfodl.callbacks.Selection]] = {
    "all": lambda: tfodl.FixedSelection("all", batchnorm=True),
    "head": lambda: tfodl.FixedSelection("head"),
    "biases": lambda: tfodl.FixedSelection("biases", batchnorm=True),
    "random": lambda: tfodl.RandomSelection(SHARE, seed=1),
    "velocity": lambda: tfodl.VelocitySelection(SHARE, HELD_OUT, seed=1),
    "velocity-device": lambda: tfodl.VelocitySelection(Budget(scheme_bytes=8192), HELD_OUT, batchnorm=False),
    "equilibrium": lambda: tfodl.EquilibriumSelection(2e-3, HELD_OUT),
    "scotti": lambda: tfodl.ScottiSelection(HELD_OUT),
    "fisher": lambda: tfodl.Fisher(SHARE, HELD_OUT),
    "importance": lambda: tfodl.ImportanceRandom(Budget(scheme_bytes=8192), HELD_OUT, batchnorm=False),
    "top-layers": lambda: tfodl.TopLayersRandom(Budget(scheme_bytes=8192), HELD_OUT, batchnorm=False),
}

# With batch norm frozen, as on the device, nothing keeps the gradients small: lower rates.
OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "velocity-device": lambda: keras.optimizers.SGD(0.002, momentum=0.9),
    "importance": lambda: keras.optimizers.SGD(0.002),
    "top-layers": lambda: keras.optimizers.SGD(0.002),
    "scotti": lambda: HyperSGD(0.02, 0.9, eps=1e-3),
}


def trained_upright() -> keras.Model:
    """The net before it is mounted badly."""
    keras.utils.set_random_seed(0)
    model = models.build("tiny_mobilenet", input_shape=(28, 28, 1), classes=10)
    compiled(model, keras.optimizers.Adam(3e-3))
    model.fit(models.preprocess(SOURCE.x_train), SOURCE.y_train, batch_size=32, epochs=3, verbose=0)
    return model


def compiled(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def main(rule: str) -> None:
    model = tfodl.SelectiveModel(trained_upright())
    compiled(model, OPTIMIZERS.get(rule, lambda: keras.optimizers.SGD(0.02, momentum=0.9))())
    test = models.preprocess(TARGET.x_test), TARGET.y_test
    before = model.evaluate(*test, verbose=0)[1]
    callback = RULES[rule]()
    model.fit(X, Y, batch_size=16, epochs=5, verbose=2, callbacks=[callback])
    model.summary()
    print(f"{rule}: accuracy {before:.1%} -> {model.evaluate(*test, verbose=0)[1]:.1%}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in RULES:
        sys.exit(f"usage: python examples/selection.py RULE\nRULE is one of {', '.join(RULES)}")
    main(sys.argv[1])
