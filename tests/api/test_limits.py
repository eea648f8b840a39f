"""The limiter: what it counts, what it refuses, and that its work is linear whatever the document."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from graphql import GraphQLSyntaxError, OperationDefinitionNode, get_introspection_query
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb_graphql.cost import estimate
from cmdb_graphql.errors import Code, Refusal
from cmdb_graphql.limits import LimitExceeded, Limits, Measure, measure, parse_within
from tests.api.toy_service import schema

LIMITS = Limits()
WIDE = Limits(
    characters=10**7,
    tokens=10**6,
    fields=10**9,
    repeats=10**9,
    aliases=10**9,
    directives=10**9,
    depth=10**9,
    root_fields=10**9,
)


def look(source: str, limits: Limits = LIMITS) -> Measure:
    return measure(parse_within(source, limits), limits)


def refused(source: str, limits: Limits = LIMITS) -> dict[str, Any]:
    with pytest.raises(LimitExceeded) as caught:
        look(source, limits)
    assert caught.value.code == "LIMIT_EXCEEDED"
    return dict(caught.value.facts)


def tower(fragments: int, *, width: int = 2, letter: str = "f") -> str:
    """Fragment i spreads fragment i+1 `width` times: width**fragments fields when expanded."""
    floors = (
        f"fragment {letter}{i} on Query {{ {' '.join([f'...{letter}{i + 1}'] * width)} }}"
        for i in range(fragments)
    )
    return f"query {letter} {{ ...{letter}0 }} {' '.join(floors)} fragment {letter}{fragments} on Query {{ tag }}"


class TestCounting:
    def test_fields_aliases_directives_and_depth_of_a_plain_operation(self) -> None:
        seen = look("{ a: item { name @skip(if: true) related { id } } b: item { id } }")
        assert dataclasses.replace(seen, visited=0) == Measure(
            fields=6,
            aliases=2,
            directives=1,
            depth=3,
            root_fields=2,
            introspection_fields=0,
            fragment_order=(),
            visited=0,
        )

    def test_a_fragment_counts_at_each_of_its_spreads(self) -> None:
        seen = look("{ item { ...f owner { ...f } } } fragment f on Item { x: name id @include(if: true) }")
        assert (seen.fields, seen.aliases, seen.directives, seen.depth) == (6, 2, 2, 3)

    def test_directives_count_wherever_they_stand(self) -> None:
        source = """
            query q($v: Int @a) @b { item @c { ...f @d ... @e { name } } }
            fragment f on Item @g { id }
        """
        assert look(source).directives == 6

    def test_inline_fragments_are_no_level_of_their_own(self) -> None:
        assert look("{ item { ... on Item { ... on Item { name } } } }").depth == 2

    def test_root_fields_count_through_fragments(self) -> None:
        assert look("{ ...f ... { c } } fragment f on Query { a b }").root_fields == 3

    def test_the_largest_operation_counts_even_if_another_one_would_run(self) -> None:
        assert refused("query small { a } query large { " + "x " * 21 + "}")["limit"] == "root_fields"

    def test_fields_of_all_operations_count_together(self) -> None:
        operations = " ".join(f"query q{i} {{ ...f }}" for i in range(3))
        assert look(operations + " fragment f on Query { x { a b } }").fields == 9

    def test_fragment_order_puts_each_after_those_it_spreads(self) -> None:
        source = "{ ...a } fragment a on Q { ...b ...c } fragment b on Q { ...c } fragment c on Q { x }"
        assert look(source).fragment_order == ("c", "b", "a")

    def test_spreads_of_unknown_fragments_are_left_to_validation(self) -> None:
        assert look("{ a ...nowhere }").fields == 1


@pytest.mark.parametrize(
    ("limit", "allowed", "seen", "source"),
    [
        ("characters", 50_000, 50_010, "{ a }" + " " * 50_005),
        ("tokens", 1_000, 1_001, "{ " + "a " * 1_000 + "}"),
        ("tokens", 1_000, 1_001, "#\n" * 1_001 + "{ a }"),
        ("brackets", 50, 51, "{ a" * 51 + "}" * 51),
        ("brackets", 50, 51, "{ a(x: " + "[" * 400 + "]" * 400 + ") }"),
        ("brackets", 50, 51, "{ a(x: " + "{x:" * 400 + "1" + "}" * 400 + ") }"),
        (
            "fields",
            2_000,
            2_501,
            "{ x { " + "...f " * 50 + "} } fragment f on X { " + "".join(f"a{i} " for i in range(50)) + "}",
        ),
        ("aliases", 15, 16, "{ x {" + "".join(f"a{i}: name " for i in range(16)) + "} }"),
        (
            "aliases",
            15,
            16,
            "{ x { ...f ...f } } fragment f on X { " + "".join(f"a{i}: name " for i in range(8)) + "}",
        ),
        ("directives", 8, 9, "{ x " + "@skip(if: false) " * 9 + "}"),
        ("depth", 12, 13, "{ a" * 13 + "}" * 13),
        (
            "depth",
            12,
            13,
            "{ "
            + "a { " * 6
            + "...f "
            + "} " * 6
            + "} fragment f on X { "
            + "a { " * 6
            + "b "
            + "} " * 6
            + "}",
        ),
        ("root_fields", 20, 21, "{ " + "a " * 21 + "}"),
        ("repeats", 30, 31, "{ x { " + "a " * 31 + "} }"),
        ("repeats", 30, 60, "{ x { " + "... { a } " * 60 + "} }"),
        ("repeats", 30, 36, "{ " + ("x { " + "a " * 6 + "} ") * 6 + "}"),
        (
            "repeats",
            30,
            40,
            "{ x { ...f ...g } } fragment f on X { y { "
            + "a " * 20
            + "} } fragment g on X { y { "
            + "a " * 20
            + "} }",
        ),
        (
            "introspection_depth",
            20,
            21,
            "{ __schema { queryType {" + "ofType {" * 18 + "name" + "}" * 20 + "}",
        ),
        ("introspection_lists", 2, 3, "{ __schema { types { fields { type { fields { name } } } } } }"),
        (
            "introspection_lists",
            2,
            3,
            '{ __type(name: "Q") { ...t } }'
            "fragment t on __Type { fields { type { fields { type { interfaces { name } } } } } }",
        ),
    ],
)
def test_each_limit_is_refused_with_what_is_allowed_and_what_was_seen(
    limit: str, allowed: int, seen: int, source: str
) -> None:
    assert refused(source) == {"limit": limit, "allowed": allowed, "seen": seen}


def test_introspection_fields_have_a_bound_of_their_own() -> None:
    source = (
        "{ __schema { types { ...a ...a ...a } } } fragment a on __Type {"
        + "".join(f"x{i} " for i in range(400))
        + "}"
    )
    assert refused(source) == {"limit": "introspection_fields", "allowed": 1_000, "seen": 1_202}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "specified_by_url": True,
            "directive_is_repeatable": True,
            "schema_description": True,
            "input_value_deprecation": True,
        },
    ],
)
def test_the_standard_introspection_query_passes_and_is_known_as_such(options: dict[str, bool]) -> None:
    seen = look(get_introspection_query(**options))
    assert seen.introspects
    assert (seen.fields, seen.depth) == (0, 0)


def test_typename_is_not_introspection() -> None:
    assert not look("{ __typename item { __typename } }").introspects


def test_brackets_in_strings_and_comments_are_text() -> None:
    braces = "{[(" * 40
    assert look(f'{{ a(x: "{braces}", y: """{braces} \\""" " "" {braces}""") # {braces}\n }}').fields == 1


