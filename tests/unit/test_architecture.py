"""Walls that no type checker sees: who speaks to Neo4j, and that no statement is put together from values."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("cmdb", "discovery", "impact", "graphql/cmdb_graphql")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
STORE = sorted((ROOT / "cmdb" / "store").glob("*.py"))

_CYPHER = re.compile(
    r"\b(MATCH|MERGE|CREATE|DELETE|DETACH|SET|REMOVE|RETURN|WHERE|UNWIND|CALL|FOREACH|ORDER BY|LIMIT|DROP|EXISTS \{) "
    r"|\(\w*:|-\[|\]-"
)
PUT_TOGETHER = {
    "cmdb/store/schema.py": "schema commands take no parameters for names; each name passes `_quoted`",
    "cmdb/store/filters.py": "the compiler of conditions: names pass `quoted`, values `Bindings.bind`",
    "cmdb/store/reading.py": "fills its templates with what that compiler and `quoted` give",
}
"""The only modules that join Cypher from parts, and why they may."""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parts(node: ast.expr) -> Iterator[ast.expr]:
    """The operands of a chain of `+`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from parts(node.left)
        yield from parts(node.right)
    else:
        yield node


def literals(node: ast.AST) -> str:
    """All text that stands literally in an expression."""
    found = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return " ".join(found)


def is_fixed(node: ast.expr) -> bool:
    """Whether a part is the same at every run: a literal, or a constant."""
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id.isupper())


def joins(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, kind) of each place where text that looks like Cypher is joined with something that varies."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            kind = "f-string"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            kind = "%"
        elif (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Add)
            and not all(map(is_fixed, parts(node)))
        ):
            kind = "+"
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("format", "join", "replace")
        ):
            kind = node.func.attr
        else:
            continue
        if _CYPHER.search(literals(node)):
            yield node.lineno, kind


def test_the_modules_are_found() -> None:
    assert len(MODULES) > 80
    assert len(STORE) > 20


@pytest.mark.parametrize(
    "code",
    [
        "f'MATCH (n:{x})'",
        "'MATCH (n) WHERE n.a = %s' % x",
        "'MATCH (n) RETURN n ' + x",
        "'RETURN {}'.format(x)",
        "x = y + ' SET n.a = 1'",
    ],
)
def test_the_lint_sees_every_way_to_put_a_statement_together(code: str) -> None:
    assert list(joins(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["A + 'MATCH (n) RETURN n'", "f'set {x} aside'", "'plain MATCH (n)'", "1 + x"]
)
def test_the_lint_leaves_the_rest_alone(code: str) -> None:
    assert not list(joins(ast.parse(code)))


def test_statements_are_constants() -> None:
    found = {}
    for path in STORE:
        places = list(joins(ast.parse(path.read_text())))
        if places:
            found[relative(path)] = places
    assert found.keys() <= PUT_TOGETHER.keys(), found
    for name in ("cmdb/store/filters.py", "cmdb/store/reading.py"):
        assert {kind for _, kind in found[name]} <= {"+", "join"}


def test_what_is_sent_is_a_constant_or_a_filled_template() -> None:
    """`read`, `run` and `in_transaction` take a statement by its constant's name, or what `fill` made of one."""
    seen, wrong = 0, []
    for path in STORE:
        source = path.read_text()
        if path.name == "connection.py" or not ("import Connection" in source or "import Run" in source):
            continue
        tree = ast.parse(source)
        filled = {
            target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and _is_statement(node.value, set())
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name not in ("read", "run", "in_transaction", "_write"):
                continue
            statement = node.args[1] if name in ("in_transaction", "_write") else node.args[0]
            if isinstance(statement, ast.Name) and statement.id == "statement" and "def _write(" in source:
                continue  # what `_write` was given is looked at where it is called
            seen += 1
            if not _is_statement(statement, filled) and relative(path) != "cmdb/store/schema.py":
                wrong.append(f"{relative(path)}:{node.lineno}: {ast.unparse(statement)}")
    assert seen > 40
    assert not wrong


def _is_statement(node: ast.expr, filled: set[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name.isupper() or name in filled
        case ast.Attribute(attr=name):
            return name.isupper()
        case ast.Call(func=ast.Name(id="fill"), args=[template]):
            return _is_statement(template, filled)
        case ast.IfExp(body=body, orelse=other):
            return _is_statement(body, filled) and _is_statement(other, filled)
    return False


def test_no_pattern_of_anybody_reaches_a_regular_expression_in_neo4j() -> None:
    for path in STORE:
        tree = ast.parse(path.read_text())
        assert "=~" not in literals(tree), relative(path)
    assert "=~" in literals(ast.parse("a = 'MATCH (n) WHERE n.a =~ $p RETURN n'"))


def test_only_the_store_speaks_to_neo4j() -> None:
    importers = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(name.partition(".")[0] == "neo4j" for name in names):
                importers.add(relative(path))
    assert "cmdb/store/connection.py" in importers
    assert all(name.startswith("cmdb/store/") for name in importers), importers


def test_graphql_core_keeps_its_name() -> None:
    import graphql

    assert "site-packages" in str(graphql.__file__)
    assert not (ROOT / "graphql" / "__init__.py").exists()
