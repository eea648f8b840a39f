"""A ChangeSet: what somebody wants to be different, as pure data. Nothing else changes the CMDB.

Fields and facts are given raw, as the caller has them; `cmdb.model.planning` checks and normalises them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cmdb.model.items import EdgeFacts, EdgeKey

OPERATIONS_LIMIT = 20_000
"""Most operations in one ChangeSet: the size of one bounded transaction."""


@dataclass(frozen=True, slots=True)
class PutItem:
    """Create an item or change some of its fields.

    `fields` may hold `name`, `lifecycle` and attributes; None takes a value away; what is not named stays. `class_name`
    is needed to create, and reclassifies where it differs. `intent` says which of the two is meant: `create` refuses an
    id that exists, `update` one that does not.
    """

    id: str
    fields: Mapping[str, Any]
    class_name: str | None = None
    intent: Literal["create", "update", "upsert"] = "upsert"


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """Delete an item with every edge from and to it; a tombstone keeps its history."""

    id: str


@dataclass(frozen=True, slots=True)
class PutEdge:
    """Create an edge or replace what it says."""

    key: EdgeKey
    facts: EdgeFacts = field(default_factory=EdgeFacts)


@dataclass(frozen=True, slots=True)
class DeleteEdge:
    """Delete an edge; that it is not there is an error."""

    key: EdgeKey


@dataclass(frozen=True, slots=True)
class PutEntries:
    """Add or replace catalogue entries, in the form in which they are written."""

    entries: Mapping[str, Any]


Operation = PutItem | DeleteItem | PutEdge | DeleteEdge | PutEntries


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Operations that happen together or not at all, with the reason (a change record's id, say) and a message.

    `expected` gives versions that items must still have. `keys` are identity keys of the form `source:native key` per
    item id, which discovery claims for its source.
    """

    operations: tuple[Operation, ...]
    message: str = ""
    reason: str = ""
    expected: Mapping[str, int] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Authorship:
    """Who writes, and for which source and run. `source` and `run` are empty for people."""

    actor: str
    source: str = ""
    run: str = ""