@pytest.mark.parametrize(
    "source", ["", "   ", "{", "}", "{}", "{ a { } }", '{ a(x: "\\ud800") }', "\x00", "{ a }}", '"""']
)
def test_what_is_not_graphql_is_a_syntax_error(source: str) -> None:
    with pytest.raises(GraphQLSyntaxError):
        look(source)


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("{ ...a } fragment a on Q { ...a }", "a -> a"),
        ("{ ...a } fragment a on Q { ...b } fragment b on Q { x { ...a } }", "a -> b -> a"),
        (
            "{ ...z } fragment z on Q { ...y } fragment y on Q { ...w } fragment w on Q { ...y }",
            "y -> w -> y",
        ),
        (tower(60).replace("{ tag }", "{ ...f1 }"), "f1 -> f2 -> f3"),
    ],
)
def test_fragment_circles_are_named(source: str, named: str) -> None:
    with pytest.raises(Refusal) as caught:
        look(source)
    assert caught.value.code == Code.GRAPHQL_VALIDATION_FAILED
    assert named in caught.value.message


def test_an_unused_fragment_is_refused_before_it_is_looked_into() -> None:
    with pytest.raises(Refusal, match="'f' is never used"):
        look("{ ...g } fragment f on X { a ...g } fragment g on X { b }")


