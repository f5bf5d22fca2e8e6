"""What the device remembers of a picture is what `Int8Model.features` gives for it."""

import numpy as np
import pytest
from int8_nets import digits, int8_model, qat_net, qat_tflite

from tflm_export.compiler import compile_model
from tflm_export.gradients.cut import find_cut
from tflm_export.machines.living_host import LivingEngine
from tfodl import LayerUpdate, Memory, UpdatePlan
from tfodl.quantize.layer_map import address


@pytest.mark.parametrize("layers", [(), (LayerUpdate("sep", "out", (0, 3)),)], ids=["head", "sep"])
def test_latents_of_the_device_are_features(layers):
    plan = address(UpdatePlan(layers, memory=Memory(samples=2)), qat_net(), qat_tflite())
    compiled = compile_model(qat_tflite(), plan)
    cut = find_cut(compiled.graph, plan)
    model = int8_model()
    reader = next(op.name for op in model.graph.ops if cut.tensor in op.inputs)
    x, _ = digits(6)
    quant = model.graph.tensors[cut.tensor].quant
    wanted = np.rint(model.features(x, reader) / quant.scale[0]) + quant.zero_point[0]
    engine = LivingEngine(compiled)
    for picture, latent in zip(model.quantize_inputs(x), wanted, strict=True):
        engine.infer(picture[None])
        np.testing.assert_array_equal(engine.latent()[0], latent)
