"""Which edges carry failure in one question, and the gates they form (`docs/guides/impact.md` is for users).

Promises: a gate is the hard edges of one dependent that share a group, whatever their types; a hard edge
without a group is a gate of its own. Its members are distinct CIs: one CI reached over two types is one
member, for counting it twice would claim redundancy that is not there. Where edges of a group disagree on
`required`, the strictest wins. A soft edge is in no gate: it takes nothing down, in a group or not.
Every item of the topology counts, whatever its lifecycle: what is out of service has no edges, or should not.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from cmdb.model.topology import Confidence, Topology, TopologyEdge, members_needed

RANK: dict[Confidence, int] = {"inferred": 0, "observed": 1, "declared": 2}


@dataclass(frozen=True, slots=True)
class Gate:
    """`required` (1 to all) of `members` must be up; `group` is None for a single edge."""

    group: str | None
    required: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CarryingEdges:
    """The edges of a topology that carry failure in one question; the others are as if they were not there.

    `minimum_confidence`: the least an edge must have. `relationship_types`: None for all.
    """

    topology: Topology
    minimum_confidence: Confidence = "inferred"
    relationship_types: Set[str] | None = None
    _gates: dict[str, tuple[Gate, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def carries(self, edge: TopologyEdge) -> bool:
        """Whether failure travels over the edge."""
        return (
            edge.strength is not None
            and RANK[edge.confidence] >= RANK[self.minimum_confidence]
            and (self.relationship_types is None or edge.type in self.relationship_types)
        )

    def dependents(self, item: str) -> list[str]:
        """The CIs that a failure of `item` may touch directly, in order of id."""
        return list(dict.fromkeys(e.source for e in self.topology.dependents_of(item) if self.carries(e)))

    def dependencies(self, item: str, strength: str) -> list[str]:
        """The CIs that `item` depends on by edges of this strength, in order of id."""
        edges = self.topology.dependencies_of(item)
        return list(dict.fromkeys(e.target for e in edges if e.strength == strength and self.carries(e)))

    def gates(self, item: str) -> tuple[Gate, ...]:
        """The gates of `item`: single edges first, then groups by name. One that needs nobody is left out."""
        gates = self._gates.get(item)
        if gates is None:
            gates = self._gates[item] = self._form_gates(item)
        return gates

    def _form_gates(self, item: str) -> tuple[Gate, ...]:
        groups: dict[str, list[TopologyEdge]] = {}
        singles: dict[str, Gate] = {}
        for edge in self.topology.dependencies_of(item):
            if edge.strength != "hard" or not self.carries(edge):
                continue
            if edge.group is None:
                singles[edge.target] = Gate(None, 1, (edge.target,))
            else:
                groups.setdefault(edge.group, []).append(edge)
        grouped = [_gate(group, groups[group]) for group in sorted(groups)]
        return (*singles.values(), *(gate for gate in grouped if gate.required))


def _gate(group: str, edges: list[TopologyEdge]) -> Gate:
    members = tuple(dict.fromkeys(edge.target for edge in edges))
    stated = [edge.required for edge in edges if edge.required is not None]
    needed = [members_needed(required, len(members)) for required in stated or (None,)]
    return Gate(group, max(needed), members)
