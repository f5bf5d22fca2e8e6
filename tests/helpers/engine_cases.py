"""Engines of every kind of plan: a maker of the model, and the plan."""

import keras_nets as nets
import nets as declared

from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan


def layers(*rows):
    return tuple(LayerUpdate(*row) for row in rows)


MOBILE = layers(
    ("#0", "out", tuple(range(8)), "all"),
    ("#2", "out", (1, 3, 5), "selected"),
    ("#3", "in", (0, 4, 9), "all"),
    ("#5", "out", (), "all"),
    ("#6", "out", tuple(range(24)), "none"),
    ("#7", "out", (2, 3, 11), "selected"),
)
ZOO = layers(
    ("#0", "out", (1, 4), "none"),
    ("#1", "in", (0, 5), "none"),
    ("#5", "out", (0, 2), "none"),
    ("#14", "out", tuple(range(7)), "none"),
    ("#19", "in", (3, 8), "none"),
)
CASES = {
    "head": (nets.mobile_net, UpdatePlan()),
    "mixed": (nets.mobile_net, UpdatePlan(MOBILE, optimizer=Optimizer(0.02), seed=5)),
    "accumulator": (nets.mobile_net, UpdatePlan(MOBILE, optimizer=Optimizer(0.01, rounding="accumulator"))),
    "momentum": (nets.mobile_net, UpdatePlan(MOBILE, optimizer=Optimizer(0.004, momentum=0.9), seed=1)),
    "batch": (nets.mobile_net, UpdatePlan(MOBILE, optimizer=Optimizer(0.05, batch=3), seed=2)),
    "everything": (
        nets.mobile_net,
        UpdatePlan(
            MOBILE, optimizer=Optimizer(2000.0, momentum=0.5, batch=2, rounding="accumulator", qas=False)
        ),
    ),
    "zoo": (nets.zoo_net, UpdatePlan(ZOO, optimizer=Optimizer(0.02), seed=3)),
    "gates": (
        declared.gated_net,
        UpdatePlan(
            layers(
                ("#0", "out", (), "all"),
                ("#2", "out", (0, 5), "selected"),
                ("#5", "in", (0, 3), "all"),
            ),
            optimizer=Optimizer(0.05),
        ),
    ),
    "mse": (nets.autoencoder, UpdatePlan(layers(("#1", "out", (0, 3), "none")), loss="mse", seed=4)),
}
