from __future__ import annotations

import re
from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, parse, validate
from graphql import build_schema as build_sdl
from graphql.type import GraphQLInterfaceType, GraphQLObjectType

from cmdb.errors import CatalogueError
from cmdb.model.catalogue import builtin_catalogue
from cmdb.model.entries import ClassEntry
from cmdb_graphql.cost import estimate
from cmdb_graphql.export import HEADER
from cmdb_graphql.limits import Limits, measure
from cmdb_graphql.schema import BuiltSchema, build_schema


def test_the_exported_schema_is_what_the_code_says(builtin_schema: BuiltSchema, project_root: Path) -> None:
    written = (project_root / "graphql" / "schema.graphql").read_text(encoding="utf-8")
    assert written == HEADER + builtin_schema.schema.as_str() + "\n", "run `python -m cmdb_graphql.export`"


def test_every_class_has_the_types_that_follow_from_it(builtin_schema: BuiltSchema) -> None:
    types = builtin_schema.schema._schema.type_map
    catalogue = builtin_catalogue()
    for item_class in catalogue.classes.values():
        has_subclasses = len(catalogue.subclasses(item_class.name)) > 1
        if item_class.abstract:
            assert isinstance(types[item_class.name], GraphQLInterfaceType)
        else:
            assert isinstance(types[item_class.name], GraphQLObjectType)
            assert ("Any" + item_class.name in types) == has_subclasses
    server = types["Server"]
    assert isinstance(server, GraphQLObjectType)
    assert [i.name for i in server.interfaces] == ["AnyServer", "AnyHost", "ConfigurationItem", "Item"]


def test_the_explorers_examples_are_valid(builtin_schema: BuiltSchema, project_root: Path) -> None:
    examples = sorted((project_root / "graphql" / "web" / "src").rglob("*.graphql"))
    assert examples
    for example in examples:
        errors = validate(builtin_schema.schema._schema, parse(example.read_text(encoding="utf-8")))
        assert not errors, (example.name, errors)


def test_the_guides_examples_are_valid_and_within_the_limits(
    builtin_schema: BuiltSchema, project_root: Path
) -> None:
    guide = (project_root / "docs" / "guides" / "graphql.md").read_text(encoding="utf-8")
    examples = re.findall(r"```graphql\n(.*?)```", guide, re.DOTALL)
    assert len(examples) > 4
    limits = Limits()
    for example in examples:
        document = parse(example)
        errors = validate(builtin_schema.schema._schema, document)
        assert not errors, (example, errors)
        measured = measure(document, limits)
        for definition in document.definitions:
            assert isinstance(definition, OperationDefinitionNode)
            estimate(builtin_schema.schema._schema, document, definition, {}, measured, limits)


@pytest.mark.parametrize("name", ["Query", "ItemChange", "PageInfo", "DateTime", "AnyHost", "ServerFilter"])
def test_a_class_cannot_take_a_name_of_the_contract(name: str) -> None:
    entry = ClassEntry.model_validate({"extends": "Server", "description": "x"})
    catalogue = builtin_catalogue().extended({name: entry})
    with pytest.raises(CatalogueError):
        build_schema(catalogue)


def test_the_written_schema_is_valid_sdl(project_root: Path) -> None:
    text = (project_root / "graphql" / "schema.graphql").read_text(encoding="utf-8")
    assert build_sdl(text).query_type is not None
