"""An impact answer written by the service, from rows as any engine gives them."""

from __future__ import annotations

import json
from itertools import count

import pytest

from cmdb.errors import BadRequest
from cmdb_graphql.interchange import MAX_EXPORT, GraphFormatType, impact_export
from impact.errors import UnknownItems
from tests.topologies import PAIR

ROWS = [("host-1", "down", 0), ("web-1", "down", 1), ("shop", "at_risk", 2)]


async def test_an_impact_is_written_with_states_and_the_edges_between_its_items() -> None:
    export = await impact_export(PAIR.topology, ROWS, GraphFormatType.JSON, 1000)
    written = json.loads(export.text)
    assert not export.truncated
    assert [(node["id"], node["state"], node["distance"]) for node in written["nodes"]] == ROWS
    assert [(edge["source"], edge["target"]) for edge in written["edges"]] == [
        ("shop", "web-1"),
        ("web-1", "host-1"),
    ]


async def test_a_limit_cuts_and_says_so_without_running_through_all_rows() -> None:
    endless = (("shop", "down", 0) for _ in count())
    export = await impact_export(PAIR.topology, endless, GraphFormatType.MERMAID, 3)
    assert export.truncated
    assert "there is more" in export.text


@pytest.mark.parametrize("limit", [0, -1, MAX_EXPORT + 1])
async def test_a_limit_beyond_the_bounds_is_refused(limit: int) -> None:
    with pytest.raises(BadRequest, match="it must be 1 to 10000"):
        await impact_export(PAIR.topology, ROWS, GraphFormatType.DOT, limit)


async def test_an_item_that_the_topology_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownItems):
        await impact_export(PAIR.topology, [("nobody", "down", 0)], GraphFormatType.DOT, 10)
