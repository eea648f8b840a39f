"""Small writes as clients send them: sixteen connections to the service, each with one mutation at a time.

The same mix as `benchmarks.small_writes`, as `applyChanges` mutations over HTTP; the clients are threads of another
process than the service. Every answer's revision has to be a revision of its own, and they have to be all there are.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import asdict
from typing import Any

from benchmarks.estate import Estate, build_estate, open_store, private_neo4j
from benchmarks.results import Result, quantile
from benchmarks.service import RunningService, ServiceFailed, running_service
from benchmarks.small_writes import CLIENTS, ITEMS, SECONDS, WARM_UP_SECONDS, Load, some_change
from cmdb.model.change_set import ChangeSet, PutEdge, PutItem
from cmdb.store.local_server import LocalServer

NAME = "http-writes"
APPLY = "mutation Apply($changeSet: ChangeSetInput!) { applyChanges(changeSet: $changeSet) { revision } }"


def run() -> list[Result]:
    """Measure on a private Neo4j, with the service and the clients in a process each."""
    with private_neo4j() as neo4j:
        estate = asyncio.run(_build(neo4j))
        with running_service(neo4j) as service:
            clients(service, estate, WARM_UP_SECONDS)
            load = clients(service, estate, SECONDS)
    repeated = len(load.revisions) - len(set(load.revisions))
    missing = max(load.revisions) - min(load.revisions) + 1 - len(set(load.revisions))
    return [
        Result.at_least(NAME, f"mutations a second, {CLIENTS} clients", load.rate, 400),
        Result.below(NAME, "time of one mutation, p99, ms", quantile(load.taken, 0.99) * 1e3, 150),
        Result.exactly(NAME, "mutations refused", len(load.refusals), 0),
        Result.exactly(NAME, "revisions answered twice, or of nobody", repeated + missing, 0),
    ]


async def _build(neo4j: LocalServer) -> Estate:
    async with open_store(neo4j) as store:
        return await build_estate(store, ITEMS)


def clients(service: RunningService, estate: Estate, seconds: float) -> Load:
    """`CLIENTS` clients that write for so long."""
    load = Load()
    started = time.perf_counter()

    def client(number: int) -> None:
        chance, connection = random.Random(f"{number} {started}"), service.client()
        while time.perf_counter() < started + seconds:
            variables = {"changeSet": as_input(some_change(estate, chance))}
            begun = time.perf_counter()
            try:
                answer = connection.query(APPLY, variables)
            except ServiceFailed as error:
                load.refusals.append(str(error))
                continue
            load.taken.append(time.perf_counter() - begun)
            load.revisions.append(answer["applyChanges"]["revision"])
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - started
    return load


def as_input(change_set: ChangeSet) -> dict[str, Any]:
    """The ChangeSet as `applyChanges` takes it."""
    created = {o.id for o in change_set.operations if isinstance(o, PutItem) and o.intent == "create"}

    def reference(item: str) -> str:
        return f"ref:{item}" if item in created else item

    operations: list[dict[str, Any]] = []
    for operation in change_set.operations:
        if isinstance(operation, PutItem) and operation.id in created:
            new = {"ref": operation.id, "class": operation.class_name, "fields": operation.fields}
            operations.append({"putItem": new})
        elif isinstance(operation, PutItem):
            operations.append({"putItem": {"id": operation.id, "fields": operation.fields}})
        elif isinstance(operation, PutEdge):
            key = operation.key
            ends = {"from": reference(key.source), "to": reference(key.target)}
            operations.append({"putEdge": {"type": key.type, **ends, "group": key.group or None}})
        else:
            raise TypeError(f"{type(operation).__name__} is not among the small changes: {asdict(operation)}")
    return {"operations": operations}
