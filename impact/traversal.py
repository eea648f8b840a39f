"""Walking the graph without judging it: dependencies and dependents to a depth, and the shortest paths
between two CIs.

Promises: breadth first, distances are hops, the same question gives the same answer in the same order; what
a limit cut off is said (`truncated`), never hidden. Redundancy plays no part here: `impact.propagation`
answers what a failure does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cmdb.errors import BadRequest
from cmdb.model.columns import Int32s
from cmdb.model.packed_columns import Label, label_of
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import TopologyEdge
from impact.errors import UnknownItems


class Direction(StrEnum):
    """Which way to walk the edges."""

    DEPENDENCIES = "dependencies"
    DEPENDENTS = "dependents"


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What a walk found. `distances`: the CIs in order of (hops, id), without the start.

    `edges`: those of the chosen types between reported CIs, the start among them. `truncated`: `limit` cut
    some CIs off.
    """

    start: str
    distances: Mapping[str, int]
    edges: tuple[TopologyEdge, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Path:
    """A way from the first to the last of `items`; `hops[i]`: the parallel edges of items i and i + 1."""

    direction: Direction
    items: tuple[str, ...]
    hops: tuple[tuple[TopologyEdge, ...], ...]


@dataclass(frozen=True, slots=True)
class Paths:
    """Shortest paths between two CIs, along dependencies first. `truncated`: there are more than `limit`."""

    found: tuple[Path, ...]
    truncated: bool


def dependencies(
    topology: PackedTopology,
    start: str,
    *,
    depth: int | None = None,
    types: Set[str] | None = None,
    layers: Set[str] | None = None,
    limit: int = 1000,
) -> Neighbourhood:
    """What `start` needs, directly and indirectly.

    `depth`: hops at most, None for all. `types`: walk these relationship types only, also such as carry no
    failure; None walks those that carry it. `layers`: report CIs of these layers only; the walk still goes
    through the others, so that the racks behind a service are found. `limit`: how many CIs are reported at
    most. Raises `UnknownItems` for an unknown start, `BadRequest` for a negative depth or a limit below 1.
    """
    return _walk(topology, start, Direction.DEPENDENCIES, depth, types, layers, limit)


def dependents(
    topology: PackedTopology,
    start: str,
    *,
    depth: int | None = None,
    types: Set[str] | None = None,
    layers: Set[str] | None = None,
    limit: int = 1000,
) -> Neighbourhood:
    """What needs `start`, directly and indirectly; arguments and errors as for `dependencies`."""
    return _walk(topology, start, Direction.DEPENDENTS, depth, types, layers, limit)


def shortest_paths(
    topology: PackedTopology,
    a: str,
    b: str,
    *,
    max_depth: int = 20,
    types: Set[str] | None = None,
    limit: int = 20,
) -> Paths:
    """All shortest paths from `a` to `b` along dependencies, and all along dependents (where `b` needs `a`).

    Paths of more than `max_depth` hops are not looked for; `types` as for `dependencies`. Of one CI to itself
    there is no path. Raises `UnknownItems`, or `BadRequest` for a `max_depth` or `limit` below 1.
    """
    unknown = [item for item in (a, b) if topology.number_of(item) is None]
    if unknown:
        raise UnknownItems(unknown, topology.revision)
    if max_depth < 1 or limit < 1:
        raise BadRequest(f"max_depth is {max_depth} and limit is {limit}; both must be at least 1")
    found: list[Path] = []
    for direction in Direction:
        for path in _paths(topology, a, b, direction, max_depth, types):
            if len(found) == limit:
                return Paths(tuple(found), truncated=True)
            found.append(path)
    return Paths(tuple(found), truncated=False)


def reached(topology: PackedTopology, start: int, walked: Callable[[Label], bool]) -> Int32s:
    """The numbers of an item and of all that it reaches along edges whose facts are `walked`, breadth first."""
    seen = np.zeros(topology.size, bool)
    seen[start] = True
    frontier = np.array([start], np.int32)
    found = [frontier]
    while len(frontier):
        _, far = topology.hops(frontier, walked)
        frontier = np.unique(far[~seen[far]]).astype(np.int32)
        seen[frontier] = True
        found.append(frontier)
    return np.concatenate(found)


def shortest_way(
    topology: PackedTopology, start: int, wanted: Callable[[Int32s], npt.NDArray[np.bool_]]
) -> tuple[int, ...]:
    """The numbers on a shortest way from `start` along dependencies to another item that is `wanted`, both included.

    Empty if there is none. Of several the first by the id of its end, then of the one before it, and so on.
    """
    walked = _walked(None)
    levels = np.full(topology.size, -1, np.int32)
    levels[start] = 0
    frontier, level = np.array([start], np.int32), 0
    while True:
        _, ends = topology.hops(frontier, walked)
        frontier = np.unique(ends[levels[ends] < 0])
        if not len(frontier):
            return ()
        level += 1
        levels[frontier] = level
        fitting = frontier[wanted(frontier)]
        if len(fitting):
            break
    way = [min(fitting.tolist(), key=topology.id_of)]
    while level:
        level -= 1
        _, near = topology.hops(np.array(way[-1:], np.int32), walked, backwards=True)
        way.append(min(near[levels[near] == level].tolist(), key=topology.id_of))
    return tuple(reversed(way))


def _walk(
    topology: PackedTopology,
    start: str,
    direction: Direction,
    depth: int | None,
    types: Set[str] | None,
    layers: Set[str] | None,
    limit: int,
) -> Neighbourhood:
    first = _known(topology, start)
    if limit < 1 or (depth is not None and depth < 0):
        raise BadRequest(f"depth is {depth} and limit is {limit}; a depth is 0 or more, a limit at least 1")
    reported: dict[int, int] = {}
    seen = np.zeros(topology.size, bool)
    seen[first] = True
    frontier, hops, truncated = np.array([first], np.int32), 0, False
    while len(frontier) and not truncated and (depth is None or hops < depth):
        hops += 1
        _, ends = topology.hops(frontier, _walked(types), backwards=direction is Direction.DEPENDENTS)
        frontier = np.unique(ends[~seen[ends]])
        seen[frontier] = True
        shown = frontier
        if layers is not None:
            shown = frontier[topology.flags(frontier, lambda kind: kind.layer in layers)]
        truncated = len(reported) + len(shown) > limit
        first_ones = shown[topology.by_id(shown)][: limit - len(reported)]
        reported.update(dict.fromkeys(first_ones.tolist(), hops))
    walked, known = _walked(types), {first, *reported}
    ids = {topology.id_of(number) for number in known}
    edges = tuple(
        edge
        for number in (first, *reported)
        for edge in topology.edges_from(number)
        if edge.target in ids and walked(label_of(edge))
    )
    distances = {topology.id_of(number): distance for number, distance in reported.items()}
    return Neighbourhood(start, distances, edges, truncated)


def _paths(
    topology: PackedTopology, a: str, b: str, direction: Direction, max_depth: int, types: Set[str] | None
) -> Iterator[Path]:
    """Distances from `a` up to `b`'s level; then back from `b`, by steps one level down: what lies on the ways."""
    begin, end = _known(topology, a), _known(topology, b)
    if begin == end:
        return
    walked, forwards = _walked(types), direction is Direction.DEPENDENTS
    levels = np.full(topology.size, -1, np.int32)
    levels[begin] = 0
    frontier, level = np.array([begin], np.int32), 0
    while len(frontier) and levels[end] < 0 and level < max_depth:
        level += 1
        _, ends = topology.hops(frontier, walked, backwards=forwards)
        frontier = np.unique(ends[levels[ends] < 0])
        levels[frontier] = level
    if levels[end] < 0:
        return
    ahead: dict[int, list[int]] = {}
    frontier = np.array([end], np.int32)
    for nearer in range(level - 1, -1, -1):
        near, far = topology.hops(frontier, walked, backwards=not forwards)
        on_the_way = levels[far] == nearer
        for after, before in {*zip(near[on_the_way].tolist(), far[on_the_way].tolist(), strict=True)}:
            ahead.setdefault(before, []).append(after)
        frontier = np.unique(far[on_the_way])
    unfinished: list[tuple[str, ...]] = [(a,)]
    while unfinished:
        items = unfinished.pop()
        if items[-1] == b:
            hops = tuple(_hop(topology, x, y, direction, types) for x, y in pairwise(items))
            yield Path(direction, items, hops)
            continue
        next_ones = sorted(map(topology.id_of, ahead[_known(topology, items[-1])]), reverse=True)
        unfinished.extend((*items, item) for item in next_ones)


def _hop(
    topology: PackedTopology, start: str, end: str, direction: Direction, types: Set[str] | None
) -> tuple[TopologyEdge, ...]:
    source, target = (start, end) if direction is Direction.DEPENDENCIES else (end, start)
    walked = _walked(types)
    return tuple(e for e in topology.dependencies_of(source) if e.target == target and walked(label_of(e)))


def _walked(types: Set[str] | None) -> Callable[[Label], bool]:
    if types is None:
        return lambda label: label.strength is not None
    return lambda label: label.type in types


def _known(topology: PackedTopology, item: str) -> int:
    number = topology.number_of(item)
    if number is None:
        raise UnknownItems([item], topology.revision)
    return number
