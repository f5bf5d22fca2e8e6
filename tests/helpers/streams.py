"""Streams where a small net would not need them."""

from tflm_export.memory.fuse import _fused


def longest_chains(graph):
    """Every chain fused that can be, long ones first, wherever memory peaks."""
    changed = True
    while changed:
        changed = False
        spans = [(i, j) for i in range(len(graph.ops)) for j in range(i + 2, len(graph.ops) + 1)]
        for start, stop in sorted(spans, key=lambda s: s[0] - s[1]):
            part = graph.ops[start:stop]
            if any(op.kind == "STREAM" for op in part):
                continue
            fused = _fused(graph, start, stop)
            if fused is not None:
                graph, changed = fused, True
                break
    return graph
