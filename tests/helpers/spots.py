"""A tiny task for the trainings of studies: four convolutions, cut after the first, a spot for a class; and
four steps of it by the studies' loop and by Keras."""

import keras
import numpy as np

from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.experiments.transfer import Start, Task
from tfodl.int8.graph import Int8Model
from tfodl.quantize.convert import to_int8

L = keras.layers


class Spots(Start):
    """Its net in float is the test's own."""

    def fp32(self):
        net = keras.models.clone_model(self.tail)
        net.set_weights(self.tail.get_weights())
        return net


def spots():
    """A `Start` of 300 pictures to learn from and 100 to be tried on, four classes."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = np.arange(400) % 4
    x = rng.normal(0, 0.3, (400, 8, 8, 1)).astype(np.float32)
    x[np.arange(400), 2 * y, 2 * y] += 1
    image = keras.Input((8, 8, 1))
    cut = L.Conv2D(8, 3, 2, "same", activation="relu")(image)
    z = L.Conv2D(16, 1, activation="relu")(cut)
    z = L.Conv2D(8, 1)(L.DepthwiseConv2D(3, padding="same", activation="relu")(z))
    model = keras.Model(image, L.Dense(4)(L.GlobalAveragePooling2D()(z)))
    tflite = to_int8(model, x, isolate=False)
    features = {
        "int8": Int8Model(tflite).features(x, "#1"),
        "fp32": keras.Model(image, cut).predict(x, verbose=0),
    }
    split = {"train": slice(0, 300), "test": slice(300, None)}
    parts = {(kind, name): values[rows] for kind, values in features.items() for name, rows in split.items()}
    labels = {name: y[rows] for name, rows in split.items()}
    start = Spots(Task("mbv2-w0.35", "spots"), tflite, "#1", parts, labels)
    object.__setattr__(start, "tail", keras.Model(cut, model.output))
    return start


def half_trained(learner, recipe):
    """Weights before, after four steps of `learner.loop` in which every other channel trains, and after the
    same four by Keras."""
    x, y, *_ = learner._data(recipe, 0, False)
    groups = [group for group in learner.model.groups if not group.head]
    half = tuple(LayerUpdate(g.layer, "out", tuple(range(0, g.channels, 2)), "selected") for g in groups)
    batches, found = np.arange(32).reshape(4, 8), []
    for keras_steps in (False, True):
        learner.reset(3)
        first = learner.model.get_weights()
        learner.model.set_plan(UpdatePlan(half, head=True))
        if keras_steps:
            learner.model.optimizer.learning_rate = 0.05
            for rows in batches:
                learner.model.train_on_batch(x[rows], y[rows])
        else:
            learner.loop.run(x, y, batches, np.full(4, 0.05))
        found.append(learner.model.get_weights())
    return first, *found
