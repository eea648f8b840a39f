"""Walking the graph without judging it: dependencies and dependents to a depth, and the shortest paths
between two CIs.

Promises: breadth first, distances are hops, the same question gives the same answer in the same order; what
a limit cut off is said (`truncated`), never hidden. Redundancy plays no part here: `impact.propagation`
answers what a failure does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from cmdb.errors import BadRequest
from cmdb.model.topology import Topology, TopologyEdge
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
    topology: Topology,
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
    topology: Topology,
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
    topology: Topology, a: str, b: str, *, max_depth: int = 20, types: Set[str] | None = None, limit: int = 20
) -> Paths:
    """All shortest paths from `a` to `b` along dependencies, and all along dependents (where `b` needs `a`).

    Paths of more than `max_depth` hops are not looked for; `types` as for `dependencies`. Of one CI to itself
    there is no path. Raises `UnknownItems`, or `BadRequest` for a `max_depth` or `limit` below 1.
    """
    _require_known(topology, a, b)
    if max_depth < 1 or limit < 1:
        raise BadRequest(f"max_depth is {max_depth} and limit is {limit}; both must be at least 1")
    found: list[Path] = []
    for direction in Direction:
        for path in _paths(topology, a, b, direction, max_depth, types):
            if len(found) == limit:
                return Paths(tuple(found), truncated=True)
            found.append(path)
    return Paths(tuple(found), truncated=False)


def _walk(
    topology: Topology,
    start: str,
    direction: Direction,
    depth: int | None,
    types: Set[str] | None,
    layers: Set[str] | None,
    limit: int,
) -> Neighbourhood:
    _require_known(topology, start)
    if limit < 1 or (depth is not None and depth < 0):
        raise BadRequest(f"depth is {depth} and limit is {limit}; a depth is 0 or more, a limit at least 1")
    reported: dict[str, int] = {}
    seen, frontier, hops, truncated = {start}, [start], 0, False
    while frontier and not truncated and (depth is None or hops < depth):
        hops += 1
        frontier = sorted(
            {end for item in frontier for end in _ends(topology, item, direction, types)} - seen
        )
        seen.update(frontier)
        for item in frontier:
            if layers is not None and topology.items[item].layer not in layers:
                continue
            if len(reported) == limit:
                truncated = True
                break
            reported[item] = hops
    shown = {start, *reported}
    edges = tuple(
        edge
        for item in (start, *reported)
        for edge in topology.dependencies_of(item)
        if edge.target in shown and _walked(edge, types)
    )
    return Neighbourhood(start, reported, edges, truncated)


def _paths(
    topology: Topology, a: str, b: str, direction: Direction, max_depth: int, types: Set[str] | None
) -> Iterator[Path]:
    """Distances from `a` up to `b`'s level; then only steps that go one level up and can still reach `b`."""
    levels, frontier = {a: 0}, [a]
    while frontier and b not in levels and levels[frontier[0]] < max_depth:
        hops = levels[frontier[0]] + 1
        frontier = sorted(
            {e for item in frontier for e in _ends(topology, item, direction, types)} - levels.keys()
        )
        levels.update(dict.fromkeys(frontier, hops))
    if a == b or b not in levels:
        return
    back = Direction.DEPENDENTS if direction is Direction.DEPENDENCIES else Direction.DEPENDENCIES
    leads_to_b, layer = {b}, {b}
    while layer:
        layer = {
            end
            for item in layer
            for end in _ends(topology, item, back, types)
            if end in levels and levels[end] == levels[item] - 1
        }
        leads_to_b |= layer
    unfinished: list[tuple[str, ...]] = [(a,)]
    while unfinished:
        items = unfinished.pop()
        if items[-1] == b:
            yield Path(
                direction, items, tuple(_hop(topology, x, y, direction, types) for x, y in pairwise(items))
            )
            continue
        ahead = {
            end
            for end in _ends(topology, items[-1], direction, types)
            if end in leads_to_b and levels[end] == len(items)
        }
        unfinished.extend((*items, end) for end in sorted(ahead, reverse=True))


def _hop(
    topology: Topology, start: str, end: str, direction: Direction, types: Set[str] | None
) -> tuple[TopologyEdge, ...]:
    source, target = (start, end) if direction is Direction.DEPENDENCIES else (end, start)
    return tuple(e for e in topology.dependencies_of(source) if e.target == target and _walked(e, types))


def _ends(topology: Topology, item: str, direction: Direction, types: Set[str] | None) -> Iterator[str]:
    if direction is Direction.DEPENDENCIES:
        return (edge.target for edge in topology.dependencies_of(item) if _walked(edge, types))
    return (edge.source for edge in topology.dependents_of(item) if _walked(edge, types))


def _walked(edge: TopologyEdge, types: Set[str] | None) -> bool:
    return edge.strength is not None if types is None else edge.type in types


def _require_known(topology: Topology, *ids: str) -> None:
    unknown = [item for item in ids if item not in topology.items]
    if unknown:
        raise UnknownItems(unknown, topology.revision)
