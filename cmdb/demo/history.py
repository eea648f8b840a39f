"""The records of the demo estate: a year of incidents, changes, problems, releases and outages.

`data/incidents.yaml` and `data/changes.yaml` declare patterns ("so many a year, on those CIs, with these words") and
`data/records.yaml` the records written by hand. Every draw follows from a digest of the pattern and a serial number,
so the same data give the same year. Does not touch the estate: records only point at its items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cmdb.demo.blueprint import Expansion, Item, digest_of, fill
from cmdb.errors import BadRequest

_PREFIXES = {
    "Incident": "INC",
    "Change": "CHG",
    "Problem": "PRB",
    "KnownError": "KER",
    "Release": "REL",
    "Outage": "OUT",
    "ServiceRequest": "REQ",
}
_CLOSING_DELAY = timedelta(days=3)
_YEAR = timedelta(days=364)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it stands at the reference time; `ended` is None while it is open."""

    ref: str
    class_name: str
    opened: datetime
    ended: datetime | None
    attributes: Mapping[str, Any]
    edges: tuple[tuple[str, str], ...]
    """(relationship type, reference of the target)"""

    def to_observed(self) -> dict[str, Any]:
        """As an item of an Observation."""
        return {
            "ref": self.ref,
            "class": self.class_name,
            "key": self.ref,
            "attributes": dict(self.attributes),
        }


def make_records(estate: Expansion, declared: Mapping[str, Any], reference: datetime) -> list[Record]:
    """All records as of `reference`, numbered in the order in which they were opened.

    `declared` holds the data files' `incident_patterns`, `change_patterns`, `records`, `priorities` and `frozen` times.

    Raises `BadRequest` when a record points at an item that is not there.
    """
    records: list[Record] = []
    for pattern in declared["incident_patterns"]:
        records.extend(_incidents(estate, pattern, declared["priorities"], reference))
    for pattern in declared["change_patterns"]:
        records.extend(_changes(estate, pattern, declared, reference))
    for written in declared["records"]:
        records.extend(_written(written, reference))
    numbered = _number(records)
    known = estate.items.keys() | {record.ref for record in numbered}
    for record in numbered:
        for edge_type, target in record.edges:
            if target not in known:
                raise BadRequest(
                    f"demo data: {record.ref} -{edge_type}-> {target!r}, which is not declared; mend the name"
                )
    return numbered


