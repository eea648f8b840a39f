"""Every Cypher constant is explained by a real Neo4j: its syntax holds, and none walks the whole store by accident."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest_asyncio
from neo4j import AsyncDriver, AsyncGraphDatabase, NotificationMinimumSeverity

import cmdb.store
from cmdb.model.reserved import RESERVED_CLASSES, RESERVED_RELATIONSHIPS
from cmdb.store.cypher import fill
from cmdb.store.store import Store
from tests.conftest import Neo4jAddress

_STATEMENT = re.compile(r"\s*(MATCH|UNWIND|MERGE|CREATE|CALL|OPTIONAL|RETURN|WITH|SHOW|DROP)\b")
SLOTS = {
    "label": "`Server`",
    "labels": "`Server`",
    "where": "true",
    "order": "c.name, c.id",
    "arrow": "-[r:`RUNS_ON`]->",
    "total": "null",
    "type": "`RUNS_ON`",
}
IN_PAGES = {"where": "c.name IS NOT NULL"}
"""What `PAGE` is always given beside the caller's condition: the value that it is ordered by is there, or is not."""
SCANS = {
    "loading.LOAD_CLASSES": "a changed class is checked on all its items",
    "writing.LOAD_ENTRIES": "all entries are what is wanted",
    "writing.LOAD_CATALOGUE": "all entries are what is wanted",
    "baselines.LIST": "baselines are few, and listed all",
    "tokens.LIST": "tokens are few, and listed all",
    "topology_columns.LOAD_ITEMS": "a start without a snapshot file takes in everything",
    "verification.ANCHORS": "baselines are few, and asked all",
    "verification.TRACES": "verifying looks at everything",
}
"""Statements that may read all nodes of a label, and why."""


def statements() -> Iterator[tuple[str, str]]:
    """(module.NAME, statement) of every public constant; templates of schema commands are tried by applying them."""
    for found in pkgutil.iter_modules(cmdb.store.__path__):
        module = importlib.import_module(f"cmdb.store.{found.name}")
        for name, value in vars(module).items():
            constants = value if isinstance(value, tuple) else (value,)
            for index, text in enumerate(constants):
                if name[0].isupper() and name.isupper() and isinstance(text, str) and _STATEMENT.match(text):
                    suffix = f"[{index}]" if isinstance(value, tuple) else ""
                    yield f"{found.name}.{name}{suffix}", text


STATEMENTS = dict(statements())


@pytest_asyncio.fixture(loop_scope="session")
async def driver(store: Store, neo4j_server: Neo4jAddress) -> AsyncIterator[AsyncDriver]:
    """A bare driver on a graph that has its constraints and indexes."""
    opened = AsyncGraphDatabase.driver(
        neo4j_server.uri,
        auth=(neo4j_server.user, neo4j_server.password),
        notifications_min_severity=NotificationMinimumSeverity.OFF,
    )
    async with opened:
        yield opened


def operators(plan: dict[str, Any]) -> Iterator[str]:
    """The operators of a plan, without the `@neo4j` behind each."""
    yield plan["operatorType"].partition("@")[0]
    for child in plan.get("children", ()):
        yield from operators(child)


async def test_every_statement_is_well_formed_and_walks_no_more_than_it_says(driver: AsyncDriver) -> None:
    assert len(STATEMENTS) > 40, "the constants are found"
    scans: dict[str, set[str]] = {}
    async with driver.session() as session:
        for name, text in STATEMENTS.items():
            parameters = dict.fromkeys(re.findall(r"\$([a-z_]+)", text))
            slots = {**SLOTS, **(IN_PAGES if name == "reading.PAGE" else {})}
            result = await session.run("EXPLAIN " + fill(text, **slots), parameters)
            summary = await result.consume()
            plan = cast(dict[str, Any], summary.plan)
            found = set(operators(plan)) if plan else set()
            assert "AllNodesScan" not in found, name
            if "NodeByLabelScan" in found or "DirectedAllRelationshipsScan" in found:
                scans[name] = found
    assert set(scans) == set(SCANS)


def test_labels_and_types_of_the_store_itself_are_no_names_for_a_catalogue() -> None:
    labels: set[str] = set()
    types: set[str] = set()
    for text in STATEMENTS.values():
        labels.update(
            re.findall(r"\(\w*:([A-Z][A-Za-z]*)", text), re.findall(r" \w:([A-Z][A-Za-z]*)\b", text)
        )
        types.update(re.findall(r"\[\w*:([A-Z_]+)\]", text))
    assert labels - {"Item"} <= RESERVED_CLASSES
    assert {"Revision", "Tombstone", "IdentityKey"} <= labels
    assert types <= RESERVED_RELATIONSHIPS
    assert "CHANGED" in types
