"""All neighbours of many items at once, read page by page: for answers that must not leave one out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cmdb.model.items import Item
from cmdb.store.filters import Condition
from cmdb.store.reading import EstateReader, RelatedRequest, make_cursor

FETCH = 1_000
"""Neighbours of one item in a page."""

See = Callable[[Item], Item]
"""An item as somebody may see it."""


async def all_related(
    reader: EstateReader, relationship: str, outgoing: bool, where: Condition, parents: Sequence[str]
) -> dict[str, list[Item]]:
    """Every neighbour of each parent that meets `where`; a statement, and one more for each further page of one."""
    found: dict[str, list[Item]] = {parent: [] for parent in parents}
    waiting: dict[str | None, list[str]] = {None: list(parents)} if parents else {}
    while waiting:
        after, some = waiting.popitem()
        request = RelatedRequest(relationship, outgoing, where, first=FETCH, after=after)
        for parent, page in (await reader.related(request, some)).items():
            found[parent].extend(neighbour.item for neighbour in page.neighbours)
            if page.has_next:
                last = page.neighbours[-1]
                cursor = make_cursor(last.item.name, last.item.id, last.edge.key.group)
                waiting.setdefault(cursor, []).append(parent)
    return found
