"""Subgraphs read back by other readers: networkx for GraphML and node-link form, `json` for JSON."""

from __future__ import annotations

import json
import re

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.topology import PlainTopology
from impact.interchange import GraphFormat, to_graphml, to_json, to_networkx, to_text
from impact.propagation import State
from impact.subgraph import Subgraph, SubgraphNode, of_impact, of_neighbourhood, of_topology, portable_id
from impact.traversal import dependencies
from tests.estates import estates
from tests.hostile_names import NAMES, between, hostile_subgraphs
from tests.topologies import CLUSTER_OF_CLUSTERS, PAIR, packed

SHOP = of_neighbourhood(PAIR.topology, dependencies(packed(PAIR.topology), "shop", depth=1))
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def read_graphml(text: str) -> nx.MultiDiGraph[str]:
    read = nx.parse_graphml(text, force_multigraph=True)
    assert isinstance(read, nx.MultiDiGraph)
    return read


def in_xml(text: str) -> str:
    """What XML 1.0 can have of a text: its production `Char`, written out."""
    return "".join(
        c
        if c in "\t\n\r" or "\x20" <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000"
        else "\ufffd"
        for c in text
    )


def test_networkx_has_ids_types_groups_and_the_documented_attributes() -> None:
    made = to_networkx(SHOP)
    assert made.graph == {"revision": 1, "truncated": False}
    assert made.nodes["shop"] == {
        "name": "shop",
        "class": "Server",
        "layer": "compute",
        "lifecycle": "live",
        "state": None,
        "distance": 0,
    }
    assert made.edges["shop", "web-1", ("DEPENDS_ON", "g0")] == {
        "type": "DEPENDS_ON",
        "group": "g0",
        "required": "1",
        "strength": "hard",
        "confidence": "declared",
        "gate_required": 1,
        "gate_members": 2,
    }


@settings(deadline=None)
@given(estates())
def test_networkx_has_everything_of_a_topology(topology: PlainTopology) -> None:
    made = to_networkx(topology)
    assert set(made.nodes) == set(topology.items)
    assert {(s, t, *key) for s, t, key in made.edges(keys=True)} == {
        (e.source, e.target, e.type, e.group) for e in topology.edges()
    }
    assert made.number_of_edges() == topology.edge_count


def test_json_is_what_networkx_calls_node_link_form() -> None:
    data = json.loads(to_text(SHOP, GraphFormat.JSON))
    assert data == to_json(SHOP)
    read, made = nx.node_link_graph(data), to_networkx(SHOP)
    assert read.graph == made.graph
    assert list(read.nodes(data=True)) == list(made.nodes(data=True))
    assert list(read.edges(data=True)) == list(made.edges(data=True))


def test_graphml_read_by_networkx_is_the_same_graph_without_the_empty_attributes() -> None:
    found = of_impact(PAIR.topology, [("web-1", State.DOWN, 0), ("shop", State.AT_RISK, 1)])
    read = read_graphml(to_graphml(found))
    assert read.graph["revision"] == 1
    assert read.graph["truncated"] is False
    assert read.nodes["shop"] == {
        "name": "shop",
        "class": "Server",
        "layer": "compute",
        "lifecycle": "live",
        "state": "at_risk",
        "distance": 1,
    }
    [(source, target, key, facts)] = read.edges(keys=True, data=True)
    assert (source, target, key, facts["gate_required"], facts["gate_members"]) == (
        "shop",
        "web-1",
        "e0",
        1,
        2,
    )
    assert "strength" in facts


def test_a_truncated_graph_says_so_in_every_format() -> None:
    found = of_impact(PAIR.topology, [("web-1", "down", 0), ("shop", "at_risk", 1)], limit=1)
    assert read_graphml(to_graphml(found)).graph["truncated"] is True
    assert to_json(found)["graph"]["truncated"] is True
    assert "there is more" in to_text(found, GraphFormat.DOT)
    assert "there is more" in to_text(found, GraphFormat.MERMAID)


@pytest.mark.parametrize("name", NAMES)
def test_graphml_brings_every_name_back_but_for_what_xml_cannot_have(name: str) -> None:
    read = read_graphml(to_graphml(between([name, "other"])))
    assert read.nodes["id-0"]["name"] == in_xml(name)
    assert read.nodes["id-1"]["name"] == "other"


@settings(max_examples=60, deadline=None)
@given(hostile_subgraphs())
def test_graphml_is_well_formed_whatever_the_texts_are(graph: Subgraph) -> None:
    read = read_graphml(to_graphml(graph))
    assert {node: data["name"] for node, data in read.nodes(data=True)} == {
        portable_id(node.id): in_xml(node.name) for node in graph.nodes
    }
    edges = {key: (s, t, data["type"], data.get("group")) for s, t, key, data in read.edges.data(keys=True)}
    assert edges == {
        f"e{number}": (
            portable_id(edge.source),
            portable_id(edge.target),
            in_xml(edge.type),
            None if edge.group is None else in_xml(edge.group),
        )
        for number, edge in enumerate(graph.edges)
    }


@settings(max_examples=60, deadline=None)
@given(hostile_subgraphs())
def test_json_is_well_formed_whatever_the_texts_are(graph: Subgraph) -> None:
    read = json.loads(to_text(graph, GraphFormat.JSON))
    assert [node["name"] for node in read["nodes"]] == [
        re.sub("[\ud800-\udfff]", "\ufffd", node.name) for node in graph.nodes
    ]


@settings(max_examples=60, deadline=None)
@given(hostile_subgraphs(), st.sampled_from(GraphFormat))
def test_every_format_is_one_text_that_can_be_encoded_and_steers_no_terminal(
    graph: Subgraph, form: GraphFormat
) -> None:
    text = to_text(graph, form)
    assert text.encode("utf-8").endswith(b"\n")
    assert not STEERING.search(text.replace("\t", ""))
    assert re.search(r"revision\W+7\b", text) or '"revision">7<' in text


@pytest.mark.parametrize("form", GraphFormat)
def test_the_same_graph_gives_the_same_bytes(form: GraphFormat) -> None:
    topology = CLUSTER_OF_CLUSTERS.topology
    backwards = PlainTopology.build(1, [*topology.items.values()][::-1], [*topology.edges()][::-1])
    assert to_text(of_topology(topology), form) == to_text(of_topology(backwards), form)


def test_a_state_may_come_as_the_engine_has_it() -> None:
    node = SubgraphNode("a", "a", "Server", state=State.AT_RISK)
    made = to_networkx(Subgraph(1, (node,), ()))
    assert type(made.nodes["a"]["state"]) is str
