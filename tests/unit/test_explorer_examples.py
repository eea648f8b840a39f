"""The API explorer's example queries hold against the exported schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

GRAPHQL = Path(__file__).parents[2] / "graphql"
SCHEMA = GRAPHQL / "schema.graphql"
EXAMPLES = sorted((GRAPHQL / "web" / "src" / "graphiql" / "examples").glob("*.graphql"))


@pytest.mark.skipif(not SCHEMA.is_file(), reason="graphql/schema.graphql is not exported yet")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid_against_the_schema(example: Path) -> None:
    errors = validate(build_schema(SCHEMA.read_text("utf-8")), parse(example.read_text("utf-8")))
    assert [error.message for error in errors] == []


def test_every_example_file_is_a_tab_of_the_explorer() -> None:
    tabs = (GRAPHQL / "web" / "src" / "graphiql" / "examples.ts").read_text("utf-8")
    assert [path.name for path in EXAMPLES if f'"./examples/{path.name}?raw"' not in tabs] == []
    assert EXAMPLES
