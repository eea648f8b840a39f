"""`cmdb impact --from … --until …`: the agreed service time that a failure takes, and what is left under targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cmdb.cli.impact_records import LostTimeRecord, ServiceTimeRecord, TargetOutlookRecord
from cmdb.cli.terminal import plain_table, plural, shown
from cmdb.errors import InvalidValue
from cmdb.model.values import VALUE_TYPES, format_instant, parse_instant

SERVICE_TIME = """
    serviceTime(from: $from, to: $to) {
      from to servicesDown unagreed workedOut truncated lost judged broken brokenByPriority brokenBefore
      services(first: 100) { service { id class name } before lost calendars { id name timeZone } }
      targets(first: 100) {
        service { id class name } before agreement { id class name } target { id class name }
        measure goal priority outlook period from to allowed downBefore lost left
      }
      setAside { id name reason }
    }
"""
"""What is asked of an impact with `$from` and `$to`."""

_SIGNS = {
    "broken": ("✗", "bold red"),
    "broken_before": ("✗", "yellow"),
    "kept": ("✓", "green"),
}


def failure_time(begins: str | None, ends: str | None, lasting: str | None) -> tuple[str, str] | None:
    """From when to when, of the options `--from`, `--until` and `--lasting`; None where none of them is given.

    Raises `typer.BadParameter` with the option it is about.
    """
    if begins is None and ends is None and lasting is None:
        return None
    if (ends is None) == (lasting is None):
        raise typer.BadParameter("say when the failure ends: --until a time, or --lasting so long")
    start = instant(begins, "--from") if begins not in (None, "now") else datetime.now(UTC)
    if ends is not None:
        return format_instant(start), format_instant(instant(ends, "--until"))
    try:
        length = timedelta(milliseconds=int(VALUE_TYPES["duration"].normalise(lasting)))
        return format_instant(start), format_instant(start + length)
    except InvalidValue as error:
        raise typer.BadParameter(str(error), param_hint="--lasting") from None
    except OverflowError:
        raise typer.BadParameter("that is too long", param_hint="--lasting") from None


def instant(text: str | None, option: str) -> datetime:
    """The time given to an option. Raises `typer.BadParameter`."""
    try:
        return parse_instant(str(VALUE_TYPES["datetime"].normalise(text)))
    except InvalidValue as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def service_time_record(answer: Mapping[str, Any]) -> ServiceTimeRecord:
    """The record of a GraphQL answer."""
    return {
        "from": answer["from"],
        "to": answer["to"],
        "services_down": answer["servicesDown"],
        "unagreed": answer["unagreed"],
        "lost": answer["lost"],
        "worked_out": answer["workedOut"],
        "truncated": answer["truncated"],
        "judged": answer["judged"],
        "broken": answer["broken"],
        "broken_by_priority": answer["brokenByPriority"],
        "broken_before": answer["brokenBefore"],
        "services": [
            {
                "service": row["service"],
                "before": row["before"].lower(),
                "lost": row["lost"],
                "calendars": [calendar["name"] for calendar in row["calendars"]],
            }
            for row in answer["services"]
        ],
        "targets": [
            {
                "service": row["service"],
                "before": row["before"].lower(),
                "agreement": row["agreement"],
                "target": row["target"],
                "measure": row["measure"],
                "goal": row["goal"],
                "priority": row["priority"],
                "outlook": row["outlook"].lower(),
                "period": row["period"],
                "from": row["from"],
                "to": row["to"],
                "allowed": row["allowed"],
                "down_before": row["downBefore"],
                "lost": row["lost"],
                "left": row["left"],
            }
            for row in answer["targets"]
        ],
        "set_aside": answer["setAside"],
    }


def service_time_picture(record: ServiceTimeRecord, rows: int | None) -> Iterator[RenderableType]:
    """What is lost in a line, then by service, then the targets with what is left; of each table at most `rows`."""
    yield _headline(record)
    if record["services"]:
        yield _services(record["services"][:rows])
        yield from _more(record["worked_out"] - len(record["services"][:rows]))
    if record["targets"]:
        yield Text()
        yield _targets(record["targets"][:rows])
        yield from _more(record["judged"] - len(record["targets"][:rows]))
    if record["unagreed"]:
        yield Text(
            f"Nothing is agreed about {plural(record['unagreed'], 'other service')} down.", style="dim"
        )
    for term in record["set_aside"]:
        yield Text(f"Set aside: {shown(term['name'])}: {shown(term['reason'])}", style="yellow")
    if record["truncated"]:
        yield Text(
            f"Worked out for {record['worked_out']:,} of the services down, not for all.", style="yellow"
        )


def _headline(record: ServiceTimeRecord) -> Text:
    """`From … to … UTC that takes 4h30m of agreed service time from 2 services; of 4 targets 1 missed`."""
    text = Text(f"From {minute(record['from'])} to {minute(record['to'])} UTC that takes ", style="bold")
    text.append(
        f"{length_text(record['lost'])} of agreed service time", "bold red" if record["services"] else ""
    )
    already = any(row["before"] == "down" for row in record["services"])
    text.append(f" from {plural(record['worked_out'], 'service')}", style="bold")
    text.append(", without what is down already" if already else "", style="bold")
    if not record["judged"]:
        return text
    missed = [
        f"{number:,} missed{how}"
        for number, how in (
            (record["broken"], ""),
            (record["broken_by_priority"], " for incidents of a priority"),
            (record["broken_before"], " already"),
        )
        if number
    ]
    text.append(f"; of {plural(record['judged'], 'target')} ", style="bold")
    return text.append(", ".join(missed) or "none missed", "bold red" if missed else "green")


def _services(services: list[LostTimeRecord]) -> Table:
    table = plain_table("Agreed service time lost", ("service", "class", "lost", "service hours"))
    for row in services:
        name = Text(shown(row["service"]["name"]), style="bold")
        if row["before"] == "down":
            name.append(" (down already)", style="dim")
        table.add_row(
            name,
            Text(row["service"]["class"], style="dim"),
            length_text(row["lost"]),
            Text(", ".join(map(shown, row["calendars"])) or "round the clock"),
        )
    return table


def _targets(targets: list[TargetOutlookRecord]) -> Table:
    headings = ("target", "goal", "priority", "of", "in", "allowed", "down before", "lost", "left")
    table = plain_table("Service level targets", ("", *headings))
    for row in targets:
        sign, style = _SIGNS[row["outlook"]]
        goal = f"{row['goal'] * 100:.6g} %" if row["goal"] is not None else length_text(row["allowed"])
        table.add_row(
            Text(sign, style=style),
            Text(shown(row["target"]["name"])),
            goal,
            Text(row["priority"] or "any", style="dim"),
            Text(shown(row["agreement"]["name"]), style="dim"),
            Text(row["period"] or "this failure", style="dim"),
            length_text(row["allowed"]),
            length_text(row["down_before"]),
            length_text(row["lost"]),
            Text(length_text(row["left"]), style=style),
        )
    return table


def _more(number: int) -> Iterator[Text]:
    if number > 0:
        yield Text(f"… and {number:,} more", style="dim")


def minute(moment: str) -> str:
    """`2026-10-01 08:00` of a time in full."""
    return moment[:16].replace("T", " ")


def length_text(duration: str) -> str:
    """`PT4H30M` as `4h30m`."""
    return duration.replace("PT", "").lower()
