"""What an engine takes of a board, from its graph and plan alone: before anything is emitted or built, and
fast enough to choose a plan by.

RAM is the compiler's own memory plan and the stack; flash is an estimate from above.
"""

from __future__ import annotations

from functools import cached_property

from tflm_export.gradients.training_graph import training_graph
from tflm_export.ir import Graph, Op
from tflm_export.limits import check_limits
from tflm_export.memory.fuse import ENOUGH_RAM_BYTES, lowering, widened
from tflm_export.memory.lifetimes import lifetimes, peak
from tflm_export.memory.overwrite import overwriting_all
from tflm_export.memory.place import Buffer, live_bytes, lower_bound, quick_height
from tflm_export.memory.storage import engine_ram, static_ram
from tflm_export.plan import LayerUpdate, UpdatePlan
from tflm_export.variable import variables

LIBRARY_BYTES = 48 * 1024  # of flash: kernels and run time, at most 45 KB in the engines that we measured
CALL_BYTES = 128  # of flash: one op's call with its structs
POOL_BYTES = (
    8 * 1024
)  # of flash: what chooses, judges and keeps images; at most 4.6 KB of it chooses and keeps
TABLE_BYTES = 1024  # of flash: exponentials of the loss, or a function's outputs and slopes
REMEMBERED = 200  # kinds of plans, of some 100 KB each
LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class _Arena:
    """The arena of one kind of plan, found out as far as it is asked for.

    Streams lower the forward pass's peak only: the bytes alive are at least `low`, those of the backward pass
    with every gradient in place that can be, and at most `high`, those of the best streams found so far.
    Looking for all of them takes ten times as long.
    """

    def __init__(self, graph: Graph) -> None:
        least = overwriting_all(graph)
        live = live_bytes(lifetimes(least).buffers)
        backward = (n for n, op in zip(live, least.ops, strict=True) if op.role != "forward")
        self.low, self.high, self._graph = max(backward, default=0), peak(graph)[0], graph
        self._search = lowering(graph, ENOUGH_RAM_BYTES)

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        """As the compiler has them."""
        while self._lower():
            pass
        return lifetimes(widened(self._graph, max(self.high, ENOUGH_RAM_BYTES))).buffers

    @cached_property
    def least(self) -> int:
        """Bytes alive at most: no placement is smaller."""
        return self.low if self.low == self.high else lower_bound(self.buffers)

    @cached_property
    def placed(self) -> int:
        """Bytes of a placement."""
        return quick_height(self.buffers)

    def fits(self, nbytes: int) -> bool:
        """Whether `least` is at most `nbytes`."""
        if nbytes < ENOUGH_RAM_BYTES:  # streams' steps are widened up to there
            return self.low <= nbytes and self.least <= nbytes
        while self.low <= nbytes < self.high and self._lower():
            pass
        return self.high <= nbytes

    def _lower(self) -> bool:
        """Look one change further; False where there is none."""
        found = next(self._search, None)
        if found is not None:
            self._graph, self.high = found
        return found is not None


class EngineSize:
    """RAM and flash of the engines of one model, by plan.

    forward: a simplified graph (`simplify(read_tflite(data))`); weights and scales do not matter.
    gradients: as for `compile_model`. Plans that need the same buffers are planned once.

    >>> from tflm_export.front.read_tflite import read_tflite
    >>> from tflm_export.front.simplify import simplify
    >>> size = EngineSize(simplify(read_tflite(tflite)))
    >>> size.ram_bytes(UpdatePlan(head=False)) < size.ram_bytes(UpdatePlan())
    True
    """

    def __init__(self, forward: Graph, gradients: str = "int16") -> None:
        self.forward, self.gradients = check_limits(forward), gradients
        self._arenas: dict[object, _Arena] = {}

    def ram_bytes(self, plan: UpdatePlan) -> int:
        """Static RAM and stack, bytes: what the engine takes at most. The placement is a short search's,
        which the compiler's goes on with (for 0.1 % on our nets).

        Raises `ExportError` for a plan that does not fit the model.
        """
        graph = self._graph(plan)
        return self._with_arena(graph, plan, self._arena(plan, graph).placed)

    def least_ram_bytes(self, plan: UpdatePlan) -> int:
        """The same without gaps between the buffers: no placement takes less. Much faster."""
        graph = self._graph(plan)
        return self._with_arena(graph, plan, self._arena(plan, graph).least)

    def fits(self, plan: UpdatePlan, ram_bytes: int) -> bool:
        """Whether `least_ram_bytes` is at most `ram_bytes`: faster still."""
        graph = self._graph(plan)
        return self._arena(plan, graph).fits(ram_bytes - self._with_arena(graph, plan, 0))

    def flash_bytes(self, plan: UpdatePlan) -> int:
        """Constants and program, bytes: an estimate from above."""
        return flash_estimate(self._graph(plan))

    def _graph(self, plan: UpdatePlan) -> Graph:
        return training_graph(self.forward, plan, self.gradients)

    def _arena(self, plan: UpdatePlan, graph: Graph) -> _Arena:
        key = self._key(plan)
        if key not in self._arenas:
            if len(self._arenas) >= REMEMBERED:
                self._arenas.clear()
            self._arenas[key] = _Arena(graph)
        return self._arenas[key]

    def _with_arena(self, graph: Graph, plan: UpdatePlan, arena: int) -> int:
        return engine_ram(static_ram(graph, plan.optimizer, arena))

    def _key(self, plan: UpdatePlan) -> object:
        """What the arena depends on: of the channels only how many are kept apart, not which."""
        rows = tuple(self._row(layer) for layer in plan.layers)
        return rows, plan.head, plan.loss

    def _row(self, layer: LayerUpdate) -> object:
        whole = layer.axis == "out" and self._keeps_whole_input(layer.name)
        count = min(1, len(layer.channels)) if whole else len(layer.channels)
        biases = layer.bias == "all" or (layer.bias == "selected" and bool(layer.channels))
        return layer.name, layer.axis, count, biases

    def _keeps_whole_input(self, name: str) -> bool:
        """Whether the op's update reads all of its input, whatever channels train."""
        found = [op for op in self.forward.ops if name in (op.name, *op.outputs, *op.inputs[1:2])]
        return bool(found) and found[0].kind != "DEPTHWISE_CONV_2D"


def flash_estimate(graph: Graph) -> int:
    """Constants and program of a training graph's engine, bytes: an estimate from above."""
    ops = graph.layers.values()
    constants = sum(_constant_bytes(op, graph) for op in ops if op.role == "forward")
    tables = sum(
        2 * graph.tensors[v.layer.outputs[0]].shape[-1] + 4 * len(v.op.attrs["channels"])
        for v in variables(graph)
    )
    pool = POOL_BYTES * any(v.pooled for v in variables(graph))
    return LIBRARY_BYTES + TABLE_BYTES + pool + constants + tables + CALL_BYTES * len(ops)


def _constant_bytes(op: Op, graph: Graph) -> int:
    """Weights, and a bias, multiplier and shift a channel; tables."""
    if op.kind in LAYERS:
        return graph.tensors[op.inputs[1]].nbytes + 9 * graph.tensors[op.outputs[0]].shape[-1]
    constants = [graph.tensors[name] for name in op.inputs if name]
    return sum(t.nbytes for t in constants if t.data is not None) + TABLE_BYTES * ("table" in op.attrs)
