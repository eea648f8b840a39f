"""The fault tree of a service: how failures of single CIs, through its gates, take it down.

The top event is "the service is down"; every CI that it can depend on over hard edges has one basic event, its own
failure. `down` is the least fixpoint of "failed, or some gate has fewer than `required` members up"
(`docs/guides/impact.md`), and a fault tree has no cycles. So a strongly connected part of n CIs is written out in n
rounds: in the first nothing of it is down but by failures and by what is outside, and each round sees what
the one before found. After n rounds nothing can be added, so the tree means exactly the fixpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from impact.errors import InvalidFaultTree, UnknownItems
from impact.fault_tree import Argument, BasicEvent, FaultTree, Formula, Gate
from impact.gates import CarryingEdges

if TYPE_CHECKING:
    import networkx as nx

MOST_GATES = 50_000


def fault_tree_of(
    edges: CarryingEdges,
    service: str,
    failure_probability: Mapping[str, float],
    *,
    most_gates: int = MOST_GATES,
) -> FaultTree:
    """The tree of one service (or any CI): gates `down-<id>`, basic events `failure-<id>`, labelled with names.

    `failure_probability` by id: how likely the CI is down by itself at a moment; it must have every CI in the closure.
    Raises `UnknownItems` for a service that is not in the topology, and `InvalidFaultTree` where a probability
    is missing or the cycles need more than `most_gates` gates (the error names the largest cycle's CIs).
    """
    if service not in edges.topology.items:
        raise UnknownItems([service], edges.topology.revision)
    graph = _closure(edges, service)
    missing = [item for item in graph if item not in failure_probability]
    if missing:
        raise InvalidFaultTree(
            missing[0],
            f"has no failure probability, nor have {len(missing) - 1} others",
            "give every CI that the service can depend on one",
        )
    rounds = _rounds(graph, most_gates)
    unfolding = _Unfolding(edges, rounds)
    names = {item: edges.topology.items[item].name for item in graph}
    gates = [
        Gate(_down(item, number, rounds), unfolding.formula(item, number), names[item])
        for item, number in unfolding.needed(service)
    ]
    events = [BasicEvent(_failure(item), failure_probability[item], names[item]) for item in graph]
    return FaultTree.build(names[service], gates, events, top=_down(service, rounds[service][1], rounds))


class _Unfolding:
    """The gates of an item in one round, over those of the round before inside its part."""

    def __init__(self, edges: CarryingEdges, rounds: Mapping[str, tuple[int, int]]) -> None:
        self.edges = edges
        self.rounds = rounds

    def before(self, item: str, number: int, member: str) -> int:
        """The round in which a member is seen: 0 is "not down"."""
        part, last = self.rounds[member]
        return number - 1 if part == self.rounds[item][0] and last > 1 else last

    def needed(self, service: str) -> list[tuple[str, int]]:
        """The items and rounds that the top event looks at, itself first."""
        start = service, self.rounds[service][1]
        seen = {start: None}
        waiting = [start]
        while waiting:
            item, number = waiting.pop()
            for gate in self.edges.gates(item):
                for member in gate.members:
                    found = member, self.before(item, number, member)
                    if found[1] > 0 and found not in seen:
                        seen[found] = None
                        waiting.append(found)
        return list(seen)

    def formula(self, item: str, number: int) -> Formula:
        """Its own failure, or too few members of some gate."""
        causes: list[Argument] = [_failure(item)]
        for gate in self.edges.gates(item):
            up = [m for m in gate.members if m != item]
            losses = [
                _down(member, seen, self.rounds)
                for member in up
                if (seen := self.before(item, number, member)) > 0
            ]
            needed = len(gate.members) - gate.required + 1
            if needed <= len(losses):
                causes.append(losses[0] if len(losses) == 1 else Formula("atleast", tuple(losses), needed))
        return Formula("or", tuple(causes))


def _closure(edges: CarryingEdges, service: str) -> nx.DiGraph[str]:
    from networkx import DiGraph  # as in `impact.interchange`, not before it is needed

    graph: nx.DiGraph[str] = DiGraph()
    graph.add_node(service)
    waiting = [service]
    while waiting:
        item = waiting.pop()
        for member in dict.fromkeys(m for gate in edges.gates(item) for m in gate.members):
            if member not in graph:
                waiting.append(member)
            graph.add_edge(item, member)
    return graph


def _rounds(graph: nx.DiGraph[str], most_gates: int) -> dict[str, tuple[int, int]]:
    """For each item the number of its strongly connected part, and how many rounds that needs."""
    from networkx import strongly_connected_components

    parts = [sorted(part) for part in strongly_connected_components(graph)]
    if sum(len(part) ** 2 for part in parts) > most_gates:
        cycle = max(parts, key=len)
        shown = ", ".join(cycle[:5]) + (", ..." if len(cycle) > 5 else "")
        raise InvalidFaultTree(
            f"the cycle of {len(cycle)} CIs ({shown})",
            f"needs {len(cycle) ** 2:,} gates to be written out without a cycle, and {most_gates:,} are allowed",
            "correct the edges that close it, or leave out their relationship types",
        )
    return {item: (number, len(part)) for number, part in enumerate(parts) for item in part}


def _failure(item: str) -> str:
    return f"failure-{item}"


def _down(item: str, number: int, rounds: Mapping[str, tuple[int, int]]) -> str:
    return f"down-{item}" if number == rounds[item][1] else f"down-{item}-{number}"
