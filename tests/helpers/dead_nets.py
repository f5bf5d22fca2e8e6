"""Small nets with biases so large that channels stick at one value, from a few draws."""

import numpy as np
from tflite_file import O, T, build, conv_options, fused, pool_options


class Net:
    """A `.tflite` under construction: `add` ops to the tensor `at`, `[1, h, w, c]` or `[1, c]`."""

    def __init__(self, seed: int, shape=(6, 5, 3), stuck: float = 0.4):
        self.rng, self.stuck = np.random.default_rng(seed), stuck
        self.tensors, self.ops = [], []
        self.at = self.tensor((1, *shape), name="x")

    def tensor(self, shape, name="", zero=None, scale=None) -> T:
        zero = int(self.rng.choice([-128, -128, 0, 17, -41, 127])) if zero is None else zero
        scale = float(self.rng.uniform(0.02, 0.06)) if scale is None else scale
        made = T(name or f"t{len(self.tensors)}", tuple(shape), scale=scale, zero=zero)
        self.tensors.append(made)
        return made

    def layer(self, kind, shape, axis, y_shape, options) -> T:
        """Weights, some rows of them 0, and a bias that holds some channels at an end of the scale."""
        count, x = shape[axis], self.at
        data = self.rng.integers(-127, 128, shape, np.int8)
        np.moveaxis(data, axis, 0)[self.rng.random(count) < 0.15] = 0
        bias = self.rng.integers(-3000, 3000, count)
        bias += (self.rng.random(count) < self.stuck) * self.rng.choice([-(10**6), -(10**6), 10**6], count)
        w, b, y = (f"{part}{len(self.tensors)}" for part in "wby")
        scales = self.rng.uniform(2e-3, 8e-3, count)
        self.tensors += [
            T(w, shape, scale=scales, axis=axis, data=data),
            T(b, (count,), "int32", 1e-4, data=bias.astype(np.int32)),
        ]
        self.at = self.tensor(y_shape, y)
        self.ops.append(O(kind, [x.name, w, b], [y], options))
        return self.at

    def conv(self, outputs, k=3, padding="SAME", activation="RELU", stride=1):
        h, w, c = self.at.shape[1:]
        options = conv_options(padding, (stride, stride), activation)
        return self.layer(
            "CONV_2D", (outputs, k, k, c), 0, (1, *out_map(h, w, k, stride, padding), outputs), options
        )

    def depthwise(self, k=3, padding="SAME", activation="RELU6"):
        h, w, c = self.at.shape[1:]
        options = conv_options(padding, (1, 1), activation) | {"DepthMultiplier": 1}
        return self.layer(
            "DEPTHWISE_CONV_2D", (1, k, k, c), 3, (1, *out_map(h, w, k, 1, padding), c), options
        )

    def dense(self, outputs):
        size = int(np.prod(self.at.shape))
        return self.layer("FULLY_CONNECTED", (outputs, size), 0, (1, outputs), fused("NONE"))

    def pool(self, kind, padding="SAME"):
        h, w, c = self.at.shape[1:]
        x, shape = self.at, (1, *out_map(h, w, 2, 2, padding), c)
        self.at = self.tensor(shape, scale=x.scale, zero=x.zero)
        self.ops.append(
            O(kind, [x.name], [self.at.name], pool_options((2, 2), padding=padding, stride=(2, 2)))
        )
        return self.at

    def join(self, kind, *others: T):
        """ADD, SUB, MUL, MINIMUM or CONCATENATION of `at` and tensors before it."""
        x, shape, options, quant = self.at, list(self.at.shape), fused("NONE"), {}
        if kind == "CONCATENATION":
            shape[-1] += sum(t.shape[-1] for t in others)
            options = options | {"Axis": 3}
        if kind in ("CONCATENATION", "MINIMUM"):
            quant = {"scale": x.scale, "zero": x.zero}
            options = options if kind == "CONCATENATION" else {}
        self.at = self.tensor(shape, **quant)
        self.ops.append(O(kind, [x.name, *(t.name for t in others)], [self.at.name], options))
        return self.at

    def one(self, kind, **quant):
        x = self.at
        self.at = self.tensor(x.shape, **quant)
        self.ops.append(O(kind, [x.name], [self.at.name]))
        return self.at

    def prelu(self):
        x, name = self.at, f"alpha{len(self.tensors)}"
        data = self.rng.integers(-128, 128, (1, 1, x.shape[3]), np.int8)
        self.tensors.append(T(name, data.shape, scale=0.01, zero=int(self.rng.integers(-40, 40)), data=data))
        self.at = self.tensor(x.shape)
        self.ops.append(O("PRELU", [x.name, name], [self.at.name]))
        return self.at

    def resize(self, h, w):
        x, size = self.at, f"size{len(self.tensors)}"
        self.tensors.append(T(size, (2,), "int32", None, data=np.array([h, w], np.int32)))
        self.at = self.tensor((1, h, w, x.shape[3]), scale=x.scale, zero=x.zero)
        options = {"HalfPixelCenters": True}
        self.ops.append(O("RESIZE_BILINEAR", [x.name, size], [self.at.name], options))
        return self.at

    def mean(self):
        x, c = self.at, self.at.shape[3]
        axes = T(f"axes{len(self.tensors)}", (2,), "int32", None, data=np.array([1, 2], np.int32))
        self.tensors.append(axes)
        self.at = self.tensor((1, c))
        self.ops.append(O("MEAN", [x.name, axes.name], [self.at.name], {"KeepDims": False}))
        return self.at

    def file(self) -> bytes:
        return build(self.tensors, self.ops, ["x"], [self.at.name])


def out_map(h, w, k, stride, padding):
    return tuple(-(-n // stride) if padding == "SAME" else (n - k) // stride + 1 for n in (h, w))


def residual_net(seed: int, stuck: float = 0.4) -> bytes:
    """Expand, depthwise, project, add, twice; mean; dense: 5 layers of channels that a plan may train."""
    net = Net(seed, (6, 6, 3), stuck)
    net.conv(6, activation="NONE")
    for _ in range(2):
        skip = net.at
        net.conv(12, k=1, activation="RELU6")
        net.depthwise()
        net.conv(6, k=1, activation="NONE")
        net.join("ADD", skip)
    net.conv(10, k=1)
    net.mean()
    net.dense(4)
    return net.file()
