"""`Int8Model` with the board's gradients chooses the board's channels and makes its weights."""

from dataclasses import replace

import numpy as np
import pytest
from int8_nets import digits, qat_tflite

from tflm_export.compiler import compile_model
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.spare import add_spare_classes
from tflm_export.machines.choosing_host import ChoosingEngine
from tfodl import Guard, Memory, Optimizer, Pool, UpdatePlan
from tfodl.stream.choosing_engine import ChoosingKerasEngine

EPOCHS = 20


def plan_of(rule, size=120, count=None, **pool):
    """The last `count` layers with weights below the head are candidates, all but the first by default."""
    weighted = [op.name for op in read_tflite(qat_tflite()).ops if len(op.inputs) == 3]
    names = tuple(name for name in weighted[1:-1])
    return UpdatePlan(
        candidates=names[-count:] if count else names,
        memory=Memory(samples=9, replays=1),
        pool=Pool(size, rule, **{"epoch": 2, "samples": 3, "spend": "fill", **pool}),
        optimizer=Optimizer(0.05),
        seed=7,
    )


RICH = {"guard": Guard(samples=5, held_out=4, every=5), "spare_classes": 2}
HEAVY = {"optimizer": Optimizer(0.05, momentum=0.5, batch=2, rounding="accumulator")}
CASES = {
    "velocity, judged, new classes": (plan_of("velocity"), RICH),
    "random, skip dead": (plan_of("random", count=2, skip_dead=True), {}),
    "random inputs, all that an optimizer keeps": (plan_of("random", 200, count=2, axis="in"), HEAVY),
    "top layers, all that an optimizer keeps": (plan_of("top_layers_random", 1500, top=0.6), HEAVY),
    "top layers' inputs, judged": (plan_of("top_layers_random", 200, axis="in"), RICH),
}
# Nearly every epoch of these has layers of its own, for which a step would be traced that is taken twice.
STEP_BY_STEP = ("random, skip dead", "top layers, all that an optimizer keeps")


@pytest.mark.parametrize("case", CASES)
def test_twenty_epochs_are_the_boards(case):
    plan, more = CASES[case]
    tflite, new = qat_tflite(), 10
    if "spare_classes" in more:
        tflite = add_spare_classes(tflite, 2)
    compiled = compile_model(tflite, replace(plan, **more), keep_dead=True)
    host, keras = ChoosingEngine(compiled), ChoosingKerasEngine(compiled)
    keras.model.run_eagerly = case in STEP_BY_STEP
    x, y = digits(60)
    q = compiled.to_int8(x)
    i = 0
    while len(host.history) < EPOCHS + 1:
        label = new if more is RICH and i in (20, 23) else int(y[i % 60])
        for engine in (host, keras):
            engine.train_step(q[i % 60][None], label)
            engine.remember(label)
        i += 1
    assert keras.history == host.history
    weights = keras.weights()
    for name, value in host.weights().items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)
    assert len({str(selection.channels) for selection in host.history}) > 2
    if plan.pool.rule != "top_layers_random":  # which goes to the deepest candidate always
        shallowest = {next(name for name, c in s.channels.items() if c) for s in host.history}
        assert len(shallowest) > 1  # the backward pass ended in more than one place
