"""Computed attributes: a small safe expression over the other attributes of one item (simpleeval)."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simpleeval import DEFAULT_OPERATORS, InvalidExpression, SimpleEval  # type: ignore[import-untyped]  # ships no types

from cmdb.errors import CatalogueError

_FUNCTIONS = {
    "min": min,
    "max": max,
    "round": round,
    "len": len,
    "lower": str.lower,
    "upper": str.upper,
    "str": str,
}
_ALLOWED = (
    ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Call, ast.IfExp,
    ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.UnaryOp, ast.USub, ast.Not,
    ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn,
)  # fmt: skip
"""All that an expression may be made of: no powers, no methods, no indexes, nothing whose result can be huge."""
LONGEST = 500


def _remainder(a: float, b: float) -> float:
    if isinstance(a, str):  # `%` would format, and a width of a billion is a billion characters
        raise TypeError("a remainder is of numbers")
    return a % b


_OPERATORS = {**DEFAULT_OPERATORS, ast.Mod: _remainder}


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression and the attribute names it reads."""

    text: str
    names: frozenset[str]

    def value(self, attributes: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
        """Its value, or None where an attribute it reads is absent or the calculation has no result."""
        if any(attributes.get(name) is None for name in self.names):
            return None
        try:
            names = {name: attributes[name] for name in self.names}
            return SimpleEval(operators=_OPERATORS, functions=_FUNCTIONS, names=names).eval(self.text)
        except (InvalidExpression, ArithmeticError, TypeError, ValueError):
            return None


def compile_expression(place: str, text: str) -> Expression:
    """The expression of `text`.

    Raises:
        CatalogueError: it does not parse; `place` names the attribute.
    """
    try:
        if len(text) > LONGEST:
            raise ValueError(text)
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CatalogueError(
            place,
            f"{text[:80]!r} is no expression",
            f"write one such as memory / 1024, in {LONGEST} characters",
        ) from None
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED) or isinstance(getattr(node, "value", 0), bytes | complex):
            raise CatalogueError(
                place,
                f"{type(node).__name__} has no place in {text[:80]!r}",
                "calculate, compare and choose only",
            )
    called = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    unknown = called - set(_FUNCTIONS)
    if unknown:
        raise CatalogueError(place, f"no function {sorted(unknown)}", f"use {', '.join(_FUNCTIONS)}")
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(_FUNCTIONS)
    return Expression(text=text, names=frozenset(names))
