"""Baselines: a name on a revision plus a scope (ISO/IEC 20000: a snapshot at a point in time). No copy is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cmdb.errors import BadRequest, Conflict, NotFound
from cmdb.model.items import new_id
from cmdb.model.values import clean_text
from cmdb.store.connection import Connection
from cmdb.store.ledger import GENESIS

PUT = """
MERGE (b:Baseline {name: $name})
ON CREATE SET b.revision = $revision, b.recorded_at = $recorded_at, b.actor = $actor, b.description = $description,
              b.scope = $scope, b.root = $root, b.token = $token, b.hash = $hash
RETURN b.token = $token AS created
"""
HASH = """
MATCH (l:Ledger {name: 'ledger'}) OPTIONAL MATCH (r:Revision {number: $revision}) RETURN l.last AS last, r.hash AS hash
"""
LIST = """
MATCH (b:Baseline) WHERE $name IS NULL OR b.name = $name
RETURN properties(b) AS baseline ORDER BY b.revision, b.name
"""
DELETE = "MATCH (b:Baseline {name: $name}) DELETE b RETURN count(*) AS deleted"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A named point in history.

    `scope`: the ids of the items in it, None for everything. `root`: the item whose closure the scope is, or empty.
    """

    name: str
    revision: int
    recorded_at: str
    actor: str
    description: str
    scope: tuple[str, ...] | None
    root: str


class Baselines:
    """Named baselines."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self,
        name: str,
        revision: int,
        *,
        actor: str,
        recorded_at: str,
        description: str = "",
        scope: Sequence[str] | None = None,
        root: str = "",
    ) -> Baseline:
        """Name a revision. Its hash is kept too: should the ledger be rewritten, the baseline tells.

        Raises:
            BadRequest: there is no such revision.
            Conflict: the name is taken; a baseline never moves.
        """
        name = clean_text(name, 200)
        if not name:
            raise BadRequest("a baseline needs a name of 1 to 200 bytes")
        rows = await self._connection.read(HASH, {"revision": revision})
        found = rows[0]["hash"] if rows and revision else GENESIS
        if found is None or revision < 0 or (revision and not rows):
            last = rows[0]["last"] if rows else 0
            raise BadRequest(f"there is no revision {revision} to name; the last one is {last}")
        parameters = {
            "hash": found,
            "name": name,
            "revision": revision,
            "recorded_at": recorded_at,
            "actor": actor,
            "description": clean_text(description, 4_000),
            "scope": sorted(scope) if scope is not None else None,
            "root": root,
            "token": new_id(),
        }
        [row] = await self._connection.run(PUT, parameters)
        if not row["created"]:
            raise Conflict(
                f"there is a baseline {name!r} already; a baseline never moves: choose another name"
            )
        return await self.get(name)

    async def get(self, name: str) -> Baseline:
        """The baseline of that name.

        Raises:
            NotFound: there is none.
        """
        found = await self.list(name)
        if not found:
            raise NotFound("baseline", name, "list the baselines to see their names")
        return found[0]

    async def list(self, name: str | None = None) -> list[Baseline]:
        """All of them, oldest revision first."""
        rows = await self._connection.read(LIST, {"name": name})
        return [
            Baseline(
                name=p["name"],
                revision=p["revision"],
                recorded_at=p["recorded_at"],
                actor=p["actor"],
                description=p["description"],
                scope=tuple(p["scope"]) if p.get("scope") is not None else None,
                root=p["root"],
            )
            for p in (row["baseline"] for row in rows)
        ]

    async def delete(self, name: str) -> None:
        """Take the name away; the history stays.

        Raises:
            NotFound: there is none.
        """
        [row] = await self._connection.run(DELETE, {"name": name})
        if not row["deleted"]:
            raise NotFound("baseline", name, "list the baselines to see their names")
