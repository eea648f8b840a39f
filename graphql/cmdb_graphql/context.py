"""What a resolver gets as `info.context`: who asks, the rooms of the service, and the loaders of one operation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from cmdb.errors import BadRequest
from cmdb.model.items import Item, ItemChange
from cmdb.settings import Settings
from cmdb.store.as_of import PastItem, Views
from cmdb.store.reading import EstateReader, PresentReader, RelatedPage, RelatedRequest
from cmdb.store.store import Store
from cmdb.store.tokens import Tokens
from cmdb.store.topology import LiveTopology
from cmdb_graphql.access import Action, Authenticator, Caller, Secrets, require
from cmdb_graphql.figure_keeper import FigureKeeper
from cmdb_graphql.limits import Limits
from cmdb_graphql.loaders import ChangesLoader, ItemLoader, RelatedLoader
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.watches import Watches
from impact.engine import Engine
from impact.estate_figures import service_classes

if TYPE_CHECKING:
    from cmdb_graphql.schema import SchemaRegistry

PAGE_LIMIT = Limits().page_size
"""The largest `first` of a list; the cost estimator refuses more before anything runs."""


@dataclass(slots=True)
class Services:
    """The rooms that resolvers reach; one for a process."""

    store: Store
    settings: Settings
    schemas: SchemaRegistry | None = None
    """Set by the service, which is built round both."""
    present: PresentReader = field(init=False)
    topologies: LiveTopology = field(init=False)
    engine: Engine = field(init=False)
    figures: FigureKeeper = field(init=False)
    watches: Watches = field(init=False)
    views: Views = field(init=False)
    tokens: Tokens = field(init=False)
    authenticator: Authenticator = field(init=False)
    secrets: Secrets = field(init=False)
    large_work: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Work that takes seconds of a core and much memory waits for its turn."""

    def __post_init__(self) -> None:
        store = self.store
        self.present = PresentReader(store.connection, lambda: store.catalogue)
        self.topologies = LiveTopology(store, self.settings.data / "topology.snapshot")
        self.engine = Engine()
        self.topologies.derive = self.engine.derived
        self.topologies.restore = self.engine.restore
        self.topologies.prepare.append(self.engine.warm)
        self.topologies.moved.append(self.engine.follow)
        self.figures = FigureKeeper(self.engine, lambda: service_classes(store.catalogue))
        self.topologies.moved.append(self.figures.moved)
        self.watches = Watches(self.topologies)
        self.views = Views(store, self.present, self.topologies)
        self.tokens = Tokens(store.connection)
        self.authenticator = Authenticator(self.tokens)
        self.secrets = Secrets(store.catalogue)
        store.on_catalogue_change(self._on_catalogue)

    async def close(self) -> None:
        """Follow the ledger no more. Harmless if done before."""
        await self.figures.close()
        await self.topologies.close()

    def _on_catalogue(self, catalogue: Any) -> None:  # noqa: ANN401 - the callback's Catalogue
        self.secrets = Secrets(catalogue)


