"""Queries for items: one by id, name or identity; pages per class; along relationships; by text.

Everything takes `asOf`; what is read below an item of the past is read as of the same revision.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import strawberry
from graphql import FieldNode, FragmentSpreadNode, GraphQLResolveInfo, InlineFragmentNode, SelectionSetNode

from cmdb.errors import Ambiguous, BadRequest, InvalidValue, NotFound
from cmdb.model.catalogue import Catalogue, ItemClass, RelationshipType
from cmdb.model.identity import rule_keys
from cmdb.model.items import Item
from cmdb.store.filters import EVERYTHING, Condition
from cmdb.store.reading import PageRequest, RelatedPage, RelatedRequest, item_cursor, neighbour_cursor
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context, checked_first
from cmdb_graphql.definitions import Argument, Field, Resolver, input_type, list_of, object_type, optional
from cmdb_graphql.derived_filters import DerivedFilters
from cmdb_graphql.derived_types import DerivedTypes, ItemEdge, RelationEdge
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.names import TakenNames, camel, decapitalised
from cmdb_graphql.scalars import Json

IDENTITY = input_type(
    "IdentityInput",
    "What the class's identity rules tell an item by.",
    [
        Field("class", str, "The class."),
        Field(
            "attributes",
            Json,
            '`name` and attributes, such as `{"serial_number": "X1", "manufacturer": "Dell"}`.',
        ),
    ],
)
AT = Argument("asOf", optional(AsOfInput), "As it was then; without it: as it is.", python_name="as_of")


Info = strawberry.Info[Context, None]


class Connection:
    """A page as its GraphQL type has it; the total is asked for only where it is wanted."""

    __slots__ = ("cursors", "has_next", "nodes", "revision", "total_count")

    def __init__(
        self,
        nodes: list[Item],
        cursors: list[str],
        has_next: bool,
        total_count: Callable[[], Awaitable[int]],
        revision: Callable[[], Awaitable[int]],
    ) -> None:
        self.nodes = nodes
        self.cursors = cursors
        self.has_next = has_next
        self.total_count = total_count
        self.revision = revision

    @property
    def edges(self) -> list[ItemEdge]:
        """Nodes with their cursors."""
        return [ItemEdge(cursor, node) for cursor, node in zip(self.cursors, self.nodes, strict=True)]

    @property
    def page_info(self) -> Connection:
        """Where the page stands; the page itself knows."""
        return self

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last node."""
        return self.cursors[-1] if self.cursors else None


class RelationConnection:
    """A page of neighbours as its GraphQL type has it."""

    __slots__ = ("_page", "_relationship", "nodes", "total_count")

    def __init__(self, page: RelatedPage, relationship: RelationshipType) -> None:
        self._page = page
        self._relationship = relationship
        self.nodes = [neighbour.item for neighbour in page.neighbours]
        self.total_count = page.total

    @property
    def edges(self) -> list[RelationEdge]:
        """Nodes with the facts of their edges."""
        return [RelationEdge(neighbour_cursor(n), n, self._relationship) for n in self._page.neighbours]

    @property
    def page_info(self) -> RelationConnection:
        """Where the page stands; the page itself knows."""
        return self

    @property
    def has_next(self) -> bool:
        """Whether there is more."""
        return self._page.has_next

    @property
    def end_cursor(self) -> str | None:
        """The cursor of the last neighbour."""
        return neighbour_cursor(self._page.neighbours[-1]) if self._page.neighbours else None


