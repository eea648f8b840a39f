"""Subgraphs for other programs: networkx, GraphML, JSON in node-link form, and the pictures of `impact.pictures`.

Promises: the same subgraph gives the same bytes; each output says of which revision it is true and whether something
was cut off; whatever is in a name, the output is well-formed. Edges run from the dependent to its dependency.

The attributes, the same in networkx, GraphML and JSON:

| of | attribute | meaning |
|---|---|---|
| the graph | `revision` | the ledger's number of which it is true |
| | `truncated` | whether there is more than is shown |
| a node | `name`, `class`, `layer`, `lifecycle` | of the item |
| | `state` | what the failure makes of it; none in a neighbourhood |
| | `distance` | hops from the start, or from the nearest failed item |
| an edge | `type`, `strength`, `confidence` | of the relationship; without `strength` it carries no failure |
| | `group`, `required` | its redundancy group, and what the edge states as needed (`"1"`, `"50%"`) |
| | `gate_required`, `gate_members` | how many of how many must be up, over the whole group |

Sources: http://graphml.graphdrawing.org/specification.html; `networkx.node_link_data`, of which JSON has the form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.sax.saxutils import escape

from cmdb.model.topology import Topology, TopologyEdge
from impact.pictures import to_dot, to_mermaid
from impact.subgraph import Subgraph, SubgraphNode, of_topology, portable_id

if TYPE_CHECKING:
    import networkx as nx

Attributes: TypeAlias = dict[str, Any]

_SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of a character, which no encoding takes."""

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write (production 2, `Char`)."""

_TO_BE_REFERRED = re.compile("[\r\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Written as references: a parser would change the first, and the others steer the terminal they are shown on."""


_GRAPHML = "http://graphml.graphdrawing.org/xmlns"
_GRAPHML_KEYS = {
    "graph": {"revision": "long", "truncated": "boolean"},
    "node": {
        "name": "string",
        "class": "string",
        "layer": "string",
        "lifecycle": "string",
        "state": "string",
        "distance": "int",
    },
    "edge": {
        "type": "string",
        "group": "string",
        "required": "string",
        "strength": "string",
        "confidence": "string",
        "gate_required": "int",
        "gate_members": "int",
    },
}


class GraphFormat(StrEnum):
    """What a subgraph can be written as."""

    GRAPHML = "graphml"
    DOT = "dot"
    MERMAID = "mermaid"
    JSON = "json"


def to_text(graph: Subgraph, form: GraphFormat) -> str:
    """The subgraph in a format, as text that ends with a line end and can be encoded in UTF-8."""
    return _WRITERS[form](graph)


def to_networkx(graph: Subgraph | Topology) -> nx.MultiDiGraph[str]:
    """The graph with item ids as nodes and `(type, group)` as keys of edges; attributes as the module says, None
    where there is no value.
    """
    from networkx import MultiDiGraph  # a quarter of a second, which no start of a service is to wait for

    subgraph = graph if isinstance(graph, Subgraph) else of_topology(graph)
    made: nx.MultiDiGraph[str] = MultiDiGraph(**_graph_attributes(subgraph))
    made.add_nodes_from((node.id, _node_attributes(node)) for node in subgraph.nodes)
    for edge in subgraph.edges:
        key = (edge.type, edge.group)
        made.add_edge(edge.source, edge.target, key, **_edge_attributes(subgraph, edge))
    return made


def to_json(graph: Subgraph) -> dict[str, Any]:
    """Node-link form: `directed`, `multigraph`, `graph`, `nodes` (with `id`), `edges` (with `source`, `target`).

    `networkx.node_link_graph` reads it. Every key is always there, null where there is no value.
    """
    return {
        "directed": True,
        "multigraph": True,
        "graph": _graph_attributes(graph),
        "nodes": [{"id": node.id, **_node_attributes(node)} for node in graph.nodes],
        "edges": [
            {"source": edge.source, "target": edge.target, **_edge_attributes(graph, edge)}
            for edge in graph.edges
        ],
    }


def to_graphml(graph: Subgraph) -> str:
    """GraphML. An attribute without a value is left out; a character that XML cannot have is U+FFFD.

    Ids are `portable_id`; edges are numbered `e0`, `e1`, ... as the schema wants them told apart. Written here, since
    networkx's writer takes seven times as long (2,000 items and 8,000 edges: 1.1 s of processor time, 0.15 s here), and
    in a service others wait meanwhile. The tests read it with networkx.
    """
    lines = ['<?xml version="1.0"?>', f'<graphml xmlns="{_GRAPHML}">']
    for scope, types in _GRAPHML_KEYS.items():
        lines += (
            f'  <key id="{name}" for="{scope}" attr.name="{name}" attr.type="{kind}"/>'
            for name, kind in types.items()
        )
    lines += ['  <graph edgedefault="directed">', *_graphml_data("    ", _graph_attributes(graph))]
    for node in graph.nodes:
        lines.append(f'    <node id="{portable_id(node.id)}">')
        lines += _graphml_data("      ", _node_attributes(node))
        lines.append("    </node>")
    for number, edge in enumerate(graph.edges):
        source, target = portable_id(edge.source), portable_id(edge.target)
        lines.append(f'    <edge id="e{number}" source="{source}" target="{target}">')
        lines += _graphml_data("      ", _edge_attributes(graph, edge))
        lines.append("    </edge>")
    lines += ["  </graph>", "</graphml>\n"]
    text = _NOT_IN_XML.sub("\ufffd", "\n".join(lines))
    return _TO_BE_REFERRED.sub(lambda found: f"&#{ord(found[0])};", text)


def _graphml_data(indent: str, attributes: Attributes) -> Iterator[str]:
    for name, value in attributes.items():
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else escape(str(value))
            yield f'{indent}<data key="{name}">{text}</data>'


def _json_text(graph: Subgraph) -> str:
    text = _SURROGATES.sub("\ufffd", json.dumps(to_json(graph), ensure_ascii=False))
    return _TO_BE_REFERRED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _graph_attributes(graph: Subgraph) -> Attributes:
    return {"revision": graph.revision, "truncated": graph.truncated}


def _node_attributes(node: SubgraphNode) -> Attributes:
    return {
        "name": node.name,
        "class": node.class_name,
        "layer": node.layer,
        "lifecycle": node.lifecycle,
        "state": None if node.state is None else str(node.state),
        "distance": node.distance,
    }


def _edge_attributes(graph: Subgraph, edge: TopologyEdge) -> Attributes:
    gate = graph.gate_of(edge)
    return {
        "type": edge.type,
        "group": edge.group,
        "required": None if edge.required is None else str(edge.required),
        "strength": edge.strength,
        "confidence": edge.confidence,
        "gate_required": gate and gate.required,
        "gate_members": gate and gate.members,
    }


_WRITERS: Mapping[GraphFormat, Callable[[Subgraph], str]] = MappingProxyType(
    {
        GraphFormat.GRAPHML: to_graphml,
        GraphFormat.DOT: to_dot,
        GraphFormat.MERMAID: to_mermaid,
        GraphFormat.JSON: _json_text,
    }
)
