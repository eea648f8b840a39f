"""How much one GraphQL document may ask for, checked before it is validated.

Promise: `parse_within` and `measure` do work in proportion to the length of the source, whatever the source says.
A fragment is measured once, however often it is spread (the depth and alias limiters of Strawberry 0.341 walk it
each time: 716 bytes, 20 fragments, 7 s), so a tower of 60 fragments costs what its 60 fragments cost. Recursion goes
no deeper than `Limits.brackets`; fragments are followed by a loop. All counts are of the *expanded* operation: a
field that a fragment brings in counts at each spread. What it costs to answer, which needs schema and variables, is
`cmdb_graphql.cost`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)

from cmdb_graphql.errors import Code, Refusal

INTROSPECTION_ROOTS: Final = frozenset({"__schema", "__type"})
"""The fields below which a document reads the schema, not the data; `__typename` is not one of them."""

_INTROSPECTION_LISTS: Final = frozenset(
    {"types", "directives", "fields", "inputFields", "interfaces", "possibleTypes"}
)
"""Fields of the introspection system whose nesting multiplies: each holds as many entries as the schema is wide."""

_SEEN_CAP: Final = 1_000_000_000
"""Figures in answers stop here; a tower of 60 fragments expands to 2**60 fields, which JSON readers cannot hold."""

_BRACKETS: Final = re.compile(
    r'"""(?>\\"""|[^"\\]++|\\|"(?!""))*+(?:""")?'  # a block string, to its end or the end of the text
    r'|"(?>[^"\\\r\n]++|\\.)*+"?'  # a string
    r"|\#[^\r\n]*+"  # a comment
    r"|[{\[(]|[}\])]"
)
"""Every alternative is atomic, so the scan is linear."""

_WAY_OUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "characters": "split the document, and pass large inputs as variables",
        "tokens": "split the document",
        "brackets": "nest less deeply, and pass large inputs as variables",
        "fields": "ask for fewer fields, or spread a fragment fewer times",
        "aliases": "ask for lists (`ids`, filters) rather than many aliased fields",
        "directives": "use fewer directives",
        "depth": "ask for fewer levels at once",
        "root_fields": "split the operation",
        "repeats": "select each field once",
        "introspection_fields": "introspect in parts",
        "introspection_depth": "unwrap fewer levels of `ofType`",
        "introspection_lists": "introspect one type at a time",
        "page_size": "ask for smaller pages and follow the cursor",
        "cost": "ask for smaller pages, fewer levels, or split the operation",
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document, and one operation of it, may have: a limit a field, with its documented default."""

    characters: int = 50_000
    """Length of the document's text."""
    tokens: int = 1_000
    """Lexical tokens of the document; as many comments again."""
    brackets: int = 50
    """Depth of `{`, `(` and `[` in the text. GraphiQL's introspection query needs 14."""
    fields: int = 2_000
    """Fields of the expanded operation; those of all operations of the document together."""
    aliases: int = 15
    """Aliased fields of the expanded operation."""
    directives: int = 8
    """Directives of the expanded operation, wherever they stand."""
    depth: int = 12
    """Levels of fields below the root."""
    root_fields: int = 20
    """Fields at the root."""
    repeats: int = 30
    """Fields that answer under one response path, merged: validation compares them pair by pair."""
    introspection_fields: int = 1_000
    """Fields below `__schema` and `__type`, expanded; they count here and not in `fields`."""
    introspection_depth: int = 20
    """Levels below `__schema` and `__type`, in place of `depth`."""
    introspection_lists: int = 2
    """How many lists of types or fields may nest below `__schema` and `__type`; GraphiQL's query needs 2."""
    page_size: int = 100
    """The largest `first` or `last`."""
    default_page_size: int = 50
    """Items that a paged field without `first`, `last` and schema default is taken to have."""
    unpaged_list_size: int = 10
    """Items that a list of objects without `first` and `last` is taken to have."""
    cost: int = 10_000
    """Items that one operation may touch by estimate: the budget of `extensions.cost`."""


class LimitExceeded(Refusal):
    """A limit is passed. Facts: `limit` (a field of `Limits`), `allowed`, `seen` (capped at 10**9)."""

    def __init__(self, limit: str, allowed: int, seen: int, *, where: str = "") -> None:
        seen = min(seen, _SEEN_CAP)
        way_out = _WAY_OUT.get(limit, "ask for less")
        super().__init__(
            Code.LIMIT_EXCEEDED,
            f"{limit.replace('_', ' ')}: {allowed} allowed, {seen} seen{where}; {way_out}",
            facts={"limit": limit, "allowed": allowed, "seen": seen},
        )


@dataclass(frozen=True, slots=True)
class Measure:
    """What a document holds (fields: all operations; else: the largest one), and what it took to find out."""

    fields: int
    aliases: int
    directives: int
    depth: int
    root_fields: int
    introspection_fields: int
    fragment_order: tuple[str, ...]
    """Fragment names, each after those it spreads."""
    visited: int
    """Nodes looked at: the work done, linear in the document."""

    @property
    def introspects(self) -> bool:
        """Whether any operation reads the schema."""
        return self.introspection_fields > 0


