"""`cmdb touched`: the services that depend on an item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from cmdb.cli.ranking import OffsetOption, rows_not_shown, true_of
from cmdb.cli.records import ItemRecord, TouchedRecord
from cmdb.cli.session import AsOfOption, ItemArgument, JsonOption, as_of_input, item_record, session
from cmdb.cli.terminal import LAYER_STYLES, plain_table, plural, shown

TOUCHED = """
query Touched($id: ID!, $first: Int!, $offset: Int!, $asOf: AsOf, $paths: Boolean!) {
  servicesTouched(id: $id, first: $first, offset: $offset, asOf: $asOf) {
    revision behind count
    services { id class name layer lifecycle }
    paths @include(if: $paths) { path { id class name layer lifecycle } }
  }
}"""


def touched(
    name: ItemArgument,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=100, metavar="N", help="Services at most.")
    ] = 50,
    offset: OffsetOption = 0,
    paths: Annotated[
        bool, typer.Option("--paths", help="Also how the failure may come to each: a shortest chain.")
    ] = False,
    as_of: AsOfOption = None,
    json_lines: JsonOption = False,
) -> None:
    """The services that depend on an item, directly or not: those that its failure touches.

    A service is touched by its own failure too. Redundancy may save some of them; `cmdb impact` tells which. They are
    in order of ids.
    """
    with session(json_lines) as s:
        moment = as_of_input(as_of)
        item = s.resolve(name, moment)
        variables = {"id": item["id"], "first": limit, "offset": offset, "asOf": moment, "paths": paths}
        record = touched_record(s.client.query(TOUCHED, variables)["servicesTouched"], item, offset)
        s.terminal.answer(record, touched_picture(record))


def touched_record(answer: Mapping[str, Any], item: ItemRecord, offset: int) -> TouchedRecord:
    """The record of a GraphQL answer."""
    record: TouchedRecord = {
        "revision": answer["revision"],
        "behind": answer["behind"],
        "item": item,
        "count": answer["count"],
        "offset": offset,
        "services": [item_record(service) for service in answer["services"]],
    }
    if "paths" in answer:
        record["paths"] = [[item_record(hop) for hop in found["path"]] for found in answer["paths"]]
    return record


def _named(item: ItemRecord) -> Text:
    return Text(shown(item["name"]), style=LAYER_STYLES.get(item.get("layer", ""), ""))


def touched_picture(record: TouchedRecord) -> Iterator[RenderableType]:
    """How many services the item's failure touches in a line, then a table of them."""
    number = record["count"]
    said = f"The failure of {shown(record['item']['name'])} touches {plural(number, 'service')}"
    yield Text(said, "bold").append_text(true_of(record["revision"], record["behind"]))
    if record["services"]:
        paths = record.get("paths")
        table = plain_table(None, ("name", "class", "lifecycle", *(("touched through",) if paths else ())))
        for place, service in enumerate(record["services"]):
            cells = [
                _named(service),
                Text(service["class"], style="dim"),
                Text(shown(service.get("lifecycle")), style="dim"),
            ]
            if paths:
                cells.append(Text(" ← ").join(_named(hop) for hop in paths[place]))
            table.add_row(*cells)
        yield table
    yield from rows_not_shown(number, record["offset"], len(record["services"]))
