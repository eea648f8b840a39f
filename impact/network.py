"""The network among items: what is joined by relationships of chosen types, whichever way they run.

A network takes no side of an edge: traffic passes both ways, and redundancy is another way round, not a gate. (Gates
say what a failure does to dependents; `impact.propagation` answers that.) Two items are joined by one link however many
edges say so: both ends of a cable often report it, each in its own direction. Lines that are really two have an
interface or a circuit each, and are links of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cmdb.errors import BadRequest
from cmdb.model.columns import Int32s
from cmdb.model.packed_columns import edge_of
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import TopologyEdge
from impact.connectivity import Connectivity, connectivity
from impact.errors import UnknownItems
from impact.minimum_cut import minimum_node_cut, minimum_node_cut_between
from impact.rows import Int32Array, Rows, rows_of
from impact.survivability import Demands
from impact.traversal import reached

NETWORK_TYPES = ("CONNECTED_TO", "LINKED_TO", "ROUTED_THROUGH")
"""The relationship types that make a network where nothing else is said."""


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Items by number (`ids`, ascending) and the edges of each link (`links`), in the numbers of `rows`."""

    ids: tuple[str, ...]
    links: tuple[tuple[TopologyEdge, ...], ...]
    rows: Rows

    @classmethod
    def of(cls, items: Iterable[str], edges: Iterable[TopologyEdge]) -> Network:
        """The network of these items, of the ends of these edges, and of nothing else; loops join nothing."""
        between: dict[tuple[str, str], list[TopologyEdge]] = {}
        for edge in edges:
            ends = (edge.source, edge.target) if edge.source < edge.target else (edge.target, edge.source)
            between.setdefault(ends, []).append(edge)
        ids = tuple(sorted({*items, *(end for ends in between for end in ends)}))
        number = {item: index for index, item in enumerate(ids)}
        joined = sorted(ends for ends in between if ends[0] != ends[1])
        rows = rows_of(len(ids), [(number[one], number[other]) for one, other in joined])
        return cls(ids, tuple(tuple(sorted(between[ends], key=_order)) for ends in joined), rows)

    @property
    def numbers(self) -> dict[str, int]:
        """The number of each item."""
        return {item: index for index, item in enumerate(self.ids)}

    def demands(self, given: Iterable[tuple[str, str, float]]) -> Demands:
        """Amounts that two items exchange. Raises `BadRequest` for an item that the network does not have."""
        wanted, numbers = list(given), self.numbers
        outside = sorted({end for demand in wanted for end in demand[:2] if end not in numbers})
        if outside:
            raise BadRequest(f"demands end at {', '.join(outside[:5])}, which the network does not have")
        return Demands.of((numbers[one], numbers[other], amount) for one, other, amount in wanted)


def network_of(
    topology: PackedTopology, types: Set[str] = frozenset(NETWORK_TYPES), *, within: Int32s | None = None
) -> Network:
    """The network that edges of these types make in a topology.

    `within`: the network has these items, by their distinct numbers, and the links between them; None: it has every
    item at an end of such an edge.
    """
    if within is None:
        return Network.of((), topology.edges(types))
    source, target, label, labels = topology.edges_among(within)
    joins = np.fromiter((known.type in types for known in labels), bool, len(labels))
    joined = np.flatnonzero(joins[label])
    ids = [topology.id_of(number) for number in within.tolist()]
    ends = zip(source[joined].tolist(), target[joined].tolist(), label[joined].tolist(), strict=True)
    return Network.of(ids, (edge_of(ids[one], ids[other], labels[code]) for one, other, code in ends))


def needs(topology: PackedTopology, item: str) -> Int32s:
    """The numbers of an item and of all that it needs, directly and indirectly, over what carries failure. Raises
    `UnknownItems`."""
    number = topology.number_of(item)
    if number is None:
        raise UnknownItems([item], topology.revision)
    return reached(topology, number, lambda label: label.strength is not None)


@dataclass(frozen=True, eq=False)
class WeakPoints:
    """What alone holds parts of a network together; lists have first what cuts off most.

    Items are numbers of `network.ids`, links of `network.links`.
    """

    network: Network
    connectivity: Connectivity

    @cached_property
    def articulation_points(self) -> tuple[int, ...]:
        """The items without which the rest falls apart."""
        return _ranked(self.connectivity.articulation_points, self.connectivity.cut_off)

    @cached_property
    def bridges(self) -> tuple[int, ...]:
        """The links without which the network falls apart."""
        return _ranked(self.connectivity.bridges, self.connectivity.cut_off_by_link)

    def cut_off_by(self, item: int) -> list[str]:
        """The ids of what the loss of an item cuts off from the largest part that is left, larger parts first."""
        return self._ids(self.connectivity.parts(item)[1:])

    def cut_off_by_link(self, link: int) -> list[str]:
        """The ids of what the loss of a link cuts off from the larger side."""
        return self._ids(self.connectivity.sides(link)[1:])

    def _ids(self, parts: Iterable[Int32Array]) -> list[str]:
        return [self.network.ids[number] for part in parts for number in np.sort(part)]


def weak_points(network: Network) -> WeakPoints:
    """Find the articulation points and bridges of a network."""
    return WeakPoints(network, connectivity(network.rows))


@dataclass(frozen=True, slots=True)
class ItemCut:
    """The fewest items whose loss separates two others; see `impact.minimum_cut.NodeCut`."""

    items: tuple[str, ...]
    ways: tuple[tuple[str, ...], ...]
    direct: tuple[TopologyEdge, ...]
    truncated: bool


def minimum_cut(network: Network, one: str, other: str, *, limit: int = 1000) -> ItemCut:
    """The fewest items of a network whose loss separates two, as far as others can (edges between them remain).

    Items that are not in the network are separated from all others. Raises `BadRequest` for one item twice, or for a
    `limit` below 1.
    """
    if one == other:
        raise BadRequest(f"item {one} cannot be separated from itself; name two items")
    numbers = network.numbers
    if one not in numbers or other not in numbers:
        return ItemCut((), (), (), truncated=False)
    ids = network.ids
    found = minimum_node_cut_between(network.rows, numbers[one], numbers[other], limit=limit)
    return ItemCut(
        tuple(ids[node] for node in found.nodes),
        tuple(tuple(ids[node] for node in way) for way in found.ways),
        tuple(edge for link in found.direct for edge in network.links[link]),
        found.truncated,
    )


def weakest_cut(network: Network) -> tuple[str, ...] | None:
    """The fewest items whose loss leaves two others of a network without a way; see `minimum_node_cut`."""
    cut = minimum_node_cut(network.rows)
    return None if cut is None else tuple(network.ids[node] for node in cut)


def _ranked(numbers: Int32Array, weight: Int32Array) -> tuple[int, ...]:
    """Heaviest first, then in the order of ids."""
    return tuple(numbers[np.lexsort((numbers, -weight[numbers]))].tolist())


def _order(edge: TopologyEdge) -> tuple[str, str, str, str]:
    return edge.source, edge.target, edge.type, edge.group or ""
