"""`Int8Model` with the board's gradients chooses the board's channels and makes its weights."""

from dataclasses import replace

import numpy as np
import pytest
from int8_nets import digits, qat_tflite

from tflm_export.compiler import compile_model
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.spare import add_spare_classes
from tflm_export.machines.choosing_host import ChoosingEngine
from tfodl import Guard, Memory, Optimizer, Pool, TfodlError, UpdatePlan
from tfodl.stream.choosing_engine import ChoosingKerasEngine

EPOCHS = 20


def plan_of(rule, size=120, **optimizer):
    """Every layer with weights but the first and the head is a candidate."""
    weighted = [op.name for op in read_tflite(qat_tflite()).ops if len(op.inputs) == 3]
    names = tuple(name for name in weighted[1:-1])
    pool = Pool(size, rule, epoch=2, samples=3, spend="fill")
    rule_ = Optimizer(**{"learning_rate": 0.05, **optimizer})
    return UpdatePlan(
        candidates=names, memory=Memory(samples=9, replays=1), pool=pool, optimizer=rule_, seed=7
    )


RICH = {"guard": Guard(samples=5, held_out=4, every=5), "spare_classes": 2}


@pytest.mark.parametrize(
    ("rule", "more"), [("velocity", RICH), ("random", {})], ids=["velocity, judged, new classes", "random"]
)
def test_twenty_epochs_are_the_boards(rule, more):
    tflite, new = qat_tflite(), 10
    if more:
        tflite = add_spare_classes(tflite, 2)
    compiled = compile_model(tflite, replace(plan_of(rule), **more), keep_dead=True)
    host, keras = ChoosingEngine(compiled), ChoosingKerasEngine(compiled)
    x, y = digits(60)
    q = compiled.to_int8(x)
    i = 0
    while len(host.history) < EPOCHS + 1:
        label = new if more and i in (20, 23) else int(y[i % 60])
        for engine in (host, keras):
            engine.train_step(q[i % 60][None], label)
            engine.remember(label)
        i += 1
    assert keras.history == host.history
    assert len({str(selection.channels) for selection in host.history}) > 2
    shallowest = {next(name for name, c in s.channels.items() if c) for s in host.history}
    assert len(shallowest) > 1  # the backward pass ended in more than one place
    weights = keras.weights()
    for name, value in host.weights().items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)


def test_refusals():
    plan = plan_of("random", momentum=0.5)
    with pytest.raises(TfodlError, match="plain SGD"):
        ChoosingKerasEngine(compile_model(qat_tflite(), plan, keep_dead=True))
    plan = replace(plan_of("random"), pool=Pool(120, "top_layers_random"))
    dead = replace(plan_of("random"), pool=Pool(120, "random", skip_dead=True))
    with pytest.raises(TfodlError, match="does not watch gradients"):
        ChoosingKerasEngine(compile_model(qat_tflite(), dead, keep_dead=True))
    with pytest.raises(TfodlError, match="does not measure top_layers_random"):
        ChoosingKerasEngine(compile_model(qat_tflite(), plan, keep_dead=True))
