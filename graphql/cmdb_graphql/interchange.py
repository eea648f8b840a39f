"""Answers as files for other programs: a walk or an impact as GraphML, DOT, Mermaid or JSON. Written in a thread.

Whoever asks has been let in at the root field of the answer; nothing here reads anything new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Set
from enum import Enum
from typing import Self

import strawberry

from cmdb.errors import BadRequest
from cmdb.model.topology import Confidence, Topology
from impact.interchange import GraphFormat, to_text
from impact.subgraph import ImpactRow, Subgraph, of_impact, of_neighbourhood
from impact.traversal import Neighbourhood

MAX_EXPORT = 10_000
"""Items of one export at most: as many as a walk reports."""


@strawberry.enum(
    name="GraphFormat", description="What a graph is written as; see docs/guides/interchange.md."
)
class GraphFormatType(Enum):
    """`impact.interchange.GraphFormat`."""

    GRAPHML = "graphml"
    DOT = "dot"
    MERMAID = "mermaid"
    JSON = "json"


@strawberry.type(name="GraphExport", description="A graph as the text of a file.")
class GraphExport:
    """The text, and whether it has everything."""

    text: str = strawberry.field(description="It says itself of which revision it is true.")
    truncated: bool = strawberry.field(description="Whether `limit` cut some items off.")

    @classmethod
    def of(cls, graph: Subgraph, form: GraphFormatType) -> Self:
        """A subgraph, written."""
        return cls(text=to_text(graph, GraphFormat(form.value)), truncated=graph.truncated)


async def neighbourhood_export(topology: Topology, found: Neighbourhood, form: GraphFormatType) -> str:
    """What a walk over this topology found, as text."""
    return (await asyncio.to_thread(lambda: GraphExport.of(of_neighbourhood(topology, found), form))).text


async def impact_export(
    topology: Topology,
    rows: Iterable[ImpactRow],
    form: GraphFormatType,
    limit: int,
    *,
    minimum_confidence: Confidence = "inferred",
    relationship_types: Set[str] | None = None,
) -> GraphExport:
    """The first `limit` rows of an impact answer over this topology, and the edges between them that carry failure.

    `rows`: (item id, state, distance) in the order of the answer; it is run through in a thread, and no further than
    one beyond the limit. The last two are those of the question. Raises `BadRequest` for a limit that is not 1 to
    `MAX_EXPORT`, `UnknownItems`.
    """
    if not 1 <= limit <= MAX_EXPORT:
        raise BadRequest(f"limit is {limit}; it must be 1 to {MAX_EXPORT}")

    def written() -> GraphExport:
        graph = of_impact(
            topology,
            rows,
            limit=limit,
            minimum_confidence=minimum_confidence,
            relationship_types=relationship_types,
        )
        return GraphExport.of(graph, form)

    return await asyncio.to_thread(written)
