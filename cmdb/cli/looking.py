"""`cmdb find`, `get`, `deps`, `dependents`: what is there, and how it hangs together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cmdb.cli.graph_file import FormatOption, GraphFormat, OutputOption, require_format, write_graph
from cmdb.cli.records import EdgeRecord, WalkRecord
from cmdb.cli.session import (
    AsOfOption,
    ItemArgument,
    JsonOption,
    Session,
    as_of_input,
    item_record,
    session,
)
from cmdb.cli.terminal import LAYER_STYLES, shown, shown_bytes
from cmdb.cli.trees import walk_picture
from cmdb.errors import NotFound

SEARCH = """
query Search($text: String!, $classes: [String!], $first: Int!, $asOf: AsOf) {
  search(text: $text, classes: $classes, first: $first, asOf: $asOf) { nodes { id class name lifecycle layer } }
}"""
WHOLE_ITEM = """
query WholeItem($class: String!, $name: String!, $asOf: AsOf) {
  item(class: $class, name: $name, asOf: $asOf) {
    id class name lifecycle layer labels version createdAt updatedAt attributes
  }
}"""
EDGES = """
query Edges($item: ID!, $first: Int!, $after: String, $asOf: AsOf) {
  edges(item: $item, first: $first, after: $after, asOf: $asOf) {
    nodes { type from to group required strength confidence } endCursor hasNextPage
  }
}"""
NAMES = """
query Names($ids: [ID!]!, $first: Int!, $asOf: AsOf) {
  items(filter: {id: {in: $ids}}, first: $first, asOf: $asOf) { nodes { id class name } }
}"""
WALK = """
query Walk($id: ID!, $depth: Int, $types: [String!], $layers: [String!], $limit: Int!, $asOf: AsOf) {
  walk: %s(id: $id, depth: $depth, types: $types, layers: $layers, limit: $limit, asOf: $asOf) {
    revision truncated
    start { id class name layer lifecycle }
    items { id class name layer lifecycle }
    edges { type from to group required strength }
  }
}"""
DEPENDENCIES = WALK % "dependencies"
DEPENDENTS = WALK % "dependents"
WALK_AS_GRAPH = """
query WalkAsGraph(
  $id: ID!, $depth: Int, $types: [String!], $layers: [String!], $limit: Int!, $asOf: AsOf, $format: GraphFormat!
) {
  walk: %s(id: $id, depth: $depth, types: $types, layers: $layers, limit: $limit, asOf: $asOf) {
    truncated export(format: $format)
  }
}"""
DEPENDENCIES_AS_GRAPH = WALK_AS_GRAPH % "dependencies"
DEPENDENTS_AS_GRAPH = WALK_AS_GRAPH % "dependents"

_PAGE = 100
_EDGES_SHOWN = 40

DepthOption = Annotated[
    int | None, typer.Option("--depth", min=1, metavar="N", help="Hops at most. Default: 3.")
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type", metavar="TYPE", help="Walk these relationship types. Default: those that carry failure."
    ),
]
LayerOption = Annotated[
    list[str] | None, typer.Option("--layer", metavar="LAYER", help="Show items of these layers only.")
]
WalkLimit = Annotated[int, typer.Option("--limit", min=1, max=10_000, metavar="N", help="Items at most.")]


def find(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Words that names or searched attributes begin with.")
    ],
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="CLASS", help="Only of this class and its subclasses."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_PAGE, metavar="N", help="Items at most.")] = 20,
    as_of: AsOfOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Find items by words, best first."""
    with session(json_lines) as s:
        variables = {"text": text, "classes": classes, "first": limit, "asOf": as_of_input(as_of)}
        nodes = [item_record(node) for node in s.client.query(SEARCH, variables)["search"]["nodes"]]
        table = Table(box=None, pad_edge=False)
        for heading in ("name", "class", "layer", "lifecycle", "id"):
            table.add_column(heading, header_style="dim", no_wrap=heading == "id")
        for node in nodes:
            name = Text(shown(node["name"]), style=LAYER_STYLES.get(node["layer"], "bold"))
            table.add_row(
                name, node["class"], node["layer"], node["lifecycle"] or "", Text(node["id"], style="dim")
            )
        s.terminal.answer(
            nodes, [table if nodes else Text(f"Nothing is found for {shown(text)}.", style="dim")]
        )


