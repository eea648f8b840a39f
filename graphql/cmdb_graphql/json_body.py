"""JSON from strangers: decoded strictly, or refused with a reason; never an exception of another kind.

orjson refuses NaN, infinity, invalid UTF-8, lone surrogates and more than 1,024 levels. It turns integers beyond 64
bits silently into floats, so those are looked for here, as is nesting beyond what any input of ours needs.
"""

from __future__ import annotations

import json
import re
from typing import Final

import orjson

from cmdb_graphql.errors import Code, Refusal

MAX_NESTING: Final = 64
"""Levels of arrays and objects."""

_LONG_DIGITS: Final = re.compile(rb"\d{19}")
_INT64: Final = range(-(2**63), 2**63)


def decode_json(text: bytes, *, what: str) -> object:
    """The value of a JSON text; `what` names it in the message. Raises `Refusal` BAD_REQUEST."""
    if not text.strip():
        raise Refusal(Code.BAD_REQUEST, f"{what} is empty; send a JSON object")
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refusal(Code.BAD_REQUEST, f"{what} is not JSON: {error}") from None
    if text.count(b"[") + text.count(b"{") > MAX_NESTING:
        _check_nesting(value, what)
    if _LONG_DIGITS.search(text):
        _check_integers(text, what)
    return value


def _check_nesting(value: object, what: str) -> None:
    level = [value]
    for _ in range(MAX_NESTING + 1):
        below: list[object] = []
        for entry in level:
            if isinstance(entry, dict):
                below.extend(entry.values())
            elif isinstance(entry, list):
                below.extend(entry)
        if not below:
            return
        level = below
    raise Refusal(Code.BAD_REQUEST, f"{what} nests more than {MAX_NESTING} levels")


def _check_integers(text: bytes, what: str) -> None:
    """A second, slower reading of texts with long digit runs, for the literals that orjson rounds."""

    def int64(digits: str) -> int:
        if len(digits) > 20 or int(digits) not in _INT64:
            raise Refusal(Code.BAD_REQUEST, f"{what} has an integer beyond 64 bits; send it as a string")
        return int(digits)

    json.loads(text, parse_int=int64)
