"""Evolutionary search for a Sparse Update scheme under a memory budget (Lin et al. 2022, equation 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from tflm_export.plan import Budget, UpdatePlan
from tfodl.neurons.group import NeuronGroup
from tfodl.selection.schemes import entries
from tfodl.sparse_update.contributions import Contributions, convolutions
from tfodl.sparse_update.problem import Problem, problem_of

POPULATION = 64
PARENTS = 16
MUTATED_GENES = 1.5


@dataclass(frozen=True)
class Found:
    """A scheme: the plan, the sum of its measured gains (share of accuracy), its training memory in bytes,
    and how it is written: last `biases` biases, position among the convolutions -> ratio."""

    plan: UpdatePlan
    gain: float
    scheme_bytes: int
    biases: int
    ratios: dict[int, float]


def search(
    contributions: Contributions,
    groups: Sequence[NeuronGroup],
    budget: int,
    *,
    samples: int = 5000,
    seed: int = 0,
    progress: bool = False,
) -> Found:
    """The scheme of most gain that fits `budget` bytes of training memory at batch 1.

    Gains of biases and layers are taken to add up, as in the paper. samples: schemes tried.

    Raises `TfodlError` as `problem_of` does.
    """
    problem = problem_of(contributions, groups, budget)
    best = problem.effective(evolve(problem, samples, np.random.default_rng(seed), progress))
    levels = sorted({ratio for row in contributions.weights.values() for ratio in row})
    ratios = {
        int(position): levels[level - 1]
        for position, level in zip(problem.positions, best[1:], strict=True)
        if level
    }
    biases = int(problem.bias_counts[best[0]])
    plan = UpdatePlan(
        layers=entries(convolutions(groups), ratios, biases),
        budget=Budget(scheme_bytes=budget),
        seed=seed,
        provenance={"method": "sparse_update", "samples": samples, "gain": problem.gain(best)},
    )
    return Found(plan, problem.gain(best), problem.scheme_bytes(best), biases, ratios)


def evolve(problem: Problem, samples: int, rng: np.random.Generator, progress: bool = False) -> np.ndarray:
    """The best genome among about `samples`; never over budget. Heuristic: the optimum is not guaranteed,
    but every genome is repaired to fit and then filled up, which finds it on small problems.

    Half of every generation is the best so far; children take each gene from one of two of the best parents,
    and about 1.5 genes anew.
    """
    shape = np.array([len(problem.bias_counts), *[problem.gains.shape[1]] * len(problem.positions)])
    population: dict[bytes, tuple[float, np.ndarray]] = {}
    for genome in _seeds(shape, rng):
        _add(population, problem, genome, rng)
    for _ in tqdm(range(max(0, samples - len(population))), desc="search", disable=not progress, delay=5.0):
        if len(population) >= 2 * POPULATION:
            population = dict(_ranked(population)[:POPULATION])
        _add(population, problem, _child(_ranked(population)[:PARENTS], shape, rng), rng)
    return _ranked(population)[0][1][1]


Individuals = dict[bytes, tuple[float, np.ndarray]]


def _ranked(population: Individuals) -> list[tuple[bytes, tuple[float, np.ndarray]]]:
    return sorted(population.items(), key=lambda item: (-item[1][0], item[0]))


def _seeds(shape: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The first generation: nothing, every bias count alone, and random genomes."""
    for count in range(shape[0]):
        yield np.array([count, *[0] * (len(shape) - 1)])
    for _ in range(POPULATION):
        yield rng.integers(0, shape)


def _child(
    parents: list[tuple[bytes, tuple[float, np.ndarray]]], shape: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    first, second = (parents[index][1][1] for index in rng.integers(0, len(parents), 2))
    child = np.where(rng.random(len(shape)) < 0.5, first, second)
    mutated = rng.random(len(shape)) < MUTATED_GENES / len(shape)
    return np.where(mutated, rng.integers(0, shape), child)


def _add(population: Individuals, problem: Problem, genome: np.ndarray, rng: np.random.Generator) -> None:
    genome = _fill(problem, _repair(problem, problem.effective(genome), rng), rng)
    population[genome.tobytes()] = (problem.gain(genome), genome)


def _repair(problem: Problem, genome: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lower random genes until the budget holds; all zero costs nothing, so this ends."""
    genome = genome.copy()
    while not problem.fits(genome):
        taken = np.flatnonzero(genome)
        gene = rng.choice(taken)
        genome[gene] = rng.integers(0, genome[gene])
        genome = problem.effective(genome)
    return genome


def _fill(problem: Problem, genome: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give each layer, in random order, the ratio that gains most in the memory that is left."""
    genome = problem.effective(genome)
    left = problem.budget - problem.scheme_bytes(genome)
    reached = problem.positions >= problem.convs - problem.bias_counts[genome[0]]
    for layer in rng.permutation(np.flatnonzero(reached)):
        level = genome[1 + layer]
        extra = problem.bytes[layer] - problem.bytes[layer, level]
        gains = np.where(extra <= left, problem.gains[layer], -np.inf)
        best = int(np.argmax(gains))
        if gains[best] > problem.gains[layer, level]:
            left -= int(extra[best])
            genome[1 + layer] = best
    return genome