def test_a_tower_of_fields_is_refused_before_it_is_expanded() -> None:
    floors = " ".join(f"fragment f{i} on X {{ a {{ ...f{i + 1} }} b {{ ...f{i + 1} }} }}" for i in range(10))
    assert refused(f"{{ ...f0 }} {floors} fragment f10 on X {{ c }}")["limit"] == "fields"


class TestTowers:
    def test_sixty_fragments_are_refused(self) -> None:
        facts = refused(tower(60))
        assert (facts["limit"], facts["allowed"]) == ("fields", 2_000)
        assert facts["seen"] == 1_000_000_000, "2**60, capped"

    @pytest.mark.parametrize("width", [1, 2, 10])
    def test_the_work_grows_with_the_text_and_not_with_what_it_expands_to(self, width: int) -> None:
        assert _visited(tower(60, width=width)) < 2.1 * _visited(tower(30, width=width))

    def test_sixty_floors_visit_a_few_hundred_nodes(self) -> None:
        assert _visited(tower(60)) < 5 * 60 * 2 + 10

    def test_two_towers_add_up_and_do_not_multiply(self) -> None:
        assert _visited(tower(30) + tower(30, letter="g")) == 2 * _visited(tower(30))

    def test_the_clock_agrees_within_a_wide_margin(self) -> None:
        started = time.perf_counter()
        refused(tower(60))
        assert time.perf_counter() - started < 1.0, "the exponential limiter takes hours"

    def test_long_chains_do_not_exhaust_the_stack(self) -> None:
        seen = look(tower(20_000, width=1), WIDE)
        assert (seen.fields, seen.depth) == (1, 1)


def _visited(source: str) -> int:
    """Nodes visited when nothing is refused."""
    return look(source, dataclasses.replace(WIDE, fields=2**10_000, root_fields=2**10_000)).visited


def _expanded_fields(selection: dict[str, Any], fragments: dict[str, dict[str, Any]]) -> tuple[int, int]:
    """Fields and depth, by brute force: every spread written out."""
    fields = depth = 0
    for child in selection["fields"]:
        below, deeper = _expanded_fields(child, fragments) if child["fields"] or child["spreads"] else (0, 0)
        fields += 1 + below
        depth = max(depth, 1 + deeper)
    for name in selection["spreads"]:
        below, deeper = _expanded_fields(fragments[name], fragments)
        fields += below
        depth = max(depth, deeper)
    return fields, depth


def _text(selection: dict[str, Any]) -> str:
    children = [f"a{_text(c) if c['fields'] or c['spreads'] else ''}" for c in selection["fields"]]
    return "{ " + " ".join([*children, *(f"...{name}" for name in selection["spreads"])]) + " }"


