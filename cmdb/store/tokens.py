"""API tokens: made once, shown once, kept as a digest; found by the id that stands in them.

    cmdb_<kind>_<id>_<secret>_<check>      kind api or agent, id 8, secret 43 and check 6 characters of base 62

The secret has 256 random bits, so its plain SHA-256 can be neither reversed nor guessed. The check (CRC-32 of what
stands before it) lets mistyped and invented tokens be refused without asking Neo4j, and leaked ones be found by
scanners.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from cmdb.errors import BadRequest, NotFound
from cmdb.model.values import clean_text, format_instant, parse_instant
from cmdb.store.connection import Connection

Role = Literal["viewer", "editor", "agent", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "editor", "agent", "admin")
MAX_LIFETIME = timedelta(days=366)
LAST_USE_RESOLUTION = timedelta(minutes=1)
"""The last use is written at most this often."""

CREATE = "CREATE (t:ApiToken) SET t = $token"
FIND = "MATCH (t:ApiToken {id: $id}) RETURN properties(t) AS token"
LIST = "MATCH (t:ApiToken) RETURN properties(t) AS token ORDER BY t.created_at, t.id"
REVOKE = """
MATCH (t:ApiToken {id: $id}) SET t.revoked_at = coalesce(t.revoked_at, $now) RETURN properties(t) AS token"""
TOUCH = """
MATCH (t:ApiToken {id: $id}) WHERE t.last_used_at IS NULL OR t.last_used_at < $before SET t.last_used_at = $now"""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM = re.compile(r"cmdb_(?:api|agent)_([0-9A-Za-z]{8})_[0-9A-Za-z]{43}_([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is known of a token; never the token itself. Times are instants; `sources`: those an agent may speak for."""

    id: str
    name: str
    role: Role
    sources: tuple[str, ...]
    created_at: str
    created_by: str
    expires_at: str
    last_used_at: str | None
    revoked_at: str | None
    digest: str

    @property
    def prefix(self) -> str:
        """The part of the token that may be shown, to tell tokens apart."""
        return "_".join(("cmdb", "agent" if self.role == "agent" else "api", self.id))

    def is_good(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and parse_instant(self.expires_at) > now


class Tokens:
    """The tokens in Neo4j."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self,
        name: str,
        role: Role,
        *,
        created_by: str,
        sources: Sequence[str] = (),
        lifetime: timedelta = timedelta(days=90),
    ) -> tuple[ApiToken, str]:
        """Make a token; the second value is the token, which nobody can tell again.

        Raises:
            BadRequest: no name, a lifetime beyond a year, an agent without sources, or sources for somebody else.
        """
        name = clean_text(name, 128)
        if not name:
            raise BadRequest("a token needs a name: it stands in the ledger as the actor")
        if not timedelta(0) < lifetime <= MAX_LIFETIME:
            raise BadRequest(f"a token lives for more than 0 and at most {MAX_LIFETIME.days} days")
        if (role == "agent") != bool(sources):
            raise BadRequest("an agent's token names the sources it may speak for; other tokens name none")
        now = datetime.now(UTC)
        token_id = _random(8)
        head = "_".join(("cmdb", "agent" if role == "agent" else "api", token_id, _random(43)))
        plain = head + "_" + _check(head)
        token = ApiToken(
            id=token_id,
            name=name,
            role=role,
            sources=tuple(clean_text(source, 128) for source in sources),
            created_at=format_instant(now),
            created_by=created_by,
            expires_at=format_instant(now + lifetime),
            last_used_at=None,
            revoked_at=None,
            digest=_digest(plain),
        )
        properties = {field: getattr(token, field) for field in ApiToken.__slots__}
        await self._connection.run(CREATE, {"token": {**properties, "sources": list(token.sources)}})
        return token, plain

    async def verify(self, plain: str) -> ApiToken | None:
        """The token that this text is, good or not any more; None for any text that never was one."""
        form = _FORM.fullmatch(plain)
        if form is None or _check(plain[: -len(form[2]) - 1]) != form[2]:
            return None
        token = await self.find(form[1])
        return token if token is not None and hmac.compare_digest(token.digest, _digest(plain)) else None

    async def find(self, token_id: str) -> ApiToken | None:
        """The token of that id."""
        rows = await self._connection.read(FIND, {"id": token_id})
        return _token(rows[0]["token"]) if rows else None

    async def list(self) -> list[ApiToken]:
        """All tokens, oldest first, the ended ones too."""
        return [_token(row["token"]) for row in await self._connection.read(LIST, {})]

    async def revoke(self, token_id: str) -> ApiToken:
        """End a token now. Raises `NotFound`; ending one twice is harmless."""
        rows = await self._connection.run(REVOKE, {"id": token_id, "now": format_instant(datetime.now(UTC))})
        if not rows:
            raise NotFound("token", token_id[:80], "list the tokens to see their ids")
        return _token(rows[0]["token"])

    async def touch(self, token_id: str) -> None:
        """Note that a token was used, unless that was noted within the last minute."""
        now = datetime.now(UTC)
        before = format_instant(now - LAST_USE_RESOLUTION)
        await self._connection.run(TOUCH, {"id": token_id, "now": format_instant(now), "before": before})


def _token(properties: Mapping[str, Any]) -> ApiToken:
    values: dict[str, Any] = {field: properties.get(field) for field in ApiToken.__slots__}
    values["sources"] = tuple(values["sources"] or ())
    return ApiToken(**values)


def _random(length: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(length))


def _digest(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()


def _check(head: str) -> str:
    value, text = zlib.crc32(head.encode()), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        text = _DIGITS[digit] + text
    return text
