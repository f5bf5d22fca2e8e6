"""The runs of a study, by cell: what the tables of docs/results.md and `comparison` compare."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfodl.experiments.paired import Difference, difference, mean_of

Row = dict[str, Any]
Cell = list[Row]  # the runs of a cell, by seed
Key = tuple[str, str, str]  # data set, method, budget as JSON
Cells = Mapping[Key, Cell]
UNLIMITED = ("head", "all")  # the same at every budget


def cells(rows: Sequence[Row]) -> dict[Key, Cell]:
    """Runs that count, by cell; cells that lack seeds which another of their set has are left out."""
    found: dict[Key, dict[int, Row]] = {}
    for row in rows:
        a = row["arguments"]
        if not a["validate"]:
            key = a["task"]["data"], a["method"], json.dumps(a["budget"])
            found.setdefault(key, {})[a["seed"]] = row
    most: dict[str, int] = {}
    for (data, *_), seeds in found.items():
        most[data] = max(most.get(data, 2), len(seeds))
    return {
        key: [seeds[s] for s in sorted(seeds)] for key, seeds in found.items() if len(seeds) == most[key[0]]
    }


def correct(cell: Cell) -> np.ndarray:
    """Which test pictures were right, bool [seeds, pictures]."""
    bits = [np.frombuffer(bytes.fromhex(row["result"]["correct"]), np.uint8) for row in cell]
    return np.unpackbits(np.array(bits), axis=1)[:, : cell[0]["result"]["test"]].astype(bool)


def compare(known: Cells, a: Sequence[Key], b: Sequence[Key]) -> Difference | None:
    """Mean over the cells `a` minus mean over the cells `b`, of one set, in points; None where one lacks.

    A budget's cells have the seeds and pictures of another's: over budgets a picture counts by its mean.
    """
    if not a or not b or not {*a, *b} <= known.keys():
        return None
    one, other = (np.mean([correct(known[key]) for key in keys], axis=0) for keys in (a, b))
    found = difference(one, other)
    return Difference(100 * found.mean, 100 * found.error, found.freedom)


def over_sets(known: Cells, names: Sequence[str], a: str, b: str, at: Sequence[str]) -> Difference | None:
    """Method `a` minus `b` at the budgets `at`, mean over the sets `names`; None where a cell lacks."""
    found = [between(known, data, a, b, at) for data in names]
    there = [one for one in found if one is not None]
    return mean_of(there) if there and len(there) == len(names) else None


def between(known: Cells, data: str, a: str, b: str, at: Sequence[str]) -> Difference | None:
    """Method `a` minus `b` on one set at the budgets `at`."""
    keys = [[key_of(known, data, method, budget) for budget in at] for method in (a, b)]
    return compare(known, *keys)


def whole_sets(known: Cells, method: str) -> list[str]:
    """The sets that have `method` at every budget that there is."""
    return [d for d in sets(known) if all(key_of(known, d, method, b) in known for b in budgets(known))]


def plan_key(holder: Mapping[str, Any]) -> str:
    """The plan in a result, or in the arguments of scripts/engines.py, as text."""
    return json.dumps(holder.get("plan"), sort_keys=True)


def engines_of(known: Cells, engines: Sequence[Row]) -> dict[Key, Row]:
    """What the engines of scripts/engines.py take, by the cell whose first run ended with their plan."""
    places = ((row["arguments"]["task"]["data"], plan_key(row["arguments"])) for row in engines)
    sizes = dict(zip(places, (row["result"] for row in engines), strict=True))
    wanted = {key: (key[0], plan_key(cell[0]["result"])) for key, cell in known.items()}
    return {key: sizes[place] for key, place in wanted.items() if place in sizes}


def sets(known: Cells) -> list[str]:
    """Data sets, as they come."""
    return list(dict.fromkeys(data for data, *_ in known))


def budgets(known: Cells) -> list[str]:
    """Budgets, the smallest first."""
    every = dict.fromkeys(budget for *_, budget in known)
    return sorted(every, key=share)


def key_of(known: Cells, data: str, method: str, budget: str) -> Key:
    """A method's cell of a set at a budget; of those that have no budget the only one."""
    if method in UNLIMITED:
        return next((key for key in known if key[:2] == (data, method)), (data, method, ""))
    return data, method, budget


def mean(cell: Cell, name: str) -> float:
    """Of a number that a training has by epoch, over seeds and epochs."""
    return float(np.mean([row["result"][name] for row in cell]))


def share(budget: str) -> float:
    """The number in a budget, which is one share."""
    return float(next(iter(json.loads(budget).values())))


def percent(budget: str) -> str:
    """A budget that is a share."""
    return f"{100 * share(budget):.1f} %"
