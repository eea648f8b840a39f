"""Loaders: what many resolvers of one level ask for becomes one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strawberry.dataloader import DataLoader

from cmdb.model.items import Item, ItemChange
from cmdb.store.reading import Neighbour, RelatedPage, RelatedRequest

if TYPE_CHECKING:
    from cmdb_graphql.context import Context

_NOBODY = RelatedPage((), False, 0)


class ItemLoader(DataLoader[str, Item | None]):
    """Items by id, as of one moment."""

    def __init__(self, context: Context, at: int | None) -> None:
        super().__init__(load_fn=self._load)
        self._context = context
        self._at = at

    async def _load(self, ids: list[str]) -> list[Item | None]:
        found = await self._context.reader(self._at).items(ids)
        self._context.spend(len(found))
        return [self._context.visible(found[i]) if i in found else None for i in ids]


class ChangesLoader(DataLoader[int, list[ItemChange]]):
    """Pages of what revisions changed, with one set of arguments."""

    def __init__(self, context: Context, first: int, after: str) -> None:
        super().__init__(load_fn=self._load)
        self._context = context
        self._page = (first, after)

    async def _load(self, numbers: list[int]) -> list[list[ItemChange]]:
        pages = await self._context.store.history.changes_pages(numbers, *self._page)
        self._context.spend(sum(map(len, pages.values())))
        return [pages.get(number, []) for number in numbers]


class RelatedLoader(DataLoader[str, RelatedPage]):
    """Neighbours over one relationship with one set of arguments, as of one moment."""

    def __init__(self, context: Context, request: RelatedRequest, at: int | None) -> None:
        super().__init__(load_fn=self._load)
        self._context = context
        self._request = request
        self._at = at

    async def _load(self, parents: list[str]) -> list[RelatedPage]:
        pages = await self._context.reader(self._at).related(self._request, parents)
        self._context.spend(sum(len(page.neighbours) for page in pages.values()))
        return [self._visible(pages.get(parent, _NOBODY)) for parent in parents]

    def _visible(self, page: RelatedPage) -> RelatedPage:
        if self._context.sees_secrets:
            return page
        neighbours = tuple(Neighbour(n.edge, self._context.visible(n.item)) for n in page.neighbours)
        return RelatedPage(neighbours, page.has_next, page.total)