class RelatedResolvers:
    """Makes resolvers of relationship fields; the filters are set once they are derived."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.types: DerivedTypes | None = None
        self.filters: DerivedFilters | None = None

    def condition(
        self, relationship: RelationshipType, outgoing: bool, given: Mapping[str, Any], context: Context
    ) -> Condition:
        """What the filter of a relationship field means."""
        if self.types is None or self.filters is None:
            raise RuntimeError("relationship fields are resolved only in a schema whose filters are derived")
        far = self.types.far_class(relationship, outgoing)
        return self.filters.condition(far, given, secrets=context.sees_secrets)

    def make(self, relationship: RelationshipType, outgoing: bool) -> Resolver:
        """The resolver of one side of a relationship type."""

        async def resolve(
            item: Item,
            info: Info,
            first: int = 20,
            after: str | None = None,
            filter: Mapping[str, Any] | None = None,
        ) -> RelationConnection:
            context: Context = info.context
            where: Condition = EVERYTHING
            if filter:
                where = self.condition(relationship, outgoing, filter, context)
            request = RelatedRequest(
                relationship.name,
                outgoing,
                where,
                checked_first(first, context),
                after or None,
                selects(info._raw_info, "totalCount"),
            )
            return RelationConnection(await context.related(item, request), relationship)

        return resolve


def item_queries(types: DerivedTypes, filters: DerivedFilters, taken: TakenNames) -> list[Field]:
    """The root fields that read items."""
    catalogue = types.catalogue
    fields = [_item_field(types), _search_field(types)]
    for item_class in catalogue.classes.values():
        fields.append(_page_field(types, filters, item_class, taken))
        if not item_class.abstract:
            fields.append(_single_field(types, item_class, taken))
    return fields


def _item_field(types: DerivedTypes) -> Field:
    async def resolve(
        _source: object,
        info: Info,
        id: str | None = None,
        name: str | None = None,
        identity: Mapping[str, Any] | None = None,
        as_of: AsOfInput | None = None,
        class_name: str | None = None,
    ) -> Item | None:
        context: Context = info.context
        at = await context.revision_of(as_of)
        if sum(value is not None for value in (id, name, identity)) != 1:
            raise BadRequest("give exactly one of: id, name (with or without class), identity")
        if identity is not None:
            id = await _identified(context, types.catalogue, identity, at)
            if id is None:
                return None
        if name is not None:
            return await named(context, types.catalogue, class_name or "Item", name, at)
        return await context.item(str(id), at)

    return Field(
        "item",
        optional(types.node("Item")),
        "One item. By name it is an error if several have it (AMBIGUOUS; the candidates are listed).",
        resolve=resolve,
        arguments=[
            Argument("id", optional(strawberry.ID)),
            Argument("class", optional(str), python_name="class_name"),
            Argument("name", optional(str)),
            Argument("identity", optional(IDENTITY)),
            AT,
        ],
    )


async def named(
    context: Context, catalogue: Catalogue, class_name: str, name: str, at: int | None
) -> Item | None:
    """The only item of the class with this name, or None. Raises `Ambiguous`."""
    catalogue.item_class(class_name)
    found = await context.reader(at).named(class_name, name)
    context.spend(len(found))
    if len(found) > 1:
        raise Ambiguous(name, [(item.id, item.class_name, item.name) for item in found])
    return context.visible(found[0]) if found else None


async def _identified(
    context: Context, catalogue: Catalogue, identity: Mapping[str, Any], at: int | None
) -> str | None:
    item_class = catalogue.item_class(identity["class"])
    given = identity["attributes"]
    if not isinstance(given, dict):
        raise BadRequest("`attributes` of an identity is an object of names and values")
    fields: dict[str, Any] = {}
    for name, value in given.items():
        attribute = item_class.attributes.get(name)
        if name != "name" and attribute is None:
            raise NotFound("attribute", name[:80], f"see the catalogue for those of {item_class.name}")
        if attribute is not None and attribute.entry.secret:
            context.require(Action.SECRETS)
        try:
            fields[name] = attribute.normalise(value) if attribute else str(value)
        except InvalidValue as error:
            raise BadRequest(f"{name}: {error}") from None
    context.require(Action.READ)
    keys = rule_keys(catalogue, item_class.name, fields, ())
    if not keys:
        rules = ", ".join(str(rule) for rule in item_class.identity_rules if rule.within is None)
        raise BadRequest(
            f"these attributes complete no identity rule of {item_class.name}; it has {rules or 'none'}"
        )
    found = await context.reader(at).identified(keys)
    return next((found[key] for key in keys if key in found), None)


def _single_field(types: DerivedTypes, item_class: ItemClass, taken: TakenNames) -> Field:
    class_name, catalogue = item_class.name, types.catalogue

    async def resolve(
        _source: object,
        info: Info,
        id: str | None = None,
        name: str | None = None,
        as_of: AsOfInput | None = None,
    ) -> Item | None:
        context: Context = info.context
        at = await context.revision_of(as_of)
        if (id is None) == (name is None):
            raise BadRequest("give exactly one of: id, name")
        if name is not None:
            found = await named(context, catalogue, class_name, name, at)
        else:
            found = await context.item(str(id), at)
        return found if found is not None and catalogue.is_a(found.class_name, class_name) else None

    return Field(
        taken.take(decapitalised(class_name), class_name, f"class {class_name}"),
        optional(types.node(class_name)),
        f"One item of class {class_name}.",
        resolve=resolve,
        arguments=[Argument("id", optional(strawberry.ID)), Argument("name", optional(str)), AT],
    )


def _page_field(
    types: DerivedTypes, filters: DerivedFilters, item_class: ItemClass, taken: TakenNames
) -> Field:
    class_name = item_class.name

    async def resolve(
        _source: object,
        info: Info,
        first: int = 50,
        after: str | None = None,
        filter: Mapping[str, Any] | None = None,
        order_by: Mapping[str, Any] | None = None,
        as_of: AsOfInput | None = None,
    ) -> Connection:
        context: Context = info.context
        at = await context.revision_of(as_of)
        where = filters.condition(class_name, filter, secrets=context.sees_secrets)
        order = filters.order_of(order_by, class_name, secrets=context.sees_secrets)
        request = PageRequest(class_name, where, order, checked_first(first, context), after or None)
        return await page_connection(context, request, at)

    return Field(
        taken.take(camel(item_class.plural), class_name, f"the plural of {class_name}"),
        types.connection(class_name),
        f"Items of class {class_name} and its subclasses.",
        resolve=resolve,
        arguments=[
            Argument("filter", optional(filters.filter(class_name))),
            Argument("orderBy", optional(filters.order(class_name)), python_name="order_by"),
            Argument("first", int, default=50),
            Argument("after", optional(str)),
            AT,
        ],
    )


async def page_connection(context: Context, request: PageRequest, at: int | None) -> Connection:
    """A page; total and revision are worked out when they are asked for."""
    reader = context.reader(at)
    page = await reader.page(request)
    context.spend(len(page.items))

    async def total() -> int:
        return await reader.count(request.class_name, request.where)

    async def revision() -> int:
        return at if at is not None else await context.head()

    return Connection(
        [context.visible(item) for item in page.items],
        [item_cursor(item, request.order) for item in page.items],
        page.has_next,
        total,
        revision,
    )


def _search_field(types: DerivedTypes) -> Field:
    node = types.node("Item")
    edge = object_type(
        "SearchEdge",
        "An item that was found.",
        [Field("node", node), Field("score", float, "How well it fits; of use only within one answer.")],
    )
    connection = object_type(
        "SearchConnection",
        "Items that were found, best first.",
        [Field("edges", list_of(edge)), Field("nodes", list_of(node))],
    )

    async def resolve(
        _source: object,
        info: Info,
        text: str,
        classes: list[str] | None = None,
        first: int = 20,
        as_of: AsOfInput | None = None,
    ) -> SearchResult:
        context: Context = info.context
        at = await context.revision_of(as_of)
        for name in classes or ():
            types.catalogue.item_class(name)
        if len(text) > 500:
            raise BadRequest(f"the text has {len(text)} characters; at most 500 are searched for")
        found = await context.reader(at).search(text, classes or (), checked_first(first, context))
        context.spend(len(found))
        return SearchResult([(context.visible(item), score) for item, score in found])

    return Field(
        "search",
        connection,
        "Items with words that begin like those of the text, in their names or searched attributes.",
        resolve=resolve,
        arguments=[
            Argument("text", str),
            Argument("classes", optional(list_of(str)), "Only of these classes and their subclasses."),
            Argument("first", int, default=20),
            AT,
        ],
    )


class SearchHit:
    """An item with its score."""

    __slots__ = ("node", "score")

    def __init__(self, node: Item, score: float) -> None:
        self.node = node
        self.score = score


class SearchResult:
    """What a search found, as its GraphQL type has it."""

    __slots__ = ("edges", "nodes")

    def __init__(self, found: list[tuple[Item, float]]) -> None:
        self.edges = [SearchHit(item, score) for item, score in found]
        self.nodes = [item for item, _ in found]


def selects(info: GraphQLResolveInfo[Context], name: str) -> bool:
    """Whether a field of this name is selected directly below the field being resolved."""
    pending: list[SelectionSetNode | None] = [node.selection_set for node in info.field_nodes]
    while pending:
        selection = pending.pop()
        for node in selection.selections if selection else ():
            if isinstance(node, FieldNode):
                if node.name.value == name:
                    return True
            elif isinstance(node, InlineFragmentNode):
                pending.append(node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                fragment = info.fragments.get(node.name.value)
                if fragment is not None:
                    pending.append(getattr(fragment, "definition", fragment).selection_set)
    return False
