"""What a PutItem makes of an item's fields: each value checked, normalised, computed, and the whole complete.

Problems are reported, not raised, so that all of them are told at once; what is returned after a problem is of no use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cmdb.errors import InvalidValue
from cmdb.model.catalogue import ItemClass
from cmdb.model.items import Item
from cmdb.model.values import IDENTIFIER_LIMIT, Stored, clean_text, same_value

Report = Callable[[str, str, str], None]
"""Takes a problem: where, code, message."""


def draft_item(
    where: str,
    item_id: str,
    item_class: ItemClass,
    raw: Mapping[str, Any],
    *,
    old: Item | None,
    old_class: ItemClass | None,
    now: str,
    correction: bool,
    report: Report,
) -> Item:
    """The item of `item_class` that `raw` fields make, of an `old` one (of `old_class`) or from nothing.

    Values that are not named are kept; where the class is another, each must fit it. A `correction` may make any
    transition. Version and times are those of the old item, or 0 and `now`.
    """
    values = _kept(where, item_class, old, old_class, raw, report)
    name, lifecycle = (old.name, old.lifecycle) if old else ("", "")
    for key, value in raw.items():
        if key == "name":
            name = _name(f"{where}.name", value, report)
        elif key == "lifecycle":
            lifecycle = _lifecycle(f"{where}.lifecycle", item_class, old, value, correction, report)
        else:
            _set_attribute(f"{where}.attributes.{key}", item_class, values, key, value, report)
    if not name and "name" not in raw:
        report(f"{where}.name", "REQUIRED", "every item needs a name")
    if not old:
        lifecycle = lifecycle or item_class.lifecycle.initial
        for attribute in item_class.attributes.values():
            if attribute.entry.default is not None and attribute.name not in raw:
                values[attribute.name] = attribute.normalise(attribute.entry.default)
    _check_complete(where, item_class, values, lifecycle, report)
    return Item(
        id=item_id,
        class_name=item_class.name,
        name=name,
        lifecycle=lifecycle,
        version=old.version if old else 0,
        created_at=old.created_at if old else now,
        updated_at=old.updated_at if old else now,
        attributes=with_computed(where, item_class, name, values, report),
    )


def with_computed(
    where: str, item_class: ItemClass, name: str, values: Mapping[str, Stored], report: Report
) -> dict[str, Stored]:
    """The values with every computed attribute of the class worked out anew."""
    result = {n: v for n, v in values.items() if not item_class.is_computed(n)}
    for attribute in item_class.attributes.values():
        if attribute.expression is not None:
            value = attribute.expression.value({"name": name, **result})
            try:
                if value is not None:
                    result[attribute.name] = attribute.normalise(value)
            except InvalidValue as error:
                report(f"{where}.attributes.{attribute.name}", error.code, f"computed: {error}")
    return result


def check_stored(place: str, item_class: ItemClass, item: Item, report: Report) -> None:
    """Report what would make a stored item invalid in a class that has changed; nothing is converted."""
    code = "STORED_ITEM_INVALID"
    for name, value in item.attributes.items():
        attribute = item_class.attributes.get(name)
        if attribute is None:
            report(f"{place}.{name}", code, "has a value, and the attribute would be gone")
            continue
        try:
            normal = attribute.normalise(attribute.present(value))
        except (
            InvalidValue,
            ValueError,
            TypeError,
        ) as error:  # what is no value of the type may not even be shown
            report(f"{place}.{name}", code, str(error))
            continue
        if not same_value(normal, value):
            report(f"{place}.{name}", code, f"{value!r} is not in the new normal form {normal!r}")
    for name, attribute in item_class.attributes.items():
        if attribute.entry.required and name not in item.attributes:
            report(f"{place}.{name}", code, "would be required, and has no value")
    if item.lifecycle not in item_class.lifecycle.transitions:
        report(f"{place}.lifecycle", code, f"state {item.lifecycle} would be unknown")


def _kept(
    where: str,
    item_class: ItemClass,
    old: Item | None,
    old_class: ItemClass | None,
    raw: Mapping[str, Any],
    report: Report,
) -> dict[str, Stored]:
    """The old values that stay, in the normal form that the attribute has in the new class."""
    if old is None or old_class is None:
        return {}
    values = dict(old.attributes)
    if old_class is item_class:
        return values
    for name, value in old.attributes.items():
        before, after = old_class.attributes.get(name), item_class.attributes.get(name)
        if before is not None and before.expression is not None:
            del values[name]
        elif name in raw or before is None or after is None or after.entry == before.entry:
            continue
        else:
            try:
                values[name] = after.normalise(before.present(value))
            except InvalidValue as error:
                fault = f"{error}; it does not fit {item_class.name}: give a value that does, or null"
                report(f"{where}.attributes.{name}", error.code, fault)
    return values


def _name(where: str, raw: object, report: Report) -> str:
    try:
        name = clean_text(raw, IDENTIFIER_LIMIT)
    except InvalidValue as error:
        report(where, error.code, str(error))
        return "?"
    if not name:
        report(where, "REQUIRED", "every item needs a name, and this one is empty")
    return name


def _lifecycle(
    where: str, item_class: ItemClass, old: Item | None, raw: object, correction: bool, report: Report
) -> str:
    machine = item_class.lifecycle
    if not isinstance(raw, str) or raw not in machine.transitions:
        states = ", ".join(machine.transitions)
        report(where, "UNKNOWN_STATE", f"{raw!r} is not a state of {item_class.name}; it has {states}")
        return old.lifecycle if old else machine.initial
    if correction or (old and raw == old.lifecycle):
        return raw
    if old and old.lifecycle in machine.transitions:
        allowed = machine.transitions[old.lifecycle]
        if raw not in allowed:
            listed = ", ".join(allowed) or "none: it is final"
            fault = f"{old.lifecycle} -> {raw} is not allowed; allowed: {listed}"
            report(where, "FORBIDDEN_TRANSITION", fault)
    elif not old and raw not in machine.starts:
        listed = ", ".join(sorted(machine.starts))
        fault = f"a new {item_class.name} may start as {listed}, not as {raw}"
        report(where, "FORBIDDEN_TRANSITION", fault)
    return raw


def _set_attribute(
    where: str, item_class: ItemClass, values: dict[str, Stored], name: str, raw: object, report: Report
) -> None:
    attribute = item_class.attributes.get(name)
    if raw is None:
        values.pop(name, None)
    elif attribute is None:
        report(where, "UNKNOWN_ATTRIBUTE", f"class {item_class.name} has no attribute {name!r}")
    elif attribute.expression is not None:
        fault = f"{name} is computed from {attribute.expression.text}; it cannot be set"
        report(where, "COMPUTED", fault)
    else:
        try:
            values[name] = attribute.normalise(raw)
        except InvalidValue as error:
            report(where, error.code, str(error))


def _check_complete(
    where: str, item_class: ItemClass, values: Mapping[str, Stored], lifecycle: str, report: Report
) -> None:
    """What must be there is, and what must not is not."""
    for attribute in item_class.attributes.values():
        if attribute.entry.required and attribute.name not in values:
            report(f"{where}.attributes.{attribute.name}", "REQUIRED", f"{item_class.name} must have it")
    if lifecycle and lifecycle not in item_class.lifecycle.transitions:
        states = ", ".join(item_class.lifecycle.transitions)
        fault = f"{item_class.name} has no {lifecycle}; it has {states}"
        report(f"{where}.lifecycle", "UNKNOWN_STATE", fault)
    for extra in sorted(set(values) - set(item_class.attributes)):
        fault = f"class {item_class.name} has no such attribute; set it to null to reclassify without it"
        report(f"{where}.attributes.{extra}", "UNKNOWN_ATTRIBUTE", fault)
