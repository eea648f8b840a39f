"""Reading the ledger: revisions, what they changed, histories, diffs, undo, and whether the chain is whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from cmdb.errors import BadRequest, NotFound
from cmdb.model.catalogue import Catalogue
from cmdb.model.change_set import ChangeSet
from cmdb.model.composition import compose
from cmdb.model.identity import source_key
from cmdb.model.items import ItemChange
from cmdb.model.undoing import take_back
from cmdb.store.connection import Connection
from cmdb.store.ledger import RevisionRecord, StoredChange, restore_change
from cmdb.store.reading import holders_of
from cmdb.store.verification import BEGINNING, Checked, LedgerReport, verify_ledger

__all__ = ["AsOf", "History", "LedgerReport"]

# Not what the ledger node says: Neo4j makes a commit visible piece by piece, and that node up to 1.7 s (measured, 5,000
# items) before the revision's changes. What stands in the index of revisions is there with everything it changed.
HEAD = "MATCH (r:Revision) WHERE r.number > 0 RETURN r.number AS last ORDER BY r.number DESC LIMIT 1"
REVISIONS_UP = """
MATCH (r:Revision) WHERE r.number > $after AND r.number < $before
  AND ($actor IS NULL OR r.actor = $actor) AND ($source IS NULL OR r.source = $source)
WITH r ORDER BY r.number LIMIT $limit RETURN properties(r) AS revision
"""
REVISIONS_DOWN = """
MATCH (r:Revision) WHERE r.number > $after AND r.number < $before
  AND ($actor IS NULL OR r.actor = $actor) AND ($source IS NULL OR r.source = $source)
