"""Pictures read by strict readers of what Graphviz and Mermaid take, so that no name can leave its place."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.topology import PlainTopology, TopologyEdge, TopologyItem
from impact.pictures import LAYER_COLOURS, STATE_COLOURS, to_dot, to_mermaid
from impact.propagation import State, simulate_failure
from impact.subgraph import Subgraph, SubgraphNode, of_impact, of_neighbourhood, of_topology, portable_id
from impact.traversal import dependencies
from tests.hostile_names import NAMES, between, hostile_names, hostile_subgraphs
from tests.topologies import DUAL_POWER, PAIR, gate, graph, packed, soft

_DOT_TOKEN = re.compile(
    r'\s*(?://[^\n]*\n\s*)*("(?:[^"\\]|\\.)*"|->|[{}\[\]=,;]|[A-Za-z_]\w*|\d+(?:\.\d+)?)', re.DOTALL
)


@dataclass
class Drawing:
    """What a picture has. `nodes` and `edges` with their attributes, `ranks` of which each is one row."""

    graph: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    edges: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    ranks: list[list[str]] = field(default_factory=list)


class DotReader:
    """A reader of DOT as https://graphviz.org/doc/info/lang.html has it, of the part that is written here."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        place = 0
        text = text.rstrip() + "\n"
        while place < len(text.rstrip()):
            found = _DOT_TOKEN.match(text, place)
            assert found, f"no token at {text[place : place + 60]!r}"
            self.tokens.append(found[1])
            place = found.end()
        self.drawing = Drawing()

    def read(self) -> Drawing:
        for expected in ("digraph", "cmdb", "{"):
            assert self.tokens.pop(0) == expected
        while self.tokens[0] != "}":
            if self.tokens[0] == "{":
                self.tokens.pop(0)
                self.drawing.ranks.append([])
                while self.tokens[0] != "}":
                    self.statement()
                self.tokens.pop(0)
            else:
                self.statement()
        assert self.tokens == ["}"], "something stands behind the graph"
        return self.drawing

    def statement(self) -> None:
        first = self.tokens.pop(0)
        follows = self.tokens[0]
        if follows == "=":
            assert [first, *self.tokens[:3]] == ["rank", "=", "same", ";"]
            del self.tokens[:2]
        elif follows == "->":
            self.tokens.pop(0)
            target = self.identifier(self.tokens.pop(0))
            self.drawing.edges.append((self.identifier(first), target, self.attributes()))
        elif first in ("graph", "node", "edge"):
            attributes = self.attributes()
            if first == "graph":
                self.drawing.graph |= attributes
        else:
            name = self.identifier(first)
            assert name not in self.drawing.nodes
            self.drawing.nodes[name] = self.attributes()
            self.drawing.ranks[-1].append(name)
        assert self.tokens.pop(0) == ";"

    def identifier(self, token: str) -> str:
        assert token[0] == '"'
        return token[1:-1].replace('\\"', '"')

    def attributes(self) -> dict[str, str]:
        found = {}
        assert self.tokens.pop(0) == "["
        while self.tokens[0] != "]":
            name, equals, value, separator = self.tokens[:4]
            assert equals == "="
            assert separator in ",]"
            found[name] = value[1:-1].replace('\\"', '"') if value[0] == '"' else value
            del self.tokens[: 4 if separator == "," else 3]
        self.tokens.pop(0)
        return found


def dot(graph: Subgraph) -> Drawing:
    return DotReader(to_dot(graph)).read()


def dot_lines(label: str) -> list[str]:
    """The lines that Graphviz draws of a label: escapes are read, then HTML entities."""
    drawn = re.sub(r"\\(.)", lambda found: {"n": "\n", "\\": "\\"}[found[1]], label, flags=re.DOTALL)
    return [html.unescape(line) for line in drawn.split("\n")]


