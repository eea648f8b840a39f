"""The base of a topology in arrays: items and edges in columns, numbered so that neighbours are near each other.

Promises: immutable; made in numpy, a million items with their edges in a few seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from cmdb.model.columns import Ids, Int32s, Texts, ranges
from cmdb.model.topology import Confidence, Strength, TopologyEdge, TopologyItem

Labels: TypeAlias = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


class Kind(NamedTuple):
    """What items have in common."""

    class_name: str
    layer: str | None
    lifecycle: str | None
    criticality: str | None = None


class Label(NamedTuple):
    """Everything about an edge but its ends."""

    type: str
    group: str | None
    required: int | str | None
    strength: Strength | None
    confidence: Confidence


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A base. n items, m edges; edge e runs from the source whose `out_start` range it lies in to `target[e]`.

    `kind`: uint16/32[n] into `kinds`; `out_start`: int32[n + 1]; `target`: int32[m]; `label`: uint16/32[m] into
    `labels`; `in_start`: int32[n + 1] and `in_edge`: int32[m], the edges by target, each target's in order of sources.
    """

    ids: Ids
    names: Texts
    kind: Labels
    kinds: tuple[Kind, ...]
    out_start: Int32s
    target: Int32s
    label: Labels
    labels: tuple[Label, ...]
    in_start: Int32s
    in_edge: Int32s

    @classmethod
    def pack(
        cls,
        ids: Ids,
        names: Texts,
        kind: Labels,
        kinds: Sequence[Kind],
        source: Int32s,
        target: Int32s,
        label: Labels,
        labels: Sequence[Label],
        *,
        arrange: bool = True,
    ) -> Columns:
        """Columns of items in any order and edges in any order, which are distinct; `arrange` numbers them anew."""
        if arrange:
            order = breadth_first(len(ids), source, target)
            place = np.empty(len(order), np.int32)
            place[order] = np.arange(len(order), dtype=np.int32)
            # numpy lets go of the interpreter: what describes items is arranged while edges are sorted.
            with ThreadPoolExecutor(1) as aside:
                described = aside.submit(lambda: (ids.arranged(order, place), names.take(order)))
                edges = _sorted(place[source], place[target], label, len(ids))
            ids, names = described.result()
            kind = kind[order]
        else:
            edges = _sorted(source, target, label, len(ids))
        out_start, target, label, in_start, in_edge = edges
        return cls(
            ids,
            names,
            _narrow(kind),
            tuple(kinds),
            out_start,
            target,
            _narrow(label),
            tuple(labels),
            in_start,
            in_edge,
        )

    @property
    def nbytes(self) -> int:
        """Memory of all arrays."""
        arrays = (self.kind, self.out_start, self.target, self.label, self.in_start, self.in_edge)
        text = (self.ids.keys, self.ids.order, self.names.blob, self.names.starts)
        return sum(array.nbytes for array in (*arrays, *text))

    def source_of(self, edges: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """The sources of these edges."""
        return np.searchsorted(self.out_start, edges, side="right") - 1


def kind_of(item: TopologyItem) -> Kind:
    """What an item has in common with others."""
    return Kind(item.class_name, item.layer, item.lifecycle, item.criticality)


def label_of(edge: TopologyEdge) -> Label:
    """Everything about an edge but its ends."""
    return Label(edge.type, edge.group, edge.required, edge.strength, edge.confidence)


def _narrow(codes: Labels) -> Labels:
    narrow = np.uint16 if not len(codes) or codes.max() <= np.iinfo(np.uint16).max else np.uint32
    return cast(Labels, np.ascontiguousarray(codes, narrow))


def _starts(ends: npt.NDArray[np.integer], size: int) -> Int32s:
    starts = np.zeros(size + 1, np.int32)
    np.cumsum(np.bincount(ends, minlength=size), out=starts[1:])
    return starts


def _sorted(
    source: Int32s, target: Int32s, label: Labels, size: int
) -> tuple[Int32s, Int32s, Labels, Int32s, Int32s]:
    """Edges by source: `out_start`, `target`, labels, and by target: `in_start`, `in_edge`."""
    by_source = _stably(source)
    source, target, label = source[by_source], target[by_source], label[by_source]
    in_edge = _stably(target).astype(np.int32)
    return _starts(source, size), np.ascontiguousarray(target), label, _starts(target, size), in_edge


def _stably(numbers: Int32s) -> npt.NDArray[np.int64]:
    """`np.argsort(numbers, kind="stable")` of numbers from 0 on, eight times faster: plain sorting is vectorised."""
    return np.sort(numbers.astype(np.int64) << 32 | np.arange(len(numbers))) & 0xFFFFFFFF


def breadth_first(size: int, source: Int32s, target: Int32s) -> Int32s:
    """An order of all items in which the dependents of one are near each other: breadth first from what needs nothing.

    Returns the old numbers in their new order. What hangs on nothing else starts, the most needed first; then what is
    left, in cycles, starts from its most needed.
    """
    needed = np.bincount(target, minlength=size)
    by_target = _stably(target)
    dependents, starts = source[by_target], _starts(target, size)
    roots = np.flatnonzero(np.bincount(source, minlength=size) == 0)
    seen = np.zeros(size, bool)
    order: list[Int32s] = []
    frontier = roots[np.argsort(-needed[roots], kind="stable")].astype(np.int32)
    while True:
        while len(frontier):
            seen[frontier] = True
            order.append(frontier)
            lengths = starts[frontier + 1] - starts[frontier]
            reached = dependents[ranges(starts[frontier], lengths)]
            reached = reached[~seen[reached]]
            _, first = np.unique(reached, return_index=True)
            frontier = reached[np.sort(first)]
        left = np.flatnonzero(~seen)
        if not len(left):
            break
        frontier = left[[np.argmax(needed[left])]].astype(np.int32)
        if len(order) > 100_000:  # thousands of islands of cycles: no order helps them
            order.append(left.astype(np.int32))
            break
    return np.concatenate(order) if order else np.empty(0, np.int32)


def edge_of(source: str, target: str, label: Label) -> TopologyEdge:
    """The edge between two ids with these facts."""
    return TopologyEdge(
        label.type, source, target, label.group, label.required, label.strength, label.confidence
    )
