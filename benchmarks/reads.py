"""Reading the present: one item, and a page of a hundred with related items, over HTTP on an estate of 100,000.

One client that asks for one thing after the other, so that the figure is the time of an answer and not of a queue;
other items each time, so that nothing but the plans is warm. The peer of the page is one query for each of its items.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from benchmarks.estate import Estate, build_estate, open_store, private_neo4j
from benchmarks.results import Result, quantile
from benchmarks.service import Client, running_service
from cmdb.store.local_server import LocalServer

NAME = "reads"
ITEMS = 100_000
WARM_UP_SECONDS = 10.0
"""Neo4j compiles what runs often: in its first seconds one request in a hundred waits 60 ms for that."""

ITEM = "query Item($id: ID!) { item(id: $id) { name } }"
PAGE = """
query Page($after: String) {
  applications(first: 100, after: $after) {
    nodes {
      name lifecycle productVersion vendor language url
      runsOn(first: 1) { nodes { name } }
      dependsOn(first: 1) { nodes { name } }
    }
    pageInfo { endCursor }
  }
}"""
ONE_OF_PAGE = """
query One($id: ID!) {
  item(id: $id) {
    ... on Application {
      name lifecycle productVersion vendor language url
      runsOn(first: 1) { nodes { name } }
      dependsOn(first: 1) { nodes { name } }
    }
  }
}"""


def run() -> list[Result]:
    """Measure on a private Neo4j, with the service in a process of its own."""
    with private_neo4j() as neo4j:
        estate = asyncio.run(_build(neo4j))
        with running_service(neo4j) as service:
            return measure(service.client(), estate)


async def _build(neo4j: LocalServer) -> Estate:
    async with open_store(neo4j) as store:
        return await build_estate(store, ITEMS)


def measure(client: Client, estate: Estate) -> list[Result]:
    """The figures, with one client."""
    chance = random.Random(2)
    everything, applications = estate.everything, estate.applications

    def one_item() -> None:
        if not client.query(ITEM, {"id": chance.choice(everything)})["item"]["name"]:
            raise AssertionError("an item without a name")

    cursors: list[str | None] = [None]

    def page() -> None:
        found = client.query(PAGE, {"after": cursors[-1]})["applications"]
        related = sum(
            len(node["runsOn"]["nodes"]) + len(node["dependsOn"]["nodes"]) for node in found["nodes"]
        )
        if len(found["nodes"]) != 100 or related < 199:
            raise AssertionError(f"a page of {len(found['nodes'])} items with {related} related ones")
        last = len(cursors) >= len(applications) // 100
        cursors[:] = [None] if last else [*cursors, found["pageInfo"]["endCursor"]]

    def one_by_one() -> None:
        for item in chance.sample(applications, 100):
            client.query(ONE_OF_PAGE, {"id": item})

    item_times, page_times, peer_times = timed(one_item, 2_000), timed(page, 100), timed(one_by_one, 5)
    page_median = quantile(page_times, 0.5)
    return [
        Result.below(NAME, "{ item { name } }, p50, ms", quantile(item_times, 0.5) * 1e3, 5),
        Result.below(NAME, "{ item { name } }, p99, ms", quantile(item_times, 0.99) * 1e3, 20),
        Result.below(
            NAME, "page of 100 items, 6 fields and 2 related items each, p50, ms", page_median * 1e3, 60
        ),
        Result.at_least(
            NAME, "the page against its items one by one, times", quantile(peer_times, 0.5) / page_median, 1
        ),
    ]


def timed(work: Callable[[], None], times: int) -> list[float]:
    """How many seconds each of so many calls took, after some seconds of calls that do not count."""
    warm = time.perf_counter() + WARM_UP_SECONDS
    while time.perf_counter() < warm:
        work()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return taken
