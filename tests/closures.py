"""Random small closures, and what is true of them by trying every set of failed CIs.

Nothing here uses `impact` but to make closures and what is left of them: `Truth` is what the engine is held to.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from cmdb.model.topology import PlainTopology, TopologyEdge
from impact.closure import Closure
from impact.gates import CarryingEdges
from impact.reduction import Reduction
from tests.estates import built, estates, gates_by_definition

Drawn: TypeAlias = tuple[Closure, "Truth", npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Truth:
    """The service is the first of `names`; `gates` are (members, required) per name."""

    names: list[str]
    gates: dict[str, list[tuple[set[str], int]]]

    def falls(self, failed: frozenset[int], held: int | None = None) -> bool:
        """Whether the service is down when these nodes fail, with one perhaps held up."""
        down = {self.names[node] for node in failed}
        up = {self.names[held]} if held is not None else set()
        grown = True
        while grown:
            grown = False
            for name in self.names:
                if name in down | up:
                    continue
                if any(len(members - down) < required for members, required in self.gates[name]):
                    down.add(name)
                    grown = True
        return self.names[0] in down

    def single_points(self) -> list[int]:
        """Nodes that take the service down alone."""
        return [node for node in range(len(self.names)) if self.falls(frozenset([node]))]

    def cut_sets(self) -> set[frozenset[int]]:
        """The minimal sets that take the service down."""
        return {cut for cut in self.fatal if not any(cut - {node} in self.fatal for node in cut)}

    @cached_property
    def fatal(self) -> set[frozenset[int]]:
        """All sets that take the service down."""
        nodes = range(len(self.names))
        every = (frozenset(c) for k in range(len(nodes) + 1) for c in itertools.combinations(nodes, k))
        return {failed for failed in every if self.falls(failed)}

    def unavailability(self, q: npt.NDArray[np.float64]) -> float:
        """By the sum over all states in which the service is down."""
        either = [(1 - chance, chance) for chance in q.tolist()]
        return math.fsum(
            math.prod(chances[node in failed] for node, chances in enumerate(either)) for failed in self.fatal
        )


def closure_of(topology: PlainTopology, service: str = "a") -> tuple[Closure, Truth]:
    """The closure of one CI of a topology, and its truth."""
    closure, ids = Closure.of(CarryingEdges(topology), service)
    return closure, Truth(ids, {name: gates_by_definition(topology, name) for name in ids})


def closures(most: int = 7) -> st.SearchStrategy[tuple[Closure, Truth]]:
    """Closures with gates of every kind, cycles and shared CIs."""
    return estates(most, strengths=("hard",)).map(closure_of)


@st.composite
def chances(draw: st.DrawFn, size: int) -> npt.NDArray[np.float64]:
    """A figure per node: never, surely, and much between."""
    one = st.sampled_from([0.0, 1e-7, 1e-4, 1e-3, 0.02, 0.3, 0.5, 0.9, 1.0])
    return np.array(draw(st.lists(one, min_size=size, max_size=size)))


def bundle(source: str, targets: str, required: int | None = 1, group: str = "g") -> list[TopologyEdge]:
    """Edges of one dependent: one gate, or single edges for `required` None."""
    if required is None:
        return [TopologyEdge("USES", source, target, strength="hard") for target in targets]
    return [TopologyEdge("USES", source, target, group, required, "hard") for target in targets]


def named(names: str, *edges: list[TopologyEdge]) -> tuple[Closure, Truth]:
    """The closure of the first of the names."""
    return closure_of(built(names, [edge for some in edges for edge in some]), names[0])


def closure_from(nodes: Sequence[Sequence[tuple[Sequence[int], int]]]) -> Closure:
    """A closure by its gates, node by node: (members, how many are required)."""
    gates = [gate for of_node in nodes for gate in of_node]
    return Closure(
        np.cumsum([0, *map(len, nodes)]).astype(np.int32),
        np.array([required for _, required in gates], np.int32),
        np.cumsum([0, *(len(members) for members, _ in gates)]).astype(np.int32),
        np.array([member for members, _ in gates for member in members], np.int32),
    )


def pool(members: int, required: int) -> Closure:
    """A service that needs so many of members that need nothing."""
    return closure_from([[(range(1, members + 1), required)], *([] for _ in range(members))])


def truth_of(residue: Closure) -> Truth:
    """Its truth; a node's name is its number."""
    gates = {
        str(node): [
            ({str(m) for m in residue.gate_members(gate).tolist()}, int(residue.required[gate]))
            for gate in range(residue.gate_start[node], residue.gate_start[node + 1])
        ]
        for node in range(residue.size)
    }
    return Truth([str(node) for node in range(residue.size)], gates)


@st.composite
def residues(draw: st.DrawFn) -> Drawn:
    """The residue of a closure, its truth, and a figure per node."""
    residue = Reduction.of(draw(closures(8))[0]).residue
    own = draw(chances(residue.size))
    own[0] = 0.0
    return residue, truth_of(residue), own


@st.composite
def entangled(draw: st.DrawFn) -> Drawn:
    """A service whose gates nearly all have spares, so that it takes several failures; half of its nodes never fail."""
    chance = draw(st.randoms(use_true_random=False))
    names = "sabcdefghi"
    edges = []
    for place, name in enumerate(names):
        for gate in range(chance.choice([0, 1, 1, 2]) if place else 1):
            others = [other for other in names[1:] if other != name]
            later = [other for other in names[place + 1 :] if other != name]
            among = later if len(later) > 3 and chance.random() < 0.7 else others
            size = chance.choice([2, 2, 3, 3, 4])
            required = chance.choice([1, 1, 1, size - 1])
            edges.append(bundle(name, "".join(chance.sample(among, size)), required, group=f"g{gate}"))
    closure, _ = named(names, *edges)
    residue = Reduction.of(closure).residue
    own = np.array([chance.choice([0.0, 10 ** chance.uniform(-4, -1.5)]) for _ in range(residue.size)])
    own[0] = 0.0
    return residue, truth_of(residue), own
