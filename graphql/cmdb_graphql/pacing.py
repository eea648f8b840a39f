"""Long lists in pieces, so that whoever else is served does not wait for one of them.

The executor completes a list in one go, at some 30 us an item with a few fields: a thousand items would hold the event
loop for 30 ms. A list that arrives piece by piece is completed piece by piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar, cast

T = TypeVar("T")

PIECE = 32
"""Items completed in one go: a millisecond or two."""


def paced(items: Sequence[T]) -> list[T]:
    """The list for a resolver to return: short ones as they are, others as what arrives in pieces.

    To be returned by a resolver at once and read once; the type is what the executor makes of it.
    """
    return list(items) if len(items) <= PIECE else cast("list[T]", _pieces(items))


async def _pieces(items: Sequence[T]) -> AsyncIterator[T]:
    for place, item in enumerate(items):
        if place % PIECE == PIECE - 1:
            await asyncio.sleep(0)
        yield item
