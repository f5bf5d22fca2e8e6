"""Short C++ names for tensors and ops: y3, mask3, dx3 for the output, clip mask, input gradient of op #3."""

from __future__ import annotations

import re

from tflm_export.emit.c_names import C_NAMES
from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Op

WORDS_OF_CPP = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t
    class co_await co_return co_yield compl concept const const_cast consteval constexpr constinit
    continue decltype default delete do double dynamic_cast else enum explicit export extern false float
    for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq
    private protected public register reinterpret_cast requires return short signed sizeof static
    static_assert static_cast struct switch template this thread_local throw true try typedef typeid
    typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
# Of Arduino's cores and of their systems: a namespace of such a name does not compile.
WORDS_OF_A_SKETCH = """
    accept assert bind bit boolean byte connect constrain degrees delay interrupts linux listen loop main
    major map max micros millis min minor optional poll radians send setup shutdown socket sq std tone
    unix wait word yield
"""
FILES_OF_WINDOWS = {"con", "prn", "aux", "nul"}
TAKEN = {"tfodl", "at", *FILES_OF_WINDOWS}
TAKEN |= {word for words in (WORDS_OF_CPP, WORDS_OF_A_SKETCH, C_NAMES) for word in words.split()}
_PREFIX = {"BIAS_UPDATE": "db", "GATHER_CHANNELS": "kept", "MASK_GRADIENT": "dy"}


def identifier(name: str) -> str:
    """`name` if C++ takes it as a namespace. Raises `ExportError`."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name) or name in TAKEN or name.endswith("_t"):
        raise ExportError(
            f"engine name {name!r} is not supported; allowed: a lower-case letter, then such, digits, '_'; "
            "no word of C++, no name of Arduino's or the C library's, nothing that ends in '_t'."
        )
    return name


def op_symbol(op: Op) -> str:
    """What the op computes: `y3`, `dx3`, `dx4_1`, `dx4_1_sum`, `dw3`, `db3`, `dy4`, `dy` for the loss."""
    if op.name == "loss":
        return "dy"
    if op.role == "forward":
        return f"y{op.label}"
    if op.role == "update" or op.kind in _PREFIX:
        return f"{_PREFIX.get(op.kind, 'dw')}{op.label}"
    position = f"_{op.attrs['position']}" if "position" in op.attrs else ""
    return f"dx{op.label}{position}{'_sum' if op.kind == 'ADD_GRADIENTS' else ''}"


def tensor_symbols(graph: Graph) -> dict[str, str]:
    """C++ name of every tensor that an op or the caller writes."""
    symbols = {name: "x" if i == 0 else f"x_{i}" for i, name in enumerate(graph.inputs)}
    symbols |= {state.tensor: f"state_{i}" for i, state in enumerate(graph.states)}
    written = {name for op in graph.ops for name in op.outputs}
    for op in graph.layers.values():
        names = [op_symbol(op), f"mask{op_symbol(op)[1:]}"]
        symbols.update(pair for pair in zip(op.outputs, names, strict=False) if pair[0] in written)
    return symbols


def ring_symbol(op: Op, i: int) -> str:
    """The ring after stage `i` of a stream: `ring4_0`."""
    return f"ring{op.label}_{i}"


def part_symbol(what: str, op: Op) -> str:
    """A buffer of an op beside its scratch: `slices_dx4`."""
    return f"{what}_{op_symbol(op)}"


def display(name: str) -> str:
    """A tensor's name for a comment: the converter's first alternative, printable, at most 60 characters."""
    text = re.sub(r"[^ -~]|[\\?]", "_", name.split(";")[0])
    return text if len(text) <= 60 else "..." + text[-57:]


def parameter_name(tensor: str) -> str:
    """A trained tensor's name on the board: for people; which tensor it is, its place in the table says.

    >>> parameter_name('dense/kernel"1";fused/with/others')
    "dense/kernel'1'"
    """
    return display(tensor).replace('"', "'")


def shape_text(shape: tuple[int, ...]) -> str:
    """`6x6x16`, without the batch axis of 1."""
    return "x".join(map(str, shape[1:] if len(shape) > 1 and shape[0] == 1 else shape))
