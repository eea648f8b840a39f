"""A packed topology while it is being changed: shallow copies of the overlay, and the edges of the touched sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from cmdb.errors import NotFound
from cmdb.model.packed_columns import edge_of
from cmdb.model.topology import EdgeKey, TopologyEdge, TopologyItem, edge_order

if TYPE_CHECKING:
    from cmdb.model.packed_topology import PackedTopology

_Out: TypeAlias = dict[int, tuple[TopologyEdge, ...]]
_In: TypeAlias = dict[int, dict[EdgeKey, TopologyEdge]]


class TopologyChange:
    """A topology while it is being changed: shallow copies of the overlay, and the touched sources."""

    def __init__(self, before: PackedTopology) -> None:
        self._before = before
        self._base = len(before.columns.ids)
        self._numbers = dict(before.new_numbers)
        self._items = dict(before.changed)
        self._out: _Out = dict(before.out)
        self._extra: _In = dict(before.extra)  # type: ignore[arg-type]  # inner ones are copied before they change
        self._own_extra: set[int] = set()
        self._sources: dict[int, dict[EdgeKey, TopologyEdge]] = {}
        self._count = before.edge_count

    def _number(self, item_id: str) -> int | None:
        number = self._numbers.get(item_id)
        if number is None:
            number = self._before.columns.ids.find(item_id)
        return None if number is None or (number in self._items and self._items[number] is None) else number

    def _edges_of(self, number: int) -> dict[EdgeKey, TopologyEdge]:
        """The edges of a source, which is in the overlay from now on."""
        found = self._sources.get(number)
        if found is None:
            found = {edge.key: edge for edge in self._before.edges_from(number)}
            self._sources[number] = found
            if number not in self._out:
                self._out[number] = ()
                for edge in found.values():
                    self._extra_of(edge.target)[edge.key] = edge
        return found

    def _extra_of(self, item_id: str) -> dict[EdgeKey, TopologyEdge]:
        number = self._number(item_id)
        if number is None:
            return {}  # the target is being removed, and its edges with it
        if number not in self._own_extra:
            self._extra[number] = dict(self._extra.get(number, {}))
            self._own_extra.add(number)
        return self._extra[number]

    def cut(self, key: EdgeKey) -> None:
        """Take an edge away, if it is there."""
        source = self._number(key[1])
        if source is None:
            return
        edges = self._edges_of(source)
        if edges.pop(key, None) is not None:
            self._extra_of(key[2]).pop(key, None)
            self._count -= 1

    def remove(self, item_id: str) -> None:
        """Take an item away, if it is there, and its edges with it."""
        number = self._number(item_id)
        if number is None:
            return
        for edge in list(self._edges_of(number).values()):
            self.cut(edge.key)
        for edge in list(self._edges_to(number)):
            self.cut(edge.key)
        self._extra.pop(number, None)
        self._own_extra.discard(number)
        self._items[number] = None

    def _edges_to(self, number: int) -> Iterator[TopologyEdge]:
        yield from self._extra.get(number, {}).values()
        if number >= self._base:
            return
        columns = self._before.columns
        for edge in columns.in_edge[columns.in_start[number] : columns.in_start[number + 1]].tolist():
            source = int(columns.source_of(np.array([edge]))[0])
            if source not in self._out:
                yield edge_of(columns.ids[source], columns.ids[number], columns.labels[columns.label[edge]])

    def put_item(self, item: TopologyItem) -> None:
        """Make an item, or change it."""
        number = self._numbers.get(item.id)
        if number is None:
            number = self._before.columns.ids.find(item.id)
        if number is None:
            number = self._numbers[item.id] = self._base + len(self._numbers)
        self._items[number] = item

    def put_edge(self, edge: TopologyEdge) -> None:
        """Make an edge, or change it. Raises `NotFound` for a loose end."""
        source, target = self._number(edge.source), self._number(edge.target)
        if source is None or target is None:
            missing = edge.source if source is None else edge.target
            raise NotFound(
                "item", missing, f"edge {edge.type} from {edge.source} to {edge.target} ends there"
            )
        edges = self._edges_of(source)
        self._count += edge.key not in edges
        edges[edge.key] = edge
        self._extra_of(edge.target)[edge.key] = edge

    def result(self, revision: int) -> PackedTopology:
        """The topology after the change."""
        for number, edges in self._sources.items():
            self._out[number] = tuple(sorted(edges.values(), key=edge_order))
        return replace(
            self._before,
            revision=revision,
            new_numbers=self._numbers,
            changed=self._items,
            out=self._out,
            extra=self._extra,
            parent=self._before.revision,
            touched=frozenset(self._sources),
            edge_count=self._count,
        )
