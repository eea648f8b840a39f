"""Undirected networks for tests: those of the Topology Zoo and of SNDlib, and random ones with every oddity."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import strategies as st

from impact.rows import Rows, rows_of
from impact.survivability import Demands

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ZOO = DATA / "topology-zoo" / "graphml"
SNDLIB = DATA / "sndlib"

with_zoo = pytest.mark.skipif(not ZOO.is_dir(), reason=f"the Topology Zoo is not at {ZOO}")
with_sndlib = pytest.mark.skipif(not SNDLIB.is_dir(), reason=f"SNDlib is not at {SNDLIB}")

Links = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A network by numbers; `graph` is the same for networkx, each edge with the number of its link as key."""

    name: str
    nodes: int
    links: Links

    @property
    def rows(self) -> Rows:
        return rows_of(self.nodes, self.links)

    @property
    def graph(self) -> nx.MultiGraph[int]:
        graph: nx.MultiGraph[int] = nx.MultiGraph()
        graph.add_nodes_from(range(self.nodes))
        self.mend(graph, range(len(self.links)))
        return graph

    def cut(self, graph: nx.MultiGraph[int], links: Iterable[int]) -> None:
        """Take links out of the graph."""
        for link in links:
            graph.remove_edge(*self.links[link], link)

    def mend(self, graph: nx.MultiGraph[int], links: Iterable[int]) -> None:
        """Put links into the graph."""
        for link in links:
            graph.add_edge(*self.links[link], link)

    @property
    def simple(self) -> nx.Graph[int]:
        """Without parallel links and loops, which some algorithms of networkx do not take."""
        return nx.Graph((one, other) for one, other in self.graph.edges() if one != other)


@cache
def topology_zoo() -> list[Sample]:
    """Every network of the set, in the order of its file names."""
    found = []
    for file in sorted(ZOO.glob("*.graphml")):
        graph = nx.read_graphml(file, force_multigraph=True)
        number = {node: index for index, node in enumerate(graph)}
        links = [(number[one], number[other]) for one, other in graph.edges()]
        found.append(Sample(file.stem, len(number), links))
    return found


@cache
def sndlib() -> dict[str, tuple[Sample, Demands]]:
    """Every instance with its demands, by name."""
    found = {}
    for file in sorted(SNDLIB.glob("*.json*")):
        text = file.read_bytes()
        instance = json.loads(lzma.decompress(text) if file.suffix == ".xz" else text)
        name = file.name.partition(".")[0]
        number = {node["id"]: index for index, node in enumerate(instance["nodes"])}
        links = [(number[link["source"]], number[link["target"]]) for link in instance["links"]]
        demands = Demands.of(
            (number[demand["source"]], number[demand["target"]], demand["demand_value"])
            for demand in instance["demands"]
        )
        found[name] = (Sample(name, len(number), links), demands)
    return found


@st.composite
def samples(draw: st.DrawFn, nodes: int = 8, links: int = 14, least: int = 1) -> Sample:
    """A small multigraph: parallel links, loops, lonely nodes and several components as they come."""
    number = draw(st.integers(least, nodes))
    end = st.integers(0, number - 1)
    return Sample("random", number, draw(st.lists(st.tuples(end, end), max_size=links)))


def labels(graph: nx.Graph[int], nodes: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The number of the component that each node is in."""
    label = np.full(nodes, -1)
    for index, component in enumerate(nx.connected_components(graph)):
        label[list(component)] = index
    return label
