"""The JSON form of `cmdb impact`, as types; see `cmdb.cli.records` for what all of them have in common."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from cmdb.cli.records import ItemRecord


class MemberRecord(TypedDict):
    """A member of a gate, with its state in the answer."""

    id: str
    name: str
    state: str


class FactRecord(TypedDict):
    """One reason for a state: `code` is one of `impact.explanation.FactCode`; gates have the other keys."""

    code: str
    group: str | None
    required: int | None
    up: int | None
    members: list[MemberRecord]


AffectedRecord = TypedDict(
    "AffectedRecord",
    {
        "id": str,
        "class": str,
        "name": str,
        "layer": NotRequired[str],
        "because": list[FactRecord],
        "path": NotRequired[list[str]],
    },
)
"""A CI that the failure reaches, and why it is in its state; `path`: ids of the shortest chain of causes, from
it to one that failed."""


ServiceRecord = TypedDict(
    "ServiceRecord",
    {
        "id": str,
        "class": NotRequired[str],
        "name": str,
        "state": str,
        "because": NotRequired[list[FactRecord]],
    },
)
"""A service that the failure reaches."""


PartyRecord = TypedDict("PartyRecord", {"id": str, "class": str, "name": str, "worst": str, "items": int})
"""Somebody concerned: the worst state of what is theirs, and how many items of theirs are affected."""


TermRecord = TypedDict("TermRecord", {"id": str, "class": str, "name": str})
"""An item of an answer, named."""


class LostTimeRecord(TypedDict):
    """A service that is down: the agreed time it loses, by which calendars; none of them: round the clock."""

    service: TermRecord
    before: str
    lost: str
    calendars: list[str]


TargetOutlookRecord = TypedDict(
    "TargetOutlookRecord",
    {
        "service": TermRecord,
        "before": str,
        "agreement": TermRecord,
        "target": TermRecord,
        "measure": str,
        "goal": float | None,
        "priority": str | None,
        "outlook": str,
        "period": str | None,
        "from": str,
        "to": str,
        "allowed": str,
        "down_before": str,
        "lost": str,
        "left": str,
    },
)
"""What is left of a target in a calendar period (null: in the failure itself); `outlook` is broken, broken_before or
kept. Lengths of time are ISO 8601."""


ServiceTimeRecord = TypedDict(
    "ServiceTimeRecord",
    {
        "from": str,
        "to": str,
        "services_down": int,
        "unagreed": int,
        "worked_out": int,
        "truncated": bool,
        "lost": str,
        "judged": int,
        "broken": int,
        "broken_by_priority": int,
        "broken_before": int,
        "services": list[LostTimeRecord],
        "targets": list[TargetOutlookRecord],
        "set_aside": list[dict[str, str]],
    },
)
"""What a failure from-to takes of agreed service time; the first 100 services and targets."""


DownRecord = TypedDict(
    "DownRecord", {"id": str, "class": str, "name": str, "item_count": int, "items": list[TermRecord]}
)
"""An outage, change or incident, and what it says is down: how many items, and the first 10 of them."""


class ImpactRecord(TypedDict):
    """`cmdb impact`: who is in which state if the `failed` fail together.

    The lists of parties have the first 20 of each; `concerned`: how many services and parties there are.
    `added`: how many are worse off than with what was down already. `truncated`: the lists by state are not whole.
    `service_time`: where it was said how long the failure lasts. `already_down_by`: where records were asked what is
    down, those that say so (the first 100 of `already_down_by_count`); `failed_by_records`: of the failed those that
    nobody named.
    """

    revision: int
    failed: list[ItemRecord]
    counts: dict[str, int]
    added: int
    truncated: bool
    down: list[AffectedRecord]
    degraded: list[AffectedRecord]
    at_risk: list[AffectedRecord]
    reduced: list[AffectedRecord]
    protected: list[AffectedRecord]
    services: list[ServiceRecord]
    customers: list[PartyRecord]
    teams: list[PartyRecord]
    owners: list[PartyRecord]
    agreements: list[PartyRecord]
    concerned: dict[str, int]
    service_time: NotRequired[ServiceTimeRecord]
    already_down_by_count: NotRequired[int]
    already_down_by: NotRequired[list[DownRecord]]
    failed_by_records: NotRequired[list[ItemRecord]]
