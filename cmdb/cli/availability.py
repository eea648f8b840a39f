"""`cmdb availability`: what a service hangs on, how available it will be, and what would buy most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cmdb.cli.measured import MEASURED, measured_period, measured_picture, measured_record
from cmdb.cli.session import AsOfOption, ItemArgument, JsonOption, as_of_input, session
from cmdb.cli.terminal import plain_table, plural, shown, survival

AVAILABILITY = """
query Availability($service: ID!, $first: Int!, $order: Int!, $asOf: AsOf) {
  serviceAvailability(service: $service, asOf: $asOf) {
    revision
    service { id class name }
    needs
    predicted { lower upper exact unavailability relativeWidth hoursDownAYear gates components redundancyWeighed }
    target
    figures { basis count }
    redundancyMargin { failures atLeast defeatedBy { id class name } }
    singlePointCount
    singlePointsOfFailure(first: $first) {
      item { id class name } dominating { id class name } defeats
    }
    cutSets(order: $order, first: $first) {
      sets { items { id class name } probability } counts order completeOrder truncated
    }
    components(first: $first) {
      item { id class name } unavailability basis birnbaum criticality fussellVesely diagnostic raw rrw
    }
    improvements(first: $first) { item { id class name } improvement availability hoursAYear }
  }
}"""
FAULT_TREE = """
query FaultTree($service: ID!, $asOf: AsOf) {
  serviceAvailability(service: $service, asOf: $asOf) { faultTree }
}"""

_ASSUMPTIONS = ("CLASS_DEFAULT", "ASSUMED_PERFECT")
_BAR = 24


def availability(
    service: ItemArgument,
    first: Annotated[
        int, typer.Option("--limit", min=1, max=1_000, metavar="N", help="Rows of each table at most.")
    ] = 10,
    order: Annotated[
        int, typer.Option("--order", min=1, max=4, metavar="K", help="Items of a cut set at most.")
    ] = 2,
    fault_tree: Annotated[
        Path | None,
        typer.Option(
            "--fault-tree",
            metavar="FILE",
            help="Write the service as an Open-PSA fault tree to FILE instead.",
        ),
    ] = None,
    measured_from: Annotated[
        str | None,
        typer.Option(
            "--measured-from",
            metavar="TIME",
            help="Tell how available it was from then on too, by the outages on record.",
        ),
    ] = None,
    measured_to: Annotated[
        str | None,
        typer.Option("--measured-to", metavar="TIME", help="The end of that period. Default: now."),
    ] = None,
    as_of: AsOfOption = None,
    json_lines: JsonOption = False,
) -> None:
    """How available a service will be, its single points of failure, and what would help most.

    Figures of components that nobody declared are the defaults of their classes, and marked as assumptions.
    """
    period = measured_period(measured_from, measured_to)
    if period is not None and fault_tree is not None:
        raise typer.BadParameter("it is not part of a fault tree", param_hint="--measured-from")
    with session(json_lines) as s:
        moment = as_of_input(as_of)
        item = s.resolve(service, moment)["id"]
        if fault_tree is not None:
            answer = s.client.query(FAULT_TREE, {"service": item, "asOf": moment})
            fault_tree.write_text(answer["serviceAvailability"]["faultTree"], encoding="utf-8")
            s.terminal.answer({"written": str(fault_tree)}, [Text(f"Written: {fault_tree}")])
            return
        variables = {"service": item, "first": first, "order": order, "asOf": moment}
        record = s.client.query(AVAILABILITY, variables)["serviceAvailability"]
        if period is not None:
            asked = {"service": item, "from": period[0], "to": period[1], "asOf": moment}
            record["measured"] = measured_record(s.client.query(MEASURED, asked)["measuredAvailability"])
        s.terminal.answer(record, availability_picture(record))


def availability_picture(answer: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The verdict, the single points of failure, what the service hangs on most, and what would buy most."""
    yield from _verdict(answer)
    if "measured" in answer:
        yield from measured_picture(answer["measured"])
    if answer["singlePointsOfFailure"]:
        yield Text()
        yield _single_points(answer)
    if answer["components"]:
        yield Text()
        yield _components(answer["components"])
    if answer["improvements"]:
        yield Text()
        yield _improvements(answer["improvements"])
    yield from _cut_sets(answer["cutSets"])


