"""Runs: what a source looked at and when, what is old news, and what it said that must be kept. Pure.

Time seen decides: a report older than the last one about an item changes nothing of it. A source's clock is only
believed as far as now: a time to come would make every later report old news.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from cmdb.model.change_set import ReportedItem
from cmdb.model.items import new_id
from cmdb.model.values import format_instant
from cmdb.store.observations import DiscoveryRun, Mark
from discovery.identification import Identity
from discovery.observation import Observation
from discovery.plan import State


def start_run(observation: Observation, now: datetime) -> DiscoveryRun:
    """The run that a report belongs to, begun at `now`; a report without a run is one of its own."""
    started = now.astimezone(UTC)
    seen = min(observation.seen_at or started, started)
    run = observation.run or new_id()
    return DiscoveryRun(
        id=f"{observation.source.replace('%', '%25').replace('/', '%2F')}/{run}",
        source=observation.source,
        run=run,
        scope=observation.scope,
        complete=observation.complete,
        seen_at=format_instant(seen),
        started_at=format_instant(started),
        items=len(observation.items),
        edges=len(observation.edges),
    )


def last_spoken(marks: Mapping[str, Sequence[Mark]]) -> dict[str, str]:
    """When the source last spoke of each item."""
    return {item: max(mark.last_seen for mark in said) for item, said in marks.items()}


def outdated_items(identities: Sequence[Identity], last: Mapping[str, str], seen_at: str) -> frozenset[int]:
    """Items, by index, of which the source has told something newer (`last`, by item) than `seen_at`."""
    return frozenset(i for i, identity in enumerate(identities) if last.get(identity.id, "") > seen_at)


def reported_items(
    observation: Observation,
    identities: Sequence[Identity],
    states: Sequence[State],
    marks: Mapping[str, Sequence[Mark]],
) -> dict[str, list[ReportedItem]]:
    """What the source says of each item that was taken, to be kept as its own values; by item."""
    known = {(item, mark.native_key, mark.digest) for item, said in marks.items() for mark in said}
    rows: dict[tuple[str, str], ReportedItem] = {}
    for item, identity, state in zip(observation.items, identities, states, strict=True):
        if state not in ("refused", "outdated"):
            said = {"class": item.class_name, **item.attributes}
            values = msgspec.json.encode(said, order="sorted")
            digest = hashlib.sha256(values).hexdigest()
            again = (identity.id, item.key, digest) in known
            rows[identity.id, item.key] = ReportedItem(
                identity.id, item.key, digest, None if again else values.decode()
            )
    reported: dict[str, list[ReportedItem]] = {}
    for row in rows.values():
        reported.setdefault(row.item, []).append(row)
    return reported
