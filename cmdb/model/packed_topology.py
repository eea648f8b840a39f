"""The estate as a topology in arrays: what the product runs on, from a thousand items to ten million.

Promises: reads like `cmdb.model.topology.Topology` and gives the same answers; never changes, so any number of threads
may read it; `with_changes` makes the next one (or, with changes taken back, an earlier one) in time proportional to
what lies between it and its base, not to the estate. `compacted` makes a new base of it.

Form: a *base* of columns (`Columns`), items numbered so that neighbours in the graph are neighbours in memory, edges as
compressed sparse rows by source, each with the number of its edge facts in a table; and an *overlay*, dictionaries of
what differs from it. A source whose edges changed has all its edges in the overlay; those in the base are void then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from heapq import merge

import numpy as np
import numpy.typing as npt

from cmdb.errors import NotFound
from cmdb.model.columns import Ids, Int32s, Texts, ranges
from cmdb.model.packed_columns import Columns, Kind, Label, Labels, edge_of, kind_of, label_of
from cmdb.model.topology import EdgeKey, TopologyEdge, TopologyItem, edge_order
from cmdb.model.topology_change import TopologyChange


@dataclass(frozen=True, slots=True, eq=False)
class PackedTopology:
    """Items and edges as of `revision`; see the module."""

    revision: int
    columns: Columns
    new_numbers: Mapping[str, int] = field(default_factory=dict)
    """Items that the base does not have, with their numbers from n on."""
    changed: Mapping[int, TopologyItem | None] = field(default_factory=dict)
    """Items that differ from the base; None: gone."""
    out: Mapping[int, tuple[TopologyEdge, ...]] = field(default_factory=dict)
    """All edges of the sources that differ from the base."""
    extra: Mapping[int, Mapping[EdgeKey, TopologyEdge]] = field(default_factory=dict)
    """Those edges by target."""
    parent: int = 0
    """The revision this was made from, and in `touched` the sources whose edges differ from its."""
    touched: frozenset[int] = frozenset()
    edge_count: int = 0

    @classmethod
    def of_columns(cls, revision: int, columns: Columns) -> PackedTopology:
        """A topology that is its base."""
        return cls(revision, columns, edge_count=len(columns.target))

    @classmethod
    def build(
        cls,
        revision: int,
        items: Iterable[TopologyItem],
        edges: Iterable[TopologyEdge],
        *,
        arrange: bool = True,
    ) -> PackedTopology:
        """A topology of these; of two with one identity the later wins. `NotFound` on a loose end."""
        listed = list({item.id: item for item in items}.values())
        number = {item.id: place for place, item in enumerate(listed)}
        distinct = {edge.key: edge for edge in edges}
        for edge in distinct.values():
            _require_ends(edge, number)
        kinds: dict[Kind, int] = {}
        labels: dict[Label, int] = {}
        kind = [kinds.setdefault(kind_of(item), len(kinds)) for item in listed]
        label = [labels.setdefault(label_of(edge), len(labels)) for edge in distinct.values()]
        columns = Columns.pack(
            Ids.of([item.id for item in listed]),
            Texts.of([item.name for item in listed]),
            np.array(kind, np.uint32),
            tuple(kinds),
            np.array([number[edge.source] for edge in distinct.values()], np.int32),
            np.array([number[edge.target] for edge in distinct.values()], np.int32),
            np.array(label, np.uint32),
            tuple(labels),
            arrange=arrange,
        )
        return cls.of_columns(revision, columns)

    @property
    def items(self) -> Items:
        """Every item by its id."""
        return Items(self)

    @property
    def size(self) -> int:
        """How many numbers are in use, those of items that are gone among them."""
        return len(self.columns.ids) + len(self.new_numbers)

    @property
    def overlay_size(self) -> int:
        """How much differs from the base: items and edges."""
        return len(self.changed) + sum(map(len, self.out.values()))

    def number_of(self, item_id: str) -> int | None:
        """The number of an item; None if there is no such item at this revision."""
        number = self.new_numbers.get(item_id)
        if number is None:
            number = self.columns.ids.find(item_id)
        return None if number is None or (number in self.changed and self.changed[number] is None) else number

    def ids_from(self, begin: str) -> Iterator[str]:
        """The ids of all items from `begin` on, in ascending order."""
        new = sorted(
            i for i, number in self.new_numbers.items() if i >= begin and self.changed[number] is not None
        )
        return merge(self._base_ids_from(begin), new)

    def _base_ids_from(self, begin: str) -> Iterator[str]:
        ids = self.columns.ids
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            if ids[ids.order[middle]] < begin:
                low = middle + 1
            else:
                high = middle
        for number in ids.order[low:]:
            if self.changed.get(int(number), ...) is not None:
                yield ids[number]

    def item(self, number: int) -> TopologyItem:
        """An item by its number. Raises `NotFound` for one that is gone."""
        if number in self.changed:
            item = self.changed[number]
            if item is None:
                raise NotFound("item", str(number), f"revision {self.revision} has it no more")
            return item
        columns = self.columns
        kind = columns.kinds[columns.kind[number]]
        return TopologyItem(columns.ids[number], columns.names[number], *kind)

    def id_of(self, number: int) -> str:
        """The id of a number."""
        if number < len(self.columns.ids):
            return self.columns.ids[number]
        item = self.changed.get(number)
        if item is None:
            raise NotFound("item", str(number), f"revision {self.revision} has it no more")
        return item.id

    def dependencies_of(self, item_id: str) -> tuple[TopologyEdge, ...]:
        """The edges whose source is `item`, ordered by (target, type, group); none for an unknown id."""
        number = self.number_of(item_id)
        return () if number is None else self.edges_from(number)

    def dependents_of(self, item_id: str) -> tuple[TopologyEdge, ...]:
        """The edges whose target is `item`, ordered by (source, type, group); none for an unknown id."""
        number = self.number_of(item_id)
        if number is None:
            return ()
        return tuple(sorted(self._edges_to(number), key=edge_order))

    def edges(self, types: Set[str] | None = None) -> Iterator[TopologyEdge]:
        """Every edge of these types once (None: of all). Costs what it yields, and a look at every edge's label."""
        columns = self.columns
        chosen = np.fromiter(
            (types is None or label.type in types for label in columns.labels), bool, len(columns.labels)
        )
        edges = np.flatnonzero(chosen[columns.label])
        sources = columns.source_of(edges)
        if self.out:
            standing = ~self._rewritten[sources]
            edges, sources = edges[standing], sources[standing]
        targets, labels = columns.target[edges], columns.label[edges]
        for source, target, label in zip(sources, targets, labels, strict=True):
            yield edge_of(columns.ids[source], columns.ids[target], columns.labels[label])
        for moved in self.out.values():
            yield from (edge for edge in moved if types is None or edge.type in types)

    def edges_from(self, number: int) -> tuple[TopologyEdge, ...]:
        """The edges of a source by its number, ordered by (target, type, group)."""
        found = self.out.get(number)
        if found is not None:
            return found
        if number >= len(self.columns.ids):
            return ()
        return tuple(sorted(self._base_edges_from(number), key=edge_order))

    def _base_edges_from(self, number: int) -> Iterator[TopologyEdge]:
        columns = self.columns
        source = columns.ids[number]
        begin, end = columns.out_start[number], columns.out_start[number + 1]
        targets, labels = columns.target[begin:end].tolist(), columns.label[begin:end].tolist()
        for target, label in zip(targets, labels, strict=True):
            yield edge_of(source, columns.ids[target], columns.labels[label])

    def _edges_to(self, number: int) -> Iterator[TopologyEdge]:
        columns = self.columns
        yield from self.extra.get(number, {}).values()
        if number >= len(columns.ids):
            return
        edges = columns.in_edge[columns.in_start[number] : columns.in_start[number + 1]]
        if not len(edges):
            return
        target = columns.ids[number]
        sources, labels = columns.source_of(edges).tolist(), columns.label[edges].tolist()
        for source, label in zip(sources, labels, strict=True):
            if source not in self.out:
                yield edge_of(columns.ids[source], target, columns.labels[label])

    def hops(
        self, numbers: Int32s, walked: Callable[[Label], bool], *, backwards: bool = False
    ) -> tuple[Int32s, Int32s]:
        """Both ends of every edge from one of `numbers` whose facts are `walked`; `backwards`: to one of them.

        Returns two int32 arrays of one length: the given ends and the far ends, edge by edge.
        """
        columns, base = self.columns, len(self.columns.ids)
        chosen = np.fromiter(map(walked, columns.labels), bool, len(columns.labels))
        inside = numbers[numbers < base]
        starts = columns.in_start if backwards else columns.out_start
        if self.out and not backwards:
            inside = inside[~self._rewritten[inside]]
        lengths = starts[inside + 1] - starts[inside]
        edges = ranges(starts[inside], lengths)
        near = np.repeat(inside, lengths)
        if backwards:
            edges = columns.in_edge[edges].astype(np.int64)
        kept = chosen[columns.label[edges]]
        near, edges = near[kept], edges[kept]
        if backwards:
            far = columns.source_of(edges).astype(np.int32)
            if self.out:
                kept = ~self._rewritten[far]
                near, far = near[kept], far[kept]
        else:
            far = columns.target[edges]
        more = self._overlay_hops(numbers, walked, backwards)
        if more:
            pairs = np.array(more, np.int32)
            near, far = np.concatenate([near, pairs[:, 0]]), np.concatenate([far, pairs[:, 1]])
        return near.astype(np.int32), far

    def _overlay_hops(
        self, numbers: Int32s, walked: Callable[[Label], bool], backwards: bool
    ) -> list[tuple[int, int]]:
        overlay: Mapping[int, object] = self.extra if backwards else self.out
        if not overlay:
            return []
        asked = numbers.tolist() if len(numbers) < len(overlay) else overlay.keys() & set(numbers.tolist())
        found = []
        for number in sorted(asked):
            edges = self.extra.get(number, {}).values() if backwards else self.out.get(number, ())
            far = [e.source if backwards else e.target for e in edges if walked(label_of(e))]
            found += [(number, self.known(item_id)) for item_id in far]
        return found

    def edges_among(self, numbers: Int32s) -> tuple[Int32s, Int32s, Labels, tuple[Label, ...]]:
        """The edges with both ends among distinct `numbers`: source and target as places in it, label, the table."""
        columns, base = self.columns, len(self.columns.ids)
        place = np.full(self.size, -1, np.int32)
        place[numbers] = np.arange(len(numbers), dtype=np.int32)
        standing = numbers[numbers < base]
        if self.out:
            standing = standing[~self._rewritten[standing]]
        begins = columns.out_start[standing]
        lengths = columns.out_start[standing + 1] - begins
        edges = ranges(begins, lengths)
        source, target = np.repeat(place[standing], lengths), place[columns.target[edges]]
        inside = target >= 0
        source, target, label = source[inside], target[inside], columns.label[edges[inside]].astype(np.uint32)
        table = columns.labels
        if self.out:
            codes = {known: code for code, known in enumerate(table)}
            more = [
                (place[number], place[self.known(edge.target)], codes.setdefault(label_of(edge), len(codes)))
                for number in sorted(self.out.keys() & set(numbers.tolist()))
                for edge in self.out[number]
            ]
            added = np.array([row for row in more if row[1] >= 0], np.int64).reshape(-1, 3)
            source = np.concatenate([source, added[:, 0].astype(np.int32)])
            target = np.concatenate([target, added[:, 1].astype(np.int32)])
            label = np.concatenate([label, added[:, 2].astype(np.uint32)])
            table = tuple(codes)
        return source.astype(np.int32), target.astype(np.int32), label, table

    @property
    def _rewritten(self) -> npt.NDArray[np.bool_]:
        flags = np.zeros(len(self.columns.ids), bool)
        flags[[number for number in self.out if number < len(flags)]] = True
        return flags

    def flags(self, numbers: Int32s, wanted: Callable[[Kind], bool]) -> npt.NDArray[np.bool_]:
        """Which of these items are of a kind that is `wanted`."""
        codes, kinds = self._kinds(numbers)
        table = np.fromiter((kind is not None and wanted(kind) for kind in kinds), bool, len(kinds))
        found: npt.NDArray[np.bool_] = table[codes]
        return found

    def classes(self, numbers: Int32s) -> list[str]:
        """The class of each of these items; empty for one that is gone."""
        codes, kinds = self._kinds(numbers)
        names = [kind.class_name if kind is not None else "" for kind in kinds]
        return [names[code] for code in codes.tolist()]

    def _kinds(self, numbers: Int32s) -> tuple[Int32s, list[Kind | None]]:
        """For each of these items a place in a table of kinds; None is there for those that are gone."""
        columns, base = self.columns, len(self.columns.ids)
        codes = np.zeros(len(numbers), np.int32)
        if base:
            codes = columns.kind[np.minimum(numbers, base - 1)].astype(np.int32)
        table: dict[Kind | None, int] = {kind: code for code, kind in enumerate(columns.kinds)}
        for place in np.flatnonzero(self._differ(numbers)).tolist():
            item = self.changed[int(numbers[place])]
            codes[place] = table.setdefault(None if item is None else kind_of(item), len(table))
        return codes, list(table)

    def _differ(self, numbers: Int32s) -> npt.NDArray[np.bool_]:
        """Which of these items differ from the base."""
        return np.isin(numbers, np.fromiter(self.changed, np.int32, len(self.changed)))

    def part(self, numbers: Int32s) -> PackedTopology:
        """These distinct items alone, numbered in this order, with the edges among them. Linear in both."""
        columns, (codes, kinds) = self.columns, self._kinds(numbers)
        if self._differ(numbers).any():
            items = [self.item(number) for number in numbers.tolist()]
            ids, names = Ids.of([item.id for item in items]), Texts.of([item.name for item in items])
        else:
            ids, names = columns.ids.take(numbers), columns.names.take(numbers)
        there = tuple(kind for kind in kinds if kind is not None)
        edges = self.edges_among(numbers)
        packed = Columns.pack(ids, names, codes.astype(np.uint32), there, *edges, arrange=False)
        return PackedTopology.of_columns(self.revision, packed)

    def by_id(self, numbers: Int32s) -> npt.NDArray[np.int64]:
        """The places of these numbers in ascending order of their ids."""
        base = len(self.columns.ids)
        if len(numbers) and int(numbers.max()) < base:
            return self.columns.ids.sorting(numbers)
        ids = [self.id_of(number) for number in numbers.tolist()]
        return np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)

    def with_changes(
        self,
        revision: int,
        *,
        put_items: Iterable[TopologyItem] = (),
        delete_items: Iterable[str] = (),
        put_edges: Iterable[TopologyEdge] = (),
        delete_edges: Iterable[EdgeKey] = (),
    ) -> PackedTopology:
        """The topology after a change; this one stays as it is.

        Deletions come first, so what is both deleted and put is there afterwards, without its old edges. An
        item takes its edges with it. Deleting what is not there changes nothing, which makes a replayed
        change harmless. An edge put between items of which one is missing raises `NotFound`. Cost: shallow copies of
        the overlay, and the edges of the touched items.
        """
        change = TopologyChange(self)
        for key in delete_edges:
            change.cut(key)
        for item_id in delete_items:
            change.remove(item_id)
        for item in put_items:
            change.put_item(item)
        for edge in put_edges:
            change.put_edge(edge)
        return change.result(revision)

    def compacted(self) -> PackedTopology:
        """The same on a base of its own, without overlay. Linear in the estate; all in arrays."""
        columns, base = self.columns, len(self.columns.ids)
        gone = [number for number, item in self.changed.items() if item is None]
        changed = {number: item for number, item in self.changed.items() if item is not None}
        kept = np.ones(base, bool)
        kept[[number for number in gone if number < base]] = False
        kept[[number for number in changed if number < base]] = False
        old = np.flatnonzero(kept)
        numbers = np.full(self.size, -1, np.int32)
        numbers[old] = np.arange(len(old), dtype=np.int32)
        numbers[list(changed)] = np.arange(len(old), len(old) + len(changed), dtype=np.int32)
        kinds = {kind: place for place, kind in enumerate(columns.kinds)}
        new_kinds = [kinds.setdefault(kind_of(item), len(kinds)) for item in changed.values()]
        new_ids = [item.id.encode() for item in changed.values()]
        old_names, new_names = columns.names.take(old), Texts.of([item.name for item in changed.values()])
        names = Texts(
            np.concatenate([old_names.blob, new_names.blob]),
            np.concatenate([old_names.starts, new_names.starts[1:] + old_names.starts[-1]]),
        )
        void = np.zeros(base, bool)
        void[[number for number in self.out if number < base]] = True
        source = np.repeat(np.arange(base, dtype=np.int32), np.diff(columns.out_start))
        standing = ~void[source]
        labels = {label: place for place, label in enumerate(columns.labels)}
        moved = [(number, edge) for number, edges in self.out.items() for edge in edges]
        new_labels = [labels.setdefault(label_of(edge), len(labels)) for _, edge in moved]
        ends = [self.known(edge.target) for _, edge in moved]
        packed = Columns.pack(
            Ids.of_array(np.concatenate([columns.ids.texts(old), np.array(new_ids, np.bytes_)]))
            if new_ids
            else columns.ids.take(old),
            names,
            np.concatenate([columns.kind[old].astype(np.uint32), np.array(new_kinds, np.uint32)]),
            tuple(kinds),
            numbers[np.concatenate([source[standing], np.array([s for s, _ in moved], np.int32)])],
            numbers[np.concatenate([columns.target[standing], np.array(ends, np.int32)])],
            np.concatenate([columns.label[standing].astype(np.uint32), np.array(new_labels, np.uint32)]),
            tuple(labels),
        )
        return PackedTopology.of_columns(self.revision, packed)

    def known(self, item_id: str) -> int:
        """The number of an item. Raises `NotFound`."""
        number = self.number_of(item_id)
        if number is None:
            raise NotFound("item", item_id, f"revision {self.revision} has none of that id")
        return number


class Items(Mapping[str, TopologyItem]):
    """The items of a topology by their ids."""

    __slots__ = ("_topology",)

    def __init__(self, topology: PackedTopology) -> None:
        self._topology = topology

    def __getitem__(self, item_id: str) -> TopologyItem:
        number = self._topology.number_of(item_id)
        if number is None:
            raise KeyError(item_id)
        return self._topology.item(number)

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and self._topology.number_of(item_id) is not None

    def __iter__(self) -> Iterator[str]:
        topology = self._topology
        changed = topology.changed
        for number, item_id in enumerate(topology.columns.ids):
            if number not in changed or changed[number] is not None:
                yield item_id
        for item_id, number in topology.new_numbers.items():
            if changed[number] is not None:
                yield item_id

    def __len__(self) -> int:
        return self._topology.size - sum(item is None for item in self._topology.changed.values())


def _require_ends(edge: TopologyEdge, known: Mapping[str, int]) -> None:
    for end in (edge.source, edge.target):
        if end not in known:
            raise NotFound("item", end, f"edge {edge.type} from {edge.source} to {edge.target} ends there")
