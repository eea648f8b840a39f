"""What a failure does to everything else, on arrays: the answer of `impact.propagation` for estates of any size.

Promises: the same states, distances, rounds and therefore the same explanations as the plain implementation, which
tests hold it to. An answer is true of one topology, keeps numbers, and gives objects out page by page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cmdb.model.columns import Int32s, Int64s
from cmdb.model.packed_columns import Kind
from cmdb.model.packed_topology import PackedTopology
from impact.errors import ContradictoryScenario, UnknownItems
from impact.failure_graph import FailureGraph, Workspace
from impact.failure_kernels import Marks, simulate
from impact.gates import Carrying, CarryingEdges
from impact.propagation import SERVICE_CLASSES, State

STATES = (State.UP, State.PROTECTED, State.REDUCED, State.AT_RISK, State.DEGRADED, State.DOWN)
"""By the numbers that kernels give them."""
CODES = {state: code for code, state in enumerate(STATES)}


@dataclass(frozen=True, eq=False)
class Impact:
    """The answer for `failed` while `pinned` hold, true of `topology.revision`.

    `nodes`: int32, the reached by distance; `codes`: uint8, their worst states as places in `STATES`;
    `levels`: int32, where each distance begins.
    """

    topology: PackedTopology
    carrying: Carrying
    failed: tuple[str, ...]
    pinned: frozenset[str]
    nodes: Int32s
    codes: Marks
    levels: Int32s
    _answer: tuple[Int32s, Int32s, list[int]] = field(repr=False)
    """Nodes, levels and sizes as the kernel gave them; what few ask for is taken from them when they do."""

    @cached_property
    def edges(self) -> CarryingEdges:
        """The edges that carry failure in this question."""
        return CarryingEdges(self.topology, self.carrying)

    @cached_property
    def counts(self) -> Mapping[State, int]:
        """How many are in each state."""
        return dict(zip(STATES[1:], self._answer[2][9:], strict=True))

    @property
    def revision(self) -> int:
        """The revision this is true of."""
        return self.topology.revision

    @property
    def down(self) -> Mapping[str, int]:
        """Who is down, each with the round in which it went down; 0: failed."""
        return _ById(self.topology, self._down)

    @property
    def at_risk(self) -> Mapping[str, int]:
        """Who is at risk, each with its round; one that is degraded too is among them."""
        return _ById(self.topology, self._at_risk)

    @property
    def degraded(self) -> Mapping[str, int]:
        """Who is degraded, each with its round."""
        return _ById(self.topology, self._degraded)

    @property
    def distances(self) -> Mapping[str, int]:
        """The reached by plain reachability, with hops from the nearest failed CI."""
        return _ById(self.topology, self._reached)

    @property
    def states(self) -> Mapping[str, State]:
        """Every reached CI with its worst state, ordered by state, distance and id."""
        return _States(self)

    @cached_property
    def _reached(self) -> Rounds:
        return Rounds(self.nodes, self.levels, 0)

    @cached_property
    def _down(self) -> Rounds:
        return self._rounds(1, 0)

    @cached_property
    def _at_risk(self) -> Rounds:
        return self._rounds(2, 1)

    @cached_property
    def _degraded(self) -> Rounds:
        return self._rounds(3, 1)

    def _rounds(self, queue: int, first: int) -> Rounds:
        nodes, levels, sizes = self._answer
        begin, start = sum(sizes[:queue]), sum(sizes[4 : 4 + queue])
        return Rounds(nodes[begin : begin + sizes[queue]], levels[start : start + sizes[4 + queue]], first)

    def state_of(self, item: str) -> State:
        """The state of one CI; `UP` if the failure does not reach it. Raises `UnknownItems`."""
        number = self.topology.number_of(item)
        if number is None:
            raise UnknownItems([item], self.revision)
        place = self._reached.place(number)
        return State.UP if place is None else STATES[self.codes[place]]

    def distances_of(self, places: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Hops of the reached at these places of `nodes`."""
        return np.searchsorted(self.levels, places, side="right") - 1

    def page(self, state: State, first: int, offset: int = 0) -> Int64s:
        """Places in `nodes` of some that are in a state: those from `offset` on, nearest first, then by id."""
        return self._page(np.flatnonzero(self.codes == CODES[state]), first, offset)

    def _page(self, places: Int64s, first: int, offset: int) -> Int64s:
        wanted = places[offset : offset + first]
        if not len(wanted):
            return wanted
        # All of the nearest and of the farthest distance on the page, since ids decide among them.
        ends = np.append(self.levels, len(self.nodes))
        nearest, farthest = self.distances_of(wanted[[0, -1]])
        low, high = np.searchsorted(places, [ends[nearest], ends[farthest + 1]])
        near = places[low:high]
        ranks = np.empty(len(near), np.int64)
        ranks[self.topology.by_id(self.nodes[near])] = np.arange(len(near))
        ordered = near[np.lexsort((ranks, self.distances_of(near)))]
        return ordered[offset - low : offset - low + first]

    def ordered(self) -> Int64s:
        """All places in `nodes`, by state, distance and id."""
        found = [self.page(state, len(self.nodes)) for state in State if state is not State.UP]
        return np.concatenate(found)

    def of_kind(self, wanted: Callable[[Kind], bool]) -> Int64s:
        """Places in `nodes` of the reached of a kind, worst state first, then nearest, then by id."""
        places = np.flatnonzero(self.topology.flags(self.nodes, wanted))
        found = [self._page(places[self.codes[places] == code], len(places), 0) for code in range(5, 0, -1)]
        return np.concatenate(found)

    def parties(self, relationship_type: str) -> list[Party]:
        """Who stands at the other end of this type (OWNED_BY, SUPPORTED_BY, ...) of what is down, degraded or at risk.

        Worst state first, then the most items, then by id.
        """
        places = np.flatnonzero(self.codes >= CODES[State.AT_RISK])
        order = np.argsort(self.nodes[places])
        concerned, codes = self.nodes[places][order], self.codes[places][order]
        near, far = self.topology.hops(concerned, lambda label: label.type == relationship_type)
        pairs = np.unique(np.stack([far, near]), axis=1)
        far, near = pairs[0], pairs[1]
        parties, starts, items = np.unique(far, return_index=True, return_counts=True)
        if not len(parties):
            return []
        worst = np.maximum.reduceat(codes[np.searchsorted(concerned, near)], starts)
        found = [
            Party(self.topology.id_of(party), STATES[code], count)
            for party, code, count in zip(parties.tolist(), worst.tolist(), items.tolist(), strict=True)
        ]
        return sorted(found, key=lambda party: (-CODES[party.worst], -party.items, party.id))

    def worse_than(self, before: Impact) -> npt.NDArray[np.bool_]:
        """Which of the reached are in a worse state than in another answer on the same topology: bool, by place."""
        base = np.zeros(self.topology.size, np.uint8)
        base[before.nodes] = before.codes
        return self.codes > base[self.nodes]

    def services(self, service_classes: Set[str] = SERVICE_CLASSES) -> tuple[str, ...]:
        """The reached CIs of these classes (name subclasses too), worst state first."""
        places = self.of_kind(lambda kind: kind.class_name in service_classes)
        return tuple(self.topology.id_of(number) for number in self.nodes[places].tolist())


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody concerned: the worst state among the items that are theirs, and how many those are."""

    id: str
    worst: State
    items: int


@dataclass(frozen=True, eq=False)
class Rounds:
    """Nodes in the order in which they joined; `levels`: where each round begins; `first`: the number of the first."""

    nodes: Int32s
    levels: Int32s
    first: int

    @cached_property
    def _order(self) -> npt.NDArray[np.intp]:
        return np.argsort(self.nodes)

    @cached_property
    def _sorted(self) -> Int32s:
        return self.nodes[self._order]

    def place(self, number: int) -> int | None:
        """Where a node stands in `nodes`."""
        at = int(np.searchsorted(self._sorted, number))
        if at == len(self._sorted) or self._sorted[at] != number:
            return None
        return int(self._order[at])

    def round_of(self, number: int) -> int | None:
        """The round in which a node joined."""
        place = self.place(number)
        return (
            None if place is None else int(np.searchsorted(self.levels, place, side="right")) - 1 + self.first
        )


class _ById(Mapping[str, int]):
    """Rounds by the ids of their items."""

    def __init__(self, topology: PackedTopology, rounds: Rounds) -> None:
        self._topology, self._rounds = topology, rounds

    def __getitem__(self, item: str) -> int:
        number = self._topology.number_of(item)
        found = None if number is None else self._rounds.round_of(number)
        if found is None:
            raise KeyError(item)
        return found

    def __contains__(self, item: object) -> bool:
        return isinstance(item, str) and self.get(item) is not None

    def __iter__(self) -> Iterator[str]:
        return map(self._topology.id_of, self._rounds.nodes.tolist())

    def __len__(self) -> int:
        return len(self._rounds.nodes)


class _States(Mapping[str, State]):
    def __init__(self, impact: Impact) -> None:
        self._impact = impact

    def __getitem__(self, item: str) -> State:
        number = self._impact.topology.number_of(item)
        place = None if number is None else self._impact._reached.place(number)
        if place is None:
            raise KeyError(item)
        return STATES[self._impact.codes[place]]

    def __iter__(self) -> Iterator[str]:
        impact = self._impact
        return map(impact.topology.id_of, impact.nodes[impact.ordered()].tolist())

    def __len__(self) -> int:
        return len(self._impact.nodes)


_NOBODY: tuple[Int32s, list[str]] = (np.empty(0, np.int32), [])


def simulate_on(
    graph: FailureGraph, workspace: Workspace, down: Set[str], pinned: Set[str] = frozenset()
) -> Impact:
    """The impact of the CIs `down` failing together, on top of nothing else: name what is down already as well.

    `pinned` are taken to stay up and well. Raises `UnknownItems` for ids the topology does not have,
    `ContradictoryScenario` where one is failed and pinned.
    """
    failed, unknown = graph.numbers(down)
    held, unknown_pins = graph.numbers(pinned) if pinned else _NOBODY
    if unknown or unknown_pins:
        raise UnknownItems([*unknown, *unknown_pins], graph.topology.revision)
    if both := pinned & down:
        raise ContradictoryScenario(both)
    arrays = tuple(graph.arrays)
    nodes, codes, levels, sizes = simulate(arrays, tuple(workspace.scratch(graph)), failed, held)
    if sizes[0] and not len(nodes):
        scratch = workspace.scratch(graph, int(sizes[4:8].max()) + 1)
        nodes, codes, levels, sizes = simulate(arrays, tuple(scratch), failed, held)
    found: list[int] = sizes.tolist()
    return Impact(
        graph.topology,
        graph.base.carrying,
        tuple(sorted(down)),
        frozenset(pinned),
        nodes[: found[0]],
        codes,
        levels[: found[4]],
        (nodes, levels, found),
    )
