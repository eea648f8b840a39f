"""Attribute types: the one normal form in which each value is stored, compared and indexed.

Every normal form is a Neo4j property value: a string, an int64, a float, a bool, or a list of one of them. Values that
are ordered compare by their normal form, so an instant is a fixed-width UTC string and a duration whole milliseconds.
Nothing outside this module knows a normal form; what cannot be brought into one is an `InvalidValue`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from cmdb.errors import InvalidValue

Stored = str | int | float | bool | list[str] | list[int] | list[float] | list[bool]
"""A value in normal form."""

STRING_LIMIT = 16_384
"""Longest string, in UTF-8 bytes; beyond this it is a text."""
INDEX_LIMIT = 8_000
"""Most bytes of a value that Neo4j can index (measured: 8,160 go in; 8,166 make the whole transaction fail)."""
TEXT_LIMIT = 1_048_576
IDENTIFIER_LIMIT = 512
"""Longest value, in UTF-8 bytes, that may be part of an identity key."""
LIST_LIMIT = 1_000
JSON_DEPTH = 64
INT64 = range(-(2**63), 2**63)

_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_MAC = re.compile(r"[0-9a-f]{12}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_AMOUNT = r"(-?[0-9]{1,18}(?:\.[0-9]{1,9})?)"
_MONEY = re.compile(rf"(?:([A-Z]{{3}})\s*{_AMOUNT}|{_AMOUNT}\s*([A-Z]{{3}}))")
_SIZE = re.compile(r"(\d{1,30}(?:\.\d{1,15})?)\s*([kmgtpe]?)(i?)b?", re.IGNORECASE)
_DURATION = re.compile(
    r"(-)?P(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?:(\d{1,13})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,3})\d*)?S)?)?"
)
_SHORT_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)\s*(ms|s|m|min|h|d|w)")
_MILLISECONDS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "min": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}


def clean_text(raw: object, limit: int = STRING_LIMIT) -> str:
    """NFC text without surrounding blanks, NUL or lone surrogates (refused) or other control characters (dropped)."""
    text = _CONTROL.sub("", check_text(raw)).strip()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if len(text) * 4 > limit and len(text.encode()) > limit:
        raise InvalidValue(f"the text has {len(text.encode())} bytes; at most {limit} are allowed here")
    return text


def check_text(raw: object) -> str:
    """The text itself, if it can be stored at all: a string without NUL and lone surrogates.

    Raises:
        InvalidValue: it cannot.
    """
    if not isinstance(raw, str):
        raise InvalidValue(f"expected a string, got {_seen(raw)}")
    if "\0" in raw:
        raise InvalidValue("the text holds a NUL character; remove it")
    if _SURROGATE.search(raw):
        raise InvalidValue("the text holds a lone surrogate, which is no character; send valid Unicode")
    return raw


def _string(raw: object) -> str:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        raw = str(_number(raw)) if isinstance(raw, float) else str(_integer(raw))
    return clean_text(raw)


def _text(raw: object) -> str:
    return clean_text(raw, TEXT_LIMIT)


def _integer(raw: object) -> int:
    if isinstance(raw, str) and re.fullmatch(r"[+-]?\d{1,20}", raw.strip()):
        raw = int(raw)
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise InvalidValue(f"expected a whole number, got {_seen(raw)}")
    if not INT64.start <= raw < INT64.stop:  # `in` would count up to a subclass of int
        raise InvalidValue(f"{_seen(raw)} does not fit in 64 bits")
    return raw


def _number(raw: object) -> float:
    if isinstance(raw, str):
        with contextlib.suppress(ValueError):
            raw = float(raw.strip()) if len(raw) <= 64 else raw
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise InvalidValue(f"expected a number, got {_seen(raw)}")
    try:
        number = float(raw)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidValue("NaN and infinities are not numbers that can be stored")
    return number + 0.0


def _boolean(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = raw.strip().lower() if isinstance(raw, str) else raw
    if word in ("true", "yes", "on", "1") or (word == 1 and not isinstance(word, float)):
        return True
    if word in ("false", "no", "off", "0") or (word == 0 and not isinstance(word, float)):
        return False
    raise InvalidValue(f"expected true or false, got {_seen(raw)}")


def _date(raw: object) -> str:
    if isinstance(raw, datetime):
        raw = raw.date()
    if isinstance(raw, date):
        return raw.isoformat()
    try:
        return date.fromisoformat(clean_text(raw)).isoformat()
    except ValueError:
        raise InvalidValue(f"expected a date such as 2026-11-24, got {_seen(raw)}") from None


def _datetime(raw: object) -> str:
    if not isinstance(raw, datetime):
        try:
            raw = datetime.fromisoformat(clean_text(raw))
        except ValueError:
            raise InvalidValue(
                f"expected an RFC 3339 time such as 2026-11-24T09:30:00Z, got {_seen(raw)}"
            ) from None
    try:
        return format_instant(raw.replace(tzinfo=UTC) if raw.tzinfo is None else raw)
    except OverflowError:
        raise InvalidValue(f"{_seen(raw)} lies outside the years 1 to 9999 in UTC") from None


def format_instant(moment: datetime) -> str:
    """An aware time as fixed-width UTC text, `2026-11-24T09:30:00.000000Z`: sorts as it flows."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


