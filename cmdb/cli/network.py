"""`cmdb weak-points` and `cmdb minimum-cut`: what alone holds a network together, and what separates two items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cmdb.cli.looking import edge_record
from cmdb.cli.records import (
    ArticulationPointRecord,
    BridgeRecord,
    ItemRecord,
    MinimumCutRecord,
    WeakPointsRecord,
)
from cmdb.cli.session import AsOfOption, ItemArgument, JsonOption, as_of_input, item_record, session
from cmdb.cli.terminal import LAYER_STYLES, plural, shown

WEAK_POINTS = """
query WeakPoints($types: [String!], $classes: [String!], $neededBy: ID, $first: Int!, $asOf: AsOf) {
  weakPoints(types: $types, classes: $classes, neededBy: $neededBy, asOf: $asOf) {
    revision
    counts { items links components articulationPoints bridges }
    articulationPoints(first: $first) {
      item { id class name layer lifecycle } cutOff parts partSizes
      separated(first: 5) { id class name layer lifecycle }
    }
    bridges(first: $first) {
      one { id class name layer lifecycle } other { id class name layer lifecycle }
      edges { type from to group required strength } cutOff
      separated(first: 5) { id class name layer lifecycle }
    }
  }
}"""
MINIMUM_CUT = """
query MinimumCut(
  $from: ID!, $to: ID!, $types: [String!], $classes: [String!], $first: Int!, $ways: Int!, $limit: Int!, $asOf: AsOf
) {
  minimumCut(from: $from, to: $to, types: $types, classes: $classes, limit: $limit, asOf: $asOf) {
    revision connected separable count truncated
    from { id class name layer lifecycle }
    to { id class name layer lifecycle }
    items(first: $first) { id class name layer lifecycle }
    ways(first: $ways) { length items(first: 100) { id class name layer lifecycle } }
    direct { type from to group required strength }
  }
}"""

_CUT = 100
_WAYS = 20
_NAMES_SHOWN = 3
_SIZES_SHOWN = 4

JoiningOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        help="Relationship types that join items. Default: CONNECTED_TO, LINKED_TO, ROUTED_THROUGH.",
    ),
]
ClassOption = Annotated[
    list[str] | None,
    typer.Option("--class", metavar="CLASS", help="Look at items of this class and its subclasses only."),
]


def weak_points(
    types: JoiningOption = None,
    classes: ClassOption = None,
    of: Annotated[
        str | None,
        typer.Option("--of", metavar="NAME", help="Look at this item and what it needs only."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=100, metavar="N", help="Rows of each list at most.")
    ] = 20,
    as_of: AsOfOption = None,
    json_lines: JsonOption = False,
) -> None:
    """The items and links that alone hold parts of the network together, and what they would cut off.

    Edges join both ways here. A weak point is one without another way round it; those that cut off most come first.
    """
    with session(json_lines) as s:
        moment = as_of_input(as_of)
        variables = {
            "types": types,
            "classes": classes,
            "neededBy": s.resolve(of, moment)["id"] if of is not None else None,
            "first": limit,
            "asOf": moment,
        }
        record = weak_points_record(s.client.query(WEAK_POINTS, variables)["weakPoints"])
        s.terminal.answer(record, weak_points_picture(record))


def minimum_cut(
    one: ItemArgument,
    other: ItemArgument,
    types: JoiningOption = None,
    classes: ClassOption = None,
    as_of: AsOfOption = None,
    json_lines: JsonOption = False,
) -> None:
    """The fewest items whose loss separates two others, and as many ways between them that share nothing.

    Edges join both ways here. `--class` limits what ways may lead over.
    """
    with session(json_lines) as s:
        moment = as_of_input(as_of)
        variables = {
            "from": s.resolve(one, moment)["id"],
            "to": s.resolve(other, moment)["id"],
            "types": types,
            "classes": classes,
            "first": _CUT,
            "ways": _WAYS,
            "limit": _CUT,
            "asOf": moment,
        }
        record = minimum_cut_record(s.client.query(MINIMUM_CUT, variables)["minimumCut"])
        s.terminal.answer(record, minimum_cut_picture(record))


def weak_points_record(answer: Mapping[str, Any]) -> WeakPointsRecord:
    """The record of a GraphQL answer."""
    counts = answer["counts"]
    return {
        "revision": answer["revision"],
        "counts": {
            "items": counts["items"],
            "links": counts["links"],
            "components": counts["components"],
            "articulation_points": counts["articulationPoints"],
            "bridges": counts["bridges"],
        },
        "articulation_points": [
            {
                "item": item_record(point["item"]),
                "cut_off": point["cutOff"],
                "parts": point["parts"],
                "part_sizes": point["partSizes"],
                "separated": [item_record(item) for item in point["separated"]],
            }
            for point in answer["articulationPoints"]
        ],
        "bridges": [
            {
                "one": item_record(bridge["one"]),
                "other": item_record(bridge["other"]),
                "edges": [edge_record(edge) for edge in bridge["edges"]],
                "cut_off": bridge["cutOff"],
                "separated": [item_record(item) for item in bridge["separated"]],
            }
            for bridge in answer["bridges"]
        ],
    }


def minimum_cut_record(answer: Mapping[str, Any]) -> MinimumCutRecord:
    """The record of a GraphQL answer."""
    return {
        "revision": answer["revision"],
        "from": item_record(answer["from"]),
        "to": item_record(answer["to"]),
        "connected": answer["connected"],
        "separable": answer["separable"],
        "count": answer["count"],
        "truncated": answer["truncated"],
        "items": [item_record(item) for item in answer["items"]],
        "ways": [
            {"length": way["length"], "items": [item_record(item) for item in way["items"]]}
            for way in answer["ways"]
        ],
        "direct": [edge_record(edge) for edge in answer["direct"]],
    }


def weak_points_picture(record: WeakPointsRecord) -> Iterator[RenderableType]:
    """The size of the network in a line, then its articulation points and bridges as tables."""
    counts = record["counts"]
    if not counts["items"]:
        yield Text(
            f"Nothing is joined by these types of relationships.  (revision {record['revision']})",
            style="dim",
        )
        return
    parts = counts["components"]
    yield Text.assemble(
        (f"{plural(counts['items'], 'item')}, {plural(counts['links'], 'link')}: ", "bold"),
        "all connected" if parts == 1 else f"{plural(parts, 'part')}, no way between them",
        (f"  (revision {record['revision']})", "dim"),
    )
    if not counts["articulation_points"] and not counts["bridges"]:
        yield Text("Nothing alone holds parts of it together.", style="green")
    if points := record["articulation_points"]:
        yield Text()
        title = plural(counts["articulation_points"], "articulation point")
        yield Text(f"{title}: lost alone, they cut off others", style="bold")
        yield _points(points)
        yield from _more(counts["articulation_points"] - len(points))
    if bridges := record["bridges"]:
        yield Text()
        yield Text(f"{plural(counts['bridges'], 'bridge')}: links without another way round", style="bold")
        yield _bridges(bridges)
        yield from _more(counts["bridges"] - len(bridges))


def minimum_cut_picture(record: MinimumCutRecord) -> Iterator[RenderableType]:
    """The verdict in a line, the items of the cut, and the ways between the two."""
    yield _verdict(record)
    for item in record["items"]:
        yield Text("  ").append_text(_name(item)).append(f"  {item['class']}", style="dim")
    if record["direct"]:
        kinds = ", ".join(sorted({edge["type"].lower().replace("_", " ") for edge in record["direct"]}))
        yield Text(f"They are joined directly as well ({kinds}).", style="yellow")
    if record["ways"]:
        yield Text()
        yield Text(plural(record["count"], "way", "ways that share nothing in between"), style="bold")
        for way in record["ways"]:
            names = Text(" – ", style="dim").join(_name(item) for item in way["items"])
            left = way["length"] - len(way["items"])
            yield Text("  ").append_text(names).append(f" – … {left:,} more" if left else "", style="dim")
        yield from _more(record["count"] - len(record["ways"]))


def _verdict(record: MinimumCutRecord) -> Text:
    one, other = shown(record["from"]["name"]), shown(record["to"]["name"])
    if not record["connected"]:
        text = Text(f"There is no way between {one} and {other}.", style="bold red")
    elif record["truncated"]:
        text = Text(
            f"It takes more than {record['count']:,} items to separate {one} and {other}.", style="bold green"
        )
    elif not record["count"]:
        text = Text(f"Nothing but a direct link joins {one} and {other}.", style="bold")
    else:
        style = "bold red" if record["count"] == 1 and record["separable"] else "bold"
        if record["separable"]:
            words = f"separates {one} and {other}:"
        else:
            words = f"leaves only the direct link between {one} and {other}:"
        text = Text(f"The loss of {plural(record['count'], 'item')} {words}", style=style)
    return text.append(f"  (revision {record['revision']})", style="not bold dim")


def _points(points: Sequence[ArticulationPointRecord]) -> Table:
    table = _table(("name", "class", "cuts off", "what is left", "cut off are"))
    for point in points:
        sizes = [f"{size:,}" for size in point["part_sizes"][:_SIZES_SHOWN]]
        sizes += ["…"] if point["parts"] > _SIZES_SHOWN else []
        table.add_row(
            _name(point["item"]),
            Text(point["item"]["class"], style="dim"),
            f"{point['cut_off']:,}",
            " + ".join(sizes),
            _names(point["separated"], point["cut_off"]),
        )
    return table


def _bridges(bridges: Sequence[BridgeRecord]) -> Table:
    table = _table(("link", "edges", "cuts off", "cut off are"))
    for bridge in bridges:
        kinds = sorted({edge["type"].lower().replace("_", " ") for edge in bridge["edges"]})
        table.add_row(
            Text(" – ", style="dim").join((_name(bridge["one"]), _name(bridge["other"]))),
            Text(", ".join(kinds), style="dim"),
            f"{bridge['cut_off']:,}",
            _names(bridge["separated"], bridge["cut_off"]),
        )
    return table


def _table(headings: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        right = heading == "cuts off"
        table.add_column(heading, header_style="dim", overflow="fold", justify="right" if right else "left")
    return table


def _name(item: ItemRecord) -> Text:
    return Text(shown(item["name"]), style=LAYER_STYLES.get(item.get("layer", ""), ""))


def _names(items: Sequence[ItemRecord], count: int) -> Text:
    """The first few of so many."""
    named = items[:_NAMES_SHOWN]
    text = Text(", ").join(_name(item) for item in named)
    left = count - len(named)
    return text.append(f", … {left:,} more", style="dim") if left else text


def _more(number: int) -> Iterator[Text]:
    if number:
        yield Text(f"… and {number:,} more", style="dim")