@st.composite
def documents(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """An operation and up to five fragments, each spreading later ones only."""
    count = draw(st.integers(0, 5))

    def selection(level: int, first: int) -> dict[str, Any]:
        names = [f"f{i}" for i in range(first, count)]
        spreads = draw(st.lists(st.sampled_from(names), max_size=2)) if names else []
        fields = draw(st.integers(0 if spreads else 1, 2))
        leaf: dict[str, Any] = {"fields": [], "spreads": []}
        children = [
            selection(level + 1, first) if level < 3 and draw(st.booleans()) else leaf for _ in range(fields)
        ]
        return {"fields": children, "spreads": spreads}

    operation = selection(0, 0)
    operation["spreads"] = [*operation["spreads"], *(f"f{i}" for i in range(count))]  # none unused
    return operation, {f"f{i}": selection(1, i + 1) for i in range(count)}


@settings(max_examples=150, deadline=None)
@given(documents())
def test_counts_equal_those_of_the_document_written_out(
    document: tuple[dict[str, Any], dict[str, dict[str, Any]]],
) -> None:
    operation, fragments = document
    source = _text(operation) + "".join(
        f" fragment {name} on Q {_text(body)}" for name, body in fragments.items()
    )
    seen = look(source, WIDE)
    assert (seen.fields, seen.depth) == _expanded_fields(operation, fragments)


class TestCost:
    @staticmethod
    def cost(
        source: str, variables: dict[str, Any] | None = None, limits: Limits = LIMITS
    ) -> tuple[int, bool]:
        document = parse_within(source, limits)
        operation = document.definitions[0]
        assert isinstance(operation, OperationDefinitionNode)
        found = estimate(
            schema._schema, document, operation, variables or {}, measure(document, limits), limits
        )
        return found.items, found.fixed

    @pytest.mark.parametrize(
        ("source", "items"),
        [
            ("{ __typename }", 0),
            ("{ add(a: 1) }", 0),
            ("{ item { name } }", 1),
            ("{ item { owner { owner { name } } } }", 3),
            ("{ items { totalCount } }", 50),
            ("{ items(first: 20) { edges { node { name } } pageInfo { hasNextPage } } }", 20),
            ("{ items(first: 20) { edges { node { owner { name } } } } }", 40),
            ("{ items(first: 20) { edges { node { related(first: 5) { name } } } } }", 20 * (1 + 5)),
            (
                "{ items(first: 20) { edges { node { related { related { name } } } } } }",
                20 * (1 + 10 * (1 + 10)),
            ),
            ("{ items(first: 0) { totalCount } }", 0),
            ("{ items(first: -5) { totalCount } }", 0),
            ("{ tags { name } }", 10),
            ("{ tags { related(first: 2) { name } } }", 30),
            ("{ item { ...f ...f } } fragment f on Item { owner { name } }", 3),
            ("{ item { ... on Item { owner { name } } } }", 2),
            ("{ __schema { types { fields { name } } } }", 0),
            ('mutation { rename(id: 1, name: "x") { owner { name } } }', 2),
            ("subscription { contexts { owner { id } } }", 2),
        ],
    )
    def test_items_by_hand(self, source: str, items: int) -> None:
        assert self.cost(source) == (items, True)

    def test_a_variable_decides_the_page_and_its_default_stands_in(self) -> None:
        source = "query q($n: Int = 30) { items(first: $n) { totalCount } }"
        assert self.cost(source, {"n": 7}) == (7, False)
        assert self.cost(source) == (30, False)

    def test_a_variable_that_is_no_integer_counts_as_the_schema_default(self) -> None:
        source = "query q($n: Int!) { items(first: $n) { totalCount } }"
        odd: list[object] = ["7", True, None, 1.5, []]
        assert [self.cost(source, {"n": n})[0] for n in odd] == [50] * 5

    @pytest.mark.parametrize("variables", [{}, {"n": 101}])
    def test_a_page_above_the_limit_is_refused(self, variables: dict[str, Any]) -> None:
        source = "{ items(first: 101) { totalCount } }"
        if variables:
            source = "query q($n: Int!) { items(first: $n) { totalCount } }"
        with pytest.raises(LimitExceeded) as caught:
            self.cost(source, variables)
        assert caught.value.facts == {"limit": "page_size", "allowed": 100, "seen": 101}

    def test_a_total_above_the_budget_is_refused_with_its_figure(self) -> None:
        pages = (
            "{ items(first: 100) { edges { node { related(first: 100) { related(first: 2) { name } } } } } }"
        )
        with pytest.raises(LimitExceeded) as caught:
            self.cost(pages)
        assert caught.value.facts == {"limit": "cost", "allowed": 10_000, "seen": 100 * (1 + 100 * (1 + 2))}


def test_every_limit_has_a_description_and_a_way_out() -> None:
    """The reference page is made from these docstrings."""
    import ast
    import inspect
    import textwrap

    from cmdb_graphql import limits as module

    tree = ast.parse(textwrap.dedent(inspect.getsource(Limits)))
    described = {
        before.target.id
        for before, after in zip(tree.body[0].body, tree.body[0].body[1:], strict=False)  # type: ignore[attr-defined]
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    }
    names = {f.name for f in dataclasses.fields(Limits)}
    assert described == names
    assert set(module._WAY_OUT) == names - {"default_page_size", "unpaged_list_size"}
