"""One small engine that learns, compiled once."""

import nets
import pytest

from tflm_export.compiler import compile_model
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan

PLAN = UpdatePlan(
    (LayerUpdate("#2", "out", (1, 4), "all"), LayerUpdate("#3", "in", (0, 2), "all")),
    optimizer=Optimizer(0.02),
)


@pytest.fixture(scope="session")
def compiled():
    """The residual net's, of which channels of two layers learn, and the head."""
    return compile_model(nets.residual_net(), PLAN)
