"""Reading items and edges as they are now: by id, by name, in pages, along relationships, by text.

Promises: one statement a call, whatever the size of the page; every order is total (the id breaks ties) and every
cursor names a place in it, so pages neither overlap nor leave out what stays as it is. Absent values come last. The
same questions about the past are answered by `cmdb.store.as_of`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from cmdb.errors import BadRequest
from cmdb.model.catalogue import Catalogue
from cmdb.model.items import Edge, EdgeFacts, EdgeKey, Fields, Item
from cmdb.store.connection import Connection
from cmdb.store.cypher import Bindings, fill, quoted
from cmdb.store.filters import (
    EVERYTHING,
    AllOf,
    Comparison,
    Condition,
    IsA,
    indexed_labels,
    read_value,
    to_cypher,
)
from cmdb.store.loading import item_of

# Answers are packed into one row: each further row costs about 15 us in the driver.
ITEMS_BY_ID = "MATCH (c:Item) WHERE c.id IN $ids RETURN collect(properties(c)) AS items"
VALUES_BY_ID = """
MATCH (c:Item) WHERE c.id IN $ids AND any(name IN $names WHERE c[name] IS NOT NULL)
WITH collect(c) AS found
RETURN [c IN found | c.id] AS ids, [name IN ["class"] + $names | [c IN found | c[name]]] AS columns
"""
NAMED = "MATCH (c:<<label>>) WHERE c.name = $name RETURN properties(c) AS item ORDER BY c.id LIMIT $limit"
PAGE = """
MATCH (c:<<labels>>) WHERE <<where>>
WITH c ORDER BY <<order>> LIMIT $limit RETURN collect(properties(c)) AS items"""
COUNT_ALL = "MATCH (c:<<labels>>) RETURN count(c) AS total"
COUNT_WHERE = "MATCH (c:<<labels>>) WHERE <<where>> RETURN count(c) AS total"
RELATED = """
UNWIND $parents AS parent
MATCH (p:Item {id: parent}) USING INDEX SEEK p:Item(id)
CALL (p) {
  MATCH (p)<<arrow>>(t:Item) WHERE <<where>>
  WITH r, t ORDER BY t.name, t.id, r.group LIMIT $limit
  RETURN collect([r.group, r.required, r.strength, r.confidence, r.version, properties(t)]) AS page
}
RETURN collect([parent, page, <<total>>]) AS pages"""
COUNT_RELATED = "COUNT { MATCH (p)<<arrow>>(t:Item) WHERE <<where>> }"
FIND_KEYS = """
UNWIND $keys AS key MATCH (k:IdentityKey {key: key})-[:IDENTIFIES]->(i:Item) USING INDEX SEEK k:IdentityKey(key)
RETURN collect([key, i.id]) AS found
"""
SEARCH = """
CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()
CALL db.index.fulltext.queryNodes('item_search', $query) YIELD node AS c, score
WHERE c:Item AND <<where>>
RETURN properties(c) AS item, score ORDER BY score DESC, c.id LIMIT $limit"""

_WORD = re.compile(r"[^\W_](?:[\w.]*\w)?")


@dataclass(frozen=True, slots=True)
class Order:
    """By which value, and which way; ties by id, absent values last either way."""

    attribute: str = "name"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class PageRequest:
    """`first` items of a class (subclasses too) that meet `where`, after the cursor `after`."""

    class_name: str
    where: Condition = EVERYTHING
    order: Order = Order()
    first: int = 50
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Items in order; `has_next`: there are more."""

    items: tuple[Item, ...]
    has_next: bool