def _verdict(answer: Mapping[str, Any]) -> Iterator[RenderableType]:
    predicted, target = answer["predicted"], answer["target"]
    text = Text.assemble((shown(answer["service"]["name"]), "bold"), " is predicted to be available ")
    if predicted["exact"] or _percent(predicted["lower"]) == _percent(predicted["upper"]):
        text.append(_percent(predicted["lower"]), style="bold")
    else:
        text.append(f"{_percent(predicted['lower'])} to {_percent(predicted['upper'])}", style="bold")
    text.append(f" of the time: {_hours(predicted['hoursDownAYear'])} down a year")
    if target is not None:
        text.append(f"; the target of {_percent(target)} is ")
        if predicted["lower"] >= target:
            text.append("met", style="green")
        elif predicted["upper"] < target:
            text.append("missed", style="bold red")
        else:
            text.append("met or missed within that", style="yellow")
    text.append(f"  (revision {answer['revision']})", style="dim")
    yield text
    if not predicted["redundancyWeighed"]:
        yield Text(
            "What its redundancy leaves is too entangled to be weighed: the estimate, and the shares below, are of its "
            "single points of failure alone.",
            style="yellow",
        )
    margin = answer["redundancyMargin"]
    survives = survival(margin["failures"], at_least=margin["atLeast"])
    points = answer["singlePointCount"]
    yield Text.assemble(
        f"It needs {plural(answer['needs'], 'item')}; ",
        (plural(points, "single point") + " of failure", "bold red" if points else "green"),
        f"; it {survives}{_but_not(margin['defeatedBy'])}.",
    )
    assumed = sum(figure["count"] for figure in answer["figures"] if figure["basis"] in _ASSUMPTIONS)
    known = sum(figure["count"] for figure in answer["figures"]) - assumed
    yield Text(f"Of the figures {known:,} are declared or measured, {assumed:,} assumed.", style="dim")


def _but_not(defeated_by: Sequence[Mapping[str, Any]]) -> str:
    """Which failures it does not survive; a single one is in a table of its own."""
    if len(defeated_by) < 2:
        return ""
    *others, last = (shown(item["name"]) for item in defeated_by)
    return f", but not {', '.join(others)} and {last} together"


def _single_points(answer: Mapping[str, Any]) -> Table:
    points: Sequence[Mapping[str, Any]] = answer["singlePointsOfFailure"]
    table = plain_table("Single points of failure", ("name", "class", "acts through"))
    for point in points:
        through = Text(shown(point["dominating"]["name"]))
        if point["defeats"] is not None:
            through.append(f", all of its group {shown(point['defeats'])}", style="yellow")
        table.add_row(shown(point["item"]["name"]), Text(point["item"]["class"], style="dim"), through)
    more = answer["singlePointCount"] - len(points)
    if more:
        table.add_row(Text(f"… and {more:,} more", style="dim"))
    return table


def _components(components: Sequence[Mapping[str, Any]]) -> Table:
    table = plain_table("What its downtime hangs on", ("name", "class", "share", "", "down alone"))
    for component in components:
        share = min(1.0, component["criticality"])
        own = Text(f"{component['unavailability']:.2e}")
        if component["basis"] in _ASSUMPTIONS:
            own.append(" assumed", style="dim")
        table.add_row(
            shown(component["item"]["name"]),
            Text(component["item"]["class"], style="dim"),
            f"{share:.1%}",
            Text("█" * round(share * _BAR), style="red"),
            own,
        )
    return table


def _improvements(gains: Sequence[Mapping[str, Any]]) -> Table:
    table = plain_table("What would buy most", ("name", "class", "make it", "saves a year"))
    words = {"REDUNDANT": "redundant", "TWICE_AS_RELIABLE": "twice as reliable"}
    for gain in gains:
        table.add_row(
            shown(gain["item"]["name"]),
            Text(gain["item"]["class"], style="dim"),
            words.get(gain["improvement"], gain["improvement"]),
            _hours(gain["hoursAYear"]),
        )
    return table


def _cut_sets(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Those of several items, likeliest first, and what is not shown of them."""
    together = [cut for cut in found["sets"] if len(cut["items"]) > 1]
    several = sum(found["counts"][1:])
    unknown = found["completeOrder"] < found["order"]
    if not several and not found["truncated"] and not unknown:
        return
    yield Text()
    if together:
        table = plain_table("Failures that take it down together", ("probability", "items"))
        for cut in together:
            names = " + ".join(shown(item["name"]) for item in cut["items"])
            table.add_row(f"{cut['probability']:.2e}", names)
        yield table
    order, more = found["completeOrder"], several - len(together)
    if more:
        yield Text(f"… and {more:,} more of up to {plural(order, 'item')}; --limit shows more", style="dim")
    elif found["truncated"]:
        yield Text(
            f"There are more: the search for sets of up to {plural(order, 'item')} was cut.", style="dim"
        )
    if unknown:
        yield Text(
            f"Sets of more than {plural(order, 'item')} were not all looked for: that takes longer than a request may.",
            style="yellow",
        )


def _percent(share: float) -> str:
    """With two digits of what is missing to all: 99.9 %, 99.9912 %."""
    digits = 2
    while digits < 12 and share < 1.0 and round(share * 100, digits) >= 100 - 10 ** (1 - digits):
        digits += 1
    return f"{share * 100:.{digits}f} %"


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.1f} s"
