"""API tokens and who is asking: types, queries, mutations."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest, InvalidValue
from cmdb.model.values import canonical_identifier
from cmdb.store.tokens import ROLES, ApiToken
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.scalars import DateTime

Info = strawberry.Info[Context, None]
Described = strawberry.argument


@strawberry.type(name="ApiToken", description="A token, as far as it may be shown.")
class ApiTokenType:
    """A token without its secret."""

    id: strawberry.ID
    prefix: str
    name: str = strawberry.field(description="The actor in the ledger.")
    role: str
    sources: list[str]
    created_at: DateTime
    created_by: str
    expires_at: DateTime
    last_used_at: DateTime | None
    revoked_at: DateTime | None

    @classmethod
    def of(cls, token: ApiToken) -> Self:
        """The same for GraphQL."""
        return cls(
            id=strawberry.ID(token.id),
            prefix=token.prefix,
            name=token.name,
            role=token.role,
            sources=list(token.sources),
            created_at=DateTime(token.created_at),
            created_by=token.created_by,
            expires_at=DateTime(token.expires_at),
            last_used_at=DateTime(token.last_used_at) if token.last_used_at else None,
            revoked_at=DateTime(token.revoked_at) if token.revoked_at else None,
        )


@strawberry.type(name="Viewer", description="Who is asking.")
class ViewerType:
    """The caller."""

    actor: str
    role: str
    sources: list[str]
    token_id: strawberry.ID
    expires_at: DateTime
    may: list[str] = strawberry.field(description="What the role may do.")


@strawberry.type(description="A token; `token` is shown this once.")
class CreatedToken:
    """The answer to `createToken`."""

    token: str
    details: ApiTokenType


@strawberry.type
class TokenQueries:
    """Root fields."""

    @documented
    async def tokens(self, info: Info) -> list[ApiTokenType]:
        """All tokens, the ended ones too. Admins only."""
        info.context.require(Action.TOKENS)
        return [ApiTokenType.of(token) for token in await info.context.services.tokens.list()]

    @documented
    async def viewer(self, info: Info) -> ViewerType:
        """Who I am to the service."""
        caller = info.context.caller
        return ViewerType(
            actor=caller.actor,
            role=caller.role,
            sources=list(caller.sources),
            token_id=strawberry.ID(caller.token_id),
            expires_at=DateTime(caller.expires_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")),
            may=[action.value for action in Action if caller.may(action)],
        )


@strawberry.type
class TokenMutations:
    """Root fields."""

    @documented
    async def create_token(
        self,
        info: Info,
        name: Annotated[str, Described(description="The actor in the ledger.")],
        role: Annotated[str, Described(description="viewer, editor, agent or admin.")],
        sources: Annotated[
            list[str] | None, Described(description="For an agent: the sources it may speak for.")
        ] = None,
        days: Annotated[int, Described(description="How long it lives, at most 366.")] = 90,
    ) -> CreatedToken:
        """A new API token. Admins only. The token is shown in this answer and never again."""
        context = info.context
        context.require(Action.TOKENS)
        role = canonical_identifier(role)
        chosen = next((known for known in ROLES if known == role), None)
        if chosen is None:
            raise BadRequest(f"role is {role[:40]!r}; it must be one of {', '.join(ROLES)}")
        try:
            token, plain = await context.services.tokens.create(
                name,
                chosen,
                created_by=context.actor,
                sources=sources or (),
                lifetime=timedelta(days=days),
            )
        except (InvalidValue, OverflowError) as error:
            raise BadRequest(str(error)) from None
        return CreatedToken(token=plain, details=ApiTokenType.of(token))

    @documented
    async def revoke_token(self, info: Info, id: strawberry.ID) -> ApiTokenType:
        """End a token; within a second no service takes it any more. Admins only."""
        context = info.context
        context.require(Action.TOKENS)
        token = await context.services.tokens.revoke(str(id))
        context.services.authenticator.forget(token.id)
        return ApiTokenType.of(token)


QUERIES: list[StrawberryField] = TokenQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
MUTATIONS: list[StrawberryField] = TokenMutations.__strawberry_definition__.fields  # type: ignore[attr-defined]