def parse_instant(text: str) -> datetime:
    """The time that `format_instant` wrote."""
    return datetime.fromisoformat(text)


def _duration(raw: object) -> int:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        number = _number(raw)
        if abs(number) > 2**53:
            raise InvalidValue(f"a duration of {_seen(raw)} seconds does not fit in 64 bits of milliseconds")
        return round(number * 1_000)
    text = clean_text(raw)
    short = _SHORT_DURATION.fullmatch(text)
    if short:
        return _integer(int(Decimal(short[1]) * _MILLISECONDS[short[2]]))
    match = _DURATION.fullmatch(text)
    if not match or not any(match.groups()[1:]):
        raise InvalidValue(
            f"expected a duration such as PT1H30M, 90m or seconds as a number, got {_seen(raw)}"
        )
    sign, weeks, days, hours, minutes, seconds, fraction = match.groups()
    units = ((weeks, "w"), (days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    total = sum(int(count or 0) * _MILLISECONDS[unit] for count, unit in units) + int(
        (fraction or "0").ljust(3, "0")
    )
    return _integer(-total if sign else total)


def format_duration(milliseconds: int) -> str:
    """ISO 8601 text (`PT26H3M0.5S` style, hours as the largest unit) of a duration in milliseconds."""
    sign, rest = ("-", -milliseconds) if milliseconds < 0 else ("", milliseconds)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, millis = divmod(rest, 1_000)
    second_text = f"{seconds}.{millis:03d}".rstrip("0") if millis else f"{seconds}" if seconds else ""
    body = (
        (f"{hours}H" if hours else "")
        + (f"{minutes}M" if minutes else "")
        + (f"{second_text}S" if second_text else "")
    )
    return f"{sign}PT{body or '0S'}"


def _url(raw: object) -> str:
    text = clean_text(raw)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not parts.scheme or not (host or parts.path) or any(c.isspace() for c in text):
        raise InvalidValue(f"expected a URL such as https://example.org/path, got {_seen(raw)}")
    if parts.scheme.lower() in ("javascript", "data", "vbscript"):
        raise InvalidValue(f"URLs of scheme {parts.scheme} run code where they are shown; use another")
    # Scheme and host are lowered where they stand: to put the parts together anew would change `x:////y` to `x://y`.
    scheme, rest = text[: len(parts.scheme)].lower(), text[len(parts.scheme) :]
    userinfo, at, host = parts.netloc.rpartition("@")
    return scheme + rest.replace(parts.netloc, userinfo + at + host.lower(), 1)


def _email(raw: object) -> str:
    text = clean_text(raw)
    if not _EMAIL.fullmatch(text):
        raise InvalidValue(f"expected an e-mail address, got {_seen(raw)}")
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}"


def _ip(raw: object) -> str:
    text = clean_text(raw)
    try:
        return str(ipaddress.ip_address(text.split("/")[0].split("%")[0]))
    except ValueError:
        raise InvalidValue(f"expected an IP address, got {_seen(raw)}") from None


def _cidr(raw: object) -> str:
    try:
        return str(ipaddress.ip_network(clean_text(raw), strict=False))
    except ValueError:
        raise InvalidValue(f"expected a network such as 10.1.0.0/16, got {_seen(raw)}") from None


def _mac(raw: object) -> str:
    digits = re.sub(r"[.:\-\s]", "", clean_text(raw).lower())
    if not _MAC.fullmatch(digits):
        raise InvalidValue(f"expected a MAC address such as 52:54:00:12:34:56, got {_seen(raw)}")
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def _version(raw: object) -> str:
    text = _string(raw)
    return text[1:] if re.match(r"[vV]\d", text) else text


def _bytes(raw: object) -> int:
    if isinstance(raw, str) and (match := _SIZE.fullmatch(raw.strip())) and (match[2] or "." not in match[1]):
        power = "kmgtpe".find(match[2].lower()) + 1 if match[2] else 0
        raw = int(Decimal(match[1]) * (1024 if match[3] else 1000) ** power)
    size = _integer(raw)
    if size < 0:
        raise InvalidValue(f"expected a size in bytes (16 GiB, 500MB, or a number), got {_seen(raw)}")
    return size


def _money(raw: object) -> str:
    if isinstance(raw, Mapping) and set(raw) == {"amount", "currency"}:
        raw = f"{raw['currency']} {raw['amount']}"
    match = _MONEY.fullmatch(clean_text(raw))
    if not match:
        raise InvalidValue(f"expected an amount with its currency, such as EUR 1250.00, got {_seen(raw)}")
    amount = Decimal(match[2] or match[3]).normalize() + 0
    return f"{match[1] or match[4]} {amount:f}"


def _json(raw: object) -> str:
    check_json(raw)
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode()) > TEXT_LIMIT:
        raise InvalidValue(f"the JSON has {len(text.encode())} bytes; at most {TEXT_LIMIT} are allowed")
    return text