@dataclass(frozen=True, slots=True)
class RelatedRequest:
    """The neighbours over one relationship type: outgoing edges, or incoming ones. `count`: the total is wanted."""

    relationship: str
    outgoing: bool
    where: Condition = EVERYTHING
    first: int = 50
    after: str | None = None
    count: bool = False


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An edge and the item at its far end."""

    edge: Edge
    item: Item


@dataclass(frozen=True, slots=True)
class RelatedPage:
    """Neighbours in the order of (name, id, group); `total` is None where it was not asked for."""

    neighbours: tuple[Neighbour, ...]
    has_next: bool
    total: int | None


async def holders_of(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """The items that identity keys belong to; unknown keys are absent."""
    rows = await connection.read(FIND_KEYS, {"keys": list(keys)})
    return {key: item_id for row in rows for key, item_id in row["found"]}


class EstateReader(Protocol):
    """What can be read of the estate at one moment: now, or at a revision."""

    async def items(self, ids: Iterable[str]) -> dict[str, Item]:
        """The items of these ids that exist."""

    async def values(self, ids: Sequence[str], names: Sequence[str]) -> dict[str, Fields]:
        """Of the items that have any of these attributes: `class`, and those that they have. Costs a tenth of items."""

    async def named(self, class_name: str, name: str) -> list[Item]:
        """Items of the class (or a subclass) with exactly this name; ten at most, to tell one from several."""

    async def identified(self, keys: Sequence[str]) -> dict[str, str]:
        """The items that identity keys belong to; unknown keys are absent. Of the past: keys of fields alone."""

    async def page(self, request: PageRequest) -> Page:
        """One page."""

    async def count(self, class_name: str, where: Condition) -> int:
        """How many items of the class meet the condition."""

    async def related(self, request: RelatedRequest, parents: Sequence[str]) -> dict[str, RelatedPage]:
        """For each parent that exists its neighbours."""

    async def search(self, text: str, classes: Sequence[str], first: int) -> list[tuple[Item, float]]:
        """Items whose name or searched attributes have words that begin like those of the text, best first."""


class PresentReader:
    """Reads the estate as it is. `catalogue` gives the one of the moment."""

    def __init__(self, connection: Connection, catalogue: Callable[[], Catalogue]) -> None:
        self._connection = connection
        self._catalogue = catalogue

    async def items(self, ids: Iterable[str]) -> dict[str, Item]:
        """The items of these ids that exist."""
        rows = await self._connection.read(ITEMS_BY_ID, {"ids": list(ids)})
        return {item.id: item for item in map(item_of, rows[0]["items"])}

    async def values(self, ids: Sequence[str], names: Sequence[str]) -> dict[str, Fields]:
        """Of the items that have any of these attributes: `class`, and those that they have."""
        rows = await self._connection.read(VALUES_BY_ID, {"ids": list(ids), "names": list(names)})
        [row] = rows
        held = zip(*row["columns"], strict=True)
        return {
            item_id: {
                name: value
                for name, value in zip(("class", *names), values, strict=True)
                if value is not None
            }
            for item_id, values in zip(row["ids"], held, strict=True)
        }

    async def named(self, class_name: str, name: str) -> list[Item]:
        """Items of the class with exactly this name, ten at most."""
        label = quoted(self._catalogue().item_class(class_name).name)
        rows = await self._connection.read(fill(NAMED, label=label), {"name": name, "limit": 10})
        return [item_of(row["item"]) for row in rows]

    async def identified(self, keys: Sequence[str]) -> dict[str, str]:
        """The items that identity keys belong to; unknown keys are absent."""
        return await holders_of(self._connection, keys)

    async def page(self, request: PageRequest) -> Page:
        """One page; a second statement where the page reaches the items without the value it is ordered by."""
        return await self.page_where(request)

    async def page_where(
        self, request: PageRequest, until_version: int | None = None, without: Sequence[str] = ()
    ) -> Page:
        """One page of items whose version is at most `until_version` (unchanged since), `without` these ids."""
        position = Position.parse(request.after, request.order) if request.after else None
        wanted = request.first + 1
        items: list[Item] = []
        if position is None or position.value is not None:
            items += await self._segment(request, position, wanted, until_version, without, with_value=True)
            position = None
        always_there = request.order.attribute in (
            "id",
            "name",
            "class",
            "lifecycle",
            "version",
            "created_at",
        )
        if len(items) < wanted and not always_there:
            rest = wanted - len(items)
            items += await self._segment(request, position, rest, until_version, without, with_value=False)
        return Page(tuple(items[: request.first]), len(items) > request.first)

    async def _segment(
        self,
        request: PageRequest,
        position: Position | None,
        limit: int,
        until: int | None,
        without: Sequence[str],
        *,
        with_value: bool,
    ) -> list[Item]:
        catalogue, bindings = self._catalogue(), Bindings()
        key = "c." + quoted(request.order.attribute)
        clauses = [key + (" IS NOT NULL" if with_value else " IS NULL")]
        if until is not None:
            clauses.append("c.version <= " + bindings.bind(until))
        if without:
            clauses.append("NOT c.id IN " + bindings.bind(list(without)))
        if position is not None:
            last = bindings.bind(position.id)
            if with_value:
                value = bindings.bind(position.value)
                sign = "<" if request.order.descending else ">"
                beyond = key + " " + sign + " " + value + " OR c.id > " + last
                clauses.append(key + " " + sign + "= " + value + " AND (" + beyond + ")")
            else:
                clauses.append("c.id > " + last)
        if request.where != EVERYTHING:
            clauses.append(to_cypher(request.where, "c", catalogue, bindings))
        direction = " DESC" if request.order.descending else ""
        statement = fill(
            PAGE,
            labels=self._labels(request.class_name, request.where, request.order if with_value else None),
            where=" AND ".join(clauses),
            order=(key + direction + ", c.id") if with_value else "c.id",
        )
        rows = await self._connection.read(statement, {**bindings.values, "limit": limit})
        return [item_of(properties) for properties in rows[0]["items"]]

    def _labels(self, class_name: str, where: Condition, order: Order | None) -> str:
        catalogue = self._catalogue()
        item_class = catalogue.item_class(class_name)
        labels = {item_class.name} | indexed_labels(where, class_name, catalogue)
        ordered_by = item_class.attributes.get(order.attribute) if order else None
        if ordered_by is not None and ordered_by.entry.indexed:
            labels.add(ordered_by.declared_by)
        elif order is not None and order.attribute == "id":
            labels.add("Item")
        return ":".join(quoted(label) for label in sorted(labels))

    async def count(self, class_name: str, where: Condition) -> int:
        """How many items of the class meet the condition; without one it is read from Neo4j's statistics."""
        return await self.count_where(class_name, where)

    async def count_where(
        self,
        class_name: str,
        where: Condition,
        until_version: int | None = None,
        without: Sequence[str] = (),
    ) -> int:
        """How many of them have a version of at most `until_version`, `without` those of these ids."""
        bindings = Bindings()
        clauses = [to_cypher(where, "c", self._catalogue(), bindings)] if where != EVERYTHING else []
        if until_version is not None:
            clauses.append("c.version <= " + bindings.bind(until_version))
        if without:
            clauses.append("NOT c.id IN " + bindings.bind(list(without)))
        labels = self._labels(class_name, where, None)
        template = COUNT_WHERE if clauses else COUNT_ALL
        rows = await self._connection.read(
            fill(template, labels=labels, where=" AND ".join(clauses)), bindings.values
        )
        return int(rows[0]["total"])

    async def related(self, request: RelatedRequest, parents: Sequence[str]) -> dict[str, RelatedPage]:
        """One statement for all parents; the total of unfiltered edges is the node's degree, which Neo4j keeps."""
        catalogue, bindings = self._catalogue(), Bindings()
        kind = quoted(catalogue.relationship(request.relationship).name)
        where = to_cypher(request.where, "t", catalogue, bindings)
        clauses = [where]
        if request.after:
            name, last_id, group = parse_cursor(request.after, 3, "relation")
            name, last_id, group = (bindings.bind(value) for value in (name, last_id, group))
            clauses.append(
                "(t.name > " + name + " OR (t.name = " + name + " AND (t.id > " + last_id
                + " OR (t.id = " + last_id + " AND r.group > " + group + "))))"
            )  # fmt: skip
        named, unnamed = _arrows(kind, request.outgoing)
        total = "null"
        if request.count and request.where == EVERYTHING:
            total = "COUNT { (p)" + unnamed + "() }"
        elif request.count:
            total = fill(COUNT_RELATED, arrow=unnamed, where=where)
        statement = fill(RELATED, arrow=named, where=" AND ".join(clauses), total=total)
        rows = await self._connection.read(
            statement, {**bindings.values, "parents": list(parents), "limit": request.first + 1}
        )
        return {
            parent: _related_page(request, parent, page, total) for parent, page, total in rows[0]["pages"]
        }

    async def search(self, text: str, classes: Sequence[str], first: int) -> list[tuple[Item, float]]:
        """Items by text, best first."""
        return await self.search_where(text, classes, first)

    async def search_where(
        self, text: str, classes: Sequence[str], first: int, until_version: int | None = None
    ) -> list[tuple[Item, float]]:
        """The same among items whose version is at most `until_version`."""
        query = lucene_query(text)
        if not query:
            return []
        bindings = Bindings()
        conditions: tuple[Condition, ...] = (IsA(tuple(classes)),) if classes else ()
        if until_version is not None:
            conditions = (*conditions, Comparison("version", "lte", until_version))
        where = to_cypher(AllOf(conditions), "c", self._catalogue(), bindings)
        rows = await self._connection.read(
            fill(SEARCH, where=where), {**bindings.values, "query": query, "limit": first}
        )
        return [(item_of(row["item"]), float(row["score"])) for row in rows]


