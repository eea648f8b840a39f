"""Taking a revision back: the ChangeSet that does the opposite of what it changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from cmdb.errors import BadRequest
from cmdb.model.catalogue import Catalogue
from cmdb.model.change_set import (
    MESSAGE_LIMIT,
    ChangeSet,
    DeleteEdge,
    DeleteItem,
    Operation,
    PutEdge,
    PutEntries,
    PutItem,
)
from cmdb.model.items import ItemChange
from cmdb.model.planning import CATALOGUE_CLASS


def take_back(
    number: int,
    changes: Iterable[ItemChange],
    catalogue: Catalogue,
    *,
    message: str = "",
    reason: str = "",
    keys: Mapping[str, tuple[str, ...]] | None = None,
) -> ChangeSet:
    """The ChangeSet that takes back revision `number`, which made `changes`; to be planned as a correction.

    It expects each item at the version that the revision left, each entry as it left it, and nobody at what it created,
    so that what was done since is not lost unseen. `keys` are those by which sources know items that it deleted.

    Raises:
        BadRequest: the revision created catalogue entries, which can be replaced, not removed.
        NotFound: a class it needs is not in the catalogue any more.
    """
    operations: list[Operation] = []
    expected: dict[str, int] = {}
    for change in changes:
        operations.extend(_opposite(change, catalogue))
        if change.kind != "deleted" and change.class_name != CATALOGUE_CLASS:
            expected[change.item_id] = number
    text = f"undo of revision {number}" + (f": {message}" if message else "")
    return ChangeSet(tuple(operations), text[:MESSAGE_LIMIT], reason, expected, keys or {})


def _opposite(change: ItemChange, catalogue: Catalogue) -> list[Operation]:
    if change.class_name == CATALOGUE_CLASS:
        if change.before is None:
            raise BadRequest(
                f"entry {change.name} was created by that revision; entries are replaced, not removed"
            )
        was, left = (json.loads(str(part["entry"])) for part in (change.before, change.after or {}))
        return [PutEntries({change.name: was}, replaces={change.name: left})]
    if change.kind == "created":
        return [DeleteItem(change.item_id, unlinked=True)]
    before = change.before or {}
    class_name = str(before.get("class", change.class_name))
    item_class = catalogue.item_class(class_name)
    # An item that is made anew would get defaults that it did not have.
    defaults = (a.name for a in item_class.attributes.values() if a.entry.default is not None)
    gone = change.after if change.after is not None else defaults
    fields: dict[str, Any] = {name: None for name in gone if name not in before and name != "class"}
    for name, value in before.items():
        attribute = item_class.attributes.get(name)
        if name != "class" and not item_class.is_computed(name):
            fields[name] = attribute.present(value) if attribute else value
    intent: Literal["create", "update"] = "create" if change.kind == "deleted" else "update"
    edges = (PutEdge(e.key, e.before) if e.before else DeleteEdge(e.key) for e in change.edges)
    return [PutItem(change.item_id, fields, class_name, intent=intent), *edges]
