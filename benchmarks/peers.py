"""Other ways to ask what a failure reaches, on the same estate: networkx, rustworkx, igraph.

Promises: each peer builds its graph once, of the edges that carry failure, and answers in the words of the estate:
sorted numbers of all CIs reached by plain reachability, the start among them, so that answers can be compared for
equality. The time is that of the peer's own call; turning its answer into sorted numbers is not counted. Edges are laid
from the dependency to the dependent, so that no peer has to walk them backwards.

Two more peers are `array_walk.ArrayWalk` (numpy alone) and `cypher_peer.CypherPeer`. `PlainImplementation` is the
product's own first one, which knows redundancy as no peer does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol, Self

import igraph
import networkx as nx
import numpy as np
import numpy.typing as npt
import rustworkx as rx

from benchmarks.array_walk import Walk, carrying_edges
from benchmarks.synthetic import EstateColumns, Numbers
from cmdb.model.topology import Topology
from impact.propagation import State, simulate_failure


class Peer(Protocol):
    """Who answers what the failure of some CIs reaches. `name` is for tables."""

    name: str

    def dependents(self, failed: Sequence[int]) -> Walk:
        """The CIs that plainly depend on any of these, and these."""
        ...


def _sorted(numbers: Iterable[int]) -> Numbers:
    return np.sort(np.fromiter(numbers, np.int32))


class NetworkxPeer:
    """networkx `descendants`; of several starts `bfs_layers`."""

    name = "networkx"

    def __init__(self, graph: nx.DiGraph[int]) -> None:
        self._graph = graph

    @classmethod
    def build(cls, estate: EstateColumns) -> Self:
        """About 400 bytes an edge."""
        dependency, dependent = carrying_edges(estate)
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(range(len(estate)))
        graph.add_edges_from(zip(dependency.tolist(), dependent.tolist(), strict=True))
        return cls(graph)

    def dependents(self, failed: Sequence[int]) -> Walk:
        """See `Peer`."""
        begun = time.perf_counter()
        if len(failed) == 1:
            reached = nx.descendants(self._graph, failed[0]) | {failed[0]}
        else:
            reached = {ci for layer in nx.bfs_layers(self._graph, list(failed)) for ci in layer}
        seconds = time.perf_counter() - begun
        return Walk(_sorted(reached), seconds)


class RustworkxPeer:
    """rustworkx `descendants`; several starts hang below one more node for the length of the call."""

    name = "rustworkx"

    def __init__(self, graph: rx.PyDiGraph[None, None]) -> None:
        self._graph = graph

    @classmethod
    def build(cls, estate: EstateColumns) -> Self:
        """Some 50 bytes an edge when done, 150 meanwhile."""
        dependency, dependent = carrying_edges(estate)
        graph: rx.PyDiGraph[None, None] = rx.PyDiGraph()
        graph.add_nodes_from([None] * len(estate))
        graph.add_edges_from_no_data(list(zip(dependency.tolist(), dependent.tolist(), strict=True)))
        return cls(graph)

    def dependents(self, failed: Sequence[int]) -> Walk:
        """See `Peer`."""
        if len(failed) == 1:
            start, starts = failed[0], set(failed)
        else:
            start, starts = self._graph.add_node(None), set()
            self._graph.add_edges_from_no_data([(start, ci) for ci in failed])
        begun = time.perf_counter()
        reached = rx.descendants(self._graph, start)
        seconds = time.perf_counter() - begun
        if len(failed) != 1:
            self._graph.remove_node(start)
        return Walk(_sorted(reached | starts), seconds)


class IgraphPeer:
    """igraph `subcomponent`; of several starts the union of one call each, since it takes one."""

    name = "igraph"

    def __init__(self, graph: Any) -> None:  # noqa: ANN401 - igraph ships no types
        self._graph = graph

    @classmethod
    def build(cls, estate: EstateColumns) -> Self:
        """Some 40 bytes an edge when done."""
        dependency, dependent = carrying_edges(estate)
        edges = np.column_stack([dependency, dependent])
        return cls(igraph.Graph(n=len(estate), edges=edges, directed=True))

    def dependents(self, failed: Sequence[int]) -> Walk:
        """See `Peer`."""
        begun = time.perf_counter()
        parts = [self._graph.subcomponent(ci, mode="out") for ci in failed]
        seconds = time.perf_counter() - begun
        return Walk(np.unique(np.concatenate([np.asarray(part, np.int32) for part in parts])), seconds)


STATES: Final = tuple(State)
"""The states by their code in what `PlainImplementation.states` gives."""


class PlainImplementation:
    """`impact.propagation` on the plain topology: slow, and the truth about redundancy."""

    def __init__(self, estate: EstateColumns, topology: Topology) -> None:
        """`topology` is that of the estate (`to_plain_topology`)."""
        self._ids = [text.decode() for text in estate.id_texts().tolist()]
        self._number = {item: number for number, item in enumerate(self._ids)}
        self._topology = topology

    def states(self, failed: Sequence[int]) -> tuple[npt.NDArray[np.int8], float]:
        """int8[n], each CI's state as its place in `STATES`; and the seconds it took."""
        begun = time.perf_counter()
        impact = simulate_failure(self._topology, [self._ids[number] for number in failed])
        seconds = time.perf_counter() - begun
        states = np.full(len(self._ids), STATES.index(State.UP), np.int8)
        for item, state in impact.states.items():
            states[self._number[item]] = STATES.index(state)
        return states, seconds
