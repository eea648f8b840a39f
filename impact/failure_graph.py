"""Which edges carry failure in one kind of question, as arrays for the kernels: the fast form of `impact.gates`.

Promises: gates as `impact.gates` forms them, but that a gate which can lose nothing is written as single edges, which
means the same for every state. Follows a topology from change to change in time proportional to the change.

Form: for every dependency its entries, in `entry[span[v, 0]:span[v, 3]]`: the dependents that need it (to
`span[v, 1]`), the gates it is a member of (to `span[v, 2]`), the dependents that want it; `dependent` says for every
entry whom it leads to in the end. `gate_slack`: int32 per gate,
how many members it may lose. What the topology's overlay rewrites is in the `x_`
arrays: entries in chains per dependency (`x_next`), found by a hash table (`x_key`, `x_head`), gates counted on from
those of the base. Rewritten dependents void their base entries; `FailureGraph.flagged` lists the nodes to be marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cmdb.model.columns import Int32s
from cmdb.model.packed_columns import Columns
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import members_needed
from impact.failure_kernels import (
    EXTRA,
    GATE,
    REWRITTEN,
    SINGLE,
    SOFT,
    VOID,
    WHOLE,
    Arrays,
    Marks,
    Scratch,
    move_heads,
    slot_of,
)
from impact.frontier import FEW
from impact.gate_kernels import EdgeFacts, find_owners, form_gates, places, restore
from impact.gates import Carrying, CarryingEdges
from impact.id_search import numbers_of

FEWEST_ROUNDS = 256
_DERIVED = tuple(f"gates-2.{name}" for name in ("span", "entry", "dependent", "slack"))
Number = TypeVar("Number", np.int8, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """The arrays of a topology's base for one kind of question."""

    columns: Columns
    carrying: Carrying
    span: Int32s
    entry: Int32s
    dependent: Int32s
    gate_slack: Int32s

    @classmethod
    def of(cls, columns: Columns, carrying: Carrying) -> Base:
        """Linear in the edges; a quarter of a second for a million items."""
        groups: dict[str, int] = {}
        size = max(1, len(columns.labels))
        hard, soft = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        group = np.full(size, -1, np.int32)
        numerator, denominator = np.zeros(size, np.int64), np.full(size, -1, np.int64)
        for place, label in enumerate(columns.labels):
            strength = carrying.strength_of(label)
            hard[place], soft[place] = strength == "hard", strength == "soft"
            if label.group is not None:
                group[place] = groups.setdefault(label.group, len(groups))
                if isinstance(label.required, str):
                    members_needed(label.required, 1)  # says what is wrong with it
                    share = Fraction(label.required.rstrip("%")) / 100
                    numerator[place], denominator[place] = share.numerator, share.denominator
                elif label.required is not None:
                    numerator[place], denominator[place] = label.required, 0
        span = np.zeros((len(columns.ids), 4), np.int32)
        sizes = np.zeros(1, np.int64)
        facts = EdgeFacts(
            columns.out_start, columns.target, columns.label, hard, soft, group, numerator, denominator
        )
        nothing = np.empty(0, np.int32)
        form_gates(facts, sizes, span, nothing, nothing, nothing, False)
        entry = np.empty(places(span), np.int32)
        dependent = np.empty_like(entry)
        slack = np.empty(int(sizes[0]), np.int32)
        form_gates(facts, sizes, span, entry, dependent, slack, True)
        restore(span)
        return cls(columns, carrying, span, entry, dependent, slack)

    def derived(self) -> dict[str, Int32s]:
        """The arrays in one dimension each, under names that change whenever their form does."""
        arrays = (self.span.reshape(-1), self.entry, self.dependent, self.gate_slack)
        return dict(zip(_DERIVED, arrays, strict=True))

    @classmethod
    def restored(cls, columns: Columns, carrying: Carrying, arrays: Mapping[str, Int32s]) -> Base | None:
        """What `derived` gave for these columns and this question; None if it is not there in this form."""
        if not all(name in arrays for name in _DERIVED):
            return None
        span, entry, dependent, slack = (arrays[name] for name in _DERIVED)
        if len(span) != 4 * len(columns.ids):
            return None
        return cls(columns, carrying, span.reshape(-1, 4), entry, dependent, slack)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, those of the columns apart."""
        return sum(a.nbytes for a in (self.span, self.entry, self.dependent, self.gate_slack))

    def gate_owners(self) -> Int32s:
        """The dependent that each gate is of: int32 per gate, found anew in linear time."""
        owners = np.empty(len(self.gate_slack), np.int32)
        find_owners(self.span, self.entry, self.dependent, owners)
        return owners


@dataclass(slots=True, eq=False)
class Overlay:
    """The `x_` arrays with room to grow; `runs`: where the entries of each rewritten dependent are."""

    key: Int32s
    head: Int32s
    entry: Int32s
    kind: npt.NDArray[np.int8]
    next: Int32s
    slack: Int32s
    owner: Int32s
    runs: dict[int, tuple[int, int]]
    keys: int = 0
    entries: int = 0
    gates: int = 0

    @classmethod
    def empty(cls) -> Overlay:
        """Nothing is rewritten."""
        few, none = np.full(16, -1, np.int32), np.empty(64, np.int32)
        return cls(few, few.copy(), none, np.empty(64, np.int8), none.copy(), none.copy(), none.copy(), {})

    def copy(self) -> Overlay:
        """One that can change while this one stays."""
        return Overlay(
            self.key.copy(),
            self.head.copy(),
            self.entry.copy(),
            self.kind.copy(),
            self.next.copy(),
            self.slack.copy(),
            self.owner.copy(),
            dict(self.runs),
            self.keys,
            self.entries,
            self.gates,
        )

    def rewrite(self, topology: PackedTopology, edges: CarryingEdges, base_gates: int, source: int) -> None:
        """Take up the edges that a dependent has now; it may be gone."""
        begin, end = self.runs.get(source, (0, 0))
        self.kind[begin:end] = VOID
        self.entry[begin:end] = -1
        first, singles = self.entries, set[str]()
        if not topology.out[source]:
            self.runs[source] = (first, first)
            return
        item = topology.id_of(source)
        for gate in edges.gates(item):
            if gate.required == len(gate.members):
                singles |= {*gate.members}
                continue
            number = self._add_gate(source, len(gate.members) - gate.required)
            for member in gate.members:
                self._add(topology.known(member), GATE, base_gates + number)
        for single in singles:
            self._add(topology.known(single), SINGLE, source)
        for wanted in edges.dependencies(item, "soft"):
            self._add(topology.known(wanted), SOFT, source)
        self.runs[source] = (first, self.entries)

    def _add_gate(self, owner: int, slack: int) -> int:
        if self.gates == len(self.owner):
            self.owner, self.slack = _doubled(self.owner), _doubled(self.slack)
        self.owner[self.gates], self.slack[self.gates] = owner, slack
        self.gates += 1
        return self.gates - 1

    def _add(self, target: int, kind: int, entry: int) -> None:
        if self.entries == len(self.entry):
            self.entry, self.next, self.kind = _doubled(self.entry), _doubled(self.next), _doubled(self.kind)
        slot = self._slot(target)
        self.entry[self.entries], self.kind[self.entries] = entry, kind
        self.next[self.entries] = self.head[slot]
        self.head[slot] = self.entries
        self.entries += 1

    def _slot(self, target: int) -> int:
        if self.keys * 2 >= len(self.key):
            size = 2 * len(self.key)
            key, head = np.full(size, -1, np.int32), np.full(size, -1, np.int32)
            move_heads(self.key, self.head, key, head)
            self.key, self.head = key, head
        slot = slot_of(self.key, target)
        if self.key[slot] < 0:
            self.key[slot] = target
            self.keys += 1
        return slot


@dataclass(frozen=True, slots=True, eq=False)
class FailureGraph:
    """What the kernels run on, true of `topology.revision`."""

    topology: PackedTopology
    base: Base
    overlay: Overlay
    arrays: Arrays = field(init=False)
    flagged: tuple[Int32s, Marks] = field(init=False)

    def __post_init__(self) -> None:
        """Views of what is used of the growing arrays."""
        base, x = self.base, self.overlay
        object.__setattr__(
            self,
            "arrays",
            Arrays(
                base.span,
                base.entry,
                base.dependent,
                base.gate_slack,
                x.key,
                x.head,
                x.entry[: x.entries],
                x.kind[: x.entries],
                x.next[: x.entries],
                x.slack[: x.gates],
            ),
        )
        rewritten = np.fromiter(x.runs, np.int32, len(x.runs))
        extra = x.key[x.key >= 0]
        nodes = np.concatenate([rewritten, extra])
        marks = np.concatenate(
            [np.full(len(rewritten), REWRITTEN, np.uint8), np.full(len(extra), EXTRA, np.uint8)]
        )
        object.__setattr__(self, "flagged", (nodes, marks))

    @classmethod
    def of(
        cls, topology: PackedTopology, carrying: Carrying | None = None, base: Base | None = None
    ) -> FailureGraph:
        """The graph of a topology; `base`: that of its columns, where it is there already."""
        if base is None or base.columns is not topology.columns:
            base = Base.of(topology.columns, carrying or Carrying())
        return cls(topology, base, _rewritten(topology, base, Overlay.empty(), topology.out))

    def following(self, topology: PackedTopology) -> FailureGraph:
        """The graph of another topology; cheap if that was made from this one's."""
        if topology is self.topology:
            return self
        if topology.columns is not self.base.columns:
            return FailureGraph.of(topology, self.base.carrying)
        if topology.parent != self.topology.revision:
            return FailureGraph.of(topology, base=self.base)
        return FailureGraph(
            topology, self.base, _rewritten(topology, self.base, self.overlay.copy(), topology.touched)
        )

    @property
    def gates(self) -> int:
        """How many gates have numbers."""
        return len(self.base.gate_slack) + self.overlay.gates

    def marks(self) -> Marks:
        """uint8 per node: the marks of the overlay, nothing else."""
        marks = np.zeros(self.topology.size, np.uint8)
        np.bitwise_or.at(marks, *self.flagged)
        return marks

    @property
    def owners(self) -> Int32s:
        """The dependents that the gates of the overlay are of."""
        return self.overlay.owner[: self.overlay.gates]

    def numbers(self, ids: Set[str]) -> tuple[Int32s, list[str]]:
        """The numbers of these ids, in ascending order of ids, -1 for those that are unknown; and these."""
        return numbers_of(self.topology, sorted(ids))


