"""Items and edges as they are at one moment, and what a revision changed about them. Immutable, pure data.

An item owns the edges that leave it: the unit that is read, changed and remembered together is *item plus outgoing
edges*. So the history of an edge is part of the history of its source.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cmdb.model.values import Stored

Fields = Mapping[str, Stored]
"""An item's changeable content, flat: `class`, `name`, `lifecycle` and every attribute that has a value."""


class EdgeKey(NamedTuple):
    """What identifies an edge. `group` is empty for an edge that is a gate of its own."""

    type: str
    source: str
    target: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class EdgeFacts:
    """What an edge says beside its key.

    `required`: how many members of the group must be up, a count (`"1"`) or a share (`"50%"`); None outside groups.
    `strength`: hard or soft; None leaves it to the relationship type. `confidence`: declared, observed or inferred.
    """

    required: str | None = None
    strength: str | None = None
    confidence: str = "declared"

    def to_record(self) -> dict[str, str]:
        """As JSON, absent facts left out."""
        facts = {"required": self.required, "strength": self.strength, "confidence": self.confidence}
        return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge as stored; `version` is the revision that last touched it."""

    key: EdgeKey
    facts: EdgeFacts
    version: int


@dataclass(frozen=True, slots=True)
class Item:
    """An item as stored; `version` is the revision that last touched it or its outgoing edges; times are instants."""

    id: str
    class_name: str
    name: str
    lifecycle: str
    version: int
    created_at: str
    updated_at: str
    attributes: Mapping[str, Stored] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, Stored]:
        """Its changeable content, flat."""
        return {"class": self.class_name, "name": self.name, "lifecycle": self.lifecycle, **self.attributes}


@dataclass(frozen=True, slots=True)
class EdgeChange:
    """One edge before and after; None where it was not there."""

    key: EdgeKey
    before: EdgeFacts | None
    after: EdgeFacts | None

    def to_record(self) -> dict[str, Any]:
        """As JSON; what the ledger stores and hashes."""
        return {
            "type": self.key.type,
            "target": self.key.target,
            "group": self.key.group,
            "before": self.before.to_record() if self.before else None,
            "after": self.after.to_record() if self.after else None,
        }

    @classmethod
    def from_record(cls, source: str, record: Mapping[str, Any]) -> EdgeChange:
        """The change that `to_record` wrote for an edge of `source`."""
        return cls(
            key=EdgeKey(record["type"], source, record["target"], record["group"]),
            before=EdgeFacts(**record["before"]) if record["before"] is not None else None,
            after=EdgeFacts(**record["after"]) if record["after"] is not None else None,
        )


@dataclass(frozen=True, slots=True)
class ItemChange:
    """What one revision did to one item and its outgoing edges.

    `before` and `after` hold only the fields that differ. Both empty: only edges changed. `before` None: the item was
    created; `after` None: it was deleted; then the other side is complete. `class_name` and `name` are those after the
    change (before it, for a deletion), for people.
    """

    item_id: str
    class_name: str
    name: str
    before: Fields | None
    after: Fields | None
    edges: tuple[EdgeChange, ...] = ()

    @property
    def kind(self) -> str:
        """`created`, `deleted`, or `updated`."""
        if self.before is None:
            return "created"
        return "deleted" if self.after is None else "updated"

    def reversed(self) -> ItemChange:
        """The change that takes this one back."""
        earlier = self.before or {}
        return ItemChange(
            item_id=self.item_id,
            class_name=str(earlier.get("class", self.class_name)),
            name=str(earlier.get("name", self.name)),
            before=self.after,
            after=self.before,
            edges=tuple(EdgeChange(e.key, e.after, e.before) for e in self.edges),
        )


def new_id() -> str:
    """A UUIDv7: 48 bits of Unix milliseconds, then random; sorts by creation (RFC 9562, section 5.7)."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | (7 << 76)
    value = value & ~(0x3 << 62) | (2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
