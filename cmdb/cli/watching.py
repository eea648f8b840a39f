"""`cmdb watch`: how a service stands, or what a failure takes down, and every change of it, as they happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from cmdb.cli.records import FailureStandingRecord, ItemRecord, StandingRecord
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
WATCH_FAILURE = """
subscription WatchFailure($down: [ID!]!) {
  failureWatch(down: $down) {
    revision down services
    entered { id class name layer lifecycle }
    left { id class name layer lifecycle }
  }
}"""
_DRAWN = 20
"""Items of one event that are drawn; JSON has all of them."""


def watch(
    name: ItemArgument,
    failure: Annotated[
        bool, typer.Option("--failure", help="Watch what the failure of the item takes down instead.")
    ] = False,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="NAME", help="With --failure: this fails together with it; repeatable."
        ),
    ] = None,
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
    """Tell when an item enters or leaves the failure set of a service, those that take it down alone, or its margin
    changes; with --failure, when an item enters or leaves the set of those that go down with it.

    The first event says how things stand. Several changes in quick succession may be told as one. With --json
    each event is one line.
    """
    if also and not failure:
        raise typer.BadParameter("it names what fails together; add --failure", param_hint="--with")
    with session(json_lines) as s:
        service = s.resolve(name)
        failed = [service, *(s.resolve(other) for other in also or ())]
        document, asked = WATCH, dict[str, Any](service=service["id"])
        if failure:
            document, asked = WATCH_FAILURE, {"down": [item["id"] for item in failed]}
        with closing(s.client.subscribe(document, asked)) as told:
            for number, event in enumerate(islice(told, events)):
                is_first = number == 0
                if failure:
                    fallen = failure_record(failed, event["failureWatch"])
                    s.terminal.answer(fallen, failure_picture(fallen, is_first=is_first))
                else:
                    standing = standing_record(service, event["serviceWatch"])
                    s.terminal.answer(standing, standing_picture(standing, is_first=is_first))


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
    yield from _changes(record["entered"], record["left"], is_first)
    if record["truncated"]:
        yield Text("    … more than 10,000 entered or left; not all are told", style="dim")


def failure_record(failed: Sequence[ItemRecord], standing: Mapping[str, Any]) -> FailureStandingRecord:
    """The record of one event."""
    return {
        "failed": [*failed],
        "revision": standing["revision"],
        "down": standing["down"],
        "services": standing["services"],
        "entered": [item_record(item) for item in standing["entered"]],
        "left": [item_record(item) for item in standing["left"]],
    }


def failure_picture(record: FailureStandingRecord, *, is_first: bool) -> Iterator[RenderableType]:
    """How many go down, then who has entered and who has left the set, at most so many of each."""
    yield Text.assemble(
        (f"revision {record['revision']}  ", "dim"),
        ("failure of " + ", ".join(shown(item["name"]) for item in record["failed"]), "bold"),
        f": {plural(record['down'], 'item')} down, ",
        (
            plural(record["services"], "service") + " among them",
            "bold red" if record["services"] else "green",
        ),
    )
    yield from _changes(record["entered"], record["left"], is_first)


def _changes(
    entered: Sequence[ItemRecord], left: Sequence[ItemRecord], is_first: bool
) -> Iterator[RenderableType]:
    for items, sign, style in ((entered, "+", "red"), (left, "-", "green")):
        for item in items[:_DRAWN]:
            mark = " " if is_first else sign
            yield Text.assemble((f"  {mark} {shown(item['name'])}", style), (f"  {item['class']}", "dim"))
        if len(items) > _DRAWN:
            yield Text(f"    … and {len(items) - _DRAWN:,} more: --json has them", style="dim")
