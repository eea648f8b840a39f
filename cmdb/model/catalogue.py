"""The catalogue: classes, relationship types and lifecycles, compiled from their entries into one frozen whole.

Labels, constraints, validation, GraphQL types, forms and reference pages are derived from here and nowhere else. A
catalogue that loads is consistent: parents exist, names do not clash, targets are classes, rules name attributes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from threading import Lock
from typing import Any, Literal

from cmdb.errors import CatalogueError, InvalidValue, NotFound
from cmdb.model.consistency import check_consistency
from cmdb.model.entries import (
    AttributeEntry,
    ClassEntry,
    Entry,
    LifecycleEntry,
    RelationshipEntry,
    ScopedRule,
    entry_record,
)
from cmdb.model.entry_text import parse_entries as parse_entries
from cmdb.model.expressions import Expression, compile_expression
from cmdb.model.reliability import ClassDefault, class_default
from cmdb.model.reserved import RESERVED, RESERVED_CLASSES, RESERVED_RELATIONSHIPS
from cmdb.model.values import INDEX_LIMIT, LIST_LIMIT, TEXT_LIMIT, VALUE_TYPES, Stored, ValueType

DEEPEST_CHAIN = 24


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute as a class has it, inherited or its own; `declared_by` is the class that says so."""

    name: str
    entry: AttributeEntry
    value_type: ValueType
    declared_by: str
    expression: Expression | None = None

    def normalise(self, raw: object) -> Stored:
        """The normal form of a value; a list where the attribute is one.

        Raises:
            InvalidValue: the value has no normal form in this type.
        """
        if not self.entry.list:
            value = self._one(raw)
            self._check_size([value])
            return value
        if not isinstance(raw, list | tuple):
            raise InvalidValue(f"expected a list of {self.entry.type}, got {type(raw).__name__}")
        if len(raw) > LIST_LIMIT:
            raise InvalidValue(f"the list has {len(raw)} members; at most {LIST_LIMIT} are allowed")
        values = [self._one(value) for value in raw]
        self._check_size(values)
        return values  # type: ignore[return-value]  # one type throughout, by _one

    def present(self, value: Stored) -> Any:  # noqa: ANN401 - JSON of any shape
        """A value in normal form as people and clients read it; `normalise` takes it back."""
        return (
            [self.value_type.present(one) for one in value]
            if isinstance(value, list)
            else self.value_type.present(value)
        )

    def _check_size(self, values: list[str | int | float | bool]) -> None:
        """One value keeps to its type's own limit; a list, and what is indexed, to these."""
        size = sum(len(value.encode()) + 4 if isinstance(value, str) else 12 for value in values)
        if size > INDEX_LIMIT and (self.entry.indexed or self.entry.unique):
            raise InvalidValue(
                f"{size} bytes cannot be indexed, at most {INDEX_LIMIT} can; shorten the value"
            )
        if size > TEXT_LIMIT and len(values) > 1:
            raise InvalidValue(f"the list has {size} bytes; at most {TEXT_LIMIT} are allowed")

    def _one(self, raw: object) -> str | int | float | bool:
        value = self.value_type.normalise(raw)
        if self.entry.values and value not in self.entry.values:
            raise InvalidValue(f"{value!r} is not one of {', '.join(self.entry.values)}")
        return value