@dataclass(slots=True)
class _Tally:
    """The expanded counts of one selection set. In `lists`: the largest number of introspection lists on a path."""

    fields: int = 0
    aliases: int = 0
    directives: int = 0
    depth: int = 0
    root_fields: int = 0
    introspection_fields: int = 0
    introspection_depth: int = 0
    lists: int = 0

    def add(self, other: _Tally, *, levels: int) -> None:
        """Take in what is selected `levels` (0 or 1) below."""
        self.fields += other.fields
        self.aliases += other.aliases
        self.directives += other.directives
        self.introspection_fields += other.introspection_fields
        if other.depth:
            self.depth = max(self.depth, other.depth + levels)
        if other.introspection_depth:
            self.introspection_depth = max(self.introspection_depth, other.introspection_depth)
        self.lists = max(self.lists, other.lists)
        if not levels:
            self.root_fields += other.root_fields


@dataclass(slots=True)
class _Walk:
    """One measuring of one document: the memo and the work counter."""

    limits: Limits
    memo: dict[tuple[str, bool], _Tally] = field(default_factory=dict)
    visited: int = 0

    def tally(self, selections: SelectionSetNode, *, introspecting: bool) -> _Tally:
        """Counts of a selection set whose fragments are in the memo; recursion is bounded by the brackets."""
        tally = _Tally()
        self._collect(selections, introspecting, tally)
        return tally

    def _collect(self, selections: SelectionSetNode, introspecting: bool, tally: _Tally) -> None:
        for node in selections.selections:
            self.visited += 1
            tally.directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                tally.root_fields += 1
                if node.alias:
                    tally.aliases += 1
                self._field(node, node.name.value, introspecting, tally)
            elif isinstance(node, FragmentSpreadNode):
                spread = self.memo.get((node.name.value, introspecting))
                if spread is not None:
                    tally.add(spread, levels=0)
            elif isinstance(node, InlineFragmentNode):
                self._collect(node.selection_set, introspecting, tally)

    def _field(self, node: FieldNode, name: str, introspecting: bool, tally: _Tally) -> None:
        inside = introspecting or name in INTROSPECTION_ROOTS
        below = self.tally(node.selection_set, introspecting=inside) if node.selection_set else _Tally()
        tally.add(below, levels=1)
        if inside:
            tally.introspection_fields += 1
            tally.introspection_depth = max(tally.introspection_depth, below.introspection_depth + 1)
            tally.lists = max(tally.lists, below.lists + (name in _INTROSPECTION_LISTS))
        else:
            tally.fields += 1
            tally.depth = max(tally.depth, below.depth + 1)

    def check(self, tally: _Tally) -> None:
        """Refuse an operation that is over a limit."""
        limits = self.limits
        for name, seen, allowed in (
            ("fields", tally.fields, limits.fields),
            ("aliases", tally.aliases, limits.aliases),
            ("directives", tally.directives, limits.directives),
            ("depth", tally.depth, limits.depth),
            ("introspection_fields", tally.introspection_fields, limits.introspection_fields),
            ("introspection_depth", tally.introspection_depth, limits.introspection_depth),
            ("introspection_lists", tally.lists, limits.introspection_lists),
            ("root_fields", tally.root_fields, limits.root_fields),
        ):
            if seen > allowed:
                raise LimitExceeded(name, allowed, seen)


def parse_within(source: str, limits: Limits) -> DocumentNode:
    """Parse a document that keeps to `limits.characters`, `limits.tokens` and `limits.brackets`.

    Raises `LimitExceeded`, or graphql-core's `GraphQLSyntaxError`. An empty selection set is a syntax error, as in the
    specification of September 2025.
    """
    if len(source) > limits.characters:
        raise LimitExceeded("characters", limits.characters, len(source))
    depth = 0
    for match in _BRACKETS.finditer(source):
        bracket = match.group()
        if bracket in "{[(":
            depth += 1
            if depth > limits.brackets:
                raise LimitExceeded("brackets", limits.brackets, depth)
        elif bracket in "}])":
            depth -= 1
    try:
        return parse(
            source,
            max_lexical_tokens=limits.tokens,
            max_comments=limits.tokens,
            allow_empty_selection_sets=False,
        )
    except GraphQLSyntaxError as error:
        if "Parsing aborted" in error.message:  # graphql-core has no class of its own for this
            raise LimitExceeded("tokens", limits.tokens, limits.tokens + 1) from None
        raise


