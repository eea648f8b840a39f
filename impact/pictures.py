"""Subgraphs as pictures: Graphviz DOT and Mermaid.

Both draw the same: an item is a box with its name, class and state; the colour inside is the state, the border is the
layer, a strong border is where it began (the start of a walk, the failed items). Edges point from the dependent to its
dependency; one of a redundancy group says "1 of 2", with the group's name where the dependent has several; a soft one
is dashed; one that carries no failure is grey, with its type.

Promises: a name cannot leave its place: it is one line of at most 60 characters (all of it is in the tool tip of DOT),
without control and bidirectional characters (`·` stands for them), and quoted so that the reader of the format takes
it as text.

Sources: https://graphviz.org/doc/info/lang.html, https://mermaid.js.org/syntax/flowchart.html
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from cmdb.model.topology import TopologyEdge
from impact.subgraph import Subgraph, SubgraphNode, portable_id

STATE_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "down": "#f6a5a5",
        "degraded": "#fbe08a",
        "at_risk": "#e9c3f5",
        "reduced": "#b9e3f7",
        "protected": "#c3ecc3",
        "up": "#ffffff",
    }
)
"""What a box is filled with; black text has a contrast of 10:1 and more on each."""

LAYER_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "business": "#1f4fb4",
        "application": "#0b7f8a",
        "software": "#4b6bb0",
        "compute": "#2c7a2c",
        "cloud": "#5f8f1c",
        "network": "#9a2f9a",
        "storage": "#a86a00",
        "facility": "#a83232",
    }
)
"""What a box is bordered with; a layer that is not here has `_PLAIN`."""

_PLAIN = "#6b6b6b"
_EMPTY = "#ffffff"
_LONGEST = 60
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NO_CHARACTERS = frozenset({"\ufffe", "\uffff"})

_NOT_FOR_MERMAID = re.compile(r"(?<![A-Za-z0-9])[-_]|[-_](?![A-Za-z0-9])|[!-,./:-@\[-^`{-~]")
"""What Mermaid gets as an entity: every ASCII sign but `-` and `_` inside a word, since one version or another reads it
as the end of the text, Markdown, HTML, a link or a comment."""

_STILL_READ_BY_MERMAID = re.compile(r"(?<=\$)(?=\$)|(?<=:)(?=fa-)|(?<=ﬂ)(?=°)")
"""Where a formula, an icon or an entity would begin in the text that Mermaid (11.17) has decoded: a space without width
keeps it from that."""


def to_dot(graph: Subgraph) -> str:
    """A Graphviz digraph, dependents above what they depend on.

    Items of one layer share a rank, unless some of them depend on each other: a chain of them would lie on its side.
    """
    return "\n".join(_dot_lines(graph)) + "\n"


def to_mermaid(graph: Subgraph) -> str:
    """A Mermaid flowchart, dependents above what they depend on.

    Its viewers draw 500 edges and 50,000 characters at most unless they are told otherwise.
    """
    return "\n".join(_mermaid_lines(graph)) + "\n"


def _dot_lines(graph: Subgraph) -> Iterator[str]:
    ids = {node.id: _dot_quoted(portable_id(node.id)) for node in graph.nodes}
    yield f"// {_caption(graph)}"
    yield "digraph cmdb {"
    yield f"  graph [label={_dot_text(_caption(graph))}, rankdir=TB, nodesep=0.4, ranksep=0.7];"
    yield "  graph [fontname=Helvetica, fontsize=10];"
    yield '  node [shape=box, style="rounded,filled", fontname=Helvetica, fontsize=10];'
    yield "  edge [fontname=Helvetica, fontsize=9];"
    by_layer: dict[str, list[SubgraphNode]] = defaultdict(list)
    for node in graph.nodes:
        by_layer[node.layer or ""].append(node)
    layer_of = {node.id: node.layer for node in graph.nodes}
    stacked = {
        layer_of[edge.source]
        for edge in graph.edges
        if edge.source != edge.target and layer_of[edge.source] == layer_of[edge.target]
    }
    for layer, nodes in by_layer.items():
        yield f"  {{ // {_short(_one_line(layer)) or 'no layer'}"
        if layer and layer not in stacked:
            yield "    rank=same;"
        for node in nodes:
            label = "\\n".join(map(_dot_escaped, _label_lines(node)))
            width = ", penwidth=3" if node.distance == 0 else ""
            fill, border = _colours(node)
            tooltip = _dot_text(_one_line(node.name))
            yield (
                f'    {ids[node.id]} [label="{label}", fillcolor="{fill}", color="{border}", '
                f"tooltip={tooltip}{width}];"
            )
        yield "  }"
    crowded = _dependents_with_several_gates(graph)
    for edge in graph.edges:
        facts = [edge.type, f"group {edge.group}" if edge.group else "", edge.strength or "no failure"]
        shown = {"tooltip": _dot_text(_one_line(", ".join(filter(None, [*facts, edge.confidence]))))}
        if label := _edge_label(graph, edge, crowded):
            shown["label"] = _dot_text(_one_line(label))
        if edge.strength == "soft":
            shown["style"] = "dashed"
        elif edge.strength is None:
            shown |= {"style": "dotted", "color": f'"{_PLAIN}"', "arrowhead": "empty"}
        attributes = ", ".join(f"{name}={value}" for name, value in shown.items())
        yield f"  {ids[edge.source]} -> {ids[edge.target]} [{attributes}];"
    yield "}"


def _mermaid_lines(graph: Subgraph) -> Iterator[str]:
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    yield from ("---", f"title: {_caption(graph)}", "---", "flowchart TB")
    classes: dict[str, list[str]] = defaultdict(list)
    for node in graph.nodes:
        name = ids[node.id]
        yield f'  {name}["{"<br/>".join(map(_mermaid_escaped, _label_lines(node)))}"]'
        classes[node.state if node.state and node.state in STATE_COLOURS else "unjudged"].append(name)
        classes[f"layer_{node.layer}" if node.layer in LAYER_COLOURS else "layer_other"].append(name)
        if node.distance == 0:
            classes["begin"].append(name)
    crowded = _dependents_with_several_gates(graph)
    for edge in graph.edges:
        arrow = {"hard": "-->", "soft": "-.->", None: "--o"}[edge.strength]
        label = _edge_label(graph, edge, crowded)
        text = f'|"{_mermaid_escaped(_one_line(label))}"|' if label else ""
        yield f"  {ids[edge.source]} {arrow}{text} {ids[edge.target]}"
    styles = {
        "unjudged": f"fill:{_EMPTY},color:#000",
        **{state: f"fill:{colour},color:#000" for state, colour in STATE_COLOURS.items()},
        "layer_other": f"stroke:{_PLAIN}",
        **{f"layer_{layer}": f"stroke:{colour}" for layer, colour in LAYER_COLOURS.items()},
        "begin": "stroke-width:4px",
    }
    for name, style in styles.items():
        if name in classes:
            yield f"  classDef {name} {style}"
            yield f"  class {','.join(classes[name])} {name}"


def _caption(graph: Subgraph) -> str:
    return f"revision {graph.revision}" + (", cut off, there is more" if graph.truncated else "")


def _label_lines(node: SubgraphNode) -> Iterator[str]:
    yield _short(_one_line(node.name))
    facts = [node.class_name, str(node.state).replace("_", " ") if node.state else ""]
    if node.lifecycle not in (None, "live"):
        facts.append(node.lifecycle or "")
    yield _short(_one_line(" · ".join(filter(None, facts))))


def _edge_label(graph: Subgraph, edge: TopologyEdge, crowded: frozenset[str]) -> str:
    gate = graph.gate_of(edge)
    if gate is not None:
        return f"{_short(edge.group or '')}: {gate}" if edge.source in crowded else str(gate)
    if edge.strength is None:
        return edge.type.lower().replace("_", " ")
    return "soft" if edge.strength == "soft" else ""


def _dependents_with_several_gates(graph: Subgraph) -> frozenset[str]:
    seen: dict[str, str] = {}
    several = set()
    for edge in graph.edges:
        if (
            edge.group is not None
            and graph.gate_of(edge)
            and seen.setdefault(edge.source, edge.group) != edge.group
        ):
            several.add(edge.source)
    return frozenset(several)


def _colours(node: SubgraphNode) -> tuple[str, str]:
    return STATE_COLOURS.get(node.state or "", _EMPTY), LAYER_COLOURS.get(node.layer or "", _PLAIN)


def _one_line(text: str) -> str:
    """The text without what could move the ink: control, bidirectional and line-breaking characters."""
    if text.isprintable():
        return text
    return "".join("·" if unicodedata.category(c) in _UNPRINTABLE or c in _NO_CHARACTERS else c for c in text)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _dot_quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _dot_escaped(text: str) -> str:
    """The inside of a quoted label: backslashes begin escapes there, and `&` begins an HTML entity."""
    return text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')


def _dot_text(text: str) -> str:
    return f'"{_dot_escaped(text)}"'


def _mermaid_escaped(text: str) -> str:
    """The inside of a quoted label. Spaces are collapsed as HTML does, and four of them would begin a block of code."""
    calm = _STILL_READ_BY_MERMAID.sub("\u200b", re.sub(" +", " ", text).strip(" "))
    return _NOT_FOR_MERMAID.sub(lambda found: f"#{ord(found[0])};", calm)
