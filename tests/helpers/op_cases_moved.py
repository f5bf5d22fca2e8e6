"""Rows of op_cases.py of ops that move values, or mix neighbours: see there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from op_case import MAP, OpCase, X, ints, tensorflow


def _transpose(x: Sequence[int], order: Sequence[int]) -> OpCase:
    y = tuple(x[axis] for axis in order)
    return OpCase(
        "TRANSPOSE", ((x, 0.02, 3),), (y, 0.02, 3), {}, (ints("order", *order),),
        lambda op, x: tensorflow().transpose(x, order),
    )  # fmt: skip


def _slice(
    y: Sequence[int], begin: Sequence[int], end: Sequence[int], step: Sequence[int], *masks: int
) -> OpCase:
    """masks: of begin, end and shrunk axes."""
    names = ("begin_mask", "end_mask", "shrink_axis_mask")
    given = dict(zip(names, (*masks, 0, 0, 0), strict=False))
    options = {name.title().replace("_", ""): mask for name, mask in given.items()}
    constants = (ints("first", *begin), ints("last", *end), ints("step", *step))

    def function(op: Any, x: Any) -> Any:
        return tensorflow().strided_slice(x, begin, end, step, **given)

    return OpCase("STRIDED_SLICE", (X,), (y, 0.02, 3), options, constants, function)


def _enlarge(x: Sequence[int], size: Sequence[int], **options: bool) -> OpCase:
    def function(op: Any, x: Any) -> Any:
        times = [new // old for new, old in zip(size, x.shape[1:3], strict=True)]
        return tensorflow().repeat(tensorflow().repeat(x, times[0], axis=1), times[1], axis=2)

    y = (x[0], *size, x[3])
    return OpCase(
        "RESIZE_NEAREST_NEIGHBOR", ((x, 0.02, 3),), (y, 0.02, 3), options, (ints("size", *size),), function
    )


def _bilinear(size: Sequence[int], align: bool = False, half: bool = False) -> OpCase:
    """TensorFlow's own where the weights are whole in Q10, else nearly."""

    def function(op: Any, x: Any) -> Any:
        tf = tensorflow()
        resize = tf.compat.v1.image.resize_bilinear  # always in float32
        y = resize(tf.cast(x, tf.float32), size, align_corners=align, half_pixel_centers=half)
        return tf.cast(y, x.dtype)

    options = {"AlignCorners": align, "HalfPixelCenters": half}
    y = (1, *size, 3)
    return OpCase(
        "RESIZE_BILINEAR",
        (X,),
        (y, 0.02, 3),
        options,
        (ints("size", *size),),
        function,
        smooth=False,
        tolerance=5e-3,
    )


def _tile(x: Sequence[int], times: Sequence[int]) -> OpCase:
    y = tuple(a * b for a, b in zip(x, times, strict=True))
    return OpCase(
        "TILE", ((x, 0.02, 3),), (y, 0.02, 3), {}, (ints("times", *times),),
        lambda op, x: tensorflow().tile(x, times), by_litert=True,
    )  # fmt: skip


def _moved(
    kind: str, x: Sequence[int], y: Sequence[int], function: Callable[..., Any], **more: Any
) -> OpCase:
    """An op that moves values."""
    return OpCase(kind, ((x, 0.02, 3),), (y, 0.02, 3), function=lambda op, x: function(x), **more)


MOVED: dict[str, tuple[OpCase, ...]] = {
    "BROADCAST_TO": (
        _moved(
            "BROADCAST_TO", (1, 5, 1, 3), MAP, lambda x: tensorflow().broadcast_to(x, MAP),
            constants=(ints("shape", *MAP),),
        ),
    ),
    "DEPTH_TO_SPACE": (
        _moved(
            "DEPTH_TO_SPACE", (1, 3, 2, 8), (1, 6, 4, 2), lambda x: tensorflow().nn.depth_to_space(x, 2),
            options={"BlockSize": 2},
        ),
    ),
    "RESIZE_BILINEAR": (
        _bilinear((10, 8), half=True),
        _bilinear((10, 8)),
        _bilinear((9, 7), align=True),
        _bilinear((3, 11), half=True),
        _bilinear((2, 3)),
        _bilinear((1, 1), align=True),
    ),
    "RESIZE_NEAREST_NEIGHBOR": (
        _enlarge(MAP, (10, 12)),
        _enlarge(MAP, (5, 4)),
        _enlarge(MAP, (15, 4), HalfPixelCenters=True),
    ),
    "SLICE": (
        _moved(
            "SLICE", MAP, (1, 2, 4, 2), lambda x: x[:, 1:3, :, 1:],
            constants=(ints("begin", 0, 1, 0, 1), ints("size", 1, 2, -1, 2)),
        ),
    ),
    "SPACE_TO_DEPTH": (
        _moved(
            "SPACE_TO_DEPTH", (1, 6, 4, 2), (1, 3, 2, 8), lambda x: tensorflow().nn.space_to_depth(x, 2),
            options={"BlockSize": 2},
        ),
    ),
    "SPLIT": (
        _moved(
            "SPLIT", (1, 5, 4, 6), MAP, lambda x: x[..., :3], options={"NumSplits": 2},
            constants=(ints("axis", -1),), others=(MAP,), xs_last=True,
        ),
    ),
    "SPLIT_V": (
        _moved(
            "SPLIT_V", MAP, (1, 2, 4, 3), lambda x: x[:, :2], options={"NumSplits": 2},
            constants=(ints("sizes", 2, 3), ints("axis", 1)), others=((1, 3, 4, 3),),
        ),
    ),
    "STRIDED_SLICE": (
        _slice((1, 2, 3, 2), (0, 1, 0, 1), (1, 5, 3, 3), (1, 2, 1, 1)),
        _slice((1, 5, 4, 1), (0, 0, 0, -1), (0, 0, 0, 0), (1, 1, 1, 1), 7, 15),
        _slice((1, 4, 3), (0, 2, 0, 0), (1, 3, 0, 0), (1, 1, 1, 1), 0, 12, 2),
        _slice((1, 5, 4, 3), (0, -1, 0, 0), (1, -6, 4, 3), (1, -1, 1, 1)),
    ),
    "TILE": (_tile(MAP, (1, 2, 1, 3)), _tile((1, 7), (1, 5))),
    "TRANSPOSE": (
        _transpose(MAP, (0, 3, 1, 2)),
        _transpose(MAP, (0, 2, 1, 3)),
        _transpose((1, 6, 7), (0, 2, 1)),
    ),
    "UNPACK": (
        _moved(
            "UNPACK", (1, 2, 4, 3), (1, 4, 3), lambda x: x[:, 0], options={"Num": 2, "Axis": 1},
            others=((1, 4, 3),),
        ),
    ),
}  # fmt: skip