def get(
    class_name: Annotated[
        str, typer.Argument(metavar="CLASS", help="The item's class, or one it descends from.")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The item's name.")],
    as_of: AsOfOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Show one item: all its attributes and the edges on both sides."""
    with session(json_lines) as s:
        moment = as_of_input(as_of)
        item = s.client.query(WHOLE_ITEM, {"class": class_name, "name": name, "asOf": moment})["item"]
        if item is None:
            raise NotFound(class_name, name, s.near(name, moment))
        edges = _edges_of(s, item["id"], moment)
        names = _names(s, {end for edge in edges for end in (edge["from"], edge["to"])}, moment)
        record = {
            **item,
            "lifecycle": item["lifecycle"].lower(),
            "edges": [_named(edge, names) for edge in edges],
        }
        sizes = frozenset() if json_lines else s.sizes(record["class"])
        s.terminal.answer(record, item_picture(record, sizes=sizes))


def deps(
    name: ItemArgument,
    depth: DepthOption = 3,
    types: TypeOption = None,
    layers: LayerOption = None,
    limit: WalkLimit = 500,
    as_of: AsOfOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
    json_lines: JsonOption = False,
) -> None:
    """What an item needs, as a tree: redundancy groups with what they need, layers, lifecycle states."""
    options = {"depth": depth, "types": types, "layers": layers, "limit": limit}
    _walk("dependencies", name, options, as_of, form, output, json_lines)


def dependents(
    name: ItemArgument,
    depth: DepthOption = 3,
    types: TypeOption = None,
    layers: LayerOption = None,
    limit: WalkLimit = 500,
    as_of: AsOfOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
    json_lines: JsonOption = False,
) -> None:
    """What needs an item, as a tree."""
    options = {"depth": depth, "types": types, "layers": layers, "limit": limit}
    _walk("dependents", name, options, as_of, form, output, json_lines)


def _walk(
    direction: str,
    name: str,
    options: Mapping[str, Any],
    as_of: str | None,
    form: GraphFormat | None,
    output: Path | None,
    json_lines: bool,
) -> None:
    require_format(form, output)
    with session(json_lines) as s:
        moment = as_of_input(as_of)
        item_id = s.resolve(name, moment)["id"]
        if form is None:
            record = ask_walk(s, direction, item_id, {**options, "asOf": moment})
            s.terminal.answer(record, walk_picture(record))
            return
        document = DEPENDENCIES_AS_GRAPH if direction == "dependencies" else DEPENDENTS_AS_GRAPH
        variables = {**options, "id": item_id, "asOf": moment, "format": form.upper()}
        found = s.client.query(document, variables)["walk"]
        write_graph(s, found["export"], output, truncated=found["truncated"])


def ask_walk(s: Session, direction: str, item_id: str, options: Mapping[str, Any]) -> WalkRecord:
    """The walk from an item; `options` are the other variables of the query."""
    document = DEPENDENCIES if direction == "dependencies" else DEPENDENTS
    found = s.client.query(document, {"limit": 500, **options, "id": item_id})["walk"]
    return {
        "revision": found["revision"],
        "direction": direction,
        "start": item_record(found["start"]),
        "items": [item_record(item) for item in found["items"]],
        "edges": [edge_record(edge) for edge in found["edges"]],
        "truncated": found["truncated"],
    }


def edge_record(edge: Mapping[str, Any]) -> EdgeRecord:
    """The record of an edge that was read with `type from to group required strength`."""
    return {
        "type": edge["type"],
        "source": edge["from"],
        "target": edge["to"],
        "group": edge["group"],
        "required": edge["required"],
        "strength": edge["strength"].lower() if edge["strength"] else None,
    }


def item_picture(record: Mapping[str, Any], *, sizes: Set[str] = frozenset()) -> Iterator[RenderableType]:
    """An item with its attributes and edges; `sizes` are attributes in bytes."""
    title = Text(shown(record["name"]), style=LAYER_STYLES.get(record["layer"], "bold"))
    title.append(f"  {record['class']} · {record['layer']} · {record['lifecycle']}", style="dim")
    yield title
    yield Text(f"{record['id']}  version {record['version']}, since {record['createdAt'][:10]}", style="dim")
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in sorted(record["attributes"].items()):
        table.add_row(name, Text(shown(shown_bytes(value) if name in sizes else value)))
    yield table
    edges = record["edges"]
    for title_text, near, far in (("needs", "source", "target"), ("needed by", "target", "source")):
        found = [edge for edge in edges if edge[near] == record["id"]]
        if found:
            yield Text()
            yield Text(f"{title_text} ({len(found)})", style="bold")
            yield _edge_table(found[:_EDGES_SHOWN], far)
            if len(found) > _EDGES_SHOWN:
                yield Text(f"… and {len(found) - _EDGES_SHOWN} more; --json shows them", style="dim")


def _edge_table(edges: Sequence[Mapping[str, Any]], far: str) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for edge in sorted(edges, key=lambda e: (e["type"], e["group"] or "", e[f"{far}_name"])):
        facts = [f"{shown(edge['group'])}: needs {edge['required'] or 'all'}"] if edge["group"] else []
        facts += [edge["strength"]] if edge["strength"] == "soft" else []
        facts += [edge["confidence"]] if edge["confidence"] != "declared" else []
        kind = Text(edge["type"].lower().replace("_", " "), style="dim")
        table.add_row(
            kind, Text(shown(edge[f"{far}_name"]), style="bold"), edge[f"{far}_class"], ", ".join(facts)
        )
    return table


def _edges_of(s: Session, item_id: str, as_of: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    edges: list[dict[str, Any]] = []
    after = None
    while True:
        variables = {"item": item_id, "first": _PAGE, "after": after, "asOf": as_of}
        page = s.client.query(EDGES, variables)["edges"]
        edges += page["nodes"]
        after = page["endCursor"]
        if not page["hasNextPage"]:
            return edges


def _names(s: Session, ids: set[str], as_of: Mapping[str, Any] | None) -> dict[str, tuple[str, str]]:
    names = {}
    wanted = sorted(ids)
    for start in range(0, len(wanted), _PAGE):
        variables = {"ids": wanted[start : start + _PAGE], "first": _PAGE, "asOf": as_of}
        for node in s.client.query(NAMES, variables)["items"]["nodes"]:
            names[node["id"]] = (node["class"], node["name"])
    return names


def _named(edge: Mapping[str, Any], names: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    source, target = (names.get(edge[end], ("", edge[end])) for end in ("from", "to"))
    return {
        **edge_record(edge),
        "confidence": edge["confidence"].lower(),
        "source_class": source[0],
        "source_name": source[1],
        "target_class": target[0],
        "target_name": target[1],
    }