_TEXT = r"(?:[^!-/:-@\[-`{-~\n\r]|(?<=[A-Za-z0-9])[-_](?=[A-Za-z0-9])|#\d+;)*"
_MERMAID_LINES = {
    "node": re.compile(rf'  (n\d+)\["({_TEXT})<br/>({_TEXT})"\]'),
    "edge": re.compile(rf'  (n\d+) (-->|-\.->|--o)(?:\|"({_TEXT})"\|)? (n\d+)'),
    "definition": re.compile(r"  classDef (\w+) ([a-z-]+:[#\w]+(?:,[a-z-]+:[#\w]+)*)"),
    "class": re.compile(r"  class (n\d+(?:,n\d+)*) (\w+)"),
}


def mermaid(graph: Subgraph) -> Drawing:
    """A reader of a flowchart that takes nothing but what is written here; texts without entities."""
    head, title, rule, kind, *lines = to_mermaid(graph).removesuffix("\n").split("\n")
    assert (head, rule, kind) == ("---", "---", "flowchart TB")
    drawing = Drawing(graph={"label": title.removeprefix("title: ")})
    styles = {}
    for line in lines:
        [(what, found)] = [(k, m) for k, p in _MERMAID_LINES.items() if (m := p.fullmatch(line))]
        if what == "node":
            drawing.nodes[found[1]] = {"name": plain(found[2]), "facts": plain(found[3])}
        elif what == "edge":
            assert {found[1], found[4]} <= drawing.nodes.keys()
            drawing.edges.append((found[1], found[4], {"arrow": found[2], "label": plain(found[3] or "")}))
        elif what == "definition":
            styles[found[1]] = dict(style.split(":") for style in found[2].split(","))
        else:
            for name in found[1].split(","):
                drawing.nodes[name] |= styles[found[2]]
    return drawing


def plain(text: str) -> str:
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), text).replace("\u200b", "")


SHOP = of_neighbourhood(PAIR.topology, dependencies(packed(PAIR.topology), "kiosk"))
LOSS = simulate_failure(DUAL_POWER.topology, ["feed-a"])
POWER = of_impact(DUAL_POWER.topology, [(i, s, LOSS.distances[i]) for i, s in LOSS.states.items()])


