from __future__ import annotations

import asyncio
from pathlib import Path

from cmdb.settings import Settings
from cmdb.store.store import Store
from cmdb_graphql.app import Service
from cmdb_graphql.context import Services
from cmdb_graphql.schema import BuiltSchema
from tests.api.conftest import Api
from tests.conftest import Neo4jAddress

LIFT = """
Lift:
  extends: Equipment
  description: Carries people up and down.
  attributes:
    floors: {type: integer, description: How many floors it serves., indexed: true}
    door: {type: enum, values: [left, right, both_sides], description: Where it opens.}
SERVES_FLOOR:
  from: [Lift]
  to: [Site]
  inverse: lifts
  description: The lift stands there.
"""
APPLY = """mutation M($yaml: String!, $dry: Boolean! = false) { applyCatalogue(yaml: $yaml, dryRun: $dry) {
  revision changes { id class kind } } }"""


async def test_the_catalogue_is_shown(api: Api) -> None:
    catalogue = (await api.data("{ catalogue { digest classes relationships lifecycles entries } }"))[
        "catalogue"
    ]
    assert catalogue["digest"] == api.store.catalogue.digest
    server = catalogue["classes"]["Server"]
    assert server["chain"] == ["Server", "Host", "ConfigurationItem", "Item"]
    assert server["attributes"]["memory"]["type"] == "bytes"
    assert server["attributes"]["memory"]["declaredBy"] == "Host"
    assert catalogue["relationships"]["RUNS_ON"]["dependency"] == "hard"
    assert catalogue["lifecycles"]["incident"]["transitions"]["new"] == [
        "assigned",
        "in_progress",
        "cancelled",
    ]
    assert catalogue["entries"]["Server"]["extends"] == "Host"


async def test_a_class_is_added_at_run_time_here_and_on_another_replica(
    api: Api, clean_neo4j: Neo4jAddress, builtin_schema: BuiltSchema, tmp_path: Path
) -> None:
    address = clean_neo4j
    store = await Store.open(address.uri, address.user, address.password)
    settings = Settings.model_validate({"data": tmp_path / "replica"})
    replica = await Service.start(Services(store, settings), builtin_schema)
    try:
        assert await api.code("{ lifts { totalCount } }") == "GRAPHQL_VALIDATION_FAILED"
        dry = (await api.data(APPLY, {"yaml": LIFT, "dry": True}))["applyCatalogue"]
        assert dry["revision"] is None
        done = (await api.data(APPLY, {"yaml": LIFT}))["applyCatalogue"]
        assert done["revision"] == 1
        assert {change["id"] for change in done["changes"]} == {"catalogue:Lift", "catalogue:SERVES_FLOOR"}
        site = await api.create("Site", name="south")
        lift = await api.create("Lift", name="L1", floors=12, door="BOTH_SIDES")
        await api.relate("ServesFloor", lift, site)
        data = await api.data(
            """{ lifts(filter: {floors: {gt: 10}}) { nodes { door servesFloor { nodes { name } } } }
                 sites { nodes { lifts { totalCount } } } equipmentItems { totalCount } }"""
        )
        assert data == {
            "lifts": {"nodes": [{"door": "BOTH_SIDES", "servesFloor": {"nodes": [{"name": "south"}]}}]},
            "sites": {"nodes": [{"lifts": {"totalCount": 1}}]},
            "equipmentItems": {"totalCount": 1},
        }
        async with asyncio.timeout(20):
            while "Lift" not in store.catalogue.classes:  # noqa: ASYNC110 - it comes by the replica's poll
                await asyncio.sleep(0.05)
            await replica.schemas.current()
        assert "Lift" in replica.schemas.schema._schema.type_map
    finally:
        await replica.stop()
        await store.close()


async def test_entries_that_cannot_be_are_refused_whole(api: Api) -> None:
    clash = "Query:\n  extends: Server\n  description: Clashes with the root type.\n"
    assert await api.code(APPLY, {"yaml": clash}) == "CATALOGUE_INVALID"
    clash = "Revision:\n  extends: Server\n  description: Clashes with a type of the contract.\n"
    assert await api.code(APPLY, {"yaml": clash}) == "CATALOGUE_INVALID"
    assert await api.code(APPLY, {"yaml": "Lift: {extends: Nothing, description: x}"}) == "CATALOGUE_INVALID"
    assert await api.code(APPLY, {"yaml": "&a [*a]"}) == "CATALOGUE_INVALID"
    assert (await api.data("{ revisions { nodes { number } } }"))["revisions"]["nodes"] == []


async def test_a_class_with_items_cannot_lose_what_they_have(api: Api) -> None:
    await api.data(APPLY, {"yaml": LIFT})
    await api.service.schemas.current()
    await api.create("Lift", name="L1", floors=12)
    narrower = LIFT.replace(
        "    floors: {type: integer, description: How many floors it serves., indexed: true}\n", ""
    )
    assert await api.code(APPLY, {"yaml": narrower}) == "VALIDATION_FAILED"


async def test_the_past_may_hold_values_that_the_catalogue_has_no_more(api: Api) -> None:
    await api.data(APPLY, {"yaml": LIFT})
    lift = await api.create("Lift", name="L1", door="BOTH_SIDES")
    before = await api.store.head()
    await api.data(
        "mutation M($id: ID!) { updateLift(id: $id, input: {door: LEFT}) { revision } }", {"id": lift}
    )
    await api.data(APPLY, {"yaml": LIFT.replace(", both_sides", "")})
    await api.service.schemas.current()
    data = await api.data(
        "query Q($then: AsOf) { lifts { nodes { door } } then: lifts(asOf: $then) { nodes { door attributes } } }",
        {"then": {"revision": before}},
    )
    assert data["lifts"]["nodes"] == [{"door": "LEFT"}]
    assert data["then"]["nodes"] == [{"door": None, "attributes": {"door": "both_sides"}}]
