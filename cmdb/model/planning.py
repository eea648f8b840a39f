"""Planning: a ChangeSet against the state it meets gives the changes it makes, or every problem it has.

Pure: the same state and ChangeSet give the same plan. The state holds what the store loaded of the items concerned; a
plan that succeeds moves it on, so that the next ChangeSet of the same transaction meets what this one left.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from cmdb.errors import (
    CatalogueError,
    IdentityTaken,
    InvalidValue,
    Problem,
    StaleVersion,
    ValidationFailed,
)
from cmdb.model.catalogue import Catalogue, ItemClass
from cmdb.model.change_set import ChangeSet, DeleteEdge, DeleteItem, PutEdge, PutEntries, PutItem
from cmdb.model.entries import entry_record, parse_entry
from cmdb.model.identity import contradicts, rule_keys
from cmdb.model.items import Edge, EdgeChange, EdgeFacts, EdgeKey, Item, ItemChange
from cmdb.model.topology import members_needed
from cmdb.model.values import IDENTIFIER_LIMIT, Stored, clean_text

CATALOGUE_CLASS = "CatalogueEntry"
"""The class name under which the ledger remembers a change to a catalogue entry."""

Edges = Mapping[EdgeKey, Edge]


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
        self.catalogue = state.catalogue
        self.problems: list[Problem] = []
        self.items: dict[str, Item | None] = {}
        self.edges: dict[EdgeKey, Edge | None] = {}
        self.edges_from: dict[str, dict[EdgeKey, Edge | None]] = {}
        self.edges_to: dict[str, set[EdgeKey]] = {}
        self.entry_changes: list[ItemChange] = []

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
        self._check_cardinality()
        if self.problems:
            raise ValidationFailed(self.problems)
        changes = self._changes()
        claims, releases = self._claims(changes)
        if self.problems:
            raise ValidationFailed(self.problems)
        self._move_on(changes, claims, releases)
        new_catalogue = self.catalogue if self.catalogue is not self.state.catalogue else None
        self.state.catalogue = self.catalogue
        return Plan(tuple(sorted((*changes, *self.entry_changes), key=lambda c: c.item_id)), new_catalogue)

    def _check_versions(self) -> None:
        for item_id, expected in self.change_set.expected.items():
            item = self.state.items.get(item_id)
            found = item.version if item else 0
            if found != expected:
                raise StaleVersion(item_id, expected, found)

    def _problem(self, where: str, code: str, message: str) -> None:
        self.problems.append(Problem(where, code, message))

    def _item(self, item_id: str) -> Item | None:
        return self.items[item_id] if item_id in self.items else self.state.items.get(item_id)

    def _outgoing(self, item_id: str) -> dict[EdgeKey, Edge]:
        edges = dict(self.state.edges.get(item_id, {}))
        for key, edge in self.edges_from.get(item_id, {}).items():
            if edge is None:
                edges.pop(key, None)
            else:
                edges[key] = edge
        return edges

    def _draft_edge(self, key: EdgeKey, edge: Edge | None) -> None:
        self.edges[key] = edge
        self.edges_from.setdefault(key.source, {})[key] = edge
        self.edges_to.setdefault(key.target, set()).add(key)

    # --- operations -------------------------------------------------------------------------------------------------

    def _put_entries(self, where: str, operation: PutEntries) -> None:
        try:
            entries = {name: parse_entry(name, raw) for name, raw in operation.entries.items()}
            catalogue = self.catalogue.extended(entries)
        except CatalogueError as error:
            self._problem(f"{where}.{error.entry}", error.code, f"{error.fault}; {error.way_out}")
            return
        for name, entry in entries.items():
            old = self.catalogue.entries.get(name)
            if old != entry:
                before = {"entry": _canonical(entry_record(old))} if old is not None else None
                after: dict[str, Stored] = {"entry": _canonical(entry_record(entry))}
                self.entry_changes.append(
                    ItemChange(f"catalogue:{name}", CATALOGUE_CLASS, name, before, after)
                )
        self.catalogue = catalogue
        self._revalidate_stored(where)

    def _revalidate_stored(self, where: str) -> None:
        """Every stored item that was loaded must be valid under the new catalogue too."""
        for item in self.state.items.values():
            place = f"{where}: {item.class_name} {item.name!r} ({item.id})"
            item_class = self.catalogue.classes.get(item.class_name)
            if item_class is None or item_class.abstract:
                self._problem(
                    place, "STORED_ITEM_INVALID", f"its class {item.class_name} could have no items any more"
                )
                continue
            for name, value in item.attributes.items():
                self._check_stored(place, item_class, name, value)
            for name, attribute in item_class.attributes.items():
                if attribute.entry.required and name not in item.attributes:
                    self._problem(
                        f"{place}.{name}", "STORED_ITEM_INVALID", "would be required, and has no value"
                    )
            if item.lifecycle not in item_class.lifecycle.transitions:
                self._problem(
                    f"{place}.lifecycle", "STORED_ITEM_INVALID", f"state {item.lifecycle} would be unknown"
                )
        self._revalidate_edges(where)

    def _revalidate_edges(self, where: str) -> None:
        for key in (key for edges in self.state.edges.values() for key in edges):
            source, target = self.state.items.get(key.source), self.state.items.get(key.target)
            relationship = self.catalogue.relationships[key.type]
            if (
                source
                and target
                and not self.catalogue.allows(relationship, source.class_name, target.class_name)
            ):
                place = f"{where}: {source.name!r} -{key.type}-> {target.name!r} ({source.id} -> {target.id})"
                fault = f"the edge would not be allowed between {source.class_name} and {target.class_name}"
                self._problem(place, "STORED_EDGE_INVALID", fault)

    def _check_stored(self, place: str, item_class: ItemClass, name: str, value: Stored) -> None:
        attribute = item_class.attributes.get(name)
        if attribute is None:
            self._problem(
                f"{place}.{name}", "STORED_ITEM_INVALID", "has a value, and the attribute would be gone"
            )
            return
        try:
            normal = attribute.normalise(attribute.present(value))
        except InvalidValue as error:
            self._problem(f"{place}.{name}", "STORED_ITEM_INVALID", str(error))
            return
        if normal != value or type(normal) is not type(value):
            self._problem(
                f"{place}.{name}",
                "STORED_ITEM_INVALID",
                f"{value!r} is not in the new normal form {normal!r}",
            )

    def _put_item(self, where: str, operation: PutItem) -> None:
        old = self._item(operation.id)
        if not self._intent_holds(where, operation, old):
            return
        class_name = operation.class_name or (old.class_name if old else "")
        item_class = self.catalogue.classes.get(class_name)
        if item_class is None or item_class.abstract:
            fault = "is abstract: name one of its subclasses" if item_class else "is not in the catalogue"
            self._problem(f"{where}.class", "UNKNOWN_CLASS", f"class {class_name!r} {fault}")
            return
        values: dict[str, Stored] = dict(old.attributes) if old else {}
        name, lifecycle = (old.name, old.lifecycle) if old else ("", "")
        for key, raw in operation.fields.items():
            if key == "name":
                name = self._name(f"{where}.name", raw)
            elif key == "lifecycle":
                lifecycle = self._lifecycle(f"{where}.lifecycle", item_class, old, raw)
            else:
                self._set_attribute(f"{where}.attributes.{key}", item_class, values, key, raw)
        if not name and "name" not in operation.fields:
            self._problem(f"{where}.name", "REQUIRED", "every item needs a name")
        if not old:
            lifecycle = lifecycle or item_class.lifecycle.initial
            for attribute in item_class.attributes.values():
                if attribute.entry.default is not None and attribute.name not in operation.fields:
                    values[attribute.name] = attribute.normalise(attribute.entry.default)
        self._complete(where, item_class, values, name, lifecycle)
        self.items[operation.id] = Item(
            id=operation.id,
            class_name=class_name,
            name=name,
            lifecycle=lifecycle,
            version=old.version if old else self.revision,
            created_at=old.created_at if old else self.now,
            updated_at=old.updated_at if old else self.now,
            attributes=values,
        )

    def _intent_holds(self, where: str, operation: PutItem, old: Item | None) -> bool:
        if old and operation.intent == "create":
            self._problem(
                f"{where}.id",
                "EXISTS",
                f"item {operation.id} exists already; update it, or create without id",
            )
            return False
        if not old and (operation.intent == "update" or not operation.class_name):
            self._problem(
                f"{where}.id", "NOT_FOUND", f"no item {operation.id}; to create one, give its class"
            )
            return False
        return True

    def _name(self, where: str, raw: object) -> str:
        try:
            name = clean_text(raw, IDENTIFIER_LIMIT)
        except InvalidValue as error:
            self._problem(where, error.code, str(error))
            return "?"
        if not name:
            self._problem(where, "REQUIRED", "every item needs a name, and this one is empty")
        return name

    def _lifecycle(self, where: str, item_class: ItemClass, old: Item | None, raw: object) -> str:
        machine = item_class.lifecycle
        if not isinstance(raw, str) or raw not in machine.transitions:
            states = ", ".join(machine.transitions)
            self._problem(
                where, "UNKNOWN_STATE", f"{raw!r} is not a state of {item_class.name}; it has {states}"
            )
            return old.lifecycle if old else machine.initial
        if self.correction or (old and raw == old.lifecycle):
            return raw
        if old and old.lifecycle in machine.transitions:
            allowed = machine.transitions[old.lifecycle]
            if raw not in allowed:
                listed = ", ".join(allowed) or "none: it is final"
                self._problem(
                    where,
                    "FORBIDDEN_TRANSITION",
                    f"{old.lifecycle} -> {raw} is not allowed; allowed: {listed}",
                )
        elif not old and raw not in machine.starts:
            listed = ", ".join(sorted(machine.starts))
            self._problem(
                where, "FORBIDDEN_TRANSITION", f"a new {item_class.name} may start as {listed}, not as {raw}"
            )
        return raw

    def _set_attribute(
        self, where: str, item_class: ItemClass, values: dict[str, Stored], name: str, raw: object
    ) -> None:
        attribute = item_class.attributes.get(name)
        if raw is None:
            values.pop(name, None)
        elif attribute is None:
            self._problem(where, "UNKNOWN_ATTRIBUTE", f"class {item_class.name} has no attribute {name!r}")
        elif attribute.expression is not None:
            self._problem(
                where, "COMPUTED", f"{name} is computed from {attribute.expression.text}; it cannot be set"
            )
        else:
            try:
                values[name] = attribute.normalise(raw)
            except InvalidValue as error:
                self._problem(where, error.code, str(error))

    def _complete(
        self, where: str, item_class: ItemClass, values: dict[str, Stored], name: str, lifecycle: str
    ) -> None:
        """Computed values, then what must be there and what must not."""
        for attribute in item_class.attributes.values():
            if attribute.expression is not None:
                result = attribute.expression.value({"name": name, **values})
                try:
                    values.pop(attribute.name, None)
                    if result is not None:
                        values[attribute.name] = attribute.normalise(result)
                except InvalidValue as error:
                    self._problem(f"{where}.attributes.{attribute.name}", error.code, f"computed: {error}")
            elif attribute.entry.required and attribute.name not in values:
                self._problem(
                    f"{where}.attributes.{attribute.name}", "REQUIRED", f"{item_class.name} must have it"
                )
        if lifecycle and lifecycle not in item_class.lifecycle.transitions:
            states = ", ".join(item_class.lifecycle.transitions)
            self._problem(
                f"{where}.lifecycle",
                "UNKNOWN_STATE",
                f"{item_class.name} has no {lifecycle}; it has {states}",
            )
        for extra in sorted(set(values) - set(item_class.attributes)):
            fault = f"class {item_class.name} has no such attribute; set it to null to reclassify without it"
            self._problem(f"{where}.attributes.{extra}", "UNKNOWN_ATTRIBUTE", fault)

    def _put_edge(self, where: str, operation: PutEdge) -> None:
        key, facts = operation.key, operation.facts
        relationship = self.catalogue.relationships.get(key.type)
        if relationship is None:
            self._problem(
                f"{where}.type", "UNKNOWN_TYPE", f"relationship type {key.type!r} is not in the catalogue"
            )
            return
        source, target = self._item(key.source), self._item(key.target)
        for end, item, item_id in (("from", source, key.source), ("to", target, key.target)):
            if item is None:
                self._problem(f"{where}.{end}", "NOT_FOUND", f"no item {item_id!r}")
        if source is None or target is None:
            return
        if not self.catalogue.allows(relationship, source.class_name, target.class_name):
            seen = f"{source.class_name} -{key.type}-> {target.class_name}"
            meant = f"from {' or '.join(relationship.source)} to {' or '.join(relationship.target)}"
            self._problem(where, "EDGE_NOT_ALLOWED", f"{seen} is not allowed; it runs {meant}")
        normal = self._facts(where, key, facts)
        old = self._outgoing_edge(key)
        if old is None or old.facts != normal:
            self._draft_edge(key, Edge(key, normal, self.revision))
        elif key in self.edges:
            self._draft_edge(key, old)

    def _outgoing_edge(self, key: EdgeKey) -> Edge | None:
        return self.edges[key] if key in self.edges else self.state.edges.get(key.source, {}).get(key)

    def _facts(self, where: str, key: EdgeKey, facts: EdgeFacts) -> EdgeFacts:
        required = facts.required
        if len(key.group) > IDENTIFIER_LIMIT or "\0" in key.group:
            self._problem(
                f"{where}.group",
                "INVALID_VALUE",
                f"a group is named by at most {IDENTIFIER_LIMIT} characters, none of them NUL",
            )
        if required is not None and not key.group:
            self._problem(
                f"{where}.required",
                "INVALID_VALUE",
                "`required` says how many of a group; name the group too",
            )
        elif required is not None:
            required = str(required)
            try:
                members_needed(int(required) if required.isascii() and required.isdigit() else required, 1)
            except InvalidValue as error:
                self._problem(f"{where}.required", error.code, str(error))
        if facts.strength not in (None, "hard", "soft"):
            self._problem(
                f"{where}.strength", "INVALID_VALUE", f"{facts.strength!r} is neither hard nor soft"
            )
        if facts.confidence not in ("declared", "observed", "inferred"):
            fault = f"{facts.confidence!r} is none of declared, observed, inferred"
            self._problem(f"{where}.confidence", "INVALID_VALUE", fault)
        return EdgeFacts(required=required, strength=facts.strength, confidence=facts.confidence)

    def _delete_edge(self, where: str, operation: DeleteEdge) -> None:
        if self._outgoing_edge(operation.key) is None:
            key = operation.key
            group = f" in group {key.group!r}" if key.group else ""
            self._problem(where, "NOT_FOUND", f"no edge {key.source} -{key.type}-> {key.target}{group}")
            return
        self._draft_edge(operation.key, None)

    def _delete_item(self, where: str, operation: DeleteItem) -> None:
        if self._item(operation.id) is None:
            self._problem(f"{where}.id", "NOT_FOUND", f"no item {operation.id!r}")
            return
        incoming = {*self.state.incoming.get(operation.id, ()), *self.edges_to.get(operation.id, ())}
        for key in {*self._outgoing(operation.id), *incoming}:
            self._draft_edge(key, None)
        self.items[operation.id] = None

    # --- the whole --------------------------------------------------------------------------------------------------

    def _check_cardinality(self) -> None:
        put = [key for key, edge in self.edges.items() if edge is not None]
        for source, kind in sorted({(key.source, key.type) for key in put}):
            relationship = self.catalogue.relationships[kind]
            if relationship.one_target:
                targets = {key.target for key in self._outgoing(source) if key.type == kind}
                if len(targets) > 1:
                    fault = f"item {source} would have {len(targets)} targets; {kind} is {relationship.cardinality}"
                    self._problem(
                        f"{source}.{kind}",
                        "CARDINALITY",
                        f"{fault}; delete the other edge in the same ChangeSet",
                    )
        for target, kind in sorted({(key.target, key.type) for key in put}):
            relationship = self.catalogue.relationships[kind]
            if relationship.one_source:
                keys = self.state.incoming.get(target, set()) | self.edges_to[target]
                sources = {k.source for k in keys if k.type == kind and self._outgoing_edge(k) is not None}
                if len(sources) > 1:
                    fault = f"item {target} would have {len(sources)} sources; {kind} is {relationship.cardinality}"
                    self._problem(
                        f"{target}.{kind}",
                        "CARDINALITY",
                        f"{fault}; delete the other edge in the same ChangeSet",
                    )

    def _changes(self) -> list[ItemChange]:
        by_source: dict[str, list[EdgeChange]] = {}
        for key in sorted(self.edges):
            old, new = self.state.edges.get(key.source, {}).get(key), self.edges[key]
            before, after = (old.facts if old else None), (new.facts if new else None)
            if before != after:
                by_source.setdefault(key.source, []).append(EdgeChange(key, before, after))
        changes = []
        for item_id in {**self.items, **by_source}:
            old_item, new_item = self.state.items.get(item_id), self._item(item_id)
            edges = tuple(by_source.get(item_id, ()))
            change = _item_change(item_id, old_item, new_item, edges)
            if change is not None:
                changes.append(change)
        return changes

    def _claims(self, changes: Iterable[ItemChange]) -> tuple[dict[str, str], dict[str, str]]:
        """Keys that touched items take up and give back. A key in use by somebody else is an error, unless a stronger
        rule tells the two apart; then they are namesakes, and the claimant goes without that key."""
        wanted: dict[str, tuple[str, ...]] = {}
        releases: dict[str, str] = {}
        fresh: dict[str, tuple[str, ...]] = {}
        native = self.change_set.keys
        rules_changed = self.catalogue is not self.state.catalogue
        for item_id in {*(c.item_id for c in changes), *native, *(self.state.items if rules_changed else ())}:
            old, new = self.state.items.get(item_id), self._item(item_id)
            after = self._keys_of(new, self._outgoing(item_id)) if new else ()
            before = self._keys_of(old, self.state.edges.get(item_id, {}), stored=True) if old else ()
            if new:
                wanted[item_id] = after
                fresh[item_id] = (*native.get(item_id, ()), *(key for key in after if key not in before))
            given_up = set(before) - set(after) if new else {*before, *self.state.held.get(item_id, ())}
            releases.update(
                (key, item_id) for key in given_up if self.state.holders.get(key, item_id) == item_id
            )
        claims: dict[str, str] = {}
        claimed: dict[str, set[str]] = {}
        for item_id in sorted(fresh):
            for key in fresh[item_id]:
                holder = claims.get(key) or (None if key in releases else self.state.holders.get(key))
                if holder is None:
                    claims[key] = item_id
                    claimed.setdefault(item_id, set()).add(key)
                elif holder != item_id:
                    held = self.state.held.get(holder, set()) | claimed.get(holder, set())
                    if key.startswith("@") or not contradicts((key,), wanted[item_id], held):
                        raise IdentityTaken(key, holder, item_id)
        return claims, {key: item for key, item in releases.items() if key not in claims}

    def _keys_of(self, item: Item, edges: Edges, *, stored: bool = False) -> tuple[str, ...]:
        catalogue = self.state.catalogue if stored else self.catalogue
        try:
            return rule_keys(catalogue, item.class_name, item.fields, edges)
        except InvalidValue as error:
            if not stored:
                self._problem(item.id, error.code, str(error))
            return ()

    def _move_on(
        self, changes: list[ItemChange], claims: Mapping[str, str], releases: Mapping[str, str]
    ) -> None:
        state = self.state
        touched = {change.item_id for change in changes}
        for item_id in touched:
            item = self._item(item_id)
            if item is None:
                state.items.pop(item_id, None)
            else:
                state.items[item_id] = Item(
                    id=item_id,
                    class_name=item.class_name,
                    name=item.name,
                    lifecycle=item.lifecycle,
                    version=self.revision,
                    created_at=item.created_at,
                    updated_at=self.now,
                    attributes=item.attributes,
                )
        for key, edge in self.edges.items():
            if edge is not None:
                state.add_edge(edge)
            elif state.edges.get(key.source, {}).pop(key, None) is not None:
                state.incoming.get(key.target, set()).discard(key)
        for identity, holder in releases.items():
            state.holders[identity] = None
            state.held.get(holder, set()).discard(identity)
        for identity, holder in claims.items():
            state.holders[identity] = holder
            state.held.setdefault(holder, set()).add(identity)


def _item_change(
    item_id: str, old: Item | None, new: Item | None, edges: tuple[EdgeChange, ...]
) -> ItemChange | None:
    shown = new or old
    if shown is None:
        return None
    if old is None or new is None:
        before, after = (old.fields if old else None), (new.fields if new else None)
        return ItemChange(item_id, shown.class_name, shown.name, before, after, edges)
    old_fields, new_fields = old.fields, new.fields
    differing = [n for n in {**old_fields, **new_fields} if not _same(old_fields.get(n), new_fields.get(n))]
    if not differing and not edges:
        return None
    return ItemChange(
        item_id,
        shown.class_name,
        shown.name,
        {name: old_fields[name] for name in differing if name in old_fields},
        {name: new_fields[name] for name in differing if name in new_fields},
        edges,
    )


def _same(a: object, b: object) -> bool:
    return a == b and type(a) is type(b)


def _canonical(record: object) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