WITH r ORDER BY r.number DESC LIMIT $limit RETURN properties(r) AS revision
"""
# Packed into one row: each further row costs some 100 us, a change in it 20.
CHANGES = """
MATCH (r:Revision) WHERE r.number > $after AND r.number <= $until
MATCH (r)-[c:CHANGED]->(i)
WITH r.number AS number, i.id AS item, c ORDER BY number, item
RETURN collect([number, item, c.class, c.name, c.before, c.after, c.edges]) AS changes
"""
CHANGES_PAGES = """
UNWIND $numbers AS number
MATCH (r:Revision {number: number}) USING INDEX SEEK r:Revision(number)
CALL (r) {
  MATCH (r)-[c:CHANGED]->(i) WHERE i.id > $after
  WITH i.id AS item, c ORDER BY item LIMIT $first
  RETURN collect([item, c.class, c.name, c.before, c.after, c.edges]) AS changes
}
RETURN number, changes
"""
CHANGE_COUNTS = """
MATCH (r:Revision) WHERE r.number > $after AND r.number <= $until
WITH r ORDER BY r.number RETURN collect([r.number, r.changes_count]) AS counts
"""
ITEM_HISTORY_LIVE = """
MATCH (:Item {id: $id})<-[c:CHANGED]-(r:Revision) WHERE r.number < $before
WITH r, c ORDER BY r.number DESC LIMIT $limit RETURN properties(r) AS revision, properties(c) AS change
"""
ITEM_HISTORY_TOMBSTONE = """
MATCH (:Tombstone {id: $id})<-[c:CHANGED]-(r:Revision) WHERE r.number < $before
WITH r, c ORDER BY r.number DESC LIMIT $limit RETURN properties(r) AS revision, properties(c) AS change
"""
ITEM_HISTORY_ENTRY = """
MATCH (:CatalogueEntry {id: $id})<-[c:CHANGED]-(r:Revision) WHERE r.number < $before
WITH r, c ORDER BY r.number DESC LIMIT $limit RETURN properties(r) AS revision, properties(c) AS change
"""
REPORTED_KEYS = """
UNWIND $ids AS id MATCH (i:Tombstone {id: id})<-[r:REPORTED]-(s:Source) USING INDEX SEEK i:Tombstone(id)
WHERE r.native_key <> ''
RETURN id, s.name AS source, r.native_key AS key
"""
REVISION_AT = """
MATCH (r:Revision) WHERE r.recorded_at <= $time WITH r ORDER BY r.recorded_at DESC, r.number DESC LIMIT 1
RETURN r.number AS number
"""
FIRST_OF_REASON = "MATCH (r:Revision) WHERE r.reason = $reason RETURN min(r.number) AS number"

FOREVER = 2**62
CHANGES_CHUNK = 5_000
"""About how many changes are read at a time: unpacking them holds the event loop for some 15 ms."""
THREAD_FROM = 200
"""From this many on, changes are restored in a thread (20 us each)."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """A point in history: exactly one of a revision, an instant, or just before the first revision of a change."""

    revision: int | None = None
    time: str | None = None
    before_change: str | None = None


class History:
    """The ledger, read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def head(self) -> int:
        """The last revision's number; 0 before the first."""
        rows = await self._connection.read(HEAD, {})
        return int(rows[0]["last"]) if rows else 0

    async def revisions(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
        actor: str | None = None,
        source: str | None = None,
    ) -> list[RevisionRecord]:
        """Headers with `after` < number < `before`."""
        statement = REVISIONS_DOWN if newest_first else REVISIONS_UP
        bounds = {"after": after, "before": before if before is not None else FOREVER, "limit": limit}
        rows = await self._connection.read(statement, {**bounds, "actor": actor, "source": source})
        return [RevisionRecord.from_properties(row["revision"]) for row in rows]

    async def revision(self, number: int) -> RevisionRecord:
        """One header.

        Raises:
            NotFound: there is no such revision.
        """
        found = await self.revisions(after=number - 1, before=number + 1, limit=1)
        if not found:
            raise NotFound("revision", str(number), f"the last one is {await self.head()}")
        return found[0]

    async def changes(self, after: int, until: int) -> AsyncIterator[tuple[int, tuple[ItemChange, ...]]]:
        """What the revisions `after` < number <= `until` changed, in their order."""
        async for rows in self._packed_changes(after, until):
            large = len(rows) >= THREAD_FROM
            for revision in await asyncio.to_thread(_restored, rows) if large else _restored(rows):
                yield revision

    async def changes_pages(
        self, numbers: Sequence[int], first: int, after: str = ""
    ) -> dict[int, list[ItemChange]]:
        """The first changes of each revision, in the order of ids, of items beyond the id `after`."""
        asked = {"numbers": list(numbers), "first": first, "after": after}
        rows = await self._connection.read(CHANGES_PAGES, asked)
        return {
            row["number"]: [restore_change(StoredChange(*change)) for change in row["changes"]]
            for row in rows
        }

    async def _packed_changes(self, after: int, until: int) -> AsyncIterator[list[list[Any]]]:
        """The same as stored, some thousands at a time; the changes of one revision are never torn apart."""
        [row] = await self._connection.read(CHANGE_COUNTS, {"after": after, "until": until}, deadline=60)
        counts: list[tuple[int, int]] = row["counts"]
        position, first = 0, after
        while position < len(counts):
            total = 0
            while position < len(counts) and (total == 0 or total + counts[position][1] <= CHANGES_CHUNK):
                total += counts[position][1]
                position += 1
            last = counts[position - 1][0]
            [row] = await self._connection.read(CHANGES, {"after": first, "until": last}, deadline=60)
            yield row["changes"]
            first = last

    async def item_history(
        self, item_id: str, *, before: int | None = None, limit: int = 50
    ) -> list[tuple[RevisionRecord, ItemChange]]:
        """What happened to an item and its outgoing edges, newest first; also of one that is deleted.

        Raises:
            NotFound: the CMDB never had such an item.
        """
        parameters = {"id": item_id, "before": before if before is not None else FOREVER, "limit": limit}
        for statement in (ITEM_HISTORY_LIVE, ITEM_HISTORY_TOMBSTONE, ITEM_HISTORY_ENTRY):
            rows = await self._connection.read(statement, parameters)
            if rows:
                return [_entry(item_id, row) for row in rows]
        if before is None:
            raise NotFound("item", item_id)
        return []

    async def resolve(self, point: AsOf) -> int:
        """The revision number that a point in history means.

        Raises:
            BadRequest: it names none or several of the three, or lies in the future.
            NotFound: no revision carries that change as its reason.
        """
        given = [value for value in (point.revision, point.time, point.before_change) if value is not None]
        if len(given) != 1:
            raise BadRequest("a point in history is exactly one of: revision, time, beforeChange")
        if point.revision is not None:
            head = await self.head()
            if not 0 <= point.revision <= head:
                raise BadRequest(
                    f"revision {point.revision} does not exist; the ledger runs from 0 to {head}"
                )
            return point.revision
        if point.time is not None:
            rows = await self._connection.read(REVISION_AT, {"time": point.time})
            return int(rows[0]["number"]) if rows else 0
        rows = await self._connection.read(FIRST_OF_REASON, {"reason": point.before_change})
        if not rows or rows[0]["number"] is None:
            raise NotFound(
                "revision made for change", str(point.before_change), "no revision gives it as its reason"
            )
        return int(rows[0]["number"]) - 1

    async def diff(self, a: int, b: int, scope: frozenset[str] | None = None) -> list[ItemChange]:
        """The net changes from revision `a` to `b` (either order), of the items in `scope`, in the order of ids."""
        low, high = min(a, b), max(a, b)
        collected: list[ItemChange] = []
        async for _, changes in self.changes(low, high):
            collected.extend(c for c in changes if scope is None or c.item_id in scope)
        net = compose(collected)
        ordered = [net[item_id] for item_id in sorted(net)]
        return ordered if a <= b else [change.reversed() for change in ordered]

    async def undo(self, number: int, catalogue: Catalogue) -> ChangeSet:
        """The ChangeSet that takes a revision back. Applying it is the caller's; later changes to the same fields make
        it a conflict: it expects each item at the version that the revision left.

        Raises:
            NotFound: there is no such revision.
            BadRequest: it created catalogue entries, which can be replaced, not removed.
        """
        revision = await self.revision(number)
        async for _, changes in self.changes(number - 1, number):
            return take_back(
                number,
                changes,
                catalogue,
                message=revision.message,
                reason=revision.reason,
                keys=await self._native_keys(
                    [change.item_id for change in changes if change.kind == "deleted"]
                ),
            )
        raise NotFound("changes of revision", str(number), "verify the ledger: it has lost them")

    async def _native_keys(self, deleted: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The keys by which sources knew deleted items, as far as they are not another item's now."""
        if not deleted:
            return {}
        rows = await self._connection.read(REPORTED_KEYS, {"ids": list(deleted)})
        known = {source_key(row["source"], row["key"]): row["id"] for row in rows}
        held = await holders_of(self._connection, sorted(known))
        keys: dict[str, tuple[str, ...]] = {}
        for key, item in sorted(known.items()):
            if key not in held:
                keys[item] = (*keys.get(item, ()), key)
        return keys

    async def verify(
        self,
        progress: Callable[[int, int], None] | None = None,
        *,
        anchors: Mapping[int, str] | None = None,
        since: Checked = BEGINNING,
        seconds: float | None = None,
    ) -> LedgerReport:
        """Walk the chain, the whole of it or a step of about so many seconds; see `cmdb.store.verification`."""
        return await verify_ledger(
            self._connection, anchors=anchors, since=since, seconds=seconds, progress=progress
        )


def _restored(rows: Iterable[Sequence[Any]]) -> list[tuple[int, tuple[ItemChange, ...]]]:
    """Stored changes, in the order of revisions, as what each revision changed."""
    return [
        (number, tuple(restore_change(StoredChange(*change)) for _, *change in revision))
        for number, revision in groupby(rows, key=itemgetter(0))
    ]


def _entry(item_id: str, row: Any) -> tuple[RevisionRecord, ItemChange]:  # noqa: ANN401 - a driver record
    stored = StoredChange.from_properties(item_id, row["change"])
    return RevisionRecord.from_properties(row["revision"]), restore_change(stored)