def _arrows(kind: str, outgoing: bool) -> tuple[str, str]:
    """The pattern between a parent and its neighbour, with the edge named `r` and without a name."""
    named, unnamed = "-[r:" + kind + "]-", "-[:" + kind + "]-"
    return (named + ">", unnamed + ">") if outgoing else ("<" + named, "<" + unnamed)


def _related_page(
    request: RelatedRequest, parent: str, page: Sequence[Sequence[Any]], total: int | None
) -> RelatedPage:
    neighbours = []
    for group, required, strength, confidence, version, properties in page[: request.first]:
        item = item_of(properties)
        source, target = (parent, item.id) if request.outgoing else (item.id, parent)
        key = EdgeKey(request.relationship, source, target, group or "")
        edge = Edge(key, EdgeFacts(required, strength, confidence or "declared"), version or 0)
        neighbours.append(Neighbour(edge, item))
    return RelatedPage(tuple(neighbours), len(page) > request.first, total)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in an order: the value and id of the last item seen."""

    value: Any
    id: str

    @classmethod
    def parse(cls, cursor: str, order: Order) -> Position:
        """The place that a cursor names. Raises `BadRequest` for one of another order, or none of ours."""
        attribute, descending, value, item_id = parse_cursor(cursor, 4, "list")
        if (attribute, descending) != (order.attribute, order.descending):
            raise BadRequest("the cursor belongs to another order; ask for the first page of this one")
        return cls(value, item_id)


def item_cursor(item: Item, order: Order) -> str:
    """The cursor of an item in an order."""
    return make_cursor(order.attribute, order.descending, read_value(item, order.attribute), item.id)


def neighbour_cursor(neighbour: Neighbour) -> str:
    """The cursor of a neighbour among those of its parent."""
    return make_cursor(neighbour.item.name, neighbour.item.id, neighbour.edge.key.group)


def make_cursor(*parts: object) -> str:
    """Opaque to clients: URL-safe base64 of JSON."""
    return base64.urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()


def parse_cursor(cursor: str, length: int, kind: str) -> list[Any]:
    """The parts that `make_cursor` was given. Raises `BadRequest` for anything else."""
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        parts = None
    scalar = str | int | float | bool | None
    if (
        not isinstance(parts, list)
        or len(parts) != length
        or not all(isinstance(part, scalar) for part in parts)
    ):
        raise BadRequest(f"{cursor[:80]!r} is no {kind} cursor; pass on `endCursor` of the page before")
    return parts


def words_of(text: str) -> list[str]:
    """The words of a text as people see them, in lower case, at most ten; dots may be inside: `10.1.2.3`."""
    return _WORD.findall(text.lower())[:10]


def has_words(words: Iterable[str], text: Iterable[str]) -> bool:
    """Whether every word begins one of the text's words, or all its parts between dots do."""
    seen = {part for word in text for part in (word, *word.split("."))}

    def begins(part: str) -> bool:
        return any(other.startswith(part) for other in seen)

    return all(begins(word) or all(map(begins, word.split("."))) for word in words)


def lucene_query(text: str) -> str:
    """A Lucene query in which every word of the text must be met, in full or as a beginning; empty without words.

    The index may have split a word at its dots (`01.example`) or not (`10.1.2.3`), so both are asked for.
    """
    return " AND ".join(_lucene_word(word) for word in words_of(text))


def _lucene_word(word: str) -> str:
    parts = " AND ".join(part + "*" for part in word.split(".") if part)
    return '("' + word + '"^4 OR ' + word.replace(".", "\\.") + "* OR (" + parts + "))"
