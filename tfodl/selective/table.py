"""Text tables of a plan: one row a layer."""

from __future__ import annotations

from tfodl.neurons.cost import LayerCost, PlanCost

_HEAD = ("layer", "kind", "neurons", "selected", "params", "trained", "RAM, B", "dX, kMAC", "dW, kMAC")


def plan_table(cost: PlanCost) -> str:
    """The table that `SelectiveModel.summary` prints: trained layers and the totals."""
    rows = [_HEAD, *(_row(layer) for layer in cost.layers)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = [
        "  ".join(_align(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:], rule, *_totals(cost)])


def _align(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)


def _row(layer: LayerCost) -> tuple[str, ...]:
    numbers = (layer.neurons, layer.selected, layer.params, layer.trained, layer.scheme_bytes)
    macs = (layer.macs.dx // 1000, layer.macs.dw // 1000)
    return (layer.layer, layer.kind, *(f"{number:,}" for number in (*numbers, *macs)))


def _totals(cost: PlanCost) -> list[str]:
    return [
        f"Trained under the budget: {cost.params:,} of {cost.total_params:,} parameters ({cost.share:.1%}), "
        f"{cost.neurons:,} of {cost.total_neurons:,} neurons, {cost.scheme_bytes:,} B of memory at batch 1",
        f"Beside it: head {cost.head_params:,}, batch norm {cost.batchnorm_params:,} parameters",
        f"MACs a sample: forward {cost.macs.forward:,}, dX {cost.macs.dx:,}, dW {cost.macs.dw:,}; "
        f"backward work saved {cost.flops_saved:.1%} (the papers' count: {cost.flops_saved_paper:.1%})",
    ]
