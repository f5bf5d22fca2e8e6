"""Sparse Update (Lin et al., NeurIPS 2022): measure what training each layer brings, search what fits.

`analyse` measures contributions, `search` finds the scheme of most gain under a memory budget,
`published_plan` gives the schemes that the paper found (`tfodl.selection.schemes`).
"""

from tfodl.selection.schemes import SCHEMES
from tfodl.selection.schemes import plan as published_plan
from tfodl.sparse_update.contributions import Contributions, Training, analyse
from tfodl.sparse_update.problem import Problem, problem_of
from tfodl.sparse_update.search import Found, evolve, search

__all__ = [
    "SCHEMES",
    "Contributions",
    "Found",
    "Problem",
    "Training",
    "analyse",
    "evolve",
    "problem_of",
    "published_plan",
    "search",
]
