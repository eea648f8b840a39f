"""`cmdb export`: everything there is at one revision, as JSON lines or as an Observation that can be imported again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from cmdb.cli.importing import progress_bar
from cmdb.cli.looking import edge_record
from cmdb.cli.session import AsOfOption, Session, as_of_input, session
from cmdb.cli.terminal import plural

START = """
query ExportStart($asOf: AsOf) {
  items(first: 1, asOf: $asOf) { totalCount }
  catalogue { classes relationships }
}"""
ITEMS = """
query ExportItems($after: String, $asOf: AsOf) {
  page: items(first: 100, after: $after, orderBy: {field: ID}, asOf: $asOf) {
    nodes { id class name lifecycle version createdAt updatedAt attributes }
    pageInfo { hasNextPage endCursor }
  }
}"""
EDGES = """
query ExportEdges($after: String, $asOf: AsOf) {
  page: edges(first: 100, after: $after, asOf: $asOf) {
    nodes { type from to group required strength confidence }
    endCursor
    hasNextPage
  }
}"""


class Form(StrEnum):
    """What is written."""

    LINES = "lines"
    OBSERVATION = "observation"


def export(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to. Default: standard output."),
    ] = None,
    form: Annotated[
        Form,
        typer.Option(
            "--form", help="JSON lines, one item or edge each; or one Observation for `cmdb import`."
        ),
    ] = Form.LINES,
    source: Annotated[
        str, typer.Option(metavar="SOURCE", help="The source that the Observation names.")
    ] = "export",
    as_of: AsOfOption = None,
) -> None:
    """Write out every item and edge, all as of one revision.

    JSON lines: the first names the revision, then one `{"item": …}` or `{"edge": …}` each.
    """
    with session(json_lines=False) as s:
        start = s.client.query(START, {"asOf": as_of_input(as_of)})
        moment = {"revision": start["_revision"]}
        head = {"revision": start["_revision"], "source": source}
        total = start["items"]["totalCount"]
        with progress_bar(s.terminal) as progress:
            task = progress.add_task("items", total=total)
            items = _counted(_nodes(s, ITEMS, moment), lambda: progress.advance(task))
            edges = _nodes(s, EDGES, moment)
            if output is None:
                _write(sys.stdout, form, head, items, edges, start["catalogue"])
            else:
                with output.open("w", encoding="utf-8") as stream:
                    _write(stream, form, head, items, edges, start["catalogue"])
        s.terminal.note(f"{plural(total, 'item')} as of revision {start['_revision']}")


def _write(
    stream: TextIO,
    form: Form,
    head: Mapping[str, Any],
    items: Iterator[dict[str, Any]],
    edges: Iterator[dict[str, Any]],
    catalogue: Mapping[str, Any],
) -> None:
    if form is Form.LINES:
        parts = ({"item": {**item, "lifecycle": item["lifecycle"].lower()}} for item in items)
        edge_parts = (
            {"edge": {**edge_record(edge), "confidence": edge["confidence"].lower()}} for edge in edges
        )
        stream.write(_line({"revision": head["revision"]}))
        for part in chain(parts, edge_parts):
            stream.write(_line(part))
        return
    run = f"export of revision {head['revision']}"
    opening = {"source": head["source"], "run": run, "scope": "everything", "complete": True}
    stream.write(json.dumps(opening, ensure_ascii=False)[:-1] + ', "items": [\n')
    _write_list(stream, (observed_item(item, catalogue["classes"]) for item in items))
    stream.write('],\n"edges": [\n')
    _write_list(stream, (observed_edge(edge, catalogue["relationships"]) for edge in edges))
    stream.write("]}\n")


def observed_item(item: Mapping[str, Any], classes: Mapping[str, Any]) -> dict[str, Any]:
    """An item as an Observation has it; the id serves as native key, and what is computed is left out."""
    declared = classes[item["class"]]["attributes"]
    attributes = {
        name: value for name, value in item["attributes"].items() if not declared[name].get("computed")
    }
    return {
        "ref": item["id"],
        "class": item["class"],
        "key": item["id"],
        "attributes": {"name": item["name"], "lifecycle": item["lifecycle"].lower(), **attributes},
    }


def observed_edge(edge: Mapping[str, Any], relationships: Mapping[str, Any]) -> dict[str, Any]:
    """An edge as an Observation has it; a strength is said only where it is not that of its type."""
    facts = {"group": edge["group"], "required": edge["required"], "confidence": edge["confidence"].lower()}
    strength = edge["strength"].lower() if edge["strength"] else None
    if strength != relationships[edge["type"]]["dependency"]:
        facts["strength"] = strength
    said = {name: value for name, value in facts.items() if value is not None}
    return {"type": edge["type"], "from": edge["from"], "to": edge["to"], **said}


def _write_list(stream: TextIO, members: Iterator[dict[str, Any]]) -> None:
    for index, member in enumerate(members):
        stream.write((",\n" if index else "") + json.dumps(member, ensure_ascii=False))


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _nodes(s: Session, document: str, moment: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    after = None
    while True:
        page = s.client.query(document, {"after": after, "asOf": moment})["page"]
        yield from page["nodes"]
        place = page.get("pageInfo", page)
        if not place["hasNextPage"]:
            return
        after = place["endCursor"]


def _counted(nodes: Iterator[dict[str, Any]], count: Callable[[], None]) -> Iterator[dict[str, Any]]:
    for node in nodes:
        yield node
        count()
