"""The questions of the benchmark's mixed load fit the contract: none is refused for what it asks."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, build_schema, parse, validate

from benchmarks.other_questions import DOCUMENTS, OtherQuestions

CONTRACT = Path(__file__).resolve().parents[2] / "graphql" / "schema.graphql"


@pytest.fixture(scope="module")
def contract() -> GraphQLSchema:
    return build_schema(CONTRACT.read_text(encoding="utf-8"), assume_valid_sdl=True)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_question_is_valid_with_the_variables_that_are_drawn_for_it(
    contract: GraphQLSchema, kind: str
) -> None:
    document = parse(DOCUMENTS[kind])
    assert validate(contract, document) == []
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    declared = {definition.variable.name.value for definition in operation.variable_definitions or ()}
    drawn = OtherQuestions(["an-item"], ["a-service"]).variables(kind, random.Random(1))
    assert set(drawn) == declared
    assert all(drawn.values())
