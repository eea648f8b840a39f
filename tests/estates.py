"""Random small estates for property tests, and their states straight from the definitions, over all subsets.

Nothing here uses `impact`: `Definition` is what every engine is held to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace

from hypothesis import strategies as st

from cmdb.model.topology import Confidence, PlainTopology, Strength, TopologyEdge, TopologyItem

NAMES = "abcdefg"
CONFIDENCES: tuple[Confidence, ...] = ("declared", "declared", "observed", "inferred")


def built(names: Iterable[str], edges: Iterable[TopologyEdge]) -> PlainTopology:
    """A topology of servers whose ids are their names."""
    return PlainTopology.build(1, [TopologyItem(name, name, "Server") for name in names], edges)


@st.composite
def estates(
    draw: st.DrawFn, most: int = 7, strengths: tuple[Strength, ...] = ("hard", "hard", "soft")
) -> PlainTopology:
    """Small estates with everything: gates, percentages, contradictions, cycles, soft edges, types, confidences."""
    names = NAMES[: draw(st.integers(2, most))]
    bundle = st.tuples(
        st.sampled_from(names),
        st.sets(st.sampled_from(names), min_size=1),
        st.sampled_from([None, "g", "g", "h"]),
        st.sampled_from([None, 1, 1, 2, 2, 3, "34%", "50%", "100%"]),
        st.sampled_from(strengths),
        st.sampled_from(["USES", "RUNS_ON"]),
        st.sampled_from(CONFIDENCES),
    )
    return built(
        names,
        [
            TopologyEdge(kind, source, target, group, required, strength, confidence)
            for source, targets, group, required, strength, kind, confidence in draw(
                st.lists(bundle, max_size=2 * len(names))
            )
            for target in sorted(targets)[: None if group else 2]
        ],
    )


def subsets(names: Iterable[str]) -> list[frozenset[str]]:
    """All 2^n of them."""
    listed = list(names)
    return [frozenset(c) for size in range(len(listed) + 1) for c in itertools.combinations(listed, size)]


def chosen(topology: PlainTopology, most: int = 3) -> st.SearchStrategy[frozenset[str]]:
    """Some items, at most `most`."""
    return st.frozensets(st.sampled_from(sorted(topology.items)), max_size=most)


def gates_by_definition(topology: PlainTopology, item: str) -> list[tuple[set[str], int]]:
    """(members, required) of each gate, written independently of `impact.gates`."""
    hard = [edge for edge in topology.edges() if edge.source == item and edge.strength == "hard"]
    found = [({edge.target}, 1) for edge in hard if edge.group is None]
    for group in {edge.group for edge in hard if edge.group is not None}:
        stated = {edge.required for edge in hard if edge.group == group} - {None}
        members = {edge.target for edge in hard if edge.group == group}
        enough = [
            count
            for count in range(len(members) + 1)
            if all(meets(count, required, len(members)) for required in stated or {"100%"})
        ]
        found.append((members, min(enough, default=len(members))))
    return found


def meets(up: int, required: int | str | None, members: int) -> bool:
    """Whether `up` of the members are as many as required."""
    if isinstance(required, str):
        return 100 * up >= int(required.removesuffix("%")) * members
    return required is None or up >= required


class Definition:
    """The states as the definitions say: intersections of all sets closed under the rules, out of all 2^n."""

    def __init__(
        self, topology: PlainTopology, failed: frozenset[str], pinned: frozenset[str] = frozenset()
    ) -> None:
        self.names = sorted(topology.items)
        self.gates = {item: gates_by_definition(topology, item) for item in self.names}
        self.hard = {
            i: {e.target for e in topology.edges() if e.source == i and e.strength == "hard"}
            for i in self.names
        }
        self.soft = {
            i: {e.target for e in topology.edges() if e.source == i and e.strength == "soft"}
            for i in self.names
        }
        self.failed, self.pinned = failed, pinned
        self.down = self.least(self.forced_down, self.names)
        up = [item for item in self.names if item not in self.down and item not in pinned]
        self.degraded = self.least(self.forced_degraded, up)
        self.at_risk = self.least(self.forced_at_risk, up)
        self.reached = self.least(self.forced_reached, self.names)

    def least(self, forced: Callable[[str, frozenset[str]], bool], eligible: list[str]) -> frozenset[str]:
        """The intersection of all closed sets: those with every eligible item that the rule forces, given them."""
        closed = [s for s in subsets(self.names) if all(item in s for item in eligible if forced(item, s))]
        least = frozenset.intersection(*closed)
        assert least in closed, "the rule is not monotone"
        return least

    def forced_down(self, item: str, down: frozenset[str]) -> bool:
        gates_fail = any(len(members - down) < required for members, required in self.gates[item])
        return item in self.failed or (item not in self.pinned and gates_fail)

    def forced_degraded(self, item: str, degraded: frozenset[str]) -> bool:
        return bool(self.soft[item] & self.down or self.hard[item] & degraded)

    def forced_at_risk(self, item: str, at_risk: frozenset[str]) -> bool:
        return any(
            (members & self.down and len(members - self.down) == required)
            or len(members - self.down - at_risk) < required
            for members, required in self.gates[item]
        )

    def forced_reached(self, item: str, reached: frozenset[str]) -> bool:
        by_edge = bool((self.hard[item] | self.soft[item]) & reached)
        return item in self.failed or (item not in self.pinned and by_edge)

    def states(self) -> dict[str, str]:
        found = {}
        for item in sorted(self.reached):
            lost = any(members & self.down for members, _ in self.gates[item])
            found[item] = (
                "down"
                if item in self.down
                else "degraded"
                if item in self.degraded
                else "at_risk"
                if item in self.at_risk
                else "reduced"
                if lost
                else "protected"
            )
        return found


@st.composite
def trees(draw: st.DrawFn) -> PlainTopology:
    """Estates in which every CI has one dependent at most, with gates of any size."""
    parents = {child: draw(st.integers(0, child - 1)) for child in range(1, draw(st.integers(2, 10)))}
    edges = [
        TopologyEdge("USES", f"n{parent}", f"n{child}", draw(st.sampled_from([None, "g", "g", "h"])), 1)
        for child, parent in parents.items()
    ]
    needed = {(e.source, e.group): draw(st.integers(1, 3)) for e in edges}
    return built(
        [f"n{index}" for index in range(len(parents) + 1)],
        [replace(edge, required=needed[edge.source, edge.group]) for edge in edges],
    )
