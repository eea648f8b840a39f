"""`cmdb watch`: how a service stands, and every change of it, as they happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from cmdb.cli.records import ItemRecord, StandingRecord
from cmdb.cli.session import ItemArgument, JsonOption, item_record, session
from cmdb.cli.terminal import plural, shown, survival

WATCH = """
subscription Watch($service: ID!) {
  serviceWatch(service: $service) {
    revision singlePoints truncated margin { failures atLeast defeatedBy { id class name layer lifecycle } }
    entered { id class name layer lifecycle }
    left { id class name layer lifecycle }
  }
}"""
_DRAWN = 20
"""Items of one event that are drawn; JSON has all of them."""


def watch(
    name: ItemArgument,
    events: Annotated[
        int | None,
        typer.Option(
            "--events",
            min=1,
            metavar="N",
            help="Stop after N events; the first says how things stand. Default: go on until Ctrl-C.",
        ),
    ] = None,
    json_lines: JsonOption = False,
) -> None:
    """Tell when an item enters or leaves the set of those that take a service down alone, or its margin changes.

    The first event says how the service stands. Several changes in quick succession may be told as one. With --json
    each event is one line.
    """
    with session(json_lines) as s:
        service = s.resolve(name)
        with closing(s.client.subscribe(WATCH, {"service": service["id"]})) as told:
            for number, event in enumerate(islice(told, events)):
                record = standing_record(service, event["serviceWatch"])
                s.terminal.answer(record, standing_picture(record, is_first=number == 0))


def standing_record(service: ItemRecord, standing: Mapping[str, Any]) -> StandingRecord:
    """The record of one event."""
    return {
        "service": service,
        "revision": standing["revision"],
        "single_points": standing["singlePoints"],
        "survives": standing["margin"]["failures"],
        "survives_at_least": standing["margin"]["atLeast"],
        "defeated_by": [item_record(item) for item in standing["margin"]["defeatedBy"]],
        "entered": [item_record(item) for item in standing["entered"]],
        "left": [item_record(item) for item in standing["left"]],
        "truncated": standing["truncated"],
    }


def standing_picture(record: StandingRecord, *, is_first: bool) -> Iterator[RenderableType]:
    """How it stands, then who has entered and who has left the set, at most so many of each."""
    points = record["single_points"]
    yield Text.assemble(
        (f"revision {record['revision']}  ", "dim"),
        (shown(record["service"]["name"]), "bold"),
        ": ",
        (plural(points, "single point") + " of failure", "bold red" if points else "green"),
        f"; it {survival(record['survives'], at_least=record['survives_at_least'])}",
    )
    for items, sign, style in ((record["entered"], "+", "red"), (record["left"], "-", "green")):
        for item in items[:_DRAWN]:
            mark = " " if is_first else sign
            yield Text.assemble((f"  {mark} {shown(item['name'])}", style), (f"  {item['class']}", "dim"))
        if len(items) > _DRAWN:
            yield Text(f"    … and {len(items) - _DRAWN:,} more: --json has them", style="dim")