@dataclass(frozen=True, slots=True)
class IdentityRule:
    """Attributes (or `name`) that together tell two items apart, optionally only inside one target of `within`."""

    declared_by: str
    attributes: tuple[str, ...]
    within: str | None = None

    def __str__(self) -> str:
        inside = f" within {self.within}" if self.within else ""
        return f"{self.declared_by}({', '.join(self.attributes)}){inside}"


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A state machine."""

    name: str
    initial: str
    starts: frozenset[str]
    closed: frozenset[str]
    transitions: Mapping[str, tuple[str, ...]]
    titles: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class ItemClass:
    """A class with everything it inherits. `chain` runs from itself to the root: the labels of its nodes."""

    name: str
    parent: str | None
    chain: tuple[str, ...]
    abstract: bool
    description: str
    title: Mapping[str, str]
    plural: str
    layer: str
    lifecycle: Lifecycle
    attributes: Mapping[str, Attribute]
    identity_rules: tuple[IdentityRule, ...]
    reliability: ClassDefault | None = None
    """What is assumed of its items where nothing better is known; None: that they do not fail by themselves."""

    def is_computed(self, name: str) -> bool:
        """Whether the class has an attribute of that name, and it is computed."""
        attribute = self.attributes.get(name)
        return attribute is not None and attribute.expression is not None


@dataclass(frozen=True, slots=True)
class RelationshipType:
    """A type of edge. `source` and `target` list the declared classes; subclasses are meant too."""

    name: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    inverse: str
    dependency: Literal["hard", "soft", "none"]
    cardinality: str
    description: str
    title: Mapping[str, str]
    inverse_title: Mapping[str, str]

    @property
    def one_target(self) -> bool:
        """Whether a source has at most one edge of this type."""
        return self.cardinality in ("many-to-one", "one-to-one")

    @property
    def one_source(self) -> bool:
        """Whether a target is reached by at most one edge of this type."""
        return self.cardinality in ("one-to-many", "one-to-one")


@dataclass(frozen=True)
class Catalogue:
    """All of it. Look-ups raise `NotFound` with the nearest way out."""

    entries: Mapping[str, Entry]
    classes: Mapping[str, ItemClass]
    relationships: Mapping[str, RelationshipType]
    lifecycles: Mapping[str, Lifecycle]
    _subclasses: Mapping[str, frozenset[str]] = field(repr=False)

    def item_class(self, name: str) -> ItemClass:
        """The class of that name."""
        found = self.classes.get(name)
        if found is None:
            raise NotFound("class", name[:80], "see the catalogue for the classes there are")
        return found

    def relationship(self, name: str) -> RelationshipType:
        """The relationship type of that name."""
        found = self.relationships.get(name)
        if found is None:
            raise NotFound("relationship type", name[:80], "see the catalogue for the types there are")
        return found

    def subclasses(self, name: str) -> frozenset[str]:
        """The class itself and everything below it, abstract ones too."""
        return self._subclasses[self.item_class(name).name]

    def is_a(self, class_name: str, ancestor: str) -> bool:
        """Whether a class is, or descends from, another."""
        return ancestor in self.classes[class_name].chain

    def allows(self, relationship: RelationshipType, source_class: str, target_class: str) -> bool:
        """Whether an edge of this type may run between two classes."""
        source_chain, target_chain = self.classes[source_class].chain, self.classes[target_class].chain
        return any(c in source_chain for c in relationship.source) and any(
            c in target_chain for c in relationship.target
        )

    def outgoing(self, class_name: str) -> Iterator[RelationshipType]:
        """The types that may leave an item of exactly this class."""
        chain = self.item_class(class_name).chain
        return (r for r in self.relationships.values() if any(c in chain for c in r.source))

    def incoming(self, class_name: str) -> Iterator[RelationshipType]:
        """The types that may arrive at an item of exactly this class."""
        chain = self.item_class(class_name).chain
        return (r for r in self.relationships.values() if any(c in chain for c in r.target))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all entries in canonical form: two equal digests are the same catalogue."""
        return hashlib.sha256(json.dumps(self.to_record(), sort_keys=True).encode()).hexdigest()

    def to_record(self) -> dict[str, dict[str, Any]]:
        """All entries in the form in which they are written."""
        return {name: entry_record(entry) for name, entry in self.entries.items()}

    def extended(self, entries: Mapping[str, Entry]) -> Catalogue:
        """This catalogue with entries added or replaced.

        Raises:
            CatalogueError: the whole would not be consistent.
        """
        return compile_catalogue({**self.entries, **entries})


def builtin_catalogue() -> Catalogue:
    """The catalogue that every CMDB starts with: the YAML files in `cmdb/model/builtin`. Read once a process."""
    with _READING:  # a service asks in two threads at its start
        return _read_builtin()