def measure(document: DocumentNode, limits: Limits) -> Measure:
    """Count what the document asks for; linear in its length.

    Every operation of the document has to keep to the limits, also those that will not run. Raises `LimitExceeded`,
    or a `Refusal` with GRAPHQL_VALIDATION_FAILED for fragments that spread each other in a circle (nothing expanded
    can be counted then) and for unused ones. Spreads of unknown fragments count nothing: validation reports them.
    """
    operations: list[OperationDefinitionNode] = []
    fragments: dict[str, FragmentDefinitionNode] = {}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            operations.append(definition)
        elif isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = definition

    walk = _Walk(limits)
    spreads = {name: _spreads(fragment.selection_set, walk) for name, fragment in fragments.items()}
    order = _dependencies_first(spreads)
    for name in order:
        definition_directives = len(fragments[name].directives or ())
        for introspecting in (False, True):
            tally = walk.tally(fragments[name].selection_set, introspecting=introspecting)
            tally.directives += definition_directives
            walk.memo[name, introspecting] = tally

    largest = _Tally()
    fields = introspection_fields = 0
    for operation in operations:
        tally = walk.tally(operation.selection_set, introspecting=False)
        tally.directives += len(operation.directives or ())
        tally.directives += sum(len(v.directives or ()) for v in operation.variable_definitions or ())
        fields = tally.fields = tally.fields + fields
        introspection_fields = tally.introspection_fields = tally.introspection_fields + introspection_fields
        walk.check(tally)
        for name in _Tally.__slots__:
            setattr(largest, name, max(getattr(largest, name), getattr(tally, name)))
    _check_all_used(operations, spreads, walk)
    for operation in operations:
        _check_repeats(operation, fragments, walk)
    return Measure(
        fields=largest.fields,
        aliases=largest.aliases,
        directives=largest.directives,
        depth=largest.depth,
        root_fields=largest.root_fields,
        introspection_fields=largest.introspection_fields,
        fragment_order=tuple(order),
        visited=walk.visited,
    )


def _check_all_used(
    operations: list[OperationDefinitionNode], spreads: Mapping[str, list[str]], walk: _Walk
) -> None:
    """Refuse fragments that no operation uses: nothing above has counted what they hold, and validation compares it."""
    unused = dict.fromkeys(spreads)
    reached = [name for operation in operations for name in _spreads(operation.selection_set, walk)]
    while reached:
        name = reached.pop()
        if name in unused:
            del unused[name]
            reached.extend(spreads[name])
    if unused:
        raise Refusal(
            Code.GRAPHQL_VALIDATION_FAILED,
            f"fragment {next(iter(unused))!r} is never used; remove it, or spread it",
        )


def _check_repeats(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode], walk: _Walk
) -> None:
    """Count the fields that answer under one response path, as the executor will merge them.

    Expands the operation, so it has to come after the check of its expanded fields.
    """
    allowed = walk.limits.repeats
    stack = [[operation.selection_set]]
    while stack:
        pending = stack.pop()
        merged: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        while pending:
            for node in pending.pop().selections:
                walk.visited += 1
                if isinstance(node, FieldNode):
                    merged.setdefault((node.alias or node.name).value, []).append(node)
                elif isinstance(node, InlineFragmentNode):
                    pending.append(node.selection_set)
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                    spread.add(node.name.value)
                    if node.name.value in fragments:
                        pending.append(fragments[node.name.value].selection_set)
        for name, nodes in merged.items():
            if len(nodes) > allowed:
                raise LimitExceeded("repeats", allowed, len(nodes), where=f" of {name!r}")
            below = [node.selection_set for node in nodes if node.selection_set]
            if below:
                stack.append(below)


def _spreads(selections: SelectionSetNode, walk: _Walk) -> list[str]:
    """Names of the fragments spread anywhere in a selection set."""
    found: dict[str, None] = {}
    stack = [selections]
    while stack:
        for node in stack.pop().selections:
            walk.visited += 1
            if isinstance(node, FragmentSpreadNode):
                found[node.name.value] = None
            elif isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set:
                stack.append(node.selection_set)
    return list(found)


def _dependencies_first(spreads: Mapping[str, list[str]]) -> list[str]:
    """Fragment names, each after the ones it spreads (depth-first post-order, without recursion)."""
    order: list[str] = []
    done: set[str] = set()
    for start in spreads:
        if start in done:
            continue
        path = [(start, iter(spreads[start]))]
        on_path = {start: None}
        while path:
            name, rest = path[-1]
            for below in rest:
                if below in on_path:
                    circle = [*list(on_path)[list(on_path).index(below) :], below]
                    raise Refusal(
                        Code.GRAPHQL_VALIDATION_FAILED,
                        f"fragments spread each other in a circle: {' -> '.join(circle[:6])}"
                        f"{' -> ...' if len(circle) > 6 else ''}; remove one of these spreads",
                    )
                if below in spreads and below not in done:
                    path.append((below, iter(spreads[below])))
                    on_path[below] = None
                    break
            else:
                path.pop()
                del on_path[name]
                done.add(name)
                order.append(name)
    return order
