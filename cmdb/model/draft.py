"""The part of the estate that a transaction touches, and what a ChangeSet would make of it.

A `Draft` lies on top of an `EstateState` and leaves it untouched until `settle`, so a ChangeSet that fails changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cmdb.model.catalogue import Catalogue
from cmdb.model.items import Edge, EdgeKey, Item


@dataclass
class EstateState:
    """The part of the estate that a transaction touches, as it stands.

    `edges` has all outgoing edges of every item that an operation names, and those edges of others that point at an
    item to be deleted. `holders` has the holder of every identity key asked about (None: free), `held` the keys of each
    holder. `catalogue` moves on as entries are put.
    """

    catalogue: Catalogue
    items: dict[str, Item] = field(default_factory=dict)
    edges: dict[str, dict[EdgeKey, Edge]] = field(default_factory=dict)
    incoming: dict[str, set[EdgeKey]] = field(default_factory=dict)
    holders: dict[str, str | None] = field(default_factory=dict)
    held: dict[str, set[str]] = field(default_factory=dict)

    def add_edge(self, edge: Edge) -> None:
        """Take a loaded edge in."""
        self.edges.setdefault(edge.key.source, {})[edge.key] = edge
        self.incoming.setdefault(edge.key.target, set()).add(edge.key)

    def edge(self, key: EdgeKey) -> Edge | None:
        """The edge of that key."""
        return self.edges.get(key.source, {}).get(key)

    def copy(self) -> EstateState:
        """An independent copy; items and edges themselves are immutable and shared."""
        return EstateState(
            catalogue=self.catalogue,
            items=dict(self.items),
            edges={source: dict(edges) for source, edges in self.edges.items()},
            incoming={target: set(keys) for target, keys in self.incoming.items()},
            holders=dict(self.holders),
            held={item: set(keys) for item, keys in self.held.items()},
        )


class Draft:
    """What a ChangeSet would make of a state. `items` and `edges` hold what is touched; None: deleted."""

    def __init__(self, state: EstateState) -> None:
        self.state = state
        self.catalogue = state.catalogue
        self.items: dict[str, Item | None] = {}
        self.edges: dict[EdgeKey, Edge | None] = {}
        self._from: dict[str, dict[EdgeKey, Edge | None]] = {}
        self._to: dict[str, set[EdgeKey]] = {}

    @property
    def catalogue_changed(self) -> bool:
        """Whether entries were put that differ from those in force."""
        return self.catalogue is not self.state.catalogue

    def item(self, item_id: str) -> Item | None:
        """The item as it would be."""
        return self.items[item_id] if item_id in self.items else self.state.items.get(item_id)

    def all_items(self) -> Iterable[Item]:
        """Every item known of, as it would be."""
        return (item for i in {**self.state.items, **self.items} if (item := self.item(i)) is not None)

    def edge(self, key: EdgeKey) -> Edge | None:
        """The edge as it would be."""
        return self.edges[key] if key in self.edges else self.state.edge(key)

    def outgoing(self, item_id: str) -> dict[EdgeKey, Edge]:
        """The edges that would leave an item."""
        edges = dict(self.state.edges.get(item_id, {}))
        for key, edge in self._from.get(item_id, {}).items():
            if edge is None:
                edges.pop(key, None)
            else:
                edges[key] = edge
        return edges

    def incoming(self, item_id: str) -> set[EdgeKey]:
        """The edges that would arrive at an item, as far as they are known."""
        keys = self.state.incoming.get(item_id, set()) | self._to.get(item_id, set())
        return {key for key in keys if self.edge(key) is not None}

    def put_edge(self, key: EdgeKey, edge: Edge | None) -> None:
        """Draft an edge; None deletes it."""
        self.edges[key] = edge
        self._from.setdefault(key.source, {})[key] = edge
        self._to.setdefault(key.target, set()).add(key)

    def settle(
        self,
        touched: Iterable[str],
        claims: Mapping[str, str],
        releases: Mapping[str, str],
        *,
        revision: int,
        now: str,
    ) -> None:
        """Move the state on: `touched` items are of `revision` now; keys change hands."""
        state = self.state
        for item_id in touched:
            item = self.item(item_id)
            if item is None:
                state.items.pop(item_id, None)
            else:
                state.items[item_id] = replace(item, version=revision, updated_at=now)
        for key, edge in self.edges.items():
            if edge is not None:
                state.add_edge(edge)
            elif state.edges.get(key.source, {}).pop(key, None) is not None:
                state.incoming.get(key.target, set()).discard(key)
        for identity, holder in releases.items():
            state.holders[identity] = None
            state.held.get(holder, set()).discard(identity)
        for identity, holder in claims.items():
            state.held.get(state.holders.get(identity) or "", set()).discard(identity)
            state.holders[identity] = holder
            state.held.setdefault(holder, set()).add(identity)
        state.catalogue = self.catalogue
