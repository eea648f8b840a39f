"""The normal form of what an edge says, and what it may not say. Problems are reported, not raised."""

from __future__ import annotations

from decimal import Decimal

from cmdb.errors import InvalidValue
from cmdb.model.item_fields import Report
from cmdb.model.items import EdgeFacts, EdgeKey
from cmdb.model.topology import members_needed
from cmdb.model.values import IDENTIFIER_LIMIT, check_text


def normal_facts(where: str, key: EdgeKey, facts: EdgeFacts, report: Report) -> EdgeFacts:
    """The facts with `required` spelt in one way: `2`, `50%`, `33.3%`."""
    try:
        check_text(key.group)
    except InvalidValue as error:
        report(f"{where}.group", error.code, str(error))
    if len(key.group) > IDENTIFIER_LIMIT:
        fault = f"a group is named by at most {IDENTIFIER_LIMIT} characters"
        report(f"{where}.group", "INVALID_VALUE", fault)
    required: str | None = None
    if facts.required is not None and not key.group:
        fault = "`required` says how many of a group; name the group too"
        report(f"{where}.required", "INVALID_VALUE", fault)
    elif facts.required is not None:
        try:
            required = _required(facts.required)
        except InvalidValue as error:
            report(f"{where}.required", error.code, str(error))
    if facts.strength not in (None, "hard", "soft"):
        fault = f"{facts.strength!r} is neither hard nor soft"
        report(f"{where}.strength", "INVALID_VALUE", fault)
    if facts.confidence not in ("declared", "observed", "inferred"):
        fault = f"{facts.confidence!r} is none of declared, observed, inferred"
        report(f"{where}.confidence", "INVALID_VALUE", fault)
    return EdgeFacts(required=required, strength=facts.strength, confidence=facts.confidence)


def _required(raw: str | int) -> str:
    counted = type(raw) is int and 0 <= raw < 10**9
    text = str(raw).strip() if counted or isinstance(raw, str) else ""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return str(int(text))
    members_needed(text, 1)
    return f"{Decimal(text[:-1]).normalize():f}%"
