"""Conditions on items: one small language, compiled to Cypher for the present and evaluated in Python for the past.

Both readings agree (a test compares them): a condition is true or false, never unknown. Comparison with an absent
value is false, but for `ne`, which is true; text is compared by code points, and case counts. Patterns and regular
expressions do not exist here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cmdb.model.catalogue import Catalogue
from cmdb.model.items import Item
from cmdb.model.values import Stored
from cmdb.store.cypher import Bindings, quoted

Operator = Literal["eq", "ne", "in", "contains", "startsWith", "gt", "gte", "lt", "lte", "exists", "has"]
BUILT_IN = ("id", "name", "class", "lifecycle", "version", "created_at", "updated_at")
"""What every item can be compared by, beside the attributes of its class."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """An attribute (or one of `BUILT_IN`) against a value in normal form. `has`: a list holds the value."""

    attribute: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every condition holds; true of none."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one condition holds; false of none."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class IsA:
    """The item's class is one of these or descends from one."""

    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Related:
    """`some`: an edge leads to an item for which `where` holds; `every`: no edge leads to another; `none`: no `some`.

    `outgoing`: edges that leave the item; else those that arrive.
    """

    relationship: str
    outgoing: bool
    quantifier: Literal["some", "none", "every"]
    where: Condition


Condition = Comparison | AllOf | AnyOf | Not | IsA | Related
EVERYTHING = AllOf(())

_SYMBOLS: Mapping[str, str] = {
    "eq": " = ",
    "in": " IN ",
    "contains": " CONTAINS ",
    "startsWith": " STARTS WITH ",
    "gt": " > ",
    "gte": " >= ",
    "lt": " < ",
    "lte": " <= ",
}


def to_cypher(condition: Condition, variable: str, catalogue: Catalogue, bindings: Bindings) -> str:
    """The condition as a Cypher expression over the node `variable`; names are looked up in the catalogue."""
    return _Compiler(catalogue, bindings).expression(condition, variable)


class _Compiler:
    def __init__(self, catalogue: Catalogue, bindings: Bindings) -> None:
        self._catalogue = catalogue
        self._bindings = bindings
        self._nodes = 0

    def expression(self, condition: Condition, node: str) -> str:
        match condition:
            case Comparison():
                return self._comparison(condition, node)
            case AllOf(conditions):
                return self._joined(conditions, node, " AND ", "true")
            case AnyOf(conditions):
                return self._joined(conditions, node, " OR ", "false")
            case Not(inner):
                return "NOT coalesce(" + self.expression(inner, node) + ", false)"
            case IsA(classes):
                labels = [node + ":" + quoted(self._catalogue.item_class(name).name) for name in classes]
                return "(" + (" OR ".join(labels) or "false") + ")"
            case Related():
                return self._related(condition, node)

    def _joined(self, conditions: Iterable[Condition], node: str, joint: str, empty: str) -> str:
        parts = [self.expression(condition, node) for condition in conditions]
        return "(" + joint.join(parts) + ")" if parts else empty

    def _comparison(self, comparison: Comparison, node: str) -> str:
        key = node + "." + quoted(comparison.attribute)
        operator, value = comparison.operator, comparison.value
        if operator == "exists":
            return key + (" IS NOT NULL" if value else " IS NULL")
        bound = self._bindings.bind(value)
        if operator == "ne":
            return "(" + key + " IS NULL OR " + key + " <> " + bound + ")"
        if operator == "has":
            return bound + " IN " + key
        return key + _SYMBOLS[operator] + bound

    def _related(self, related: Related, node: str) -> str:
        self._nodes += 1
        other = "o" + str(self._nodes)
        edge = "-[:" + quoted(self._catalogue.relationship(related.relationship).name) + "]-"
        arrow = edge + ">" if related.outgoing else "<" + edge
        inner = self.expression(related.where, other)
        if related.quantifier == "every":
            inner = "NOT coalesce(" + inner + ", false)"
        exists = "EXISTS { MATCH (" + node + ")" + arrow + "(" + other + ":Item) WHERE " + inner + " }"
        return exists if related.quantifier == "some" else "NOT " + exists


def indexed_labels(condition: Condition, class_name: str, catalogue: Catalogue) -> set[str]:
    """Labels that a node must have anyway and whose indexes can serve the condition: name them in the MATCH."""
    item_class = catalogue.item_class(class_name)
    labels: set[str] = set()
    pending = [condition]
    while pending:
        match pending.pop():
            case AllOf(conditions):
                pending.extend(conditions)
            case Comparison(attribute, operator, _) if operator not in ("ne", "exists", "has"):
                found = item_class.attributes.get(attribute)
                if found is not None and found.entry.indexed:
                    labels.add(found.declared_by)
                elif attribute == "id":
                    labels.add("Item")
    return labels


def relationships_in(condition: Condition) -> Iterator[tuple[str, bool]]:
    """(type, outgoing) of every `Related` in it, at any depth."""
    pending = [condition]
    while pending:
        match pending.pop():
            case AllOf(conditions) | AnyOf(conditions):
                pending.extend(conditions)
            case Not(inner):
                pending.append(inner)
            case Related(relationship, outgoing, _, where):
                yield relationship, outgoing
                pending.append(where)


Neighbours = Callable[[str, str, bool], Iterable[Item]]
"""(item id, relationship type, outgoing) to the items at the other ends."""


def holds(condition: Condition, item: Item, catalogue: Catalogue, neighbours: Neighbours) -> bool:
    """Whether the condition is true of an item; `neighbours` is asked only for `Related` conditions."""
    match condition:
        case Comparison(attribute, operator, value):
            return _compare(read_value(item, attribute), operator, value)
        case AllOf(conditions):
            return all(holds(c, item, catalogue, neighbours) for c in conditions)
        case AnyOf(conditions):
            return any(holds(c, item, catalogue, neighbours) for c in conditions)
        case Not(inner):
            return not holds(inner, item, catalogue, neighbours)
        case IsA(classes):
            return item.class_name in catalogue.classes and any(
                catalogue.is_a(item.class_name, name) for name in classes
            )
        case Related(relationship, outgoing, quantifier, where):
            found = (
                holds(where, other, catalogue, neighbours)
                for other in neighbours(item.id, relationship, outgoing)
            )
            if quantifier == "every":
                return all(found)
            return any(found) is (quantifier == "some")


def read_value(item: Item, attribute: str) -> Stored | None:
    """A built-in value or an attribute of an item, in normal form; None where it has none."""
    match attribute:
        case "id":
            return item.id
        case "name":
            return item.name
        case "class":
            return item.class_name
        case "lifecycle":
            return item.lifecycle
        case "version":
            return item.version
        case "created_at":
            return item.created_at
        case "updated_at":
            return item.updated_at
    return item.attributes.get(attribute)


def _compare(seen: Any, operator: Operator, value: Any) -> bool:  # noqa: ANN401 - values of one attribute type
    if operator == "exists":
        return (seen is not None) is bool(value)
    if operator == "ne":
        return seen is None or bool(seen != value)
    if seen is None:
        return False
    match operator:
        case "eq":
            return bool(seen == value)
        case "in":
            return seen in value
        case "has":
            return value in seen
        case "contains":
            return value in seen
        case "startsWith":
            return bool(seen.startswith(value))
        case "gt":
            return bool(seen > value)
        case "gte":
            return bool(seen >= value)
        case "lt":
            return bool(seen < value)
        case _:
            return bool(seen <= value)
