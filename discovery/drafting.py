"""The draft of a report: what it says of each item and edge, put together, before anything is known to hold.

Entries of one item become one put; a class gives way to a more specific one; an edge whose type allows one only takes
the place of a stored one. Contradictions inside the report are refused here, each with its place. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from cmdb.model.catalogue import Catalogue
from cmdb.model.change_set import DeleteEdge, Operation, PutEdge, PutItem
from cmdb.model.items import EdgeFacts, EdgeKey
from cmdb.model.planning import EstateState
from discovery.identification import Identity, normal_fields
from discovery.observation import Observation, ObservedItem


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was not taken: where it stands in the report, and why."""

    where: str
    why: str

    def to_record(self) -> dict[str, str]:
        """As JSON."""
        return {"where": self.where, "why": self.why}


@dataclass(slots=True)
class ItemDraft:
    """What the report says of one item, by whichever of its entries (`indexes`)."""

    indexes: list[int]
    class_name: str
    fields: dict[str, Any] = field(default_factory=dict)


class ReportDraft:
    """A report as operations. What is refused (`lost_items`, `lost_edges`, with the reasons) only grows."""

    def __init__(
        self,
        observation: Observation,
        identities: Sequence[Identity],
        stored: EstateState,
        outdated: frozenset[int],
    ) -> None:
        self.observation = observation
        self.identities = identities
        self.stored = stored
        self.outdated = outdated
        self.items: dict[str, ItemDraft] = {}
        self.refused: dict[str, Refusal] = {}
        self.lost_items: set[str] = set()
        self.lost_edges: set[int] = set()
        self.place: dict[str, str] = {}
        for index, identity in enumerate(identities):
            self.place.setdefault(identity.id, f"items[{index}]")
        named = zip(observation.items, identities, strict=True)
        self._id_of = {item.ref: identity.id for item, identity in named}
        self._old_news = frozenset(observation.items[index].ref for index in outdated)
        self._draft_items()

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that the report is held to."""
        return self.stored.catalogue

    def refuse(self, where: str, why: str, *, item: str | None = None, edge: int | None = None) -> None:
        """Give an item, with its edges, or an edge up."""
        self.refused.setdefault(where, Refusal(where, why))
        if item is not None:
            self.lost_items.add(item)
        if edge is not None:
            self.lost_edges.add(edge)

    def withhold(
        self, item_id: str, names: Sequence[str], within: str | None, target: str, lately: Collection[str]
    ) -> list[str]:
        """Leave out what would give an item these fields anew, or an edge of type `within` to `target`.

        Answers what is left out of that, among it what was before, if `lately` says so.
        """
        draft, stored = self.items[item_id], self.stored.items[item_id]
        told = {name: draft.fields[name] for name in names if name in draft.fields}
        normal = normal_fields(self.catalogue, ObservedItem("-", draft.class_name, attributes=told))
        differing = [name for name in told if normal.get(name) != stored.fields.get(name)]
        for name in differing:
            del draft.fields[name]
        withheld = [*differing, *(name for name in names if name in lately)]
        for index in self._edges_by_source.get(item_id, ()) if within else ():
            key, place = self._key(index), f"edges[{index}]"
            wanted = (key.type, key.source, key.target) == (within, item_id, target)
            lost = index in self.lost_edges and place not in lately
            if wanted and not lost and self.stored.edge(key) is None:
                self.lost_edges.add(index)
                withheld.append(place)
        return withheld

    def native_keys(self, holders: Mapping[str, str | None]) -> dict[str, tuple[str, ...]]:
        """The source's keys, by item, that nobody holds yet."""
        keys: dict[str, dict[str, None]] = {}
        for index, identity in enumerate(self.identities):
            taken = index not in self.outdated and identity.id not in self.lost_items
            if taken and identity.native and holders.get(identity.native) is None:
                keys.setdefault(identity.id, {})[identity.native] = None
        return {item: tuple(native) for item, native in keys.items()}

    def operations(self) -> tuple[tuple[Operation, ...], list[str]]:
        """The operations, items first, and the place in the report that each comes from."""
        operations: list[Operation] = []
        origins: list[str] = []
        for item_id, draft in self.items.items():
            if item_id in self.lost_items:
                continue
            stored = self.stored.items.get(item_id)
            class_name = None if stored and stored.class_name == draft.class_name else draft.class_name
            intent: Literal["update", "create"] = "update" if stored else "create"
            operations.append(PutItem(item_id, self._fields(item_id, draft), class_name, intent))
            origins.append(f"items[{draft.indexes[0]}]")
        edges = self._edges()
        targets: dict[tuple[str, str], set[str]] = defaultdict(set)
        sources: dict[tuple[str, str], set[str]] = defaultdict(set)
        for _, key, _ in edges:
            targets[key.type, key.source].add(key.target)
            sources[key.type, key.target].add(key.source)
        gone: set[EdgeKey] = set()
        for index, key, facts in edges:
            replaced = self._replaced(
                key, len(targets[key.type, key.source]), len(sources[key.type, key.target])
            )
            for old in replaced:
                if old not in gone:
                    gone.add(old)
                    operations.append(DeleteEdge(old))
                    origins.append(f"edges[{index}]")
            operations.append(PutEdge(key, facts))
            origins.append(f"edges[{index}]")
        return tuple(operations), origins

    # --- items --------------------------------------------------------------------------------------------------------

    def _draft_items(self) -> None:
        for index, (item, identity) in enumerate(zip(self.observation.items, self.identities, strict=True)):
            if index in self.outdated:
                continue
            if identity.fault:
                self.refuse(f"items[{index}]", identity.fault, item=identity.id)
                continue
            draft = self.items.get(identity.id)
            if draft is None:
                stored = self.stored.items.get(identity.id)
                draft = ItemDraft([], stored.class_name if stored else item.class_name)
            class_name = self._class(draft, index)
            if class_name is None or not self._agrees(index, draft):
                continue
            draft.class_name = class_name
            draft.indexes.append(index)
            draft.fields.update(item.attributes)
            self.items[identity.id] = draft

    def _class(self, draft: ItemDraft, index: int) -> str | None:
        """The more specific of two classes of one line. Where they part, the source's own key lets it think again."""
        known, reported = draft.class_name, self.observation.items[index].class_name
        if known == reported or not {known, reported} <= self.catalogue.classes.keys():
            return reported
        if self.catalogue.is_a(reported, known):
            return reported
        if self.catalogue.is_a(known, reported):
            return known
        identity = self.identities[index]
        if identity.native and identity.matched_by == identity.native and not draft.indexes:
            return reported
        seen = f"it is known as a {known}, by {identity.matched_by or identity.id}; a {reported} it cannot be too"
        self.refuse(f"items[{index}].class", f"{seen}: correct one of them", item=identity.id)
        return None

    def _agrees(self, index: int, draft: ItemDraft) -> bool:
        """Whether an entry says nothing else than earlier ones of the same item."""
        item = self.observation.items[index]
        if not draft.indexes or item.class_name not in self.catalogue.classes:
            return True
        first = draft.indexes[0]
        told: dict[str, Any] = {}
        for earlier in draft.indexes:
            told |= normal_fields(self.catalogue, self.observation.items[earlier])
        values = normal_fields(self.catalogue, item)
        differing = [name for name, value in values.items() if name in told and told[name] != value]
        ours, theirs = self.identities[index].keys, self.identities[first].keys
        shared = next((key for key in ours if key in theirs), "what others share with both")
        for name in differing:
            self.refuse(
                f"items[{index}].attributes.{name}",
                f"it is the same {item.class_name} as items[{first}] by {shared}, and there it is {told[name]!r}, "
                f"here {values[name]!r}: give each what tells them apart, or say the same of both",
                item=self.identities[index].id,
            )
        return not differing

    def _fields(self, item_id: str, draft: ItemDraft) -> dict[str, Any]:
        """The fields to put; what a new class has no attribute for is taken away."""
        stored = self.stored.items.get(item_id)
        item_class = self.catalogue.classes.get(draft.class_name)
        if stored is None or item_class is None or stored.class_name == draft.class_name:
            return draft.fields
        gone = {name: None for name in stored.attributes if name not in item_class.attributes}
        return {**gone, **draft.fields}

    # --- edges --------------------------------------------------------------------------------------------------------

    @cached_property
    def _edges_by_source(self) -> Mapping[str, list[int]]:
        """The reported edges of each item, by index."""
        edges: dict[str, list[int]] = defaultdict(list)
        for index, edge in enumerate(self.observation.edges):
            edges[self._id_of[edge.source]].append(index)
        return edges

    def _key(self, index: int) -> EdgeKey:
        edge = self.observation.edges[index]
        return EdgeKey(edge.type, self._id_of[edge.source], self._id_of[edge.target], edge.group)

    def _edges(self) -> list[tuple[int, EdgeKey, EdgeFacts]]:
        """The edges to put, each once, as (index, key, facts); what contradicts an earlier one is refused."""
        edges: dict[EdgeKey, tuple[int, EdgeKey, EdgeFacts]] = {}
        for index, edge in enumerate(self.observation.edges):
            if index in self.lost_edges or edge.source in self._old_news:
                continue
            key = self._key(index)
            lost = self.lost_items and [end for end in (key.source, key.target) if end in self.lost_items]
            if lost:
                self.refuse(
                    f"edges[{index}]", f"{self.place[lost[0]]}, one of its ends, was refused", edge=index
                )
                continue
            required = None if edge.required is None else str(edge.required)
            facts = EdgeFacts(required, edge.strength, edge.confidence)
            first = edges.setdefault(key, (index, key, facts))
            if first[2] != facts:
                why = (
                    f"it is the same edge as edges[{first[0]}], which says something else of it; say it once"
                )
                self.refuse(f"edges[{index}]", why, edge=index)
        return list(edges.values())

    def _replaced(self, key: EdgeKey, targets: int, sources: int) -> list[EdgeKey]:
        """Stored edges that must go for this one, as their type allows one only. Two of the report stay an error."""
        relationship = self.catalogue.relationships.get(key.type)
        replaced: list[EdgeKey] = []
        if relationship is not None and relationship.one_target and targets == 1:
            outgoing = self.stored.edges.get(key.source, {})
            replaced += [old for old in outgoing if old.type == key.type and old.target != key.target]
        if relationship is not None and relationship.one_source and sources == 1:
            incoming = sorted(self.stored.incoming.get(key.target, ()))
            replaced += [old for old in incoming if old.type == key.type and old.source != key.source]
        return replaced
