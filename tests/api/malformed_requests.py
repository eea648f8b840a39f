"""Requests that are wrong, each in one way, by name: what a scanner, a broken client or an attacker sends."""

from __future__ import annotations

import json
from typing import Any

GOOD = b'{"query": "{ __typename }"}'


def with_parameters(**parameters: object) -> bytes:
    return json.dumps({"query": "{ __typename }", **parameters}).encode()


MALFORMED_BODIES: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n",
    "null": b"null",
    "true": b"true",
    "number": b"1",
    "string": b'"x"',
    "array": b"[]",
    "batch": b"[" + GOOD + b"]",
    "two values": GOOD + GOOD,
    "half": GOOD[:-1],
    "trailing comma": b'{"query": "{a}",}',
    "single quotes": b"{'query': '{a}'}",
    "comment": b"/**/" + GOOD,
    "BOM": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "latin-1": '{"query": "ä"}'.encode("latin-1"),
    "overlong": b'{"query": "\xc0\xaf"}',
    "raw surrogate": b'{"query": "\xed\xa0\x80"}',
    "raw NUL": b'{"query": "\x00"}',
    "lone surrogate in query": b'{"query": "\\ud800"}',
    "lone surrogate in a name": b'{"query": "{a}", "operationName": "\\udfff"}',
    "lone surrogate in a key": b'{"query": "{a}", "variables": {"\\ud800": 1}}',
    "NaN": b'{"query": "{a}", "variables": {"a": NaN}}',
    "Infinity": b'{"query": "{a}", "variables": {"a": -Infinity}}',
    "infinite": b'{"query": "{a}", "variables": {"a": 1e400}}',
    "5,000 digits": b'{"query": "{a}", "variables": {"a": ' + b"9" * 5_000 + b"}}",
    "2**63": b'{"query": "{a}", "variables": {"a": 9223372036854775808}}',
    "2**64": b'{"query": "{a}", "variables": {"a": 18446744073709551616}}',
    "-2**63-1": b'{"query": "{a}", "variables": {"a": -9223372036854775809}}',
    "leading zero": b'{"query": "{a}", "variables": {"a": 01}}',
    "hex": b'{"query": "{a}", "variables": {"a": 0x1}}',
    "deep arrays": b'{"query": "{a}", "variables": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "deep objects": b'{"query": "{a}", "variables": ' + b'{"a":' * 1_000 + b"1" + b"}" * 1_000 + b"}",
    "66 levels": b'{"query": "{a}", "variables": {"a": ' + b"[" * 66 + b"]" * 66 + b"}}",
    "unclosed depth": b"[" * 200_000,
    "unknown escape": b'{"query": "\\x"}',
    "newline in string": b'{"query": "\n"}',
    "form": b"query={a}",
    "XML": b"<query/>",
    "no query": b"{}",
    "other key": b'{"qeury": "{a}"}',
    "query null": b'{"query": null}',
    "query empty": b'{"query": ""}',
    "query number": b'{"query": 1}',
    "query true": b'{"query": true}',
    "query array": b'{"query": ["{a}"]}',
    "query object": b'{"query": {}}',
    "operationName number": with_parameters(operationName=1),
    "operationName array": with_parameters(operationName=[]),
    "operationName object": with_parameters(operationName={}),
    "operationName false": with_parameters(operationName=False),
    "variables string": with_parameters(variables="{}"),
    "variables number": with_parameters(variables=0),
    "variables array": with_parameters(variables=[]),
    "variables false": with_parameters(variables=False),
    "extensions string": with_parameters(extensions="x"),
    "extensions array": with_parameters(extensions=[]),
    "extensions number": with_parameters(extensions=1),
    "extensions true": with_parameters(extensions=True),
}

MALFORMED_QUERIES: dict[str, dict[str, Any]] = {
    "blank": {"query": " "},
    "brace": {"query": "{"},
    "empty selection": {"query": "{}"},
    "NUL": {"query": "\x00"},
    "BOM": {"query": "\ufeff"},
    "emoji": {"query": "{ 🏃 }"},
    "type definition": {"query": "type A { b: Int }"},
    "fragment only": {"query": "fragment f on Query { add }"},
    "unknown field": {"query": "{ nothing }"},
    "unknown argument": {"query": "{ add(z: 1) }"},
    "missing argument": {"query": "{ add }"},
    "wrong literal": {"query": '{ add(a: "1") }'},
    "large literal": {"query": "{ add(a: 99999999999999999999) }"},
    "huge literal": {"query": "{ add(a: " + "9" * 5_000 + ") }"},
    "huge page": {"query": "{ items(first: " + "9" * 5_000 + ") { totalCount } }"},
    "surrogate escape": {"query": '{ echo(value: "\\ud800") }'},
    "leaf with selection": {"query": "{ add(a: 1) { b } }"},
    "object without selection": {"query": "{ item }"},
    "circle": {"query": "{ ...a } fragment a on Query { ...a }"},
    "unknown fragment": {"query": "{ ...a }"},
    "unused fragment": {"query": "{ add(a: 1) } fragment f on Query { add(a: 1) }"},
    "duplicate fragment": {
        "query": "{ ...f } fragment f on Query { add(a: 1) } fragment f on Query { add(a: 1) }"
    },
    "duplicate operation": {"query": "query q { add(a: 1) } query q { add(a: 1) }", "operationName": "q"},
    "unknown directive": {"query": "{ add(a: 1) @nothing }"},
    "defer": {"query": "{ ... @defer { add(a: 1) } }"},
    "undefined variable": {"query": "{ add(a: $a) }"},
    "unused variable": {"query": "query q($a: Int) { __typename }"},
    "unknown type": {"query": "query q($a: Nothing) { add(a: $a) }"},
    "output type as input": {"query": "query q($a: Item) { add(a: $a) }"},
    "conflict": {"query": "{ x: add(a: 1) x: add(a: 2) }"},
    "two selections": {"query": "{ item { id } item { id: name } }"},
    "variable missing": {"query": "query q($a: Int!) { add(a: $a) }"},
    "variable null": {"query": "query q($a: Int!) { add(a: $a) }", "variables": {"a": None}},
    "variable string": {"query": "query q($a: Int!) { add(a: $a) }", "variables": {"a": "1"}},
    "variable 2**31": {"query": "query q($a: Int!) { add(a: $a) }", "variables": {"a": 2**31}},
    "variable float": {"query": "query q($a: Int!) { add(a: $a) }", "variables": {"a": 1.5}},
    "variable object": {"query": "query q($a: Int!) { add(a: $a) }", "variables": {"a": {"b": 1}}},
    "null for a default": {"query": "query q($b: Int = 1) { add(a: 1, b: $b) }", "variables": {"b": None}},
    "subscription": {"query": "subscription { count }"},
    "no mutation of that name": {"query": "mutation { nothing }"},
    "operation not there": {"query": "{ add(a: 1) }", "operationName": "x"},
    "tower": {
        "query": "{ ...f0 } "
        + " ".join(f"fragment f{i} on Query {{ ...f{i + 1} ...f{i + 1} }}" for i in range(60))
        + " fragment f60 on Query { add(a: 1) }"
    },
    "deep": {"query": "{ a" * 5_000 + "}" * 5_000},
    "deep list": {"query": "{ echo(value: " + "[" * 5_000 + "]" * 5_000 + ") }"},
    "many tokens": {"query": "{ " + "a " * 5_000 + "}"},
    "many comments": {"query": "#\n" * 20_000 + "{ add(a: 1) }"},
    "many directives": {"query": "{ add(a: 1) " + "@skip(if: false) " * 100 + "}"},
    "many aliases": {"query": "{" + " ".join(f"a{i}: add(a: 1)" for i in range(20)) + "}"},
    "overlap": {"query": "{ item { " + "id " * 900 + "} }"},
    "long name": {"query": "{ " + "a" * 49_000 + " }"},
    "long text": {"query": "{ add(a: 1) }" + " " * 100_000},
    "stacked introspection": {
        "query": "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"
    },
    "costly": {
        "query": "{ items(first: 100) { edges { node { related(first: 100) { related(first: 100) { id } } } } } }"
    },
}

MALFORMED_HEADERS: dict[str, dict[str, str]] = {
    "no type": {},
    "plain text": {"content-type": "text/plain"},
    "form": {"content-type": "application/x-www-form-urlencoded"},
    "multipart": {"content-type": "multipart/form-data; boundary=x"},
    "graphql": {"content-type": "application/graphql"},
    "response type": {"content-type": "application/graphql-response+json"},
    "UTF-16": {"content-type": "application/json; charset=utf-16"},
    "latin-1": {"content-type": 'application/json; charset="iso-8859-1"'},
    "nonsense": {"content-type": ";;;"},
    "two in one": {"content-type": "application/json, text/plain"},
    "gzip": {"content-type": "application/json", "content-encoding": "gzip"},
}

QUERY_STRINGS = [
    "",
    "query",
    "query=",
    "notquery=1",
    "query=%7B",
    "query=%ff",
    "query=%ed%a0%80",
    "query={__typename}&query={a}",
    "query={__typename}&variables=1",
    "query={__typename}&variables=[]",
    "query={__typename}&variables={",
    "query={__typename}&extensions=x",
    "query={__typename}&variables={%22a%22:NaN}",
    "&".join(f"a{i}=1" for i in range(50)),
    "query={__typename}&operationName=zz",
    "query=subscription{count}",
]
