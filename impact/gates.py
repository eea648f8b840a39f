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
from typing import Protocol

from cmdb.model.topology import Confidence, Strength, Topology, TopologyEdge, members_needed

RANK: dict[Confidence, int] = {"inferred": 0, "observed": 1, "declared": 2}


@dataclass(frozen=True, slots=True)
class Gate:
    """`required` (1 to all) of `members` must be up; `group` is None for a single edge."""

    group: str | None
    required: int
    members: tuple[str, ...]


class Facts(Protocol):
    """What decides whether an edge carries failure: of an edge, or of all edges with one label."""

    @property
    def type(self) -> str:
        """The relationship type."""

    @property
    def strength(self) -> Strength | None:
        """Hard, soft, or None: it carries none."""

    @property
    def confidence(self) -> Confidence:
        """How sure it is."""


@dataclass(frozen=True, slots=True)
class Carrying:
    """Which edges carry failure in one kind of question: those of at least `minimum_confidence`, of these types.

    `relationship_types`: None for all.
    """

    minimum_confidence: Confidence = "inferred"
    relationship_types: frozenset[str] | None = None

    @classmethod
    def of(cls, minimum_confidence: Confidence, relationship_types: Set[str] | None) -> Carrying:
        """The same for any set."""
        types = None if relationship_types is None else frozenset(relationship_types)
        return cls(minimum_confidence, types)

    def strength_of(self, edge: Facts) -> Strength | None:
        """The strength of an edge in such a question; None if it is as if it were not there."""
        if RANK[edge.confidence] < RANK[self.minimum_confidence]:
            return None
        if self.relationship_types is not None and edge.type not in self.relationship_types:
            return None
        return edge.strength


@dataclass(frozen=True, slots=True)
class CarryingEdges:
    """The edges of a topology that carry failure in one question; the others are as if they were not there."""

    topology: Topology
    carrying: Carrying = Carrying()
    _gates: dict[str, tuple[Gate, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def carries(self, edge: TopologyEdge) -> bool:
        """Whether failure travels over the edge."""
        return self.carrying.strength_of(edge) is not None

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
