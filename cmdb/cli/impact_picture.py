"""The picture of an impact answer: the verdict in one line, the services, then who is in which state and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cmdb.cli.records import AffectedRecord, FactRecord, ImpactRecord, MemberRecord
from cmdb.cli.terminal import LAYER_STYLES, STATE_STYLES, shown, state_text

_MEMBERS_SHOWN = 4
_HEADINGS = {"down": "Down", "degraded": "Degraded", "at_risk": "At risk"}


def impact_picture(impact: ImpactRecord, *, rows: int | None = 15) -> Iterator[RenderableType]:
    """The whole answer; of each state at most `rows` CIs (None: all), services always all."""
    yield verdict(impact)
    if impact["services"]:
        yield Text()
        yield _services(impact)
    else:
        yield Text("No service is reached.", style="green")
    failed = {item["id"] for item in impact["failed"]}
    for state, affected in (
        ("down", impact["down"]),
        ("degraded", impact["degraded"]),
        ("at_risk", impact["at_risk"]),
    ):
        others = [item for item in affected if item["id"] not in failed]
        if others:
            yield Text()
            yield _affected(state, others, rows)


def verdict(impact: ImpactRecord) -> Text:
    """`If muc-pdu-a fails: 6 down, 2 at risk, 31 protected (revision 12)`; the failed CIs count as down."""
    names = [shown(item["name"]) for item in impact["failed"]]
    text = Text(f"If {_listed(names)} {'fails' if len(names) == 1 else 'fail together'}: ", style="bold")
    parts = [
        (state, number) for state, number in impact["counts"].items() if number and state in STATE_STYLES
    ]
    for index, (state, number) in enumerate(parts):
        text.append(f"{number:,} {state.replace('_', ' ')}", style=STATE_STYLES[state][1])
        text.append(", " if index + 1 < len(parts) else "")
    text.append(f"  (revision {impact['revision']})", style="dim")
    return text


def _services(impact: ImpactRecord) -> Table:
    table = _table("Services", "bold", ("state", "service", "because"))
    for service in impact["services"]:
        reasons = Text("\n").join(fact_words(fact) for fact in service.get("because", []))
        table.add_row(state_text(service["state"]), Text(shown(service["name"]), style="bold"), reasons)
    return table


def _table(title: str, style: str, headings: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style=style, box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, header_style="dim", overflow="fold")
    return table


def _affected(state: str, affected: Sequence[AffectedRecord], rows: int | None) -> Table:
    table = _table(_HEADINGS[state], STATE_STYLES[state][1], ("name", "class", "because"))
    for item in affected[:rows]:
        reasons = Text("\n").join(fact_words(fact) for fact in item["because"])
        name = Text(shown(item["name"]), style=LAYER_STYLES.get(item.get("layer", ""), ""))
        table.add_row(name, Text(item["class"], style="dim"), reasons)
    if rows is not None and len(affected) > rows:
        table.add_row(Text(f"… and {len(affected) - rows:,} more; --all shows them", style="dim"))
    return table


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
    ranks = {state: rank for rank, state in enumerate(STATE_STYLES)}
    worst_first = sorted(members, key=lambda member: ranks.get(member["state"], len(ranks)))
    text = Text(", ").join(
        Text(shown(m["name"]) + " ").append_text(state_text(m["state"])) for m in worst_first[:_MEMBERS_SHOWN]
    )
    if len(members) > _MEMBERS_SHOWN:
        text.append(f", … {len(members) - _MEMBERS_SHOWN} more", style="dim")
    return text


def _listed(names: Sequence[str]) -> str:
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
