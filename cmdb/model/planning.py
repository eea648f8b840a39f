"""Planning: a ChangeSet against the state it meets gives the changes it makes, or every problem it has.

Pure: the same state and ChangeSet give the same plan. The state holds what the store loaded of the items concerned; a
plan that succeeds moves it on, so that the next ChangeSet of the same transaction meets what this one left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from cmdb.errors import CatalogueError, InvalidValue, Problem, StaleVersion, ValidationFailed
from cmdb.model.catalogue import Catalogue
from cmdb.model.change_set import ChangeSet, DeleteEdge, DeleteItem, PutEdge, PutEntries, PutItem
from cmdb.model.claims import claim_keys
from cmdb.model.draft import Draft, EstateState
from cmdb.model.edge_facts import normal_facts
from cmdb.model.entries import entry_record, parse_entry
from cmdb.model.item_fields import check_stored, draft_item, with_computed
from cmdb.model.items import Edge, EdgeChange, EdgeKey, Item, ItemChange
from cmdb.model.values import Stored, same_value

__all__ = ["CATALOGUE_CLASS", "EstateState", "Plan", "plan_change_set"]

CATALOGUE_CLASS = "CatalogueEntry"
"""The class name under which the ledger remembers a change to a catalogue entry."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a ChangeSet does: changes in the order of ids, none where nothing differs."""

    changes: tuple[ItemChange, ...]
    catalogue: Catalogue | None


def plan_change_set(
    state: EstateState,
    change_set: ChangeSet,
    *,
    revision: int,
    now: str,
    correction: bool = False,
) -> Plan:
    """Plan a ChangeSet as `revision` at `now` (an instant), and move `state` on if it holds.

    A `correction` (an undo) may make any transition of a lifecycle backwards.

    Raises:
        ValidationFailed: with every problem found.
        StaleVersion, IdentityTaken: somebody else was first.
    """
    return _Planner(state, change_set, revision, now, correction).run()


