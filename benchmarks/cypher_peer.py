"""What a failure reaches, asked of Neo4j itself: a path of any length in Cypher, beside the other peers (`peers`).

As there: sorted numbers, the start among them, and the time of the statement alone, from sending it to its last row.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Literal, Self, TypeAlias

import numpy as np
from neo4j import Driver, GraphDatabase, NotificationMinimumSeverity, Query, Record
from neo4j.exceptions import Neo4jError

from benchmarks.array_walk import Walk
from benchmarks.synthetic import EstateColumns, Numbers
from cmdb.model.catalogue import builtin_catalogue
from cmdb.store.local_server import LocalServer

Form: TypeAlias = Literal["rows", "collect", "count"]
"""How Cypher brings the reached CIs: a row each, all in one row, or only how many."""
CYPHER_TYPES: Final = "|".join(
    name for name, kind in sorted(builtin_catalogue().relationships.items()) if kind.dependency != "none"
)
_REACHED: Final = f"MATCH (i:Item) WHERE i.id IN $ids MATCH (i)<-[:{CYPHER_TYPES}*0..]-(d) "
STATEMENTS: Final[dict[Form, str]] = {
    "rows": _REACHED + "RETURN DISTINCT id(d) AS node",
    "collect": _REACHED + "RETURN collect(DISTINCT id(d)) AS nodes",
    "count": _REACHED + "RETURN count(DISTINCT d) AS n",
}
_NODES: Final = "MATCH (i:Item) RETURN collect(id(i)) AS nodes, collect(i.id) AS ids"


class TimedOut(Exception):
    """The statement was stopped because it took longer than it was given."""


class CypherPeer:
    """Asks a Neo4j that has the estate (`bulk_load`); a `Peer` in the form of one collect.

    With DISTINCT ends and a lower bound of nought Neo4j plans a breadth-first search that visits a node once
    (VarLengthExpand(Pruning,BFS)), not all paths.
    """

    name = "Cypher"

    def __init__(self, driver: Driver, estate: EstateColumns, *, seconds: float = 60.0) -> None:
        """Read once which node is which CI; a question may take so many `seconds`."""
        self._driver = driver
        self._seconds = seconds
        self._ids = estate.id_texts()
        order = np.argsort(self._ids)
        [row] = driver.execute_query(_NODES).records
        nodes = np.array(row["nodes"], np.int64)
        places = np.searchsorted(self._ids[order], np.array(row["ids"], "S36"))
        self._number_of = np.full(int(nodes.max()) + 1, -1, np.int32)
        self._number_of[nodes] = order[places]

    @classmethod
    def connect(cls, server: LocalServer, estate: EstateColumns, *, seconds: float = 60.0) -> Self:
        """To a private server that `benchmarks.bulk_load` filled with the estate and a `Store` was opened on."""
        driver = GraphDatabase.driver(
            server.uri,
            auth=(server.user, server.password),
            notifications_min_severity=NotificationMinimumSeverity.OFF,  # of types that no edge has
        )
        return cls(driver, estate, seconds=seconds)

    def close(self) -> None:
        """Close the connection."""
        self._driver.close()

    def dependents(self, failed: Sequence[int]) -> Walk:
        """See `Peer`; raises TimedOut."""
        [row], seconds = self._ask("collect", failed)
        return Walk(self._sorted(row["nodes"]), seconds)

    def rows(self, failed: Sequence[int]) -> Walk:
        """The same as a row for each CI; raises TimedOut."""
        rows, seconds = self._ask("rows", failed)
        return Walk(self._sorted([row["node"] for row in rows]), seconds)

    def count(self, failed: Sequence[int]) -> tuple[int, float]:
        """Only how many there are, and the seconds it took; raises TimedOut."""
        [row], seconds = self._ask("count", failed)
        return row["n"], seconds

    def _ask(self, form: Form, failed: Sequence[int]) -> tuple[list[Record], float]:
        ids = [text.decode() for text in self._ids[list(failed)].tolist()]
        query = Query(STATEMENTS[form], timeout=self._seconds)
        with self._driver.session(default_access_mode="READ") as session:
            begun = time.perf_counter()
            try:
                rows = list(session.run(query, ids=ids))
            except Neo4jError as error:
                if "TransactionTimedOut" in (error.code or ""):
                    raise TimedOut(f"Cypher took longer than {self._seconds:g} s ({form})") from error
                raise
            return rows, time.perf_counter() - begun

    def _sorted(self, nodes: Sequence[int]) -> Numbers:
        # Neo4j 5.26 gives a node once for each start that reaches it, DISTINCT or not, where it returns rows of id().
        return np.unique(self._number_of[np.array(nodes, np.int64)])
