"""The figures that README and docs print, from what was measured: results/bench/engine.json, nothing typed.

`python benchmarks/engine.py --out results/bench/engine.json`, then `python benchmarks/tables.py`; a test
holds the pages to it. A page has a figure between `<!-- bench:NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from tflm_export.boards import BOARDS, Board

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "results" / "bench" / "engine.json"
MLPERF = ROOT / "results" / "bench" / "mlperf.json"
DEAD = ROOT / "results" / "bench" / "dead.json"
STORE = ROOT / "results" / "bench" / "store.json"
SAMPLES = ROOT / "results" / "bench" / "samples.json"
COREMARK = ROOT / "results" / "bench" / "coremark.json"
BY_CORE = ROOT / "results" / "bench" / "boards.json"
SAMPLES_ERASES = 64 * 10_000  # of the area of benchmarks/samples.py
PAGES = tuple(
    ROOT / f"{page}.md"
    for page in ("README", "docs/add_board", "docs/compiler", "docs/measuring", "docs/living", "docs/store")
)
BLOCK = re.compile(r"(<!-- bench:(\w+) -->\n).*?(<!-- end -->)", re.S)
KINDS = {"train_step": "training step", "inference": "inference"}
SHOWN = (
    ("mcunet-5fps 128x128x3", "49 KB scheme", ("train_step", "inference")),
    ("mbv2-w0.35 96x96x3", "49 KB scheme", ("train_step", "inference")),
    ("MobileNetV2-0.35 96x96x3", "inference", ("inference",)),
    ("MobileNetV2-0.35 96x96x3", "inference, row-fed", ("inference",)),
    ("MobileNetV1-0.25 96x96x3 (MLPerf VWW)", "inference", ("inference",)),
    ("ResNet-8 32x32x3 (MLPerf IC)", "inference", ("inference",)),
    ("DS-CNN 49x10x1 (MLPerf KWS)", "inference", ("inference",)),
    ("autoencoder 640 (MLPerf AD)", "inference", ("inference",)),
    ("linear 256-10", "everything", ("train_step",)),
    ("CNN 16x16x1, conv 8, conv 16, dense 10", "everything", ("train_step",)),
)
HEAD = (
    "| net, plan | | cycles, M | ms | a MAC | instructions, M | peer | cycles, M | instructions, M |\n"
    "|---|---|--:|--:|--:|--:|---|--:|--:|\n"
)


def work(rows: list[dict[str, Any]]) -> str:
    """Cycles, milliseconds and instructions beside the peers'."""
    return HEAD + "".join(_line(_row(rows, net, plan), kind) for net, plan, kinds in SHOWN for kind in kinds)


def memory(rows: list[dict[str, Any]]) -> str:
    """RAM and flash beside the peers'; RAM is static data and painted stack."""
    head = "| net, plan | RAM, B | flash, B | peer | its RAM, B | its flash, B |\n|---|--:|--:|---|--:|--:|\n"
    return head + "".join(_memory_line(_row(rows, net, plan)) for net, plan, _ in SHOWN)


def gradients(rows: list[dict[str, Any]]) -> str:
    """A training step with each arithmetic of the backward pass."""
    head = "| net, plan | gradients | training step, M cycles | RAM, B | flash, B |\n|---|---|--:|--:|--:|\n"
    return head + "".join(
        _gradients_line(_row(rows, net, plan + suffix), plan, arithmetic, _row(rows, net, plan))
        for net, plan, _ in SHOWN[:2]
        for suffix, arithmetic in (("", "int16"), (", float32 gradients", "float32"))
    )


def ram(rows: list[dict[str, Any]]) -> str:
    """What less RAM costs, and a picture that comes row by row."""
    head = "| net, plan | RAM, B | | M cycles | flash, B |\n|---|--:|---|--:|--:|\n"
    mcunet, mobilenet = "mcunet-5fps 128x128x3", "MobileNetV2-0.35 96x96x3"
    small = (f", row-fed, {ram} KB of RAM" for ram in (80, 72))
    plans = [f"49 KB scheme{more}" for more in (", 200 KB of RAM", ", 150 KB of RAM", "", *small)]
    shown = [(_row(rows, mcunet, plan), "train_step") for plan in plans]
    fed = [f"inference, row-fed{more}" for more in ("", ", 24 KB of RAM")]
    shown += [(_row(rows, mobilenet, plan), "inference") for plan in ("inference", *fed)]
    return head + "".join(
        f"| {row['net'].replace('x', '×')}, {row['plan']} | {row['total_ram_bytes']:,} | {KINDS[kind]} | "
        f"{_short(row[f'cycles_{kind}'] / 1e6)} | {row['flash_bytes']:,} |\n"
        for row, kind in shown
    )


