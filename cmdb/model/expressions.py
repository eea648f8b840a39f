"""Computed attributes: a small safe expression over the other attributes of one item (simpleeval)."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simpleeval import InvalidExpression, SimpleEval  # type: ignore[import-untyped]  # ships no types

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
            return SimpleEval(functions=_FUNCTIONS, names=dict(attributes)).eval(self.text)
        except (InvalidExpression, ArithmeticError, TypeError, ValueError):
            return None


def compile_expression(place: str, text: str) -> Expression:
    """The expression of `text`.

    Raises:
        CatalogueError: it does not parse; `place` names the attribute.
    """
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        raise CatalogueError(
            place, f"{text[:80]!r} is no expression", "write one such as memory / 1024"
        ) from None
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
