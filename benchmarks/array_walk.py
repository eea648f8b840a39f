"""Plain reachability in an estate with numpy alone, a level at a time: the simplest of the peers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from benchmarks.synthetic import EstateColumns, Numbers


@dataclass(frozen=True, slots=True)
class Walk:
    """An answer: `reached` sorted, distinct, the start among them; `seconds` is the time of the peer's own call."""

    reached: Numbers
    seconds: float


def carrying_edges(estate: EstateColumns) -> tuple[Numbers, Numbers]:
    """(dependency, dependent) of every edge that carries failure; of parallel edges each."""
    carrying = estate.carrying
    return estate.target[carrying], estate.source[carrying]


class ArrayWalk:
    """numpy alone, a level at a time: what one would write without a graph library."""

    name = "numpy"

    def __init__(self, tails: Numbers, heads: Numbers, size: int) -> None:
        """Walks go from tails to heads."""
        order = np.argsort(tails, kind="stable")
        self._heads = heads[order]
        self._starts = np.zeros(size + 1, np.int64)
        np.cumsum(np.bincount(tails, minlength=size), out=self._starts[1:])
        self._seen = np.zeros(size, np.bool_)

    @classmethod
    def build(cls, estate: EstateColumns) -> Self:
        """Ready to answer what depends on something."""
        return cls(*carrying_edges(estate), len(estate))

    @classmethod
    def build_reversed(cls, estate: EstateColumns) -> Self:
        """The same with edges turned round: `dependents` then answers what something depends on."""
        dependency, dependent = carrying_edges(estate)
        return cls(dependent, dependency, len(estate))

    def dependents(self, failed: Sequence[int]) -> Walk:
        """The CIs that plainly depend on any of these, and these."""
        begun = time.perf_counter()
        frontier: npt.NDArray[Any] = np.unique(np.asarray(failed, np.int32))
        levels = []
        while len(frontier):
            self._seen[frontier] = True
            levels.append(frontier)
            counts = self._starts[frontier + 1] - self._starts[frontier]
            skipped = np.repeat(self._starts[frontier] - np.cumsum(counts) + counts, counts)
            found = self._heads[skipped + np.arange(len(skipped))]
            frontier = np.unique(found[~self._seen[found]])
        reached = np.concatenate(levels)
        self._seen[reached] = False
        seconds = time.perf_counter() - begun
        return Walk(np.sort(reached).astype(np.int32), seconds)