def replay(rows: list[dict[str, Any]]) -> str:
    """A replay beside a step."""
    row = _row(rows, "mbv2-w0.35 96x96x3", "49 KB scheme, memory")
    parts = []
    for what in ("cycles", "instructions"):
        one = row[f"{what}_replay_step"]
        whole = _row(rows, "mbv2-w0.35 96x96x3", "49 KB scheme")[f"{what}_train_step"]
        parts.append(f"{one / 1e6:.2f} M of a step's {whole / 1e6:.2f} M {what} ({one / whole:.2f})")
    return (
        f'On mbv2-w0.35 at 96 px with the "49 KB" scheme a sample takes {row["sample_bytes"]} bytes; a '
        f"replay takes\n{' and '.join(parts)}, on the emulated Cortex-M4.\n"
    )


def mlperf(_: list[dict[str, Any]]) -> str:
    """MLPerf Tiny's own files beside the best that was published for a Cortex-M4."""
    head = (
        "| benchmark | file | MACs left out as dead | M cycles | under Arduino's flags | RAM, B | flash, B "
        "| best published |\n|---|---|--:|--:|--:|--:|--:|--:|\n"
    )
    rows = json.loads(MLPERF.read_text(encoding="utf-8"))
    return head + "".join(
        f"| {row['benchmark']} | `{row['file']}` | {row['dead_macs']:.0%} | {_short(row['cycles'] / 1e6)} | "
        f"{_short(row['cycles_arduino'] / 1e6)} | {row['ram_bytes']:,} | {row['flash_bytes']:,} | "
        f"{_short(row['published_cycles'] / 1e6)} |\n"
        for row in rows
    )


def boards(_: list[dict[str, Any]]) -> str:
    """A training step of the same engines on every board."""
    rows = json.loads(BY_CORE.read_text(encoding="utf-8"))
    nets = list(dict.fromkeys((row["net"], row["plan"]) for row in rows))
    cells = [f"{net.replace('x', '×')}, {plan}: M cycles | ms" for net, plan in nets]
    head = f"| board | core, MHz | {' | '.join(cells)} |\n|---|---|{'--:|' * 2 * len(nets)}\n"
    return head + "".join(_board_line(name, board, rows, nets) for name, board in BOARDS.items())


def _board_line(name: str, board: Board, rows: list[dict[str, Any]], nets: list[tuple[str, str]]) -> str:
    about = " ".join(["≈"] * board.cycles.estimate + [f"{board.core}, {board.clock_hz // 10**6}"])
    steps = {(row["net"], row["plan"]): row["cycles_train_step"] for row in rows if row["core"] == board.core}
    cells = [f"{_short(steps[net] / 1e6)} | {_short(board.milliseconds(steps[net]))}" for net in nets]
    return f"| `{name}` | {about} | {' | '.join(cells)} |\n"


def coremark(_: list[dict[str, Any]]) -> str:
    """CoreMark by the model of each core beside what is published."""
    head = "| core | by the model, CoreMark/MHz | published | model / published | whose |\n"
    head += "|---|--:|--:|--:|---|\n"
    rows = json.loads(COREMARK.read_text(encoding="utf-8"))
    return head + "".join(
        f"| `{row['core']}` | {row['coremark_per_mhz']:.2f} | {row['published']:.2f} | "
        f"{row['coremark_per_mhz'] / row['published']:.2f} | {row['by']} |\n"
        for row in rows
    )


def dead(_: list[dict[str, Any]]) -> str:
    """Published nets with their dead channels and without."""
    head = "| net | dead channels | MAC | weights | M cycles, kept → left out | flash, B |\n"
    head += "|---|--:|--:|--:|--:|--:|\n"
    return head + "".join(_dead_line(row) for row in json.loads(DEAD.read_text(encoding="utf-8")))


