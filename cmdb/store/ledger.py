"""The ledger's written form: how revisions and changes are stored, hashed and read back.

Revision n's hash is SHA-256 over the hash of revision n-1, the header of n, and the changes of n in the order of item
ids, exactly as they are stored; so the chain is verified from stored text without understanding it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from cmdb.model.items import EdgeChange, ItemChange

GENESIS = "0" * 64
"""The hash before the first revision."""


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """The header of a revision. `recorded_at` is an instant; `changes_count` counts the items it touched."""

    number: int
    recorded_at: str
    actor: str
    source: str
    run: str
    message: str
    reason: str
    changes_count: int
    previous_hash: str
    hash: str

    def properties(self) -> dict[str, Any]:
        """As properties of the Revision node."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> RevisionRecord:
        """The header that `properties` wrote."""
        return cls(**{name: properties[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class StoredChange:
    """An ItemChange as it lies in Neo4j: JSON text for what was before and after, None where there is none."""

    item: str
    class_name: str
    name: str
    before: str | None
    after: str | None
    edges: str | None

    def properties(self) -> dict[str, str]:
        """As properties of the CHANGED relationship; absent ones left out."""
        named = {"class": self.class_name, "name": self.name, "before": self.before, "after": self.after}
        return {key: value for key, value in {**named, "edges": self.edges}.items() if value is not None}

    @classmethod
    def from_properties(cls, item: str, properties: Mapping[str, Any]) -> StoredChange:
        """The change that `properties` wrote."""
        return cls(
            item,
            properties["class"],
            properties["name"],
            properties.get("before"),
            properties.get("after"),
            properties.get("edges"),
        )


def store_change(change: ItemChange) -> StoredChange:
    """A change in its stored form."""
    return StoredChange(
        change.item_id,
        change.class_name,
        change.name,
        _text(change.before) if change.before is not None else None,
        _text(change.after) if change.after is not None else None,
        _text([edge.to_record() for edge in change.edges]) if change.edges else None,
    )


def restore_change(stored: StoredChange) -> ItemChange:
    """The change that was stored."""
    edges = orjson.loads(stored.edges) if stored.edges else ()
    return ItemChange(
        stored.item,
        stored.class_name,
        stored.name,
        orjson.loads(stored.before) if stored.before is not None else None,
        orjson.loads(stored.after) if stored.after is not None else None,
        tuple(EdgeChange.from_record(stored.item, edge) for edge in edges),
    )


def revision_hash(header: Mapping[str, Any], changes: Iterable[StoredChange]) -> str:
    """The hash of a revision: `header` has every field of a RevisionRecord but `hash`; changes in order of ids."""
    digest = hashlib.sha256()
    digest.update(orjson.dumps({k: v for k, v in header.items() if k != "hash"}, option=orjson.OPT_SORT_KEYS))
    for change in changes:
        parts = (change.item, change.class_name, change.name, change.before, change.after, change.edges)
        digest.update(orjson.dumps(parts))
    return digest.hexdigest()


def _text(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
