"""The picture of an impact answer: the verdict in one line, the services, then who is in which state and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cmdb.cli.impact_records import (
    AffectedRecord,
    DownRecord,
    FactRecord,
    ImpactRecord,
    MemberRecord,
    PartyRecord,
    ServiceRecord,
)
from cmdb.cli.service_time import service_time_picture
from cmdb.cli.terminal import LAYER_STYLES, STATE_STYLES, plain_table, plural, shown, state_text

_MEMBERS_SHOWN = 4
_REASONS_SHOWN = 2
_NAMES_SHOWN = 12
_BUSINESS_FIRST = ("BusinessService", "ApplicationService")
_SAVED = frozenset({"reduced", "protected", "up"})


def impact_picture(impact: ImpactRecord, *, rows: int | None = 15) -> Iterator[RenderableType]:
    """The whole answer; of each list at most `rows` (None: all, and what is reduced or protected too).

    Services that redundancy saved are named in a line.
    """
    yield verdict(impact)
    if impact.get("already_down_by"):
        yield _on_record(impact["already_down_by"], impact["already_down_by_count"])
    if impact["services"]:
        yield Text()
        yield from _services(impact["services"], rows)
    else:
        yield Text("No service is reached.", style="green")
    yield from _parties(impact)
    if "service_time" in impact:
        yield Text()
        yield from service_time_picture(impact["service_time"], rows)
    failed = {item["id"] for item in impact["failed"]}
    states: list[tuple[str, list[AffectedRecord]]] = [
        ("down", impact["down"]),
        ("degraded", impact["degraded"]),
        ("at_risk", impact["at_risk"]),
    ]
    if rows is None:
        states += [("reduced", impact["reduced"]), ("protected", impact["protected"])]
    for state, affected in states:
        others = [item for item in affected if item["id"] not in failed]
        if others:
            yield Text()
            yield _affected(state, others, rows)
    unharmed = [(impact["counts"][state], state) for state in ("reduced", "protected")]
    left = " and ".join(f"{number:,} {state}" for number, state in unharmed if number)
    if rows is not None and left:
        yield Text()
        yield Text(f"… and {left}; --all shows them", "dim")
    if impact["truncated"]:
        yield Text()
        yield Text("The answer is large: the first of each state are explained; --bulk writes all.", "dim")


def _parties(impact: ImpactRecord) -> Iterator[RenderableType]:
    """A line for each kind of party that is concerned, the worst off first."""
    counts = impact["concerned"]
    kinds: tuple[tuple[str, Sequence[PartyRecord], int], ...] = (
        ("Customers", impact["customers"], counts["customers"]),
        ("Teams", impact["teams"], counts["teams"]),
        ("Owners", impact["owners"], counts["owners"]),
        ("Agreements", impact["agreements"], counts["agreements"]),
    )
    first = True
    for heading, parties, number in kinds:
        if not parties:
            continue
        if first:
            yield Text()
            first = False
        named = Text(", ").join(
            Text(f"{shown(party['name'])} ").append_text(state_text(party["worst"]))
            for party in parties[:_NAMES_SHOWN]
        )
        if number > _NAMES_SHOWN:
            named.append(f" and {number - _NAMES_SHOWN:,} more")
        yield Text(f"{heading}: ", style="bold").append_text(named)


def verdict(impact: ImpactRecord) -> Text:
    """`If muc-pdu-a fails: 6 down, 2 at risk, 31 protected (revision 12)`; the failed CIs count as down."""
    recorded = impact.get("failed_by_records", [])
    names = [shown(item["name"]) for item in impact["failed"] if item not in recorded]
    if names:
        text = Text(f"If {_listed(names)} {'fails' if len(names) == 1 else 'fail together'}", style="bold")
        text.append(f", with {len(recorded):,} more down on record: " if recorded else ": ")
    else:
        text = Text(
            "Down now by the records: " if recorded else "By the records nothing is down", style="bold"
        )
    parts = [
        (state, number) for state, number in impact["counts"].items() if number and state in STATE_STYLES
    ]
    for index, (state, number) in enumerate(parts):
        text.append(f"{number:,} {state.replace('_', ' ')}", style=STATE_STYLES[state][1])
        text.append(", " if index + 1 < len(parts) else "")
    text.append(f"  (revision {impact['revision']})", style="dim")
    return text


def _on_record(records: Sequence[DownRecord], number: int) -> Text:
    """The records that say what is down already, with what each says."""
    told = [
        Text(shown(record["name"]))
        .append(f" {record['class'].lower()}", "dim")
        .append(f" ({_listed([shown(item['name']) for item in record['items']], record['item_count'])})")
        for record in records[:_NAMES_SHOWN]
    ]
    text = Text("On record: ", style="bold").append_text(Text(", ").join(told))
    if number > len(told):
        text.append(f" and {number - len(told):,} more")
    return text


def _services(services: Sequence[ServiceRecord], rows: int | None) -> Iterator[RenderableType]:
    """Those that suffer as a table, business services first within a state; those that do not in one line."""
    states = list(STATE_STYLES)

    def rank(service: ServiceRecord) -> tuple[int, int]:
        kind = service.get("class", "")
        place = _BUSINESS_FIRST.index(kind) if kind in _BUSINESS_FIRST else len(_BUSINESS_FIRST)
        return states.index(service["state"]) if service["state"] in states else len(states), place

    ordered = sorted(services, key=rank)
    suffering = [service for service in ordered if service["state"] not in _SAVED]
    if suffering:
        counts = Counter(service["state"] for service in suffering)
        title = ", ".join(f"{number:,} {state.replace('_', ' ')}" for state, number in counts.items())
        table = plain_table(f"Services: {title}", ("state", "service", "class", "because"))
        for service in suffering[:rows]:
            name = Text(shown(service["name"]), style="bold")
            kind = Text(service.get("class", ""), style="dim")
            table.add_row(state_text(service["state"]), name, kind, _reasons(service.get("because", ())))
        yield table
        if rows is not None and len(suffering) > rows:
            yield _cut(len(suffering) - rows)
    saved = [service for service in ordered if service["state"] in _SAVED]
    if saved:
        saved.sort(key=lambda service: rank(service)[1])
        named = ", ".join(shown(service["name"]) for service in saved[:_NAMES_SHOWN])
        more = f" and {len(saved) - _NAMES_SHOWN:,} more" if len(saved) > _NAMES_SHOWN else ""
        yield Text.assemble((f"Unharmed, {plural(len(saved), 'service')}: ", "bold green"), named + more)


def _affected(state: str, affected: Sequence[AffectedRecord], rows: int | None) -> Table:
    table = plain_table(
        state.replace("_", " ").capitalize(), ("name", "class", "because"), STATE_STYLES[state][1]
    )
    for item in affected[:rows]:
        name = Text(shown(item["name"]), style=LAYER_STYLES.get(item.get("layer", ""), ""))
        table.add_row(name, Text(item["class"], style="dim"), _reasons(item["because"]))
    if rows is not None and len(affected) > rows:
        table.add_row(_cut(len(affected) - rows))
    return table


def _reasons(facts: Sequence[FactRecord]) -> Text:
    words = [fact_words(fact) for fact in facts[:_REASONS_SHOWN]]
    if len(facts) > _REASONS_SHOWN:
        words.append(Text(f"… {plural(len(facts) - _REASONS_SHOWN, 'more reason')}", style="dim"))
    return Text("\n").join(words)


def _cut(number: int) -> Text:
    return Text(f"… and {number:,} more; --all shows them", style="dim", no_wrap=True)


def fact_words(fact: FactRecord) -> Text:
    """One reason in words; redundancy as `needs 1 of 2, 0 up: a ● down, b ● down`."""
    members, code = fact["members"], fact["code"]
    if code == "failed":
        return Text("fails")
    if code == "soft_dependency_down":
        return Text("uses ").append_text(_members(members))
    if code == "hard_dependency_degraded":
        return Text("needs ").append_text(_members(members))
    if code == "reached_only":
        return Text("depends on ").append_text(_members(members))
    if fact["required"] is None:
        return Text(code.replace("_", " ") + " ").append_text(_members(members))
    if len(members) == 1:
        return Text("needs ").append_text(_members(members))
    words = f"needs {fact['required']} of {len(members)}, {fact['up']} up"
    if code == "gate_leans_on_at_risk":
        words += " but not safe"
    elif code == "gate_without_spare":
        words += ", no spare left"
    return Text(words + ": ").append_text(_members(members))


def _members(members: Sequence[MemberRecord]) -> Text:
    """The worst first; those of one name and state together, as `3 kafka ○ up`."""
    ranks = {state: rank for rank, state in enumerate(STATE_STYLES)}
    alike = Counter((member["name"], member["state"]) for member in members)
    worst_first = sorted(alike.items(), key=lambda pair: (ranks.get(pair[0][1], len(ranks)), pair[0]))
    text = Text(", ").join(
        Text(f"{f'{number} ' if number > 1 else ''}{shown(name)} ").append_text(state_text(state))
        for (name, state), number in worst_first[:_MEMBERS_SHOWN]
    )
    left = sum(number for _, number in worst_first[_MEMBERS_SHOWN:])
    if left:
        text.append(f", … {left} more", style="dim")
    return text


def _listed(names: Sequence[str], number: int | None = None) -> str:
    """The first names of them all, or of `number`."""
    number = len(names) if number is None else number
    if number > 4:
        return f"{', '.join(names[:3])} and {number - 3:,} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
