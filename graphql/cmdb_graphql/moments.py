"""Moments of the past, as arguments: `asOf` and the two ends of a diff."""

from __future__ import annotations

from typing import TypeVar

import strawberry
from strawberry import UNSET

from cmdb.store.history import AsOf
from cmdb.store.store import Store
from cmdb_graphql.scalars import DateTime, Long

T = TypeVar("T")


@strawberry.input(one_of=True, name="AsOf", description="A moment of the past; exactly one of these.")
class AsOfInput:
    """What `asOf` means."""

    revision: Long | None = strawberry.field(
        default=UNSET, description="As revision so-and-so left it; 0: before the first."
    )
    time: DateTime | None = strawberry.field(default=UNSET, description="As it was at that time.")
    before_change: str | None = strawberry.field(
        default=UNSET,
        description="As it was before the first revision that gives this as its reason (a change's id).",
    )

    def point(self) -> AsOf:
        """The same for the store."""
        return AsOf(_given(self.revision), _given(self.time), _given(self.before_change))


@strawberry.input(
    one_of=True, name="PointInHistory", description="One end of a comparison; exactly one of these."
)
class PointInput:
    """A revision, a time, a change or a baseline."""

    revision: Long | None = UNSET
    time: DateTime | None = UNSET
    before_change: str | None = UNSET
    baseline: str | None = UNSET

    async def revision_in(self, store: Store) -> int:
        """The revision number. Raises `BadRequest`, `NotFound`."""
        name = _given(self.baseline)
        if name is not None:
            return (await store.baselines.get(name)).revision
        point = AsOf(_given(self.revision), _given(self.time), _given(self.before_change))
        return await store.history.resolve(point)


def _given(value: T | None) -> T | None:
    return None if value is UNSET else value