class Workspace:
    """Scratch memory that follows graphs. One question at a time: who has it, has it alone."""

    def __init__(self) -> None:
        self._graph: FailureGraph | None = None
        self._scratch: Scratch | None = None

    def scratch(self, graph: FailureGraph, rounds: int = FEWEST_ROUNDS) -> Scratch:
        """Clean scratch arrays that fit a graph, with the marks of its overlay set."""
        old, scratch = self._graph, self._scratch
        if scratch is not None and graph is old and scratch.levels.shape[1] >= rounds:
            return scratch
        self._graph = None  # until all is well again
        base_gates = len(graph.base.gate_slack)
        fits = (
            old is not None
            and scratch is not None
            and old.base is graph.base
            and len(scratch.marks) >= graph.topology.size
            and len(scratch.touched) > graph.gates
        )
        if not fits or scratch is None or old is None:
            scratch = _new_scratch(graph, rounds)
        else:
            scratch.marks[old.flagged[0]] = 0
        if scratch.levels.shape[1] < rounds:
            scratch = scratch._replace(levels=np.empty((4, rounds), np.int32))
        overlay = graph.overlay
        scratch.gates[base_gates : graph.gates, 0] = overlay.owner[: overlay.gates]
        scratch.gates[base_gates : graph.gates, 1] = overlay.slack[: overlay.gates] + WHOLE
        np.bitwise_or.at(scratch.marks, graph.flagged[0], graph.flagged[1])
        self._graph, self._scratch = graph, scratch
        return scratch


