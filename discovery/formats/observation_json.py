"""Observation JSON, version 1: the CMDB's own format. Schema: `/schemas/observation-v1.json`."""

from __future__ import annotations

import re

from discovery.observation import FIELDS, Observation, parse_observation

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:]')


def recognises(head: bytes, name: str) -> bool:
    """A JSON object whose outermost fields, as far as they can be seen, are an Observation's."""
    fields = _outer_fields(head.removeprefix(b"\xef\xbb\xbf").lstrip())
    return fields <= FIELDS and not fields.isdisjoint({"source", "items", "edges"})


def parse(body: bytes) -> Observation:
    """The Observation in `body`, which may begin with a byte order mark.

    Raises:
        ValidationFailed: every problem with its place.
    """
    return parse_observation(body.removeprefix(b"\xef\xbb\xbf"))


def _outer_fields(head: bytes) -> set[str]:
    if not head.startswith(b"{"):
        return set()
    fields: set[str] = set()
    depth, word = 0, b""
    for token in _TOKEN.findall(head):
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
        elif token == b":" and depth == 1:
            fields.add(word[1:-1].decode("utf-8", "replace"))
        elif token != b":":
            word = token
    return fields
