"""A ChangeSet: what somebody wants to be different, as pure data. Nothing else changes the CMDB.

Fields and facts are given raw, as the caller has them; `cmdb.model.planning` checks and normalises them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cmdb.errors import InvalidValue, Problem, ValidationFailed
from cmdb.model.items import EdgeFacts, EdgeKey
from cmdb.model.values import check_text

OPERATIONS_LIMIT = 20_000
"""Most operations in one ChangeSet: the size of one bounded transaction."""
MESSAGE_LIMIT = 4_000
REASON_LIMIT = 500
"""Most characters of a reason: Neo4j indexes it."""
NATIVE_KEY_LIMIT = 1_500
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


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
    """Delete an item with every edge from and to it; a tombstone keeps its history.

    `class_name`: the class it must be of (or descend from), where the caller means only such. `unlinked`: an edge that
    arrives at it, from an item that stays, is an error.
    """

    id: str
    class_name: str | None = None
    unlinked: bool = False


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
    """Add or replace catalogue entries, in the form in which they are written. `replaces`: what they must still be."""

    entries: Mapping[str, Any]
    replaces: Mapping[str, Any] = field(default_factory=dict)


Operation = PutItem | DeleteItem | PutEdge | DeleteEdge | PutEntries


@dataclass(frozen=True, slots=True)
class ReportedItem:
    """What a source says of an item under one of its keys: JSON of its own values, and a digest of that.

    `values` is None where the source said the same before: then it is only seen again.
    """

    item: str
    native_key: str
    digest: str
    values: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a ChangeSet brings in of a source's report, kept with it: all of both or nothing.

    `seen_at` is the source's time. `known` tells, by item that the ChangeSet is about, when the source had last spoken
    of it as far as the report was planned by ("" for never): if it has spoken again since, the ChangeSet is refused.
    """

    seen_at: str
    known: Mapping[str, str]
    items: tuple[ReportedItem, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Operations that happen together or not at all, with the reason (a change record's id, say) and a message.

    `expected` gives versions that items must still have. `keys` are identity keys of the form `@source/native key` per
    item id, which discovery claims for its source; `report` is what that said.
    """

    operations: tuple[Operation, ...]
    message: str = ""
    reason: str = ""
    expected: Mapping[str, int] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class Authorship:
    """Who writes, and for which source and run. `source` and `run` are empty for people."""

    actor: str
    source: str = ""
    run: str = ""


def check_change_set(change_set: ChangeSet, author: Authorship) -> None:
    """Nothing, if the ChangeSet can be handed to Neo4j: what it says is checked against the catalogue later.

    Raises:
        ValidationFailed: with every problem found.
    """
    problems = [Problem(where, "INVALID_VALUE", fault) for where, fault in _faults(change_set, author)]
    if len(change_set.operations) > OPERATIONS_LIMIT:
        fault = (
            f"{len(change_set.operations)} operations; at most {OPERATIONS_LIMIT} in one ChangeSet, split it"
        )
        problems.insert(0, Problem("operations", "TOO_MANY", fault))
    if problems:
        raise ValidationFailed(problems)


def _faults(change_set: ChangeSet, author: Authorship) -> Iterator[tuple[str, str]]:
    texts = {
        "message": (change_set.message, MESSAGE_LIMIT),
        "reason": (change_set.reason, REASON_LIMIT),
        "actor": (author.actor, REASON_LIMIT),
        "source": (author.source, REASON_LIMIT),
        "run": (author.run, REASON_LIMIT),
    }
    for where, (text, limit) in texts.items():
        yield from _text_faults(where, text, limit)
    for index, operation in enumerate(change_set.operations):
        where = f"operations[{index}]"
        if isinstance(operation, PutItem | DeleteItem):
            yield from _id_faults(f"{where}.id", operation.id)
        elif isinstance(operation, PutEdge | DeleteEdge):
            yield from _id_faults(f"{where}.from", operation.key.source)
            yield from _id_faults(f"{where}.to", operation.key.target)
    for item_id, version in change_set.expected.items():
        yield from _id_faults("expected", item_id)
        if isinstance(version, bool) or not isinstance(version, int):
            yield f"expected.{item_id}"[:200], "a version is a number"
    for item_id, keys in change_set.keys.items():
        yield from _id_faults("keys", item_id)
        for key in keys:
            yield from _text_faults("keys", key, NATIVE_KEY_LIMIT)
            if not key.startswith("@"):
                yield "keys", "the key of a source begins with @; others follow from the identity rules"


def _text_faults(where: str, text: str, limit: int) -> Iterator[tuple[str, str]]:
    try:
        check_text(text)
    except InvalidValue as error:
        yield where, str(error)
        return
    if len(text) > limit:
        yield where, f"{len(text)} characters; at most {limit} are allowed"


def _id_faults(where: str, item_id: object) -> Iterator[tuple[str, str]]:
    if not isinstance(item_id, str) or not _ID.fullmatch(item_id):
        yield where, f"{item_id!r:.80} is no id: up to 64 letters, digits, dots, dashes and underscores"