class Context:
    """One operation of one caller. Reading anything begins with `reader` or `require`, which check the right to."""

    def __init__(self, services: Services, caller: Caller) -> None:
        self.services = services
        self.caller = caller
        self.truncated = False
        self._spent: int | None = None
        self._head: asyncio.Task[int] | None = None
        self._known: int | None = None
        self._past: set[int] = set()
        self._loaders: dict[Any, Any] = {}

    # --- what the transports ask --------------------------------------------------------------------------------------

    @property
    def actor(self) -> str:
        """Who is asking: the token's name."""
        return self.caller.actor

    @property
    def may_introspect(self) -> bool:
        """Whether the role allows introspection."""
        return self.caller.may(Action.INTROSPECT)

    @property
    def expires_at(self) -> datetime | None:
        """When the token ends."""
        return self.caller.expires_at

    @property
    def revision(self) -> int | Awaitable[int | None] | None:
        """The revision the answer is true of: the one that all of it was read at, else the head when reading began."""
        if self._known is not None:
            return self._known
        if len(self._past) == 1 and self._head is None:
            return next(iter(self._past))
        return self.head() if self.caller.may(Action.READ) else None

    @property
    def spent(self) -> int | None:
        """Items read so far."""
        return self._spent

    def for_operation(self) -> Self:
        """A fresh context of the same caller."""
        return type(self)(self.services, self.caller)

    # --- what resolvers ask -------------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The store."""
        return self.services.store

    @property
    def sees_secrets(self) -> bool:
        """Whether secret attributes are shown to the caller."""
        return self.caller.may(Action.SECRETS)

    def require(self, action: Action) -> None:
        """Raise `Forbidden` unless the caller may do this."""
        require(self.caller, action)

    def wrote(self, head: int) -> None:
        """Something was written: what was read before is out of date, and the answer is true of `head`."""
        self._known = head
        self._loaders.clear()

    def spend(self, items: int) -> None:
        """Note that so many items were read."""
        self._spent = (self._spent or 0) + items

    def read_at(self, at: int | None) -> None:
        """Note that something is read now, or as of a revision."""
        if at is None:
            self.head()
        else:
            self._past.add(at)

    def reader(self, at: int | None = None) -> EstateReader:
        """The reader of the estate now, or as of revision `at`. Raises `Forbidden`."""
        self.require(Action.READ)
        self.read_at(at)
        return self.services.present if at is None else self.services.views.reader(at)

    async def revision_of(self, as_of: AsOfInput | None) -> int | None:
        """The revision that an `asOf` argument means; None for now. Raises `BadRequest`, `NotFound`, `Forbidden`."""
        self.require(Action.READ)
        if as_of is None:
            return None
        point = as_of.point()
        key = ("as-of", point)
        if key not in self._loaders:
            self._loaders[key] = asyncio.ensure_future(self.store.history.resolve(point))
        number: int = await self._loaders[key]
        return number

    def visible(self, item: Item) -> Item:
        """The item as this caller may see it."""
        return item if self.sees_secrets else self.services.secrets.without(item)

    def hidden(self, class_name: str) -> frozenset[str]:
        """The attributes of a class that this caller may not see."""
        return frozenset() if self.sees_secrets else self.services.secrets.of(class_name)

    def visible_change(self, change: ItemChange) -> ItemChange:
        """The change as this caller may see it."""
        return change if self.sees_secrets else self.services.secrets.without_changes(change)

    def item(self, item_id: str, at: int | None = None) -> Awaitable[Item | None]:
        """One item; all that are asked for in one go are read together."""
        loader = self._loader(("item", at), lambda: ItemLoader(self, at))
        found: Awaitable[Item | None] = loader.load(item_id)
        return found

    def related(self, item: Item, request: RelatedRequest) -> Awaitable[RelatedPage]:
        """The neighbours of an item; one statement for all items that are asked about in one go."""
        at = item.at if isinstance(item, PastItem) else None
        loader = self._loader((request, at), lambda: RelatedLoader(self, request, at))
        found: Awaitable[RelatedPage] = loader.load(item.id)
        return found

    def changes(self, number: int, first: int, after: str) -> Awaitable[list[ItemChange]]:
        """A page of what a revision changed; one statement for all revisions that are asked about in one go."""
        loader = self._loader(("changes", first, after), lambda: ChangesLoader(self, first, after))
        found: Awaitable[list[ItemChange]] = loader.load(number)
        return found

    def _loader(self, key: object, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - loaders of several kinds
        loader = self._loaders.get(key)
        if loader is None:
            loader = self._loaders[key] = make()
        return loader

    def head(self) -> asyncio.Task[int]:
        """The ledger's head when reading began."""
        if self._head is None:
            self._head = asyncio.ensure_future(self.store.head())
            self._head.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._head


def checked_first(first: int, context: Context) -> int:
    """A page size within its limits. Raises `BadRequest`."""
    allowed = PAGE_LIMIT
    if not 0 <= first <= allowed:
        raise BadRequest(f"first is {first}; it must be 0 to {allowed}")
    return first
