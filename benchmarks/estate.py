"""A made-up estate of any size, written through the product's own write path.

Promises: deterministic for a size; a fifth servers, three tenths virtual machines that run on them, the rest
applications that run on a virtual machine each and depend on another application; five or six attributes an item. Edges
are 1.3 an item.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cmdb.model.change_set import Authorship, ChangeSet, Operation, PutEdge, PutItem
from cmdb.model.items import EdgeKey
from cmdb.store.local_server import LocalServer
from cmdb.store.store import Store

AUTHOR = Authorship(actor="benchmark")
OPERATIONS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Estate:
    """The ids of what was written, by class."""

    servers: tuple[str, ...]
    machines: tuple[str, ...]
    applications: tuple[str, ...]

    @property
    def everything(self) -> tuple[str, ...]:
        """Every id."""
        return self.servers + self.machines + self.applications


@contextmanager
def private_neo4j(heap: str = "512m") -> Iterator[LocalServer]:
    """A Neo4j of one's own on an empty store, gone afterwards with everything in it."""
    with (
        TemporaryDirectory(prefix="cmdb-bench-") as folder,
        LocalServer.start(Path(folder), heap=heap) as server,
    ):
        yield server


@asynccontextmanager
async def open_store(server: LocalServer) -> AsyncIterator[Store]:
    """A store on that server, as the service opens it."""
    store = await Store.open(server.uri, server.user, server.password)
    try:
        yield store
    finally:
        await store.close()


async def build_estate(store: Store, items: int) -> Estate:
    """Write an estate of that many items in ChangeSets of some 5,000 operations."""
    ids = [_id(number) for number in range(items)]
    servers, machines = ids[: items // 5], ids[items // 5 : items // 2]
    estate = Estate(tuple(servers), tuple(machines), tuple(ids[items // 2 :]))
    batch: list[Operation] = []
    for operations in _operations(estate):
        batch.extend(operations)
        if len(batch) >= OPERATIONS_AT_ONCE:
            await store.apply(ChangeSet(tuple(batch), "the estate"), AUTHOR)
            batch.clear()
    if batch:
        await store.apply(ChangeSet(tuple(batch), "the estate"), AUTHOR)
    return estate


def _id(number: int) -> str:
    return str(uuid.UUID(int=number | 0x7 << 76 | 0x2 << 62))


def _operations(estate: Estate) -> Iterator[list[Operation]]:
    """The operations for each item in turn; edges only to items that are there by then."""
    chance = random.Random(1)
    for number, item in enumerate(estate.servers):
        fields = {
            "name": f"server-{number:06}",
            "serial_number": f"SN{number:08}",
            "manufacturer": chance.choice(("Dell", "HPE", "Lenovo")),
            "model": f"R{chance.randrange(400, 900)}",
            "operating_system": chance.choice(("Debian", "RHEL", "Windows Server")),
            "memory": chance.choice((64, 128, 256)) * 2**30,
            "cpu_count": chance.choice((16, 32, 64)),
        }
        yield [PutItem(item, fields, "Server", intent="create")]
    for number, item in enumerate(estate.machines):
        fields = {
            "name": f"vm-{number:06}",
            "uuid": item,
            "operating_system": chance.choice(("Debian", "RHEL", "Windows Server")),
            "architecture": "x86_64",
            "memory": chance.choice((4, 8, 16)) * 2**30,
            "cpu_count": chance.choice((2, 4, 8)),
            "primary_address": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        }
        runs_on = EdgeKey("RUNS_ON", item, chance.choice(estate.servers))
        yield [PutItem(item, fields, "VirtualMachine", intent="create"), PutEdge(runs_on)]
    for number, item in enumerate(estate.applications):
        fields = {
            "name": f"app-{number:06}",
            "product_version": f"{chance.randrange(1, 9)}.{chance.randrange(30)}",
            "vendor": chance.choice(("ourselves", "Example Ltd", "Sample AG")),
            "language": chance.choice(("Java", "Go", "Python")),
            "repository": f"https://git.example.com/app-{number:06}",
            "url": f"https://app-{number:06}.example.com/",
        }
        edges = [PutEdge(EdgeKey("RUNS_ON", item, chance.choice(estate.machines)))]
        if number:
            target = estate.applications[chance.randrange(number)]
            edges.append(PutEdge(EdgeKey("DEPENDS_ON", item, target)))
        yield [PutItem(item, fields, "Application", intent="create"), *edges]