class _Planner:
    """One planning: drafts on top of the state until everything is known to hold."""

    def __init__(
        self, state: EstateState, change_set: ChangeSet, revision: int, now: str, correction: bool
    ) -> None:
        self.state = state
        self.change_set = change_set
        self.revision = revision
        self.now = now
        self.correction = correction
        self.draft = Draft(state)
        self.problems: list[Problem] = []
        self.entry_changes: dict[str, ItemChange] = {}
        self.put_at: dict[str, str] = {}
        self.deleted = {o.id for o in change_set.operations if isinstance(o, DeleteItem)}

    def run(self) -> Plan:
        self._check_versions()
        steps: tuple[tuple[type, Callable[..., None]], ...] = (
            (PutEntries, self._put_entries),
            (PutItem, self._put_item),
            (DeleteEdge, self._delete_edge),
            (PutEdge, self._put_edge),
            (DeleteItem, self._delete_item),
        )
        for kind, step in steps:
            for index, operation in enumerate(self.change_set.operations):
                if isinstance(operation, kind):
                    step(f"operations[{index}]", operation)
        if not self.entry_changes:
            self.draft.catalogue = self.state.catalogue
        if self.draft.catalogue_changed:
            self._recompute()
            self._check_stored_items()
        self._check_edges()
        self._check_cardinality()
        for item_id in self.change_set.keys:
            if self.draft.item(item_id) is None:
                self._report(f"keys.{item_id}", "NOT_FOUND", f"no item {item_id!r} to be identified")
        if self.problems:
            raise ValidationFailed(self.problems)
        changes = self._changes()
        touched = [change.item_id for change in changes]
        try:
            claims, releases = claim_keys(self.draft, touched, self.change_set.keys)
        except InvalidValue as error:
            raise ValidationFailed([Problem("identity", error.code, str(error))]) from None
        changed = self.draft.catalogue if self.draft.catalogue_changed else None
        self.draft.settle(touched, claims, releases, revision=self.revision, now=self.now)
        every = (*changes, *self.entry_changes.values())
        return Plan(tuple(sorted(every, key=lambda change: change.item_id)), changed)

    def _check_versions(self) -> None:
        for item_id, expected in self.change_set.expected.items():
            item = self.state.items.get(item_id)
            found = item.version if item else 0
            if found != expected:
                raise StaleVersion(item_id, expected, found)

    def _report(self, where: str, code: str, message: str) -> None:
        self.problems.append(Problem(_shown(where, 200), code, _shown(message, 1_000)))

    # --- operations -------------------------------------------------------------------------------------------------

    def _put_entries(self, where: str, operation: PutEntries) -> None:
        in_force = self.draft.catalogue.entries
        try:
            entries = {name: parse_entry(name, raw) for name, raw in operation.entries.items()}
            for name, raw in operation.replaces.items():
                if in_force.get(name) != parse_entry(name, raw):
                    fault = "was changed since; look at its history and decide anew"
                    self._report(f"{where}.{name}", "CHANGED_SINCE", fault)
                    return
            changed = {name: entry for name, entry in entries.items() if in_force.get(name) != entry}
            if not changed:
                return
            catalogue = self.draft.catalogue.extended(changed)
        except CatalogueError as error:
            self._report(f"{where}.{error.entry}", error.code, f"{error.fault}; {error.way_out}")
            return
        for name, entry in changed.items():
            old = self.state.catalogue.entries.get(name)
            before: dict[str, Stored] | None = {"entry": _canonical(entry_record(old))} if old else None
            after: dict[str, Stored] = {"entry": _canonical(entry_record(entry))}
            change = ItemChange(f"catalogue:{name}", CATALOGUE_CLASS, name, before, after)
            self.entry_changes[name] = change
            if before == after:
                del self.entry_changes[name]
        self.draft.catalogue = catalogue
        self.put_at[""] = where

    def _put_item(self, where: str, operation: PutItem) -> None:
        old = self.draft.item(operation.id)
        if old and operation.intent == "create":
            fault = f"item {operation.id} exists already; update it, or create without id"
            self._report(f"{where}.id", "EXISTS", fault)
            return
        if not old and (operation.intent == "update" or not operation.class_name):
            fault = f"no item {operation.id}; to create one, give its class"
            self._report(f"{where}.id", "NOT_FOUND", fault)
            return
        class_name = operation.class_name or (old.class_name if old else "")
        item_class = self.draft.catalogue.classes.get(class_name)
        if item_class is None or item_class.abstract:
            fault = "is abstract: name one of its subclasses" if item_class else "is not in the catalogue"
            self._report(f"{where}.class", "UNKNOWN_CLASS", f"class {class_name!r} {fault}")
            return
        drafted = operation.id in self.draft.items
        catalogue = self.draft.catalogue if drafted else self.state.catalogue
        self.draft.items[operation.id] = draft_item(
            where,
            operation.id,
            item_class,
            operation.fields,
            old=old,
            old_class=catalogue.classes[old.class_name] if old else None,
            now=self.now,
            correction=self.correction,
            report=self._report,
        )
        self.put_at[operation.id] = where

    def _put_edge(self, where: str, operation: PutEdge) -> None:
        key = operation.key
        relationship = self.draft.catalogue.relationships.get(key.type)
        if relationship is None:
            fault = f"relationship type {key.type!r} is not in the catalogue"
            self._report(f"{where}.type", "UNKNOWN_TYPE", fault)
            return
        source, target = self.draft.item(key.source), self.draft.item(key.target)
        for end, item, item_id in (("from", source, key.source), ("to", target, key.target)):
            if item is None:
                self._report(f"{where}.{end}", "NOT_FOUND", f"no item {item_id!r}")
        if source is None or target is None:
            return
        if not self.draft.catalogue.allows(relationship, source.class_name, target.class_name):
            seen = f"{source.class_name} -{key.type}-> {target.class_name}"
            meant = f"from {' or '.join(relationship.source)} to {' or '.join(relationship.target)}"
            self._report(where, "EDGE_NOT_ALLOWED", f"{seen} is not allowed; it runs {meant}")
        facts = normal_facts(where, key, operation.facts, self._report)
        stored = self.state.edge(key)
        same = stored is not None and stored.facts == facts
        self.draft.put_edge(key, stored if same else Edge(key, facts, self.revision))

    def _delete_edge(self, where: str, operation: DeleteEdge) -> None:
        key = operation.key
        if self.draft.edge(key) is None:
            group = f" in group {key.group!r}" if key.group else ""
            fault = f"no edge {key.source} -{key.type}-> {key.target}{group}"
            self._report(where, "NOT_FOUND", fault)
            return
        self.draft.put_edge(key, None)

    def _delete_item(self, where: str, operation: DeleteItem) -> None:
        item_id = operation.id
        item = self.draft.item(item_id)
        if item is None:
            self._report(f"{where}.id", "NOT_FOUND", f"no item {item_id!r}")
            return
        wanted = operation.class_name
        if wanted is not None and wanted not in self.draft.catalogue.item_class(item.class_name).chain:
            self._report(
                f"{where}.id", "NOT_FOUND", f"item {item_id!r} is no {wanted}; it is a {item.class_name}"
            )
            return
        links = sorted(key for key in self.draft.incoming(item_id) if key.source not in self.deleted)
        for key in links if operation.unlinked else ():
            source = self.draft.item(key.source)
            fault = f"{source.name if source else key.source} {key.type} it since; unrelate the two first"
            self._report(f"{where}.id", "CHANGED_SINCE", fault)
        for key in {*self.draft.outgoing(item_id), *self.draft.incoming(item_id)}:
            self.draft.put_edge(key, None)
        self.draft.items[item_id] = None

    # --- the whole --------------------------------------------------------------------------------------------------

    def _recompute(self) -> None:
        """Stored items get the computed values that the new catalogue gives them."""
        for item in self.state.items.values():
            item_class = self.draft.catalogue.classes.get(item.class_name)
            old_class = self.state.catalogue.classes[item.class_name]
            if item.id in self.draft.items or item_class is None or item_class is old_class:
                continue
            kept = {n: v for n, v in item.attributes.items() if not old_class.is_computed(n)}
            place = f"{self.put_at['']}: {item.class_name} {item.name!r} ({item.id})"
            values = with_computed(place, item_class, item.name, kept, self._report)
            if any(
                not same_value(values.get(n), item.attributes.get(n)) for n in {**values, **item.attributes}
            ):
                self.draft.items[item.id] = replace(item, attributes=values)

    def _check_stored_items(self) -> None:
        """Every item that was loaded must be valid under the new catalogue too; putting it right may be part of it."""
        for item in self.draft.all_items():
            if item.id in self.put_at:
                continue
            place = f"{self.put_at['']}: {item.class_name} {item.name!r} ({item.id})"
            item_class = self.draft.catalogue.classes.get(item.class_name)
            if item_class is None or item_class.abstract:
                fault = f"its class {item.class_name} could have no items any more"
                self._report(place, "STORED_ITEM_INVALID", fault)
            else:
                check_stored(place, item_class, item, self._report)

    def _check_edges(self) -> None:
        """Edges that are kept must be allowed where the catalogue, or the class of an end, is another now."""
        kept: dict[EdgeKey, str] = {}
        if self.draft.catalogue_changed:
            keys = (key for edges in self.state.edges.values() for key in edges)
            kept.update((key, self.put_at[""]) for key in keys if self.draft.edge(key) is not None)
        for item_id, item in self.draft.items.items():
            old = self.state.items.get(item_id)
            if item and old and item.class_name != old.class_name:
                ends = (*self.draft.outgoing(item_id), *self.draft.incoming(item_id))
                kept.update((key, self.put_at.get(item_id, "")) for key in ends)
        for key, where in kept.items():
            source, target = self.draft.item(key.source), self.draft.item(key.target)
            if key in self.draft.edges or source is None or target is None:
                continue
            relationship = self.draft.catalogue.relationships[key.type]
            if not self.draft.catalogue.allows(relationship, source.class_name, target.class_name):
                place = f"{where}: {source.name!r} -{key.type}-> {target.name!r} ({source.id} -> {target.id})"
                seen = f"between {source.class_name} and {target.class_name}"
                fault = f"the edge would not be allowed {seen}; delete it in the same ChangeSet"
                self._report(place, "STORED_EDGE_INVALID", fault)

    def _check_cardinality(self) -> None:
        put = [key for key, edge in self.draft.edges.items() if edge is not None]
        if self.draft.catalogue_changed:
            put += [key for edges in self.state.edges.values() for key in edges if self.draft.edge(key)]
        types = self.draft.catalogue.relationships
        for source, kind in sorted({(k.source, k.type) for k in put if types[k.type].one_target}):
            targets = {key.target for key in self.draft.outgoing(source) if key.type == kind}
            self._report_many(source, kind, "targets", len(targets))
        for target, kind in sorted({(k.target, k.type) for k in put if types[k.type].one_source}):
            sources = {key.source for key in self.draft.incoming(target) if key.type == kind}
            self._report_many(target, kind, "sources", len(sources))

    def _report_many(self, item_id: str, kind: str, ends: str, count: int) -> None:
        if count > 1:
            cardinality = self.draft.catalogue.relationships[kind].cardinality
            fault = f"item {item_id} would have {count} {ends}; {kind} is {cardinality}"
            way_out = "delete the other edge in the same ChangeSet"
            self._report(f"{item_id}.{kind}", "CARDINALITY", f"{fault}; {way_out}")

    def _changes(self) -> list[ItemChange]:
        by_source: dict[str, list[EdgeChange]] = {}
        for key in sorted(self.draft.edges):
            old, new = self.state.edge(key), self.draft.edges[key]
            before, after = (old.facts if old else None), (new.facts if new else None)
            if before != after:
                by_source.setdefault(key.source, []).append(EdgeChange(key, before, after))
        found = (
            _item_change(i, self.state.items.get(i), self.draft.item(i), by_source.get(i, ()))
            for i in {**self.draft.items, **by_source}
        )
        return [change for change in found if change is not None]


def _item_change(
    item_id: str, old: Item | None, new: Item | None, edges: Iterable[EdgeChange]
) -> ItemChange | None:
    shown, edge_changes = new or old, tuple(edges)
    if shown is None:
        return None
    if old is None or new is None:
        before, after = (old.fields if old else None), (new.fields if new else None)
        return ItemChange(item_id, shown.class_name, shown.name, before, after, edge_changes)
    old_fields, new_fields = old.fields, new.fields
    differing = [
        n for n in {**old_fields, **new_fields} if not same_value(old_fields.get(n), new_fields.get(n))
    ]
    if not differing and not edge_changes:
        return None
    return ItemChange(
        item_id,
        shown.class_name,
        shown.name,
        {name: old_fields[name] for name in differing if name in old_fields},
        {name: new_fields[name] for name in differing if name in new_fields},
        edge_changes,
    )


def _canonical(record: object) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _shown(text: str, limit: int) -> str:
    """Text that can be sent to anybody: of bounded length, without lone surrogates."""
    return text[:limit].encode("utf-8", "backslashreplace").decode()