def instant(moment: datetime) -> str:
    """A time as the Observation writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def _incidents(
    estate: Expansion,
    pattern: Mapping[str, Any],
    priorities: Mapping[str, Mapping[str, str]],
    reference: datetime,
) -> Iterator[Record]:
    for serial in range(pattern["count"]):
        key = (pattern["summary"], serial)
        item = _pick(_targets(estate, pattern["target"]), *key, "item")
        opened = _moment(pattern.get("when", "any"), reference, key)
        low, high = pattern["minutes"]
        words = {**item.variables, "ci": item.attributes["name"]}
        affected = [item.ref, *fill(pattern.get("also", []), item.variables)]
        yield _incident(
            ref=f"incident/{pattern['id']}/{serial + 1}",
            opened=opened,
            minutes=round(low * (high / low) ** _fraction(*key, "minutes")),
            reference=reference,
            attributes={
                "summary": fill(pattern["summary"], words),
                "impact": pattern["impact"],
                "urgency": pattern["urgency"],
                "priority": priorities[pattern["impact"]][pattern["urgency"]],
                "category": pattern["category"],
                "channel": pattern["channel"],
            },
            resolution=_pick(pattern["resolutions"], *key, "resolution"),
            edges=[
                *(("AFFECTS", ref) for ref in affected),
                ("ASSIGNED_TO", pattern.get("team") or item.attributes["owner"]),
            ],
        )


def _incident(
    *,
    ref: str,
    opened: datetime,
    minutes: int | None,
    reference: datetime,
    attributes: Mapping[str, Any],
    resolution: str | None,
    edges: Iterable[tuple[str, str]],
) -> Record:
    """An incident in the state it has reached at the reference time; `minutes` None: nobody has solved it yet."""
    facts = {**attributes, "opened_at": instant(opened)}
    responded = opened + timedelta(minutes=3 + round(25 * _fraction(ref, "response")))
    resolved = None if minutes is None else max(opened + timedelta(minutes=minutes), responded)
    state, ended = "new", None
    if responded <= reference:
        state = "in_progress"
        facts["responded_at"] = instant(responded)
    if resolved is not None and resolved <= reference:
        state = "resolved"
        facts |= {"resolved_at": instant(resolved), "resolution": resolution}
        if resolved + _CLOSING_DELAY <= reference:
            state, ended = "closed", resolved + _CLOSING_DELAY
            facts["closed_at"] = instant(ended)
    return Record(
        ref=ref,
        class_name="Incident",
        opened=opened,
        ended=ended,
        attributes={**facts, "lifecycle": facts.get("lifecycle", state)},
        edges=tuple(edges),
    )


def _changes(
    estate: Expansion, pattern: Mapping[str, Any], declared: Mapping[str, Any], reference: datetime
) -> Iterator[Record]:
    for serial in range(pattern["count"]):
        key = (pattern["summary"], serial)
        item = _pick(_targets(estate, pattern["target"]), *key, "item")
        start = _moment(pattern["when"], reference, key, frozen=declared["frozen"])
        low, high = pattern["minutes"]
        end = start + timedelta(minutes=5 * round((low + (high - low) * _fraction(*key, "minutes")) / 5))
        words = {**item.variables, "ci": item.attributes["name"], "step": serial + 1}
        ref = f"change/{pattern['id']}/{serial + 1}"
        trouble = _fraction(*key, "trouble") < pattern.get("trouble", 0)
        outcome = "successful"
        if trouble:
            outcome = "backed_out" if _fraction(*key, "outcome") < 0.4 else "successful_with_problems"
        team = pattern.get("team") or item.attributes["owner"]
        opened = start - timedelta(days=1 + round(9 * _fraction(*key, "lead")), minutes=17)
        yield Record(
            ref=ref,
            class_name="Change",
            opened=opened,
            ended=end + timedelta(days=1),
            attributes={
                "summary": fill(pattern["summary"], words),
                "change_type": pattern["change_type"],
                "category": pattern["category"],
                "risk": pattern["risk"],
                "effect": pattern["effect"],
                "justification": pattern["why"],
                "implementation_plan": fill(pattern["plan"], words),
                "back_out_plan": fill(pattern["back_out"], words),
                "opened_at": instant(opened),
                "planned_start": instant(start),
                "planned_end": instant(end + timedelta(minutes=30)),
                "actual_start": instant(start + timedelta(minutes=2)),
                "actual_end": instant(end),
                "closed_at": instant(end + timedelta(days=1)),
                "outcome": outcome,
                "lifecycle": "closed",
            },
            edges=(
                ("AFFECTS", item.ref),
                ("REQUESTED_BY", team),
                ("ASSIGNED_TO", team),
                *((("APPROVED_BY", "Bernd Huber"),) if pattern["change_type"] == "normal" else ()),
            ),
        )
        if trouble:
            after = pattern["aftermath"]
            yield _incident(
                ref=f"incident/{ref}",
                opened=end + timedelta(minutes=8 + round(170 * _fraction(*key, "after"))),
                minutes=20 + round(150 * _fraction(*key, "repair")),
                reference=reference,
                attributes={
                    "summary": fill(after["summary"], words),
                    "impact": after["impact"],
                    "urgency": "high",
                    "priority": declared["priorities"][after["impact"]]["high"],
                    "category": pattern["category"],
                    "channel": "monitoring",
                },
                resolution=fill(after["resolution"], words),
                edges=[("AFFECTS", item.ref), ("CAUSED_BY", ref), ("ASSIGNED_TO", team)],
            )


def _written(written: Mapping[str, Any], reference: datetime) -> Iterator[Record]:
    """A record written by hand, with the outages of the services it names."""
    opened = written["at"].astimezone(UTC)
    edges = [
        (edge_type, ref) for edge_type, refs in written.get("edges", {}).items() for ref in _listed(refs)
    ]
    attributes = fill(_verbatim(written["attributes"]), {})
    if written["class"] == "Incident":
        record = _incident(
            ref=written["id"],
            opened=opened,
            minutes=written.get("minutes"),
            reference=reference,
            attributes=attributes,
            resolution=written.get("resolution"),
            edges=edges,
        )
    else:
        closed = attributes.get("closed_at")
        record = Record(
            ref=written["id"],
            class_name=written["class"],
            opened=opened,
            ended=datetime.fromisoformat(closed) if closed else None,
            attributes={"opened_at": instant(opened), **attributes},
            edges=tuple(edges),
        )
    yield record
    for service, minutes in written.get("outage_minutes", {}).items():
        ended = opened + timedelta(minutes=minutes)
        yield Record(
            ref=f"outage/{written['id']}/{service}",
            class_name="Outage",
            opened=opened,
            ended=ended,
            attributes={
                "summary": f"{service}: {written['attributes']['summary']}",
                "kind": written.get("outage_kind", "outage"),
                "opened_at": instant(opened),
                "started_at": instant(opened),
                "ended_at": instant(ended),
                "lifecycle": "ended",
            },
            edges=(("AFFECTS", service), ("CAUSED_BY", written["id"])),
        )


def _verbatim(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Hand-written words hold no variables; braces in them are braces."""
    return {
        name: value.replace("{", "{{").replace("}", "}}") if isinstance(value, str) else value
        for name, value in attributes.items()
    }


