"""Every error the CMDB raises on purpose, as one tree.

    CmdbError
     +- CatalogueError          a catalogue entry is wrong, or a name is not in the catalogue
     +- InvalidValue            a value does not fit its attribute type
     +- ValidationFailed        a ChangeSet breaks the catalogue's rules: all problems at once
     +- NotFound                no such item, edge, revision, baseline, ...
     +- Ambiguous               a name means more than one item; lists the candidates
     +- Conflict                somebody else changed it first (stale version, taken identity, reused key)
     |   +- StaleVersion
     |   +- IdentityTaken
     |   +- IdempotencyMismatch
     |   +- Overtaken
     +- BadRequest              an argument that makes no sense (cursor, as-of, page size, format)
     +- Unauthenticated         no token, or one that is not (or no longer) good
     +- Forbidden               known, but not allowed
     +- StoreUnavailable        Neo4j cannot be reached or is not well; try again after `retry_after` seconds
         +- DeadlineExceeded    it did not answer in time

Each class carries a stable `code`; `facts()` gives the machine-readable part. An error says what was seen, where, and
the way out. Whether a retry can help is `retryable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class CmdbError(Exception):
    """The base of all; never raised itself."""

    code: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def facts(self) -> Mapping[str, Any]:
        """The JSON-able facts beside the message; keys are stable."""
        return {}


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: where (`operations[3].attributes.memory`), which rule (`code`), and in words."""

    where: str
    code: str
    message: str

    def to_record(self) -> dict[str, str]:
        """As a JSON object."""
        return {"where": self.where, "code": self.code, "message": self.message}


class CatalogueError(CmdbError):
    """A catalogue entry is wrong. `entry` names it, the message names the fault and the way out."""

    code = "CATALOGUE_INVALID"

    def __init__(self, entry: str, fault: str, way_out: str) -> None:
        super().__init__(f"catalogue entry {entry}: {fault}; {way_out}")
        self.entry = entry
        self.fault = fault
        self.way_out = way_out

    def facts(self) -> Mapping[str, Any]:
        """See `CmdbError.facts`."""
        return {"entry": self.entry, "fault": self.fault, "wayOut": self.way_out}


class InvalidValue(CmdbError):
    """A value that cannot be brought into the normal form of its attribute type."""

    code = "INVALID_VALUE"


class ValidationFailed(CmdbError):
    """A ChangeSet that breaks rules; `problems` has every one of them, in the order of the operations."""

    code = "VALIDATION_FAILED"

    def __init__(self, problems: Sequence[Problem]) -> None:
        shown = "; ".join(f"{p.where}: {p.message}" for p in problems[:5])
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        super().__init__(f"{len(problems)} problem(s): {shown}{more}")
        self.problems = tuple(problems)

    def facts(self) -> Mapping[str, Any]:
        """See `CmdbError.facts`."""
        return {"problems": [p.to_record() for p in self.problems]}


class NotFound(CmdbError):
    """There is no such thing (or the caller may not know that there is)."""

    code = "NOT_FOUND"

    def __init__(self, kind: str, key: str, way_out: str = "") -> None:
        super().__init__(f"no {kind} {key!r}" + (f"; {way_out}" if way_out else ""))
        self.kind = kind
        self.key = key

    def facts(self) -> Mapping[str, Any]:
        """See `CmdbError.facts`."""
        return {"kind": self.kind, "key": self.key}


class Ambiguous(CmdbError):
    """A name that more than one item answers to; `candidates` are (id, class, name)."""

    code = "AMBIGUOUS"

    def __init__(self, name: str, candidates: Sequence[tuple[str, str, str]]) -> None:
        listed = ", ".join(
            f"{class_name}/{item_name} ({item_id})" for item_id, class_name, item_name in candidates
        )
        super().__init__(f"{name!r} names {len(candidates)} items: {listed}; give the id or Class/name")
        self.candidates = tuple(candidates)

    def facts(self) -> Mapping[str, Any]:
        """See `CmdbError.facts`."""
        return {"candidates": [{"id": i, "class": c, "name": n} for i, c, n in self.candidates]}


class Conflict(CmdbError):
    """The state moved on, or the key is taken."""

    code = "CONFLICT"


class StaleVersion(Conflict):
    """An expected version is no longer the current one; `changes` tells what was done since, and by whom."""

    code = "STALE_VERSION"

    def __init__(
        self, item: str, expected: int, found: int, changes: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        since = "".join(
            f"; revision {c['revision']} by {c['actor']} changed {', '.join(c['changed'])}" for c in changes
        )
        super().__init__(
            f"item {item} is at version {found}, not {expected}{since}; read it again and decide anew"
        )
        self.item = item
        self.expected = expected
        self.found = found
        self.changes = tuple(changes)

    def facts(self) -> Mapping[str, Any]:
        """See `CmdbError.facts`."""
        return {
            "item": self.item,
            "expected": self.expected,
            "found": self.found,
            "changes": list(self.changes),
        }


class IdentityTaken(Conflict):
    """An identity key already belongs to another item."""

    code = "IDENTITY_TAKEN"

    def __init__(self, key: str, holder: str, claimant: str) -> None:
        super().__init__(
            f"identity {key} belongs to item {holder}, item {claimant} cannot have it too; "
            "change that item instead, or give an identity of its own"
        )
        self.key = key
        self.holder = holder
        self.claimant = claimant

    def facts(self) -> Mapping[str, Any]:
        """See `CmdbError.facts`."""
        return {"key": self.key, "holder": self.holder, "claimant": self.claimant}


class IdempotencyMismatch(Conflict):
    """An idempotency key that was used before, for something else."""

    code = "IDEMPOTENCY_MISMATCH"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"idempotency key {key!r} was used for a different request; use a new key for a new request"
        )
        self.key = key

    def facts(self) -> Mapping[str, Any]:
        """See `CmdbError.facts`."""
        return {"key": self.key}


class Overtaken(Conflict):
    """A report was planned by what its source had said, and meanwhile another report of that source came in."""

    code = "OVERTAKEN"
    retryable = True

    def __init__(self, source: str, item: str) -> None:
        super().__init__(
            f"another report of {source} about item {item} came in meanwhile; send this one again, what is older gives "
            "way"
        )
        self.source = source
        self.item = item

    def facts(self) -> Mapping[str, Any]:
        """See `CmdbError.facts`."""
        return {"source": self.source, "item": self.item}


class BadRequest(CmdbError):
    """An argument that makes no sense; the message says which and what would."""

    code = "BAD_REQUEST"


class Unauthenticated(CmdbError):
    """No token, or one that is unknown, expired or revoked (which of them is not told to strangers)."""

    code = "UNAUTHENTICATED"


class Forbidden(CmdbError):
    """The caller is known and lacks the right."""

    code = "FORBIDDEN"


class StoreUnavailable(CmdbError):
    """Neo4j cannot be reached or is not well. Nothing is known to have been written; `retry_after` is in seconds."""

    code = "UNAVAILABLE"
    retryable = True

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def facts(self) -> Mapping[str, Any]:
        """See `CmdbError.facts`."""
        return {"retryAfter": self.retry_after}


class DeadlineExceeded(StoreUnavailable):
    """The store did not answer in time. A write may or may not have happened: repeat it with the same key."""

    code = "DEADLINE_EXCEEDED"
