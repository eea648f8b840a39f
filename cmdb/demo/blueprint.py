"""A small language for declaring many like items in a few lines of YAML, and its expansion.

A blueprint document is a mapping with `tables` (facts looked up by a variable's value) and `blocks`. A block makes the
items of one class:

    - class: Switch
      as: leaf_switches                    # a name by which other blocks refer to this set
      each: [{role: leaf, ports: 48}]      # rows of variables, one or more items per row
      defaults: {ports: 24}                # for rows that leave a variable out
      for: {site: [muc, nue], rack: '1..6', side: [a, b]}   # nested loops: a list, a range, $variable, @set,
                                           # {of: set, where: {...}} or {count: {muc: 2, nue: 1}, per: site}
      spread: {spine: '1..2'}              # dealt out in turn over the block's items
      number: {host_no: {per: '{site}', from: 10}}          # counted up, per value of a template
      let: {title: '{rack} {side}'}        # variables made from others
      name: '{site}-r{rack:02}-leaf-{side}'
      ref: '...'                           # where names are not unique; default: the name
      team: network                        # attribute owner, and an edge OWNED_BY
      attributes: {port_count: '{ports}', memory: 64 GiB}
      edges:
        - {POWERED_BY: ['{site}-pdu-a', '{site}-pdu-b'], group: power, required: 1}
        - {HAS_MEMBER: '@hypervisors', where: {site: '{site}'}, group: members, required: '75%'}
        - {DEPENDS_ON: $needs, when: {site: muc}}
        - {GOVERNED_BY: $covers, reversed: true}             # from the targets to this item

Strings are `str.format` templates over the variables; `'{ports}'` alone keeps the variable's type, `$needs` stands for
a variable that is a list of templates, `64 GiB` and `10 Gbit/s` become whole numbers of bytes and bits per second.
A variable whose name is a table's brings the table's facts along (`{site_city}`); looping over a set brings the
variables of each item (`{host_site}`). In attributes there are also `{serial}`, `{mac}`, `{uuid}` and `{hash}`, which
follow from the reference alone. Promises: equal documents give equal results in equal order; an edge to an item that
is not there is an error. Does not check against the catalogue; that is what ingest does.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from cmdb.errors import BadRequest

Variables = dict[str, Any]
Yaml = Any
"""What YAML can say: a scalar, a list or a mapping, at any depth."""

_SIZE = re.compile(r"(\d+) (KiB|MiB|GiB|TiB|PiB|Mbit/s|Gbit/s)")
_UNITS = {
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "PiB": 2**50,
    "Mbit/s": 10**6,
    "Gbit/s": 10**9,
}
_ALONE = re.compile(r"\{(\w+)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_EDGE_WORDS = {"group", "required", "strength", "confidence", "where", "when", "reversed"}


@dataclass(frozen=True, slots=True)
class Item:
    """One declared item; `variables` are those its block had for it, `document` is the position of its document."""

    ref: str
    document: int
    class_name: str
    attributes: Mapping[str, Any]
    variables: Mapping[str, Any]

    def to_observed(self) -> dict[str, Any]:
        """As an item of an Observation; its reference serves as native key."""
        return {
            "ref": self.ref,
            "class": self.class_name,
            "key": self.ref,
            "attributes": dict(self.attributes),
        }


@dataclass(frozen=True, slots=True)
class Edge:
    """One declared edge in Observation form; `document` is the position of the document that declares it."""

    document: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expansion:
    """All items by reference, the named sets of them, and the edges."""

    items: Mapping[str, Item]
    sets: Mapping[str, tuple[Item, ...]]
    edges: tuple[Edge, ...]


@dataclass(slots=True)
class _Draft:
    """An expansion under construction."""

    tables: dict[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    sets: dict[str, list[Item]] = field(default_factory=dict)
    pending: list[tuple[Item, Mapping[str, Any]]] = field(default_factory=list)


def expand(documents: Iterable[Mapping[str, Any]]) -> Expansion:
    """Expand the documents in order; edges may refer forward, loops over sets only back.

    Raises `BadRequest` naming the block or edge that is wrong.
    """
    draft = _Draft()
    for position, document in enumerate(documents):
        draft.tables.update(document.get("tables", {}))
        for block in document.get("blocks", ()):
            _expand_block(draft, block, position)
    edges: dict[tuple[str, ...], Edge] = {}
    for item, declared in draft.pending:
        for edge in _expand_edge(draft, item, declared):
            edges[edge["type"], edge["from"], edge["to"], edge.get("group", "")] = Edge(item.document, edge)
    return Expansion(
        items=draft.items,
        sets={name: tuple(members) for name, members in draft.sets.items()},
        edges=tuple(edges.values()),
    )


def fill(template: Yaml, variables: Mapping[str, Any]) -> Yaml:
    """Replace variables in a template, in lists and mappings at any depth; dates become ISO strings."""
    if isinstance(template, str):
        if template.startswith("$"):
            return fill(variables[template[1:]], variables)
        alone = _ALONE.fullmatch(template)
        value = _written(variables[alone[1]]) if alone else template.format_map(variables)
        size = _SIZE.fullmatch(value) if isinstance(value, str) else None
        return int(size[1]) * _UNITS[size[2]] if size else value
    if isinstance(template, Mapping):
        return {key: fill(value, variables) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, variables) for value in template]
    return _written(template)


def _written(value: Yaml) -> Yaml:
    """Dates and times as ISO strings, anything else as it is."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def digest_of(*parts: object) -> bytes:
    """32 bytes that follow from the parts alone; every choice of the demo estate is drawn from such a digest."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()


def _expand_block(draft: _Draft, block: Mapping[str, Any], position: int) -> None:
    made: list[Item] = []
    counters: dict[tuple[str, str], int] = {}
    members = draft.sets.setdefault(block["as"], []) if "as" in block else []
    for row in block.get("each", ({},)):
        for variables in _loops(draft, block, {**block.get("defaults", {}), **row}):
            for name, options in block.get("spread", {}).items():
                choices = _choices(draft, options, variables)
                variables.update(_with_facts(draft, name, choices[len(made) % len(choices)]))
            for name, rule in block.get("number", {}).items():
                key = (name, str(fill(rule["per"], variables)))
                counters[key] = counters.get(key, rule["from"] - 1) + 1
                variables[name] = counters[key]
            for name, template in block.get("let", {}).items():
                variables.update(_with_facts(draft, name, fill(template, variables)))
            try:
                item = _make_item(block, position, variables)
            except KeyError as unknown:
                raise BadRequest(
                    f"demo data, block of {block['class']} {block['name']}: no variable {unknown}; "
                    f"there are {', '.join(sorted(variables))}"
                ) from None
            if item.ref in draft.items:
                raise BadRequest(f"demo data: two items are called {item.ref!r}; give one of them a ref")
            draft.items[item.ref] = item
            made.append(item)
            draft.pending.extend((item, edge) for edge in block.get("edges", ()))
            if "team" in block:
                draft.pending.append((item, {"OWNED_BY": block["team"]}))
    members.extend(made)


def _make_item(block: Mapping[str, Any], position: int, variables: Variables) -> Item:
    name = str(fill(block["name"], variables))
    variables["name"] = name
    ref = str(fill(block.get("ref", "{name}"), variables))
    attributes = {"name": name}
    if "team" in block:
        attributes["owner"] = fill(block["team"], variables)
    filled = fill(block.get("attributes", {}), {**variables, **_identifiers(ref)})
    attributes.update({key: value for key, value in filled.items() if value is not None})
    return Item(
        ref=ref,
        document=position,
        class_name=str(fill(block["class"], variables)),
        attributes=attributes,
        variables={**variables, "ref": ref},
    )


def _identifiers(ref: str) -> Variables:
    digest = digest_of("identity", ref)
    hexadecimal = digest.hex()
    return {
        "serial": hexadecimal[:10].upper(),
        "mac": ":".join(["02", *(f"{byte:02x}" for byte in digest[:5])]),
        "uuid": str(uuid.UUID(bytes=digest[:16], version=4)),
        "hash": hexadecimal,
    }


def _loops(draft: _Draft, block: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[Variables]:
    start: Variables = {}
    for name, value in row.items():
        start.update(_with_facts(draft, name, value))
    rounds = [start]
    for name, options in block.get("for", {}).items():
        rounds = [
            {**variables, **_with_facts(draft, name, choice)}
            for variables in rounds
            for choice in _choices(draft, options, variables)
        ]
    for variables in rounds:
        if _holds(block.get("when", {}), variables):
            yield variables


def _choices(draft: _Draft, options: Yaml, variables: Variables) -> list[Any]:
    """What a loop runs over, in any of the forms the module lists."""
    if isinstance(options, Mapping) and "count" in options:
        return list(range(1, fill(options["count"], variables).get(variables[options["per"]], 0) + 1))
    if isinstance(options, Mapping):
        return _members(draft, options["of"], fill(options.get("where", {}), variables))
    if isinstance(options, str) and options.startswith("@"):
        return _members(draft, options[1:], {})
    filled = fill(options, variables)
    if isinstance(filled, str):
        span = _RANGE.fullmatch(filled)
        if span is None:
            raise BadRequest(f"demo data: {options!r} is no list, range such as 1..6, $variable or @set")
        return list(range(int(span[1]), int(span[2]) + 1))
    return [filled] if isinstance(filled, int) else list(filled)


def _members(draft: _Draft, name: str, where: Mapping[str, Any]) -> list[Any]:
    if name not in draft.sets:
        raise BadRequest(f"demo data: no set @{name} so far; there are {', '.join(sorted(draft.sets))}")
    return [item for item in draft.sets[name] if _holds(where, item.variables)]


def _holds(conditions: Mapping[str, Any], variables: Mapping[str, Any]) -> bool:
    return all(
        variables.get(name) in wanted if isinstance(wanted, list) else variables.get(name) == wanted
        for name, wanted in conditions.items()
    )


def _with_facts(draft: _Draft, name: str, value: Yaml | Item) -> Variables:
    """The variable, with the facts its table or its item has to add."""
    if isinstance(value, Item):
        return {name: value.ref, **{f"{name}_{key}": fact for key, fact in value.variables.items()}}
    facts = draft.tables.get(name, {}).get(value, {}) if isinstance(value, str) else {}
    return {name: value, **{f"{name}_{key}": fact for key, fact in facts.items()}}


def _expand_edge(draft: _Draft, item: Item, declared: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not _holds(declared.get("when", {}), item.variables):
        return
    (edge_type,) = declared.keys() - _EDGE_WORDS
    targets = declared[edge_type]
    if isinstance(targets, str) and targets.startswith("@"):
        where = fill(declared.get("where", {}), item.variables)
        refs = [member.ref for member in _members(draft, targets[1:], where)]
    else:
        filled = fill(targets, item.variables)
        refs = filled if isinstance(filled, list) else [filled]
    words = ("group", "required", "strength", "confidence")
    facts = {word: fill(declared[word], item.variables) for word in words if word in declared}
    for ref in refs:
        if ref not in draft.items:
            raise BadRequest(
                f"demo data: {item.ref} -{edge_type}-> {ref!r}, which is not declared; add it or mend the name"
            )
        source, target = (ref, item.ref) if declared.get("reversed") else (item.ref, ref)
        yield {"type": edge_type, "from": source, "to": target, **facts}
