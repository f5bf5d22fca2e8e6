"""Where the outputs of ops that only move values come from: one function an op.

Each takes the positions of its input's elements, `x` in the input's shape, and returns the position of every
output, in the output's order; axes may be split further than the output's, as long as positions are affine in
them.
"""

from __future__ import annotations

import numpy as np

from tflm_export.ir import Op
from tflm_export.ops import check


def transposed(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """TRANSPOSE."""
    order = check.constant(op, tensors, op.inputs[1], "int32").reshape(-1).tolist()
    inside = all(-x.ndim <= axis < x.ndim for axis in order)
    valid = inside and sorted(axis % x.ndim for axis in order) == list(range(x.ndim))
    check.require(valid, op, f"{order} does not order {x.ndim} axes.")
    return x.transpose(order)


def strided(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """STRIDED_SLICE: begin, end and stride of every axis; a bit of a mask opens an end."""
    begin, end, stride = (
        check.constant(op, tensors, name, "int32").reshape(-1).tolist() for name in op.inputs[1:]
    )
    a = op.attrs
    plain = not a["ellipsis_mask"] and not a["new_axis_mask"]
    check.require(plain, op, "ellipsis_mask and new_axis_mask are not supported; allowed: 0.")
    check.require(len(begin) == len(end) == len(stride) <= x.ndim, op, "begin, end and strides do not fit.")
    check.require(all(stride), op, "a stride of 0.")
    taken: list[slice] = []
    for i, (first, last, step) in enumerate(zip(begin, end, stride, strict=True)):
        if a["shrink_axis_mask"] >> i & 1:
            inside = -x.shape[i] <= first < x.shape[i]
            check.require(inside, op, f"index {first} is outside of axis {i} with {x.shape[i]}.")
            taken.append(slice(first % x.shape[i], first % x.shape[i] + 1))
            continue
        opened = [a["begin_mask"] >> i & 1, a["end_mask"] >> i & 1]
        taken.append(slice(None if opened[0] else first, None if opened[1] else last, step))
    found = x[tuple(taken)]
    check.require(found.size > 0, op, "it takes nothing.")
    return found


def tiled(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """TILE."""
    times = tensors[op.inputs[1]].data
    check.require(
        times is not None and times.size == x.ndim, op, "the multiples must be constant, one an axis."
    )
    assert times is not None
    repeats = [int(n) for n in times.reshape(-1)]
    check.shape(op, tensors[op.outputs[0]], [n * size for n, size in zip(repeats, x.shape, strict=True)])
    return _repeated(x, [(n, 1) for n in repeats])


def _repeated(x: np.ndarray, times: list[tuple[int, int]]) -> np.ndarray:
    """Every axis repeated as a whole, and every element of it in its place; these are axes of their own."""
    around, split, whole = [], [], []
    for size, (outer, inner) in zip(x.shape, times, strict=True):
        around += [1, size, 1]
        whole += [outer, size, inner]
        split.append(size)
    return np.broadcast_to(x.reshape(around), whole)


def resized(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """RESIZE_NEAREST_NEIGHBOR, by whole factors."""
    check.rank(op, tensors[op.inputs[0]], 4)
    size = check.constant(op, tensors, op.inputs[1], "int32").reshape(-1).tolist()
    check.require(len(size) == 2, op, f"size {size}; allowed: height and width.")
    check.shape(op, tensors[op.outputs[0]], [x.shape[0], *size, x.shape[3]])
    check.require(not op.attrs["align_corners"], op, "align_corners is not supported; allowed: false.")
    factors = [new / old for new, old in zip(size, x.shape[1:3], strict=True)]
    whole = all(factor == int(factor) for factor in factors)
    check.require(
        whole, op, f"{list(x.shape[1:3])} to {size}: allowed are whole multiples, as UpSampling2D makes them."
    )
    return _repeated(x, [(1, 1), (1, int(factors[0])), (1, int(factors[1])), (1, 1)])


def sliced(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """SLICE: begin and size of every axis; a size of -1 goes to the end."""
    begin, size = (_whole(op, tensors, name) for name in op.inputs[1:])
    check.require(
        len(begin) == len(size) == x.ndim, op, f"begin {begin} and size {size} do not fit {x.ndim} axes."
    )
    ends = [n if m == -1 else b + m for b, m, n in zip(begin, size, x.shape, strict=True)]
    inside = all(0 <= b < e <= n for b, e, n in zip(begin, ends, x.shape, strict=True))
    check.require(inside, op, f"begin {begin} and size {size} are not inside of {list(x.shape)}.")
    found: np.ndarray = x[tuple(slice(b, e) for b, e in zip(begin, ends, strict=True))]
    check.shape(op, tensors[op.outputs[0]], found.shape)
    return found


def split(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """SPLIT: one of `parts` equal parts along an axis."""
    axis, parts = _axis(op, tensors, op.inputs[1], x.ndim), op.attrs["parts"]
    even = x.shape[axis] % parts == 0
    check.require(even, op, f"axis {axis} of {x.shape[axis]} does not split into {parts} equal parts.")
    return _part(op, tensors, x, axis, [x.shape[axis] // parts] * parts)


def split_by_sizes(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """SPLIT_V: one of the parts of given sizes along an axis; one of them may be -1, the rest."""
    sizes, axis = _whole(op, tensors, op.inputs[1]), _axis(op, tensors, op.inputs[2], x.ndim)
    rest = x.shape[axis] - sum(size for size in sizes if size != -1)
    sizes = [rest if size == -1 else size for size in sizes]
    fits = min(sizes, default=0) > 0 and sum(sizes) == x.shape[axis] and len(sizes) == op.attrs["parts"]
    check.require(fits, op, f"sizes {sizes} do not make {op.attrs['parts']} parts of {x.shape[axis]}.")
    return _part(op, tensors, x, axis, sizes)


def unpacked(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """UNPACK: one index of an axis, which goes."""
    axis, parts = op.attrs["axis"], op.attrs["parts"]
    check.require(-x.ndim <= axis < x.ndim, op, f"axis {axis} is not supported; allowed: one of {x.ndim}.")
    size = x.shape[axis]
    check.require(size == parts, op, f"axis {axis} of {size} does not make {parts} outputs.")
    found: np.ndarray = x.take(op.attrs["part"], axis)
    check.shape(op, tensors[op.outputs[0]], found.shape)
    return found


def depth_to_space(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """DEPTH_TO_SPACE: channels [block, block, C] of a pixel become block x block pixels."""
    block = _block(op, tensors)
    n, h, w, c = x.shape
    check.require(c % block**2 == 0, op, f"{c} channels are no multiple of {block}^2.")
    check.shape(op, tensors[op.outputs[0]], (n, h * block, w * block, c // block**2))
    return x.reshape(n, h, w, block, block, -1).transpose(0, 1, 3, 2, 4, 5)


def space_to_depth(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """SPACE_TO_DEPTH: its inverse."""
    block = _block(op, tensors)
    n, h, w, c = x.shape
    check.require(h % block == w % block == 0, op, f"a map of {h} x {w} does not go into blocks of {block}.")
    check.shape(op, tensors[op.outputs[0]], (n, h // block, w // block, c * block**2))
    return x.reshape(n, h // block, block, w // block, block, c).transpose(0, 1, 3, 2, 4, 5)


def broadcast(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """BROADCAST_TO."""
    shape = tuple(_whole(op, tensors, op.inputs[1]))
    check.shape(op, tensors[op.outputs[0]], shape)
    padded = (1,) * (len(shape) - x.ndim) + x.shape
    fits = len(padded) == len(shape) and all(a in (1, b) for a, b in zip(padded, shape, strict=True))
    check.require(fits, op, f"{list(x.shape)} does not broadcast to {list(shape)}.")
    return np.broadcast_to(x, shape)


def _whole(op: Op, tensors: check.Tensors, name: str) -> list[int]:
    """The values of a constant, int32 or int64."""
    tensor = tensors[name]
    dtype = tensor.dtype if tensor.dtype in ("int32", "int64") else "int32"
    found: list[int] = check.constant(op, tensors, name, dtype).reshape(-1).tolist()
    return found


def _axis(op: Op, tensors: check.Tensors, name: str, rank: int) -> int:
    """A constant axis, counted from the front."""
    found = _whole(op, tensors, name)
    ok = len(found) == 1 and -rank <= found[0] < rank
    check.require(ok, op, f"axis {found} is not supported; allowed: one of {rank}.")
    return found[0] % rank


def _part(op: Op, tensors: check.Tensors, x: np.ndarray, axis: int, sizes: list[int]) -> np.ndarray:
    """The op's part of `x`, cut into `sizes` along `axis`."""
    found: np.ndarray = np.split(x, np.cumsum(sizes)[:-1], axis)[op.attrs["part"]]
    check.shape(op, tensors[op.outputs[0]], found.shape)
    return found


def _block(op: Op, tensors: check.Tensors) -> int:
    """The size of a block on a map."""
    check.rank(op, tensors[op.inputs[0]], 4)
    block: int = op.attrs["block_size"]
    check.require(block > 0, op, f"block size {block}; allowed: 1 and more.")
    return block
