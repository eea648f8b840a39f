"""`cmdb availability --measured-from`: how available a service was, by the outages on record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer
from rich.text import Text

from cmdb.cli.records import MeasuredRecord
from cmdb.cli.service_time import instant, length_text, minute
from cmdb.cli.terminal import plural, shown
from cmdb.model.values import format_instant

MEASURED = """
query Measured($service: ID!, $from: DateTime!, $to: DateTime, $asOf: AsOf) {
  measuredAvailability(service: $service, from: $from, to: $to, asOf: $asOf) {
    from to availability target met agreed down allowedDown planned degraded
    calendars { id name timeZone }
    unusable
    setAside { id name reason }
  }
}"""

_ZERO = "PT0S"


def measured_period(begins: str | None, ends: str | None) -> tuple[str, str | None] | None:
    """The period of `--measured-from` and `--measured-to`; None where neither is given.

    Raises `typer.BadParameter` with the option it is about.
    """
    if begins is None:
        if ends is not None:
            raise typer.BadParameter(
                "say when the period begins: --measured-from", param_hint="--measured-to"
            )
        return None
    start = format_instant(instant(begins, "--measured-from"))
    return start, None if ends in (None, "now") else format_instant(instant(ends, "--measured-to"))


def measured_record(answer: Mapping[str, Any]) -> MeasuredRecord:
    """The record of a GraphQL answer."""
    return {
        "from": answer["from"],
        "to": answer["to"],
        "availability": answer["availability"],
        "target": answer["target"],
        "met": answer["met"],
        "agreed": answer["agreed"],
        "down": answer["down"],
        "allowed_down": answer["allowedDown"],
        "planned": answer["planned"],
        "degraded": answer["degraded"],
        "calendars": [calendar["name"] for calendar in answer["calendars"]],
        "unusable": answer["unusable"],
        "set_aside": answer["setAside"],
    }


def measured_picture(record: MeasuredRecord) -> Iterator[Text]:
    """The measured availability in a line, its hours in a second, then what was left out, if anything was."""
    text = Text(f"Measured from {minute(record['from'])} to {minute(record['to'])} UTC: ")
    if record["availability"] is None:
        text.append("no time was agreed", style="bold")
    else:
        text.append(f"{record['availability'] * 100:.6g} %", style="bold")
        text.append(f", {length_text(record['down'])} down in {length_text(record['agreed'])} agreed")
    if record["target"] is not None and record["met"] is not None:
        allowed = length_text(record["allowed_down"]) if record["allowed_down"] else "nothing"
        text.append(f"; the target of {record['target'] * 100:.6g} % (allows {allowed}) was ")
        text.append(*(("met", "green") if record["met"] else ("missed", "bold red")))
    yield text
    hours = f"Service hours: {', '.join(map(shown, record['calendars'])) or 'round the clock'}"
    for words, length in (("agreed maintenance", record["planned"]), ("degraded", record["degraded"])):
        if length != _ZERO:
            hours += f"; {length_text(length)} {words}"
    yield Text(hours, style="dim")
    for term in record["set_aside"]:
        yield Text(f"Set aside: {shown(term['name'])}: {shown(term['reason'])}", style="yellow")
    if record["unusable"]:
        number = plural(len(record["unusable"]), "outage record")
        yield Text(f"Set aside: {number} whose times make no sense", style="yellow")