class TestDot:
    def test_it_names_its_revision_and_draws_every_item_and_edge(self) -> None:
        drawn = dot(SHOP)
        assert drawn.graph["label"] == "revision 1"
        assert drawn.nodes.keys() == {"kiosk", "shop", "web-1", "web-2", "host-1", "host-2"}
        assert sorted((s, t) for s, t, _ in drawn.edges) == sorted((e.source, e.target) for e in SHOP.edges)

    def test_an_edge_of_a_gate_says_how_many_are_needed(self) -> None:
        labels = {(s, t): facts.get("label") for s, t, facts in dot(SHOP).edges}
        assert labels["shop", "web-1"] == labels["shop", "web-2"] == "1 of 2"
        assert labels["kiosk", "shop"] is None

    def test_several_gates_of_one_item_are_told_apart_by_name(self) -> None:
        found = of_topology(
            graph({"app": [gate(1, "a", "b"), gate(2, "c", "d", "e")], "web": [gate(1, "a", "b")]})
        )
        labels = {(s, t): facts["label"] for s, t, facts in dot(found).edges}
        assert (labels["app", "a"], labels["app", "c"]) == ("g0: 1 of 2", "g1: 2 of 3")
        assert labels["web", "a"] == "1 of 2"

    def test_soft_edges_are_dashed_and_edges_that_carry_no_failure_grey_with_their_type(self) -> None:
        styles = {
            facts.get("style"): facts.get("label")
            for _, _, facts in dot(between(["a", "b"], kind="OWNED_BY")).edges
        }
        assert styles == {None: "1 of 1", "dashed": "soft", "dotted": "owned by"}

    def test_states_are_words_and_colours_and_a_strong_border_is_where_it_began(self) -> None:
        nodes = dot(POWER).nodes
        assert dot_lines(nodes["feed-a"]["label"]) == ["feed-a", "Server · down"]
        assert dot_lines(nodes["service"]["label"]) == ["service", "BusinessService · at risk"]
        assert nodes["server"]["fillcolor"] == STATE_COLOURS["at_risk"]
        assert [name for name, facts in nodes.items() if "penwidth" in facts] == ["feed-a"]

    def test_a_layer_is_a_rank_and_a_border(self) -> None:
        layers = {"a": "business", "b": "compute", "c": "business", "d": None, "e": "of-their-own"}
        found = Subgraph(
            1, tuple(SubgraphNode(name, name, "Thing", layer) for name, layer in layers.items()), ()
        )
        drawn = dot(found)
        assert drawn.ranks == [["a", "c"], ["b"], ["d"], ["e"]]
        assert drawn.nodes["b"]["color"] == LAYER_COLOURS["compute"]
        assert drawn.nodes["d"]["color"] == drawn.nodes["e"]["color"] not in LAYER_COLOURS.values()
        assert to_dot(found).count("rank=same") == 3

    def test_a_layer_with_edges_inside_it_is_no_rank(self) -> None:
        assert "rank=same" not in to_dot(SHOP)

    @settings(max_examples=60, deadline=None)
    @given(hostile_subgraphs())
    def test_it_is_read_as_it_was_meant_whatever_the_texts_are(self, graph: Subgraph) -> None:
        drawn = dot(graph)
        assert set(drawn.nodes) == {portable_id(node.id) for node in graph.nodes}
        assert [(s, t) for s, t, _ in drawn.edges] == [
            (portable_id(e.source), portable_id(e.target)) for e in graph.edges
        ]
        assert all(len(dot_lines(facts["label"])) == 2 for facts in drawn.nodes.values())
        assert all("\n" not in value for facts in drawn.nodes.values() for value in facts.values())

    @settings(deadline=None)
    @given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60))
    def test_a_printable_name_is_drawn_as_it_is(self, name: str) -> None:
        nodes = dot(between([name, "b"])).nodes
        assert dot_lines(nodes["id-0"]["label"])[0] == name
        assert dot_lines(nodes["id-0"]["tooltip"]) == [name]


class TestMermaid:
    def test_it_names_its_revision_and_draws_every_item_and_edge(self) -> None:
        drawn = mermaid(SHOP)
        names = {key: facts["name"] for key, facts in drawn.nodes.items()}
        assert drawn.graph["label"] == "revision 1"
        assert sorted(names.values()) == ["host-1", "host-2", "kiosk", "shop", "web-1", "web-2"]
        assert [(names[s], names[t]) for s, t, _ in drawn.edges] == [(e.source, e.target) for e in SHOP.edges]

    def test_edges_of_gates_soft_edges_and_others_look_different(self) -> None:
        found = of_topology(graph({"app": [gate(1, "a", "b"), soft("mail"), "db"]}))
        drawn = mermaid(found)
        looks = {drawn.nodes[t]["name"]: (f["arrow"], f["label"]) for _, t, f in drawn.edges}
        assert looks == {
            **dict.fromkeys("ab", ("-->", "1 of 2")),
            "mail": ("-.->", "soft"),
            "db": ("-->", ""),
        }
        owned = mermaid(between(["a", "b"], kind="OWNED_BY"))
        assert ("--o", "owned by") in [(f["arrow"], f["label"]) for _, _, f in owned.edges]

    def test_states_are_words_and_colours_and_layers_are_borders(self) -> None:
        nodes = {facts["name"]: facts for facts in mermaid(POWER).nodes.values()}
        assert nodes["server"]["facts"] == "Server · at risk"
        assert nodes["server"]["fill"] == STATE_COLOURS["at_risk"]
        assert nodes["server"]["stroke"] == LAYER_COLOURS["compute"]
        assert [name for name, facts in nodes.items() if "stroke-width" in facts] == ["feed-a"]

    @settings(max_examples=60, deadline=None)
    @given(hostile_subgraphs())
    def test_it_is_read_as_it_was_meant_whatever_the_texts_are(self, graph: Subgraph) -> None:
        drawn = mermaid(graph)
        assert list(drawn.nodes) == [f"n{number}" for number in range(len(graph.nodes))]
        assert len(drawn.edges) == len(graph.edges)

    @settings(deadline=None)
    @given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=60))
    def test_a_printable_name_is_drawn_as_it_is(self, name: str) -> None:
        assert mermaid(between([name, "b"])).nodes["n0"]["name"] == name

    @pytest.mark.parametrize(
        "name", ["www.example.com", "1. x", "a--b", "-a", "b_", "`c`", "%%{init}%%", "x#59;"]
    )
    def test_no_sign_is_left_that_some_version_reads_as_more_than_text(self, name: str) -> None:
        line = to_mermaid(between([name])).split("\n")[4]
        assert not re.search(r"[.`%]|--|\[\"-|_<", line.removesuffix('"]').replace("<br/>", "<"))

    @pytest.mark.parametrize("name", ["$$x$$", "fa:fa-ban", "ﬂ°34¶ß"])
    def test_what_is_read_after_decoding_is_kept_apart_by_a_space_without_width(self, name: str) -> None:
        assert "\u200b" in to_mermaid(between([name]))
        assert mermaid(between([name])).nodes["n0"]["name"] == name