_READING = Lock()


@cache
def _read_builtin() -> Catalogue:
    entries: dict[str, Entry] = {}
    folder = resources.files("cmdb.model") / "builtin"
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        for name, entry in parse_entries(file.read_text(encoding="utf-8"), file.name).items():
            if name in entries:
                raise CatalogueError(name, f"declared a second time in {file.name}", "declare each name once")
            entries[name] = entry
    return compile_catalogue(entries)


def compile_catalogue(entries: Mapping[str, Entry]) -> Catalogue:
    """Compile entries into a consistent whole.

    Raises:
        CatalogueError: unknown parent, cycle, clash of names, bad type, unknown target class, rule without attribute.
    """
    for name in sorted(entries.keys() & (RESERVED_CLASSES | RESERVED_RELATIONSHIPS)):
        raise CatalogueError(name, "the name is reserved for the store itself", "choose another")
    lifecycles = {name: _lifecycle(name, e) for name, e in entries.items() if isinstance(e, LifecycleEntry)}
    class_entries = {name: e for name, e in entries.items() if isinstance(e, ClassEntry)}
    classes: dict[str, ItemClass] = {}
    for name in class_entries:
        _compile_class(name, class_entries, lifecycles, classes, ())
    relationships = {
        name: _relationship(name, e, classes)
        for name, e in entries.items()
        if isinstance(e, RelationshipEntry)
    }
    below: dict[str, set[str]] = {name: set() for name in classes}
    for item_class in classes.values():
        for ancestor in item_class.chain:
            below[ancestor].add(item_class.name)
    catalogue = Catalogue(
        entries=dict(entries),
        classes=classes,
        relationships=relationships,
        lifecycles=lifecycles,
        _subclasses={name: frozenset(names) for name, names in below.items()},
    )
    check_consistency(catalogue)
    return catalogue


def _lifecycle(name: str, entry: LifecycleEntry) -> Lifecycle:
    named = [
        entry.initial,
        *entry.may_start,
        *entry.closed,
        *(t for s in entry.states.values() for t in s.to),
    ]
    unknown = sorted({state for state in named if state not in entry.states})
    if unknown:
        raise CatalogueError(name, f"unknown states {', '.join(unknown)}", "declare them under `states`")
    return Lifecycle(
        name=name,
        initial=entry.initial,
        starts=frozenset({entry.initial, *entry.may_start}),
        closed=frozenset(entry.closed),
        transitions={state: s.to for state, s in entry.states.items()},
        titles={state: s.title for state, s in entry.states.items()},
    )


