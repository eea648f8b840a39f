"""Who may do what: the one place that decides.

Deny by default: a role has the actions that `ALLOWED` gives it, and nothing else. Every resolver, route and socket
that reads or changes anything calls `require` (or `require_source`) first; finer rules (rows, attributes, tenants)
belong here.

| role | may |
|---|---|
| viewer | read |
| editor | read, change items and edges, baselines, undo, ingest reports of any source |
| agent | ingest reports of its own sources; reads nothing |
| admin | everything, also: catalogue, tokens, secret attributes |
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import structlog

from cmdb.errors import CmdbError, Forbidden, Unauthenticated
from cmdb.model.catalogue import Catalogue
from cmdb.model.items import Fields, Item, ItemChange
from cmdb.model.values import Stored, parse_instant
from cmdb.store.tokens import ApiToken, Role, Tokens

_log: structlog.stdlib.BoundLogger = structlog.get_logger("cmdb.access")


class Action(StrEnum):
    """What a caller may be allowed to do."""

    READ = "read"
    WRITE = "write"
    INGEST = "ingest"
    SECRETS = "read secret attributes"
    CATALOGUE = "change the catalogue"
    TOKENS = "manage tokens"
    INTROSPECT = "introspect the schema"


ALLOWED: Mapping[Role, frozenset[Action]] = {
    "viewer": frozenset({Action.READ, Action.INTROSPECT}),
    "editor": frozenset({Action.READ, Action.INTROSPECT, Action.WRITE, Action.INGEST}),
    "agent": frozenset({Action.INGEST}),
    "admin": frozenset(Action),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who has shown a good token. `sources`: those an agent may speak for."""

    actor: str
    role: Role
    token_id: str
    expires_at: datetime
    sources: tuple[str, ...] = ()

    def may(self, action: Action) -> bool:
        """Whether the role has the action."""
        return action in ALLOWED[self.role]


def require(caller: Caller, action: Action) -> None:
    """Raise `Forbidden` unless the caller may do this."""
    if not caller.may(action):
        able = ", ".join(role for role, actions in ALLOWED.items() if action in actions)
        raise Forbidden(f"the role {caller.role} may not {action.value}; use a token with one of: {able}")


def require_source(caller: Caller, source: str) -> None:
    """Raise `Forbidden` unless the caller may report as this source."""
    require(caller, Action.INGEST)
    if caller.role == "agent" and source not in caller.sources:
        raise Forbidden(f"this agent may report as {', '.join(caller.sources)} only, not as {source[:80]!r}")


class Authenticator:
    """Turns tokens into callers. What Neo4j said of a token is believed for `seconds`, so a revoked one ends then."""

    def __init__(self, tokens: Tokens, *, seconds: float = 0.9, size: int = 4_096) -> None:
        self._tokens = tokens
        self._seconds = seconds
        self._size = size
        self._known: OrderedDict[str, tuple[float, ApiToken]] = OrderedDict()
        self._touched: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def caller(self, authorization: str | None) -> Caller:
        """The caller behind an `Authorization` value, with or without `Bearer`.

        Raises:
            Unauthenticated: no token, or one that is not good; strangers are not told why.
        """
        plain = (authorization or "").strip()
        if plain[:7].lower() == "bearer ":
            plain = plain[7:].strip()
        token = await self._token(plain) if plain else None
        if token is None or not token.is_good(datetime.now(UTC)):
            seen = "the token is not good (any more)" if plain else "no token was sent"
            raise Unauthenticated(f"{seen}; send the header `Authorization: Bearer cmdb_...`")
        self._note_use(token)
        return Caller(token.name, token.role, token.id, parse_instant(token.expires_at), token.sources)

    async def still_good(self, caller: Caller) -> bool:
        """Whether the caller's token is good now, as Neo4j has it."""
        token = await self._tokens.find(caller.token_id)
        return token is not None and token.is_good(datetime.now(UTC))

    def forget(self, token_id: str) -> None:
        """Believe nothing of a token any more: it was just revoked here."""
        for plain in [plain for plain, (_, token) in self._known.items() if token.id == token_id]:
            del self._known[plain]

    async def _token(self, plain: str) -> ApiToken | None:
        known = self._known.get(plain)
        if known is not None and time.monotonic() - known[0] < self._seconds:
            return known[1]
        asked = time.monotonic()
        token = await self._tokens.verify(plain) if len(plain) < 200 else None
        self._known.pop(plain, None)
        if token is not None:
            self._known[plain] = (asked, token)
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        return token

    def _note_use(self, token: ApiToken) -> None:
        now = time.monotonic()
        if now - self._touched.get(token.id, -60.0) < 60.0:
            return
        self._touched[token.id] = now
        task = asyncio.create_task(self._touch(token.id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _touch(self, token_id: str) -> None:
        try:
            await self._tokens.touch(token_id)
        except CmdbError as error:
            _log.warning("last_use_not_noted", token=token_id, error=str(error))


class Secrets:
    """Which attributes are secret in one catalogue, and how items look without them."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._by_class = {
            name: hidden
            for name, item_class in catalogue.classes.items()
            if (hidden := frozenset(a.name for a in item_class.attributes.values() if a.entry.secret))
        }
        self._names: frozenset[str] = frozenset().union(*self._by_class.values())

    def of(self, class_name: str) -> frozenset[str]:
        """The secret attributes of a class; of a class that the catalogue no longer has, all names that are secret."""
        return self._by_class.get(class_name, frozenset())

    def without(self, item: Item) -> Item:
        """The item as those see it who may not see secrets."""
        hidden = self._by_class.get(item.class_name)
        if not hidden or hidden.isdisjoint(item.attributes):
            return item
        return _with_attributes(item, {k: v for k, v in item.attributes.items() if k not in hidden})

    def without_changes(self, change: ItemChange) -> ItemChange:
        """The change without the values of secret attributes. Any class's secret is one here: items change class."""
        if not self._names:
            return change
        return ItemChange(
            change.item_id,
            change.class_name,
            change.name,
            self.visible(change.before) if change.before is not None else None,
            self.visible(change.after) if change.after is not None else None,
            change.edges,
        )

    def visible(self, fields: Fields) -> dict[str, Stored]:
        """The fields without the values of secret attributes."""
        return {name: value for name, value in fields.items() if name not in self._names}


def _with_attributes(item: Item, attributes: Mapping[str, Stored]) -> Item:
    values = {name: getattr(item, name) for name in item.__dataclass_fields__}
    return type(item)(**{**values, "attributes": attributes})
