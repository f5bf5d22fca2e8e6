"""The parts of an engine that keeps its state in flash (docs/store.md)."""

from __future__ import annotations

import math

from tflm_export.cpp import wrap
from tflm_export.emit.engine import Engine
from tflm_export.emit.new_classes import OPENED
from tflm_export.living.new_classes import outlives_power
from tflm_export.store.arrays import StoredArray, store_identity, stored_arrays
from tflm_export.store.samples import samples_in_flash
from tflm_export.template import fill
from tflm_export.variable import Variable

_IN_RAM = {
    "kept_count": "kStoreArrays",
    "save_kept": "tfodl::save_kept(store, kept, kStoreArrays)",
    "restore_kept": "tfodl::restore_kept(store, kept, kStoreArrays)",
    "constant": "const ",
    "check": "",
}
_WITH_SAMPLES = {
    "kept_count": "kStoreArrays - 1",
    "save_kept": "samples.save(store, kept, kStoreArrays - 1)",
    "restore_kept": "samples.restore(store, kept, kStoreArrays - 1)",
    "constant": "",
    "check": "  if (status == tfodl::StoreStatus::kOk && !samples_are_whole()) status = samples.refuse();\n",
}


def store_parts(e: Engine) -> dict[str, str]:
    """The fields of the templates that a store adds; empty where the plan asks for none."""
    if not (e.plan.store_bytes and e.learns):
        return {"store": "", "store_header": "", "store_include": ""}
    arrays, identity = stored_arrays(e.graph, e.plan), store_identity(e.graph, e.plan)
    fields = {
        "arrays": str(len(identity.first) - 1),
        "records": str(identity.first[-1]),
        "store_bytes": str(e.plan.store_bytes),
        "kept": "\n".join(f"    {_row(e, array)}" for array in arrays),
        "first": wrap(map(str, identity.first)),
        "identity": ", ".join(map(str, identity.engine)),
    }
    fields |= _IN_RAM if samples_in_flash(e.graph, e.plan) is None else _WITH_SAMPLES
    keep = "" if e.plan.guard is None else "\n  keep();"
    fields["restored"] = keep + (OPENED if outlives_power(e.plan) else "")
    added = {"store": fill("store.cpp", fields), "store_header": fill("store.h", fields)}
    header = "kept" if samples_in_flash(e.graph, e.plan) is None else "samples"
    return added | {"store_include": f'#include "tfodl/store/{header}.h"\n'} | scales_in_one(e)


def scales_in_one(e: Engine) -> dict[str, str]:
    """The gradients' scales as one array, under their names."""
    ops = e.scaled_ops()
    if not ops:
        return {}
    lines = [
        "",
        "// Scale of every gradient: real = value * 2^exponent.",
        f"tfodl::GradScale scales[{len(ops)}];",
    ]
    lines += [f"constexpr tfodl::GradScale& {e.scale(op)} = scales[{i}];" for i, op in enumerate(ops)]
    return {"scales": "\n".join([*lines, ""])}


def _row(e: Engine, array: StoredArray) -> str:
    """One `tfodl::Kept`."""
    data, base, step = array.symbol, "nullptr, nullptr, nullptr", array.width
    shape = f"{array.count}, 1, 1"
    if array.kind == "scales":
        data, step = "&scales[0].shift", 4
    elif array.kind in ("settings", "counts"):
        data = f"&{array.symbol}"
    elif array.variable is not None:
        base, shape = _base(e, array.variable, array.count)
    return f"{{{data}, {base}, {shape}, {array.width}, {step}}},"


def _base(e: Engine, variable: Variable, count: int) -> tuple[str, str]:
    """Where the first values of a trained tensor lie in flash, and its shape there and here."""
    label = variable.layer.label
    table = f"{'bias' if variable.bias else 'weights'}{label}"
    if variable.resident:
        return f"{table}, nullptr, nullptr", f"{count}, 1, 1"
    channels = e.tables.add("int16_t", f"channels{label}", variable.channels)
    row = math.prod(variable.shape[1:])
    if variable.axis == 0:
        return f"{table}, {channels}, nullptr", f"{count}, {row}, {row}"
    return f"{table}, nullptr, {channels}", f"{count}, {len(variable.channels)}, {variable.shape[-1]}"