def _compile_class(
    name: str,
    entries: Mapping[str, ClassEntry],
    lifecycles: Mapping[str, Lifecycle],
    done: dict[str, ItemClass],
    below: tuple[str, ...],
) -> ItemClass:
    if name in done:
        return done[name]
    if name in below:
        raise CatalogueError(name, f"extends itself through {' < '.join([*below, name])}", "break the cycle")
    if len(below) >= DEEPEST_CHAIN:
        raise CatalogueError(below[0], f"has more than {DEEPEST_CHAIN} ancestors", "make the chain shorter")
    entry = entries[name]
    if entry.extends is not None and entry.extends not in entries:
        raise CatalogueError(
            name, f"extends {entry.extends}, which is not a class", "name a class that exists"
        )
    if entry.extends is None and name != "Item":
        raise CatalogueError(name, "extends nothing", "say which class it extends; Item is the only root")
    parent = (
        _compile_class(entry.extends, entries, lifecycles, done, (*below, name)) if entry.extends else None
    )
    if parent and len(parent.chain) > DEEPEST_CHAIN:
        raise CatalogueError(name, f"has more than {DEEPEST_CHAIN} ancestors", "make the chain shorter")
    attributes = dict(parent.attributes) if parent else {}
    for attribute_name, attribute_entry in entry.attributes.items():
        if attribute_name in RESERVED:
            raise CatalogueError(f"{name}.{attribute_name}", "the name is reserved", "choose another")
        if attribute_name in attributes:
            origin = attributes[attribute_name].declared_by
            raise CatalogueError(
                f"{name}.{attribute_name}", f"{origin} has it already", "choose another name"
            )
        attributes[attribute_name] = _attribute(name, attribute_name, attribute_entry)
    lifecycle_name = entry.lifecycle or (parent.lifecycle.name if parent else "record")
    if lifecycle_name not in lifecycles:
        raise CatalogueError(
            name, f"lifecycle {lifecycle_name} does not exist", "declare it, or name another"
        )
    reliability = parent.reliability if parent else None
    if entry.reliability is not None:
        reliability = class_default(name, entry.reliability)
    own_rules = tuple(_rule(name, rule) for rule in entry.identify)
    done[name] = ItemClass(
        name=name,
        parent=entry.extends,
        chain=(name, *(parent.chain if parent else ())),
        abstract=entry.abstract,
        description=entry.description,
        title={"en": name, **entry.title},
        plural=entry.plural or _plural(name),
        layer=entry.layer or (parent.layer if parent else "record"),
        lifecycle=lifecycles[lifecycle_name],
        attributes=attributes,
        identity_rules=own_rules + (parent.identity_rules if parent and entry.inherit_identity else ()),
        reliability=reliability,
    )
    return done[name]


def _attribute(class_name: str, name: str, entry: AttributeEntry) -> Attribute:
    place = f"{class_name}.{name}"
    value_type = VALUE_TYPES.get(entry.type)
    if value_type is None:
        raise CatalogueError(place, f"unknown type {entry.type!r}", f"use one of {', '.join(VALUE_TYPES)}")
    if (entry.type == "enum") != bool(entry.values):
        raise CatalogueError(
            place, "an enum needs `values`, and nothing else may have them", "mend the entry"
        )
    if len(set(entry.values)) < len(entry.values):
        raise CatalogueError(place, "a value is listed twice", "list each once")
    if entry.secret and (entry.unique or entry.indexed):
        raise CatalogueError(
            place,
            "a secret cannot be unique or indexed: its value would stand in keys and indexes",
            "drop one of the two",
        )
    if entry.required and entry.computed:
        raise CatalogueError(place, "a computed attribute cannot be required", "drop one of the two")
    expression = compile_expression(place, entry.computed) if entry.computed else None
    attribute = Attribute(
        name=name, entry=entry, value_type=value_type, declared_by=class_name, expression=expression
    )
    if entry.default is not None:
        try:
            attribute.normalise(entry.default)
        except InvalidValue as error:
            raise CatalogueError(
                place, f"bad default: {error}", "give a default of the attribute's type"
            ) from None
    return attribute


def _rule(class_name: str, rule: tuple[str, ...] | ScopedRule) -> IdentityRule:
    if isinstance(rule, ScopedRule):
        return IdentityRule(declared_by=class_name, attributes=rule.by, within=rule.within)
    return IdentityRule(declared_by=class_name, attributes=rule)


def _relationship(name: str, entry: RelationshipEntry, classes: Mapping[str, ItemClass]) -> RelationshipType:
    for target in (*entry.source, *entry.target):
        if target not in classes:
            raise CatalogueError(
                name, f"{target} is not a class", "name classes that exist under `from` and `to`"
            )
    return RelationshipType(
        name=name,
        source=entry.source,
        target=entry.target,
        inverse=entry.inverse,
        dependency=entry.dependency,
        cardinality=entry.cardinality,
        description=entry.description,
        title={"en": name.lower().replace("_", " "), **entry.title},
        inverse_title={"en": entry.inverse.replace("_", " "), **entry.inverse_title},
    )


def _plural(name: str) -> str:
    snake = "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
    if snake.endswith("y") and snake[-2] not in "aeiou":
        return f"{snake[:-1]}ies"
    return f"{snake}es" if snake.endswith(("s", "x", "ch", "sh")) else f"{snake}s"
