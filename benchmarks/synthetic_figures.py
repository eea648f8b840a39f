"""What a made-up estate looks like, measured: the figures that `python -m benchmarks.synthetic SIZE` prints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from benchmarks.array_walk import ArrayWalk
from benchmarks.synthetic import EstateColumns, Numbers
from cmdb.model.topology import members_needed

SAMPLE = 300
MACHINES = ("VirtualMachine", "Container")
HOSTS = ("Server", "Hypervisor")


def worst_hub(estate: EstateColumns, up: ArrayWalk, down: ArrayWalk, sample: int = SAMPLE) -> tuple[int, int]:
    """(number, CIs reached) of the CI that most depends on by plain reachability.

    What every CI of a sample depends on is counted first, and the walk is made from the ten that occur most often: so
    of hubs that are nearly as bad as each other any may be named.
    """
    asked = np.random.default_rng(estate.seed).choice(len(estate), min(sample, len(estate)), replace=False)
    met = np.zeros(len(estate), np.int32)
    for number in asked.tolist():
        met[down.dependents([number]).reached] += 1
    candidates = np.argsort(met)[-10:].tolist()
    reach = {number: len(up.dependents([number]).reached) for number in candidates}
    worst = max(reach, key=lambda number: reach[number])
    return worst, reach[worst]


def figures(estate: EstateColumns) -> Iterator[tuple[str, str]]:
    """(what, figure) of each line of the table."""
    size = len(estate)
    up, down = ArrayWalk.build(estate), ArrayWalk.build_reversed(estate)
    rng = np.random.default_rng(estate.seed)
    strengths = np.array([str(strength) for _, strength, *_ in estate.labels])[estate.label]
    grouped = np.array([group is not None for _, _, _, group, _ in estate.labels])[estate.label]
    yield "CIs", f"{size:,}"
    yield "edges a CI", f"{len(estate.source) / size:.2f}"
    for strength in ("soft", "None"):
        yield f"edges of strength {strength}", f"{np.mean(strengths == strength):.1%}"
    groups = len(np.unique(estate.source[grouped] * np.int64(8) + _group_numbers(estate)[grouped]))
    single = np.count_nonzero((strengths == "hard") & ~grouped)
    yield "gates with redundancy, of all gates", f"{groups / (groups + single):.1%}"
    services = estate.of_class("BusinessService")
    yield "business services", f"{len(services):,}"
    yield from _spread("CIs a business service depends on", down, rng.permutation(services)[:SAMPLE])
    for what, classes in (("virtual machine or container", MACHINES), ("host", HOSTS)):
        asked = rng.permutation(estate.of_class(*classes))[:SAMPLE]
        yield from _spread(f"CIs that depend on a {what}", up, asked)
    hub, reached = worst_hub(estate, up, down)
    yield "worst hub", f"{estate.names[hub].decode()}, {reached:,} CIs ({reached / size:.0%})"
    hard = HardEdges.build(estate)
    left = sorted(hard.gates_left(service) for service in rng.permutation(services)[:SAMPLE].tolist())
    yield "gates left to a business service", f"{left[0]} to {left[-1]}, {left[len(left) // 2]} in the median"


def _spread(what: str, walk: ArrayWalk, asked: Numbers) -> Iterator[tuple[str, str]]:
    sizes = [len(walk.dependents([number]).reached) for number in asked.tolist()]
    parts = np.percentile(sizes, [50, 90, 99, 100], method="inverted_cdf").tolist()
    yield f"{what}: p50, p90, p99, most", ", ".join(f"{part:,}" for part in parts)


def _group_numbers(estate: EstateColumns) -> npt.NDArray[np.int64]:
    """int64[m]: which group of its dependent each edge is in, 0 to 7; -1 for none."""
    return np.array([int(group[1:]) if group else -1 for _, _, _, group, _ in estate.labels])[estate.label]


@dataclass(frozen=True, slots=True)
class HardEdges:
    """The hard edges by dependent; `alone` walks those that are gates of their own."""

    estate: EstateColumns
    alone: ArrayWalk
    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @classmethod
    def build(cls, estate: EstateColumns) -> Self:
        """Of all edges."""
        alone = np.array([label[1] == "hard" and label[3] is None for label in estate.labels])[estate.label]
        starts = np.zeros(len(estate) + 1, np.int64)
        np.cumsum(np.bincount(estate.source, minlength=len(estate)), out=starts[1:])
        walk = ArrayWalk(estate.source[alone], estate.target[alone], len(estate))
        return cls(estate, walk, np.argsort(estate.source, kind="stable"), starts)

    def gates_left(self, service: int) -> int:
        """How many gates with redundancy decide about a service when what it surely needs is up.

        What it surely needs: what hard edges without a group lead to. (More may be: what all alternatives have in
        common.) The gates of these count unless enough of their members are among these.
        """
        needed = set(self.alone.dependents([service]).reached.tolist())
        members: dict[tuple[int, str], list[int]] = defaultdict(list)
        required: dict[tuple[int, str], int | str | None] = {}
        for number in needed:
            for edge in self.order[self.starts[number] : self.starts[number + 1]].tolist():
                _, _, _, group, count = self.estate.labels[self.estate.label[edge]]
                if group is not None:
                    members[number, group].append(int(self.estate.target[edge]))
                    required[number, group] = count
        return sum(
            sum(member in needed for member in group) < members_needed(required[gate], len(group))
            for gate, group in members.items()
        )