def _new_scratch(graph: FailureGraph, rounds: int) -> Scratch:
    nodes = graph.topology.size + 4096 + graph.topology.size // 64
    gates = graph.gates + 4096 + graph.gates // 64
    base = graph.base
    pairs = np.zeros((gates, 2), np.int32)
    pairs[: len(base.gate_slack), 0], pairs[: len(base.gate_slack), 1] = (
        base.gate_owners(),
        base.gate_slack + WHOLE,
    )
    places = nodes + FEW + int((base.span[:, 3] - base.span[:, 0]).max(initial=0))
    one, two, three, four = (np.empty(places, np.int32) for _ in range(4))
    marks = np.zeros(nodes, np.uint8)
    return Scratch(
        marks, pairs, one, two, three, four, np.empty(gates, np.int32), np.empty((4, rounds), np.int32)
    )


def _rewritten(
    topology: PackedTopology, base: Base, overlay: Overlay, sources: Iterable[int] | Set[int]
) -> Overlay:
    edges = CarryingEdges(topology, base.carrying)
    for source in sources:
        overlay.rewrite(topology, edges, len(base.gate_slack), source)
    return overlay


def _doubled(array: npt.NDArray[Number]) -> npt.NDArray[Number]:
    return np.concatenate([array, np.empty_like(array)])