PICTURES = pytest.mark.parametrize("drawn", [dot, mermaid], ids=["dot", "mermaid"])


@PICTURES
@pytest.mark.parametrize("name", NAMES)
def test_a_known_trick_changes_nothing_but_a_label(drawn: Callable[[Subgraph], Drawing], name: str) -> None:
    tricked, plainly = drawn(between([name, "b", "c"])), drawn(between(["a", "b", "c"]))
    assert (list(tricked.nodes), [e[:2] for e in tricked.edges]) == (
        list(plainly.nodes),
        [e[:2] for e in plainly.edges],
    )


@settings(deadline=None)
@given(hostile_names)
def test_labels_are_one_line_of_sixty_characters_at_most(name: str) -> None:
    [label] = [dot_lines(facts["label"])[0] for facts in dot(between([name])).nodes.values()]
    assert len(label) <= 60
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", label)
    assert name[:59].isprintable() is False or label[:59] == name[:59]


def test_every_state_has_a_colour() -> None:
    assert STATE_COLOURS.keys() == {state.value for state in State}


def test_the_pictures_in_the_guide_are_drawn_like_this() -> None:
    layers = {
        "Sales": ("BusinessService", "business"),
        "shop": ("Application", "application"),
        **dict.fromkeys(("web-1", "web-2"), ("VirtualMachine", "compute")),
        **dict.fromkeys(("host-1", "host-2"), ("Server", "compute")),
    }
    topology = PlainTopology.build(
        42,
        [TopologyItem(name, name, *kind, "live") for name, kind in layers.items()],
        [
            TopologyEdge("DEPENDS_ON", "Sales", "shop"),
            TopologyEdge("RUNS_ON", "shop", "web-1", "web", 1),
            TopologyEdge("RUNS_ON", "shop", "web-2", "web", 1),
            TopologyEdge("RUNS_ON", "web-1", "host-1"),
            TopologyEdge("RUNS_ON", "web-2", "host-2"),
        ],
    )
    loss = simulate_failure(topology, ["host-1"])
    found = of_impact(topology, [(i, s, loss.distances[i]) for i, s in loss.states.items()])
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "interchange.md").read_text("utf-8")
    assert f"```mermaid\n{to_mermaid(found)}```" in guide
    assert f"```dot\n{to_dot(found)}```" in guide