def _number(records: Iterable[Record]) -> list[Record]:
    """Give each its number, which is its name too, by class and time of opening."""
    counts = dict.fromkeys(_PREFIXES, 0)
    numbered = []
    for record in sorted(records, key=lambda each: (each.opened, each.ref)):
        counts[record.class_name] += 1
        number = f"{_PREFIXES[record.class_name]}-{counts[record.class_name]:04}"
        numbered.append(replace(record, attributes={"name": number, "number": number, **record.attributes}))
    return numbered


def _targets(estate: Expansion, target: Mapping[str, Any]) -> list[Item]:
    members = estate.sets[target["of"]]
    wanted = target.get("where", {})
    return [
        item for item in members if all(item.variables.get(name) == value for name, value in wanted.items())
    ]


def _moment(
    when: str, reference: datetime, key: Sequence[object], frozen: Sequence[Sequence[datetime]] = ()
) -> datetime:
    """A time in the year before `reference`: any, office, shop (hours), night or sunday (change windows)."""
    for attempt in range(100):
        day = (reference - _YEAR + timedelta(days=int(362 * _fraction(*key, attempt, "day")))).replace(hour=0)
        minute = round(60 * 24 * _fraction(*key, attempt, "minute")) % 1440
        if when == "office":
            day += timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)
            minute = 6 * 60 + minute * 11 // 24
        elif when == "shop":
            day += timedelta(days=1 if day.weekday() == 6 else 0)
            minute = 8 * 60 + minute * 10 // 24
        elif when == "night":
            day += timedelta(days=min((1 - day.weekday()) % 7, (3 - day.weekday()) % 7))
            minute = 20 * 60 + minute // 24
        elif when == "sunday":
            first = day.replace(day=1)
            day = first + timedelta(days=(6 - first.weekday()) % 7 + 14)
            minute = 3 * 60 + minute // 24
        moment = day + timedelta(minutes=minute)
        outside = reference - _YEAR <= moment <= reference - timedelta(days=1)
        if outside and not any(start <= moment <= end for start, end in frozen):
            return moment
    raise BadRequest(f"demo data: no free {when} moment for {key[0]!r}; thin out the frozen times")


def _fraction(*parts: object) -> float:
    """A number from 0 up to but not including 1 that follows from the parts alone."""
    return int.from_bytes(digest_of(*parts)[:6]) / 2**48


def _pick(choices: Sequence[T], *parts: object) -> T:
    return choices[int(len(choices) * _fraction(*parts))]


def _listed(refs: str | list[str]) -> list[str]:
    return [refs] if isinstance(refs, str) else refs
