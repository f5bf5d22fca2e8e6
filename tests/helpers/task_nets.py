"""Dense nets with the heads of other tasks than choosing a class, as `.tflite` files."""

import numpy as np
from tflite_file import O, T, build, fused


def dense_net(*sizes, end=None, out_scale=0.05, out_zero=3, seed=0):
    """[1, sizes[0]] -> dense layers with ReLU between them -> `end`, an op such as "LOGISTIC", if any."""
    rng = np.random.default_rng(seed)
    tensors, ops, last = [T("x", (1, sizes[0]), scale=0.05, zero=-4)], [], "x"
    for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False)):
        final = i == len(sizes) - 2
        quant = {"scale": out_scale, "zero": out_zero} if final else {"scale": 0.04, "zero": -128}
        tensors += [
            T(f"w{i}", (outputs, inputs), scale=0.6 / 127 / inputs**0.5, data=_weights(rng, outputs, inputs)),
            T(f"b{i}", (outputs,), "int32", 1e-4, data=rng.integers(-900, 900, outputs, np.int32)),
            T(f"y{i}", (1, outputs), **quant),
        ]
        ops.append(
            O("FULLY_CONNECTED", [last, f"w{i}", f"b{i}"], [f"y{i}"], fused("NONE" if final else "RELU"))
        )
        last = f"y{i}"
    if end is not None:
        tensors.append(T("p", (1, sizes[-1]), scale=1 / 256, zero=-128))
        ops.append(O(end, [last], ["p"], {"Beta": 1.0} if end == "SOFTMAX" else {}))
        last = "p"
    return build(tensors, ops, ["x"], [last])


def _weights(rng, outputs, inputs):
    return np.clip(rng.normal(0, 60, (outputs, inputs)), -127, 127).astype(np.int8)
