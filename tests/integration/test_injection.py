"""Cypher in every value and in every name: the canary lives, and Neo4j never sees a statement it cannot read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator

from cmdb.errors import CmdbError
from cmdb.model.change_set import (
    Authorship,
    ChangeSet,
    DeleteEdge,
    DeleteItem,
    Operation,
    PutEdge,
    PutEntries,
    PutItem,
)
from cmdb.model.items import EdgeFacts, EdgeKey
from cmdb.store.connection import StoreError
from cmdb.store.filters import AllOf, Comparison, Condition, IsA, Operator, Related
from cmdb.store.history import AsOf
from cmdb.store.reading import Order, PageRequest, PresentReader, RelatedRequest
from cmdb.store.store import Store

ALICE = Authorship(actor="alice")
DELETE = "MATCH (n) DETACH DELETE n"
PAYLOADS = [
    f"x`) {DELETE} //",
    f"x\\u0060) {DELETE} //",
    f"x``) {DELETE} //",
    f"'}}) {DELETE} //",
    f"\\'}}) {DELETE} //",
    f'"}}) {DELETE} //',
    f"') RETURN 1 UNION {DELETE} RETURN 1 //",
    f"$x}} CALL () {{ {DELETE} }} //",
    f"Server:Item) {DELETE} WITH 1 AS x MATCH (y",
    f"name = '' OR true {DELETE} //",
    f"; {DELETE};",
    f"/* */ {DELETE} /*",
    f"x]->() {DELETE} //",
    f"{{}} {DELETE}",
    "x\n\r\t`\\u0060\u0060\uff40\u02cb\u2018",
    "=~ '.*'",
    "$($label)",
    "n[$key]",
    "LOAD CSV FROM 'file:///etc/passwd' AS l RETURN l",
    "CALL dbms.shutdown()",
    "1e1000",
    "null",
    "<<where>>",
    "%s{0}{label}",
]


async def canary_lives(store: Store, others: int | None = None) -> None:
    rows = await store.connection.read(
        "MATCH (i:Item {id: 'canary'})-[:RUNS_ON]->(s:Server) RETURN i.name AS n", {}
    )
    assert [row["n"] for row in rows] == ["canary"]
    if others is not None:
        [row] = await store.connection.read("MATCH (n:Item) RETURN count(n) AS n", {})
        assert row["n"] == others


async def place_canary(store: Store) -> None:
    canary = PutItem("canary", {"name": "canary"}, "Application")
    target = PutItem("target", {"name": "target"}, "Server")
    await store.apply(ChangeSet((canary, target, PutEdge(EdgeKey("RUNS_ON", "canary", "target")))), ALICE)


def change_sets(text: str) -> Iterator[ChangeSet]:
    """The payload in every value and name that a ChangeSet has."""
    server = PutItem("s", {"name": "s"}, "Server")
    operations: list[Operation] = [
        PutItem("v", {"name": text, "serial_number": text, "tags": [text], "description": text}, "Server"),
        PutItem(text, {"name": "x"}, "Server"),
        PutItem("c", {"name": "x"}, text),
        PutItem("a", {"name": "x", text: "x"}, "Server"),
        PutItem("l", {"name": "x", "lifecycle": text}, "Server"),
        DeleteItem(text),
        PutEdge(EdgeKey(text, "canary", "target")),
        PutEdge(EdgeKey("RUNS_ON", text, "target")),
        PutEdge(EdgeKey("RUNS_ON", "canary", text)),
        PutEdge(EdgeKey("RUNS_ON", "canary", "target", text), EdgeFacts(required="1")),
        PutEdge(EdgeKey("RUNS_ON", "canary", "target", "g"), EdgeFacts(required=text, strength=text, confidence=text)),
        DeleteEdge(EdgeKey(text, "canary", "target", text)),
        PutEntries({text: {"extends": "Server", "description": "d"}}),
        PutEntries({"Robot": {"extends": text, "description": "d"}}),
        PutEntries({"Robot": {"extends": "Server", "description": text, "title": {"en": text}}}),
        PutEntries({"Robot": {"extends": "Server", "description": "d", "attributes": {text: {"type": "string"}}}}),
        PutEntries({"Robot": {"extends": "Server", "description": "d", "plural": text, "layer": text}}),
        PutEntries({"Robot": {"extends": "Server", "description": "d",
                              "attributes": {"a": {"type": "integer", "computed": text}}}}),
        PutEntries({"HOLDS": {"from": ["Server"], "to": [text], "inverse": text}}),
        PutEntries({"record": {"initial": text, "states": {text: {}}}}),
    ]  # fmt: skip
    for operation in operations:
        yield ChangeSet((operation,))
    yield ChangeSet((server,), text, text)
    yield ChangeSet((server,), expected={text: 1})
    yield ChangeSet((PutItem("k", {"name": "k"}, "Server"),), keys={"k": ("@" + text,)})
    yield ChangeSet((server,), keys={text: ("@k",)})


async def test_written_it_is_a_text_or_refused(store: Store) -> None:
    await place_canary(store)
    for payload in PAYLOADS:
        calls = [store.apply(change_set, ALICE, dry_run=True) for change_set in change_sets(payload)]
        for author in (ALICE, Authorship(payload, payload, payload)):
            calls += [store.apply(c, author, idempotency_key=payload) for c in change_sets(payload)]
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            assert not isinstance(answer, StoreError), answer
            assert not isinstance(answer, BaseException) or isinstance(answer, CmdbError), answer
        await store.apply(next(change_sets(payload)), ALICE)
        [row] = await store.connection.read(
            "MATCH (i:Item {id: 'v'}) RETURN i.name AS name, i.tags AS tags", {}
        )
        assert row["name"] == row["tags"][0]
    await canary_lives(store)
    assert (await store.history.verify()).ok


async def test_read_it_finds_nothing_and_does_nothing(store: Store) -> None:
    await place_canary(store)
    for payload in PAYLOADS:
        answers = await asyncio.gather(*readings(store, payload), return_exceptions=True)
        for answer in answers:
            assert not isinstance(answer, StoreError), answer
            assert not isinstance(answer, BaseException) or isinstance(answer, CmdbError), answer
        await canary_lives(store, others=2)


def readings(store: Store, text: str) -> Iterator[Awaitable[object]]:
    """The payload in every value and name that is read by."""
    reader = PresentReader(store.connection, lambda: store.catalogue)
    operators: tuple[Operator, ...] = ("eq", "ne", "contains", "startsWith", "gt", "gte", "lt", "lte")
    conditions: list[Condition] = [Comparison("name", operator, text) for operator in operators]
    conditions += [
        Comparison("name", "in", [text]),
        Comparison("tags", "has", text),
        Comparison(text, "eq", 1),
    ]
    conditions += [IsA((text,)), Related(text, True, "some", AllOf(()))]
    conditions.append(Related("RUNS_ON", True, "none", Comparison("name", "eq", text)))
    for condition in conditions:
        yield reader.page(PageRequest("Application", where=condition))
    yield reader.items([text])
    yield reader.named("Server", text)
    yield reader.named(text, "x")
    yield reader.page(PageRequest(text))
    yield reader.page(PageRequest("Server", order=Order(text)))
    yield reader.page(PageRequest("Server", after=text))
    yield reader.count("Server", Comparison("name", "eq", text))
    yield reader.related(RelatedRequest(text, True), ["canary"])
    yield reader.related(RelatedRequest("RUNS_ON", True, after=text), ["canary"])
    yield reader.related(RelatedRequest("RUNS_ON", True), [text])
    yield reader.search(text, [], 10)
    yield reader.search("canary", [text], 10)
    yield store.find_by_keys([text])
    yield store.held_keys([text])
    yield store.history.item_history(text)
    yield store.history.revisions(actor=text, source=text)
    yield store.history.resolve(AsOf(time=text))
    yield store.history.resolve(AsOf(before_change=text))
    yield store.baselines.get(text)
    yield store.baselines.create(
        text, 1, actor=text, recorded_at=text, description=text, scope=[text], root=text
    )
    yield store.baselines.delete(text)
