"""All neighbours of many items at once, read page by page: for answers that must not leave one out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cmdb.model.items import Item
from cmdb.store.filters import Condition
from cmdb.store.reading import EstateReader, RelatedRequest, make_cursor

PARENTS, FETCH = 100, 100
"""Items that are asked about in one statement, and neighbours of one of them in it: objects are made in the event loop,
some 15 us each."""

See = Callable[[Item], Item]
"""An item as somebody may see it."""


async def all_related(
    reader: EstateReader, relationship: str, outgoing: bool, where: Condition, parents: Sequence[str]
) -> dict[str, list[Item]]:
    """Every neighbour of each parent that meets `where`, each once, in order of names.

    A statement for each hundred parents, and one more for each further page of a hundred neighbours.
    """
    found: dict[str, dict[str, Item]] = {parent: {} for parent in parents}
    waiting: list[tuple[str | None, list[str]]] = [
        (None, list(parents[start : start + PARENTS])) for start in range(0, len(parents), PARENTS)
    ]
    while waiting:
        after, some = waiting.pop()
        request = RelatedRequest(relationship, outgoing, where, first=FETCH, after=after)
        for parent, page in (await reader.related(request, some)).items():
            found[parent].update((neighbour.item.id, neighbour.item) for neighbour in page.neighbours)
            if page.has_next:
                last = page.neighbours[-1]
                waiting.append((make_cursor(last.item.name, last.item.id, last.edge.key.group), [parent]))
    return {parent: list(neighbours.values()) for parent, neighbours in found.items()}
