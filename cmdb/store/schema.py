"""Constraints and indexes in Neo4j: the fixed ones of the ledger, and those that follow from the catalogue.

Schema commands take no parameters for names. Every name that is put into one comes from a compiled catalogue, whose
entries allow letters, digits and underscores only, and goes through `quoted`, which insists on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import LiteralString

from cmdb.model.catalogue import Catalogue
from cmdb.store.connection import Connection, StoreError
from cmdb.store.cypher import quoted

FIXED = (
    "CREATE CONSTRAINT item_id IF NOT EXISTS FOR (n:Item) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT tombstone_id IF NOT EXISTS FOR (n:Tombstone) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT identity_key IF NOT EXISTS FOR (n:IdentityKey) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT revision_number IF NOT EXISTS FOR (n:Revision) REQUIRE n.number IS UNIQUE",
    "CREATE CONSTRAINT ledger_name IF NOT EXISTS FOR (n:Ledger) REQUIRE n.name IS UNIQUE",
    "CREATE CONSTRAINT idempotency_key IF NOT EXISTS FOR (n:IdempotencyKey) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT catalogue_entry_id IF NOT EXISTS FOR (n:CatalogueEntry) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT baseline_name IF NOT EXISTS FOR (n:Baseline) REQUIRE n.name IS UNIQUE",
    "CREATE CONSTRAINT source_name IF NOT EXISTS FOR (n:Source) REQUIRE n.name IS UNIQUE",
    "CREATE CONSTRAINT discovery_run_id IF NOT EXISTS FOR (n:DiscoveryRun) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT api_token_id IF NOT EXISTS FOR (n:ApiToken) REQUIRE n.id IS UNIQUE",
    "CREATE INDEX revision_recorded_at IF NOT EXISTS FOR (n:Revision) ON (n.recorded_at)",
    "CREATE INDEX revision_reason IF NOT EXISTS FOR (n:Revision) ON (n.reason)",
    "CREATE INDEX item_name IF NOT EXISTS FOR (n:Item) ON (n.name)",
    "CREATE INDEX idempotency_at IF NOT EXISTS FOR (n:IdempotencyKey) ON (n.recorded_at)",
)
LIST_INDEXES = "SHOW INDEXES YIELD name, type, properties RETURN name, type, properties"
DROP_SEARCH = "DROP INDEX item_search IF EXISTS"
_RANGE = "CREATE INDEX {index} IF NOT EXISTS FOR (n:{label}) ON (n.{key})"
# Lucene out of the commits (measured: half of a small commit, a third of an import); a search waits for it to catch up.
_SEARCH = (
    "CREATE FULLTEXT INDEX item_search IF NOT EXISTS FOR (n:Item) ON EACH [{keys}] "
    "OPTIONS {{indexConfig: {{`fulltext.eventually_consistent`: true}}}}"
)
_DROP = "DROP INDEX {index} IF EXISTS"
_OURS = re.compile(r"[A-Z][A-Za-z0-9]*_[a-z0-9_]+")
SECONDS = 120.0
"""How long a schema command may take: an index over much is not made in an instant."""
_DONE_ALREADY = (
    "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists",
    "Neo.ClientError.Schema.IndexDropFailed",
)


async def apply_schema(connection: Connection, catalogue: Catalogue) -> None:
    """Make Neo4j's constraints and indexes what the catalogue needs; what is there already costs nothing.

    Several replicas may do so at once.
    """
    rows = await connection.run(LIST_INDEXES, deadline=SECONDS)
    present = {row["name"] for row in rows}
    search = next((set(row["properties"]) for row in rows if row["name"] == "item_search"), None)
    for statement in FIXED:
        if statement.split()[2] not in present:
            await _make(connection, statement)
    indexes = list(range_indexes(catalogue))
    for name in sorted(present - {index for index, _, _ in indexes}):
        if _OURS.fullmatch(name):  # an attribute that is indexed no more may hold what no index can
            await _make(connection, _DROP.format(index=quoted(name)))
    for index, label, key in indexes:
        if index not in present:
            await _make(connection, _RANGE.format(index=quoted(index), label=quoted(label), key=quoted(key)))
    wanted = searched_properties(catalogue)
    if search != set(wanted):
        await _make(connection, DROP_SEARCH)
        await _make(connection, _SEARCH.format(keys=", ".join(f"n.{quoted(key)}" for key in wanted)))
    await connection.run("CALL db.awaitIndexes(120)", deadline=SECONDS)


async def _make(connection: Connection, command: LiteralString) -> None:
    """Run a schema command. Another replica that did the same a moment ago is no error, IF NOT EXISTS or not."""
    try:
        await connection.run(command, deadline=SECONDS)
    except StoreError as error:
        if not error.neo4j_code.startswith(_DONE_ALREADY):
            raise


def range_indexes(catalogue: Catalogue) -> Iterable[tuple[str, str, str]]:
    """(index, label, property) of every range index: each class by name, indexed attributes on the declaring class."""
    for item_class in catalogue.classes.values():
        if item_class.name != "Item":
            yield f"{item_class.name}_name", item_class.name, "name"
        for attribute in item_class.attributes.values():
            if attribute.entry.indexed and attribute.declared_by == item_class.name:
                yield f"{item_class.name}_{attribute.name}", item_class.name, attribute.name


def searched_properties(catalogue: Catalogue) -> tuple[str, ...]:
    """The properties of the full-text index `item_search`: the name, and every searched attribute that is no secret."""
    names = {
        attribute.name
        for item_class in catalogue.classes.values()
        for attribute in item_class.attributes.values()
        if attribute.entry.searched and not attribute.entry.secret
    }
    return ("name", *sorted(names))