def _dead_line(row: dict[str, Any]) -> str:
    kept, rest, removed = row["kept"], row["left_out"], row["removed"]
    cells = [
        row["net"], f"{row['channels']:,} of {row['of']:,}", f"−{removed['macs'] / kept['macs']:.1%}",
        f"−{removed['weights']:,}", f"{_short(kept['cycles'] / 1e6)} → {_short(rest['cycles'] / 1e6)}",
        f"{kept['flash_bytes']:,} → {rest['flash_bytes']:,}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def store(_: list[dict[str, Any]]) -> str:
    """What keeping a state takes."""
    found = json.loads(STORE.read_text(encoding="utf-8"))
    facts, cycles, saves = found["facts"], found["cycles"], found["saves"]
    kilobytes = {every: f"{nbytes / 1024:.1f} KB" for every, nbytes in found["flash_a_save"].items()}
    rows = {
        "state, in records": f"{facts['state_bytes']:,} B in {facts['records']}",
        "RAM": f"{facts['ram_bytes']} B",
        "flash a save, after every step": kilobytes["1"],
        "flash a save, after every 20 steps": kilobytes["20"],
        "saves in 160,000 erases (16 pages of 10,000)": f"{saves['1']:,} and {saves['20']:,}",
        "restore": _at_64_mhz(cycles["restore_again"]),
        "save, without the flash's own time": _at_64_mhz(cycles["save"]),
        "the same where nothing changed": _at_64_mhz(cycles["save_nothing"]),
    }
    return "| | |\n|---|--:|\n" + "".join(f"| {what} | {value} |\n" for what, value in rows.items())


def samples(_: list[dict[str, Any]]) -> str:
    """What a memory in flash takes."""
    found = json.loads(SAMPLES.read_text(encoding="utf-8"))
    held, static, cycles = found["samples"], found["static_ram"], found["replay_cycles"]
    years = SAMPLES_ERASES * found["kept_an_erase"] / (60 * 24 * 365)
    rows = {
        "static RAM of the engine, samples in RAM": f"{static['ram']:,} B",
        "the same, samples in flash": f"{static['flash']:,} B, and {found['index_bytes']:,} of the store",
        "flash a sample": f"{held['bytes']:,} B, of which {found['latent_bytes']} are the latent",
        "saved samples that may be replaced before a save": f"{held['changes']}",
        "samples that a full memory keeps a page erased, weights unchanged": f"{found['kept_an_erase']:.2f}",
        "one kept sample a minute lasts (64 pages of 10,000 erases)": f"{years:.1f} years",
        "replay, its latent in RAM": _at_64_mhz(cycles["ram"]),
        "replay, its latent in flash": _at_64_mhz(cycles["flash"]),
    }
    return "| | |\n|---|--:|\n" + "".join(f"| {what} | {value} |\n" for what, value in rows.items())


def _at_64_mhz(cycles: int) -> str:
    return f"{cycles / 1e6:.2f} M cycles, {cycles / 64e3:.0f} ms"


def filled(page: str, rows: list[dict[str, Any]]) -> str:
    """The page with its figures. Raises `KeyError` for a name that is none of ours."""
    makers = {
        "work": work,
        "memory": memory,
        "gradients": gradients,
        "boards": boards,
        "coremark": coremark,
        "mlperf": mlperf,
        "ram": ram,
        "dead": dead,
        "store": store,
        "samples": samples,
        "replay": replay,
    }
    return BLOCK.sub(lambda m: m[1] + makers[m[2]](rows) + m[3], page)


def _row(rows: list[dict[str, Any]], net: str, plan: str) -> dict[str, Any]:
    return next(row for row in rows if (row["net"], row["plan"]) == (net, plan))


def _line(row: dict[str, Any], kind: str) -> str:
    peer = row["yardstick"]
    cells = [
        f"{row['net'].replace('x', '×')}, {row['plan']}", KINDS[kind],
        _short(row[f"cycles_{kind}"] / 1e6), _short(row[f"milliseconds_{kind}"]),
        f"{row[f'cycles_a_mac_{kind}']:.2f}", _short(row[f"instructions_{kind}"] / 1e6),
        str(peer.get("by", "")).split(";")[0],
        *(_short(peer[f"{what}_{kind}"] / 1e6) if f"{what}_{kind}" in peer else ""
          for what in ("cycles", "instructions")),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def _memory_line(row: dict[str, Any]) -> str:
    peer = row["yardstick"]
    others = [f"{peer[key]:,}" if key in peer else "" for key in ("total_ram_bytes", "flash_bytes")]
    own = [f"{row[key]:,}" for key in ("total_ram_bytes", "flash_bytes")]
    name = f"{row['net'].replace('x', '×')}, {row['plan']}"
    return f"| {' | '.join([name, *own, str(peer.get('by', '')).split(';')[0], *others])} |\n"


def _gradients_line(row: dict[str, Any], plan: str, arithmetic: str, int16: dict[str, Any]) -> str:
    cycles = row["cycles_train_step"]
    share = "" if row is int16 else f" ({cycles / int16['cycles_train_step']:.2f} ×)"
    cells = [f"{_short(cycles / 1e6)}{share}", f"{row['total_ram_bytes']:,}", f"{row['flash_bytes']:,}"]
    return f"| {row['net'].replace('x', '×')}, {plan} | {arithmetic} | {' | '.join(cells)} |\n"


def _short(value: float) -> str:
    """Three figures: 1,083, 69.3, 5.21, 0.662."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def main() -> int:
    """Write the figures into the pages; 2 where nothing was measured."""
    if not MEASURED.is_file():
        print(f"benchmarks/tables.py: {MEASURED} is missing; run engine.py first.", file=sys.stderr)
        return 2
    rows = json.loads(MEASURED.read_text(encoding="utf-8"))
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
