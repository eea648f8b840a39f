"""One service and all that it needs, taken out of the estate: what is asked about its redundancy and availability.

Promises: the same closure as `Closure.of` makes of the plain form, from the arrays: 28,000 items in some milliseconds.
Answers are in items, not in numbers of the closure; what costs is computed once, when it is first asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cmdb.model.columns import Ids, Int32s, Int64s, Texts, ranges
from cmdb.model.packed_columns import Columns
from cmdb.model.packed_topology import PackedTopology
from impact.closure import Closure
from impact.errors import UnknownItems
from impact.failure_graph import Base, FailureGraph, Workspace
from impact.gates import Carrying, CarryingEdges
from impact.reduction import Reduction
from impact.redundancy import Margin, redundancy_margin
from impact.simulation import Impact, simulate_on
from impact.single_points import SinglePoints, single_points
from impact.traversal import reached


@dataclass(frozen=True, slots=True)
class SinglePoint:
    """An item whose failure alone takes the service down; `dominating`: the nearest single point (or the service)
    through which it does; `defeats`: the group with spares that the item takes down there, None where there is none."""

    id: str
    dominating: str
    defeats: str | None


@dataclass(frozen=True, eq=False)
class ServiceNeeds:
    """`numbers`: int32[n], the items of the topology that the closure's nodes are; node 0 is the service."""

    topology: PackedTopology
    service: str
    carrying: Carrying
    closure: Closure
    numbers: Int32s

    @classmethod
    def of(cls, topology: PackedTopology, service: str, carrying: Carrying | None = None) -> ServiceNeeds:
        """What a service needs over hard edges. Raises `UnknownItems`."""
        chosen = carrying or Carrying()
        number = topology.number_of(service)
        if number is None:
            raise UnknownItems([service], topology.revision)
        numbers = reached(topology, number, lambda label: chosen.strength_of(label) == "hard")
        return cls(topology, service, chosen, _closure(topology, numbers, chosen), numbers)

    @property
    def ids(self) -> list[str]:
        """The id of every node; some 50 ms for 28,000, each time: so many are not kept, or they would be walked for
        garbage again and again."""
        return [self.topology.id_of(number) for number in self.numbers.tolist()]

    @cached_property
    def reduction(self) -> Reduction:
        """The closure without what cannot matter; linear in it."""
        return Reduction.of(self.closure)

    def margin(self, seconds: float = math.inf, patience: Callable[[], None] = lambda: None) -> Margin:
        """How many further failures the service survives, whichever CIs but itself fail; see `redundancy_margin`."""
        return redundancy_margin(self.reduction, seconds=seconds, patience=patience)

    @cached_property
    def single_points(self) -> tuple[SinglePoint, ...]:
        """The items whose failure alone takes the service down, without itself, in order of ids."""
        found: SinglePoints = single_points(self.closure)
        rows = [
            SinglePoint(self._id(node), self._id(dominating), self._group(gate) if gate >= 0 else None)
            for node, dominating, gate in zip(
                found.nodes.tolist(), found.dominating.tolist(), found.defeated_gate.tolist(), strict=True
            )
            if node
        ]
        return tuple(sorted(rows, key=lambda point: point.id))

    def simulate(self, down: Set[str]) -> Impact:
        """Which of what the service needs goes down with these of it, and why: as in the whole estate, which is not
        walked. Says nothing about who is degraded or at risk."""
        return simulate_on(self._graph, Workspace(), down)

    @cached_property
    def _graph(self) -> FailureGraph:
        return FailureGraph.of(self.topology.part(self.numbers), self.carrying)

    def _group(self, gate: int) -> str | None:
        """The group that a gate of the closure was formed of."""
        owner = int(np.searchsorted(self.closure.gate_start, gate, side="right")) - 1
        members = {self._id(node) for node in self.closure.gate_members(gate).tolist()}
        edges = CarryingEdges(self.topology, self.carrying)
        formed = (found.group for found in edges.gates(self._id(owner)) if members == set(found.members))
        return next(formed, None)

    def _id(self, node: int) -> str:
        return self.topology.id_of(int(self.numbers[node]))


def _closure(topology: PackedTopology, numbers: Int32s, carrying: Carrying) -> Closure:
    """The gates of these items, formed as for the whole estate, then listed by dependent instead of by member."""
    source, target, label, table = topology.edges_among(numbers)
    size = len(numbers)
    nothing = np.zeros(size, np.uint32)
    columns = Columns.pack(
        Ids(np.zeros(size, "S1"), np.zeros(size, np.int32), False),
        Texts(np.empty(0, np.uint8), np.zeros(size + 1, np.int64)),
        nothing,
        (),
        source,
        target,
        label,
        table,
        arrange=False,
    )
    base = Base.of(columns, carrying)
    span, entry = base.span, base.entry
    single_counts, gate_counts = span[:, 1] - span[:, 0], span[:, 2] - span[:, 1]
    nodes = np.arange(size, dtype=np.int32)
    single_owner = entry[ranges(span[:, 0], single_counts)]
    single_member = np.repeat(nodes, single_counts)
    gate_of = entry[ranges(span[:, 1], gate_counts)]
    gate_member = np.repeat(nodes, gate_counts)

    owner = np.concatenate([single_owner, base.gate_owners()])
    order = np.argsort(owner, kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    membership = np.concatenate([rank[: len(single_owner)], rank[len(single_owner) :][gate_of]])
    members = np.concatenate([single_member, gate_member])
    by_gate = np.lexsort((members, membership))
    sizes = np.bincount(membership, minlength=len(order))
    slack = np.concatenate([np.zeros(len(single_owner), np.int32), base.gate_slack])[order]
    return Closure(
        _starts(np.bincount(owner, minlength=size)),
        (sizes - slack).astype(np.int32),
        _starts(sizes),
        members[by_gate].astype(np.int32),
    )


def _starts(counts: Int64s) -> Int32s:
    starts = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=starts[1:])
    return starts