def check_json(raw: object, depth: int = JSON_DEPTH) -> None:
    """Nothing, if `raw` is JSON that every part of the system can carry.

    Raises:
        InvalidValue: NaN or an infinity, an integer beyond 64 bits, NUL or a lone surrogate in a text, a key that is no
            string, deeper than `depth`, or no JSON at all.
    """
    if isinstance(raw, str):
        check_text(raw)
    elif raw is None or isinstance(raw, bool):
        return
    elif isinstance(raw, int):
        _integer(raw)
    elif isinstance(raw, float):
        _number(raw)
    elif not isinstance(raw, Mapping | list | tuple):
        raise InvalidValue(f"expected JSON, got {_seen(raw)}")
    elif depth == 0:
        raise InvalidValue(f"the JSON is nested more than {JSON_DEPTH} deep")
    elif isinstance(raw, Mapping):
        for key, value in raw.items():
            check_text(key)
            check_json(value, depth - 1)
    else:
        for value in raw:
            check_json(value, depth - 1)


def _as_is(value: Any) -> Any:  # noqa: ANN401 - whatever the type's normal form is
    return value


@dataclass(frozen=True, slots=True)
class ValueType:
    """An attribute type. `present` turns the normal form into what people and clients read, and `normalise` takes back.

    `ordered`: greater and less make sense on the normal form. `textual`: contains and starts do.
    """

    name: str
    normalise: Callable[[object], str | int | float | bool]
    present: Callable[[Any], Any] = _as_is
    ordered: bool = False
    textual: bool = False


VALUE_TYPES: Mapping[str, ValueType] = {
    kind.name: kind
    for kind in (
        ValueType("string", _string, ordered=True, textual=True),
        ValueType("text", _text, textual=True),
        ValueType("integer", _integer, ordered=True),
        ValueType("number", _number, ordered=True),
        ValueType("boolean", _boolean),
        ValueType("date", _date, ordered=True),
        ValueType("datetime", _datetime, ordered=True),
        ValueType("duration", _duration, format_duration, ordered=True),
        ValueType("enum", _string, textual=False),
        ValueType("url", _url, textual=True),
        ValueType("email", _email, textual=True),
        ValueType("ip", _ip, textual=True),
        ValueType("cidr", _cidr, textual=True),
        ValueType("mac", _mac, textual=True),
        ValueType("version", _version, textual=True),
        ValueType("bytes", _bytes, ordered=True),
        ValueType("money", _money),
        ValueType("json", _json, json.loads),
    )
}
"""Every attribute type by its name in the catalogue."""


def canonical_identifier(value: Stored) -> str:
    """How a value is spelt inside an identity key: case-folded, inner blanks single. `Host` and `host` are one."""
    return " ".join(str(value).casefold().split())


def same_value(a: object, b: object) -> bool:
    """Whether two values in normal form (or None) are one: also of one type, as `1` and `1.0` and `True` are not."""
    if type(a) is not type(b) or a != b:
        return False
    return not isinstance(a, list) or not isinstance(b, list) or list(map(type, a)) == list(map(type, b))


def _seen(raw: object) -> str:
    try:
        shown = repr(raw)
    except (ValueError, RecursionError):  # an integer too long to be written, or something endless
        shown = f"a {type(raw).__name__} too big to show"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
