"""The Observation: what one source saw in one run, whatever format it came in; and its own JSON form, version 1.

Parsing is pure and strict. Fields that nobody declared, numbers that are none, references that lead nowhere and
everything beyond `ObservationLimits` is refused, each with its place (`items[3].attributes`), all problems of a report
together. Whether classes and attributes exist is not known here: the catalogue decides when the report is planned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from cmdb.errors import InvalidValue, Problem, ValidationFailed
from cmdb.model.values import IDENTIFIER_LIMIT, clean_text

SCHEMA_ID = "/schemas/observation-v1.json"
"""Where the service publishes the JSON Schema."""


@dataclass(frozen=True, slots=True)
class ObservationLimits:
    """What one report may hold. The defaults let an import of a few hundred thousand things through."""

    body: int = 256 * 1024 * 1024
    """Bytes of the report as sent (after decompression)."""
    items: int = 250_000
    edges: int = 1_000_000
    attributes: int = 200
    """Attributes of one item."""
    depth: int = 32
    """Nesting inside one attribute value."""
    problems: int = 500
    """Problems told at once; reading stops there."""


DEFAULT_LIMITS = ObservationLimits()

Source = Annotated[
    str,
    Meta(min_length=1, max_length=128, description="Who reports. Native keys are unique within a source."),
]
Run = Annotated[str, Meta(max_length=128, description="Name of this run; made up where absent.")]
Scope = Annotated[str, Meta(max_length=512, description="The part of the estate that the run looked at.")]
Complete = Annotated[bool, Meta(description="Whether the run saw everything that is in its scope.")]
SeenAt = Annotated[
    datetime,
    Meta(tz=True, description="When it was seen (RFC 3339). Older than what is known: taken as outdated."),
]
Ref = Annotated[str, Meta(min_length=1, max_length=512, description="Name of the item inside this report.")]
ClassName = Annotated[str, Meta(min_length=1, max_length=64, description="A class of the catalogue.")]
NativeKey = Annotated[
    str, Meta(max_length=448, description="The source's own key of the item, if it has one.")
]
Attributes = Annotated[
    dict[str, Any],
    Meta(description="`name`, `lifecycle` and attributes of the class; null takes a value away."),
]
EdgeType = Annotated[
    str, Meta(min_length=1, max_length=64, description="A relationship type of the catalogue.")
]
Group = Annotated[
    str, Meta(max_length=512, description="Edges of one item with the same group form one gate.")
]
RequiredCount = Annotated[
    int, Meta(ge=0, le=1_000_000, description="How many members of the group are needed.")
]
RequiredShare = Annotated[str, Meta(max_length=32, description="A count, or a share such as 50%.")]
Word = Annotated[str, Meta(max_length=32)]


class ObservedItem(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename={"class_name": "class"}
):
    """One thing that was seen. `ref` names it inside the report, `key` inside the source."""

    ref: Ref
    class_name: ClassName
    key: NativeKey = ""
    attributes: Attributes = {}


class ObservedEdge(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    gc=False,
    rename={"source": "from", "target": "to"},
):
    """One edge that was seen, from the dependent to what it depends on; `from` and `to` are refs of items."""

    type: EdgeType
    source: Ref
    target: Ref
    group: Group = ""
    required: RequiredCount | RequiredShare | None = None
    strength: Word | None = None
    confidence: Word = "declared"


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: Source
    run: Run = ""
    scope: Scope = ""
    complete: Complete = False
    seen_at: SeenAt | None = None


class Observation(_Head, frozen=True, forbid_unknown_fields=True):
    """What one source saw in one run. Version 1 of the CMDB's own ingest format is exactly this, as JSON."""

    items: tuple[ObservedItem, ...] = ()
    edges: tuple[ObservedEdge, ...] = ()


class _Envelope(_Head, frozen=True, forbid_unknown_fields=True):
    """The same with its parts still unread, so that each part's fault is told with its own place."""

    items: list[msgspec.Raw] = []
    edges: list[msgspec.Raw] = []


FIELDS = frozenset(Observation.__struct_encode_fields__)
"""The fields of the outermost object."""

_ENVELOPE = msgspec.json.Decoder(_Envelope)
_ITEM = msgspec.json.Decoder(ObservedItem)
_EDGE = msgspec.json.Decoder(ObservedEdge)
_PLACE = re.compile(r" - at `\$(?P<path>.*)`$", re.DOTALL)
Entry = TypeVar("Entry")

_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def parse_observation(body: bytes, limits: ObservationLimits = DEFAULT_LIMITS) -> Observation:
    """The Observation that `body`, JSON in UTF-8, says.

    Raises:
        ValidationFailed: not JSON, not of this form, or beyond the limits; every problem with its place.
    """
    if len(body) > limits.body:
        raise ValidationFailed([_over("report", len(body), limits.body, "bytes")])
    try:
        envelope = _ENVELOPE.decode(body)
    except _UNREADABLE as error:
        raise ValidationFailed([_unreadable("", error)]) from None
    counts = (("items", len(envelope.items), limits.items), ("edges", len(envelope.edges), limits.edges))
    over = [_over(place, count, most, "entries") for place, count, most in counts if count > most]
    if over:
        raise ValidationFailed(over)
    problems: list[Problem] = []
    items = _read(_ITEM, "items", envelope.items, problems, limits)
    edges = _read(_EDGE, "edges", envelope.edges, problems, limits)
    if problems:
        raise ValidationFailed(problems)
    return checked(
        Observation(
            source=envelope.source,
            run=envelope.run,
            scope=envelope.scope,
            complete=envelope.complete,
            seen_at=envelope.seen_at,
            items=tuple(items),
            edges=tuple(edges),
        ),
        limits,
    )


def checked(observation: Observation, limits: ObservationLimits = DEFAULT_LIMITS) -> Observation:
    """The Observation with its texts in normal form, after what no parser of a single entry can see was checked.

    Every format ends here: refs are unique, edges lead from ref to ref, keys fit an identity, values are not too deep.

    Raises:
        ValidationFailed: every problem with its place.
    """
    problems: list[Problem] = []
    head = {name: _clean(name, getattr(observation, name), problems) for name in ("source", "run", "scope")}
    if not head["source"] and not problems:
        problems.append(Problem("source", "MALFORMED", "the source is blank; say who reports"))
    items: list[ObservedItem] = []
    seen: dict[str, int] = {}
    for index, item in enumerate(observation.items):
        place = f"items[{index}]"
        first = seen.setdefault(item.ref, index)
        if first != index:
            problems.append(
                Problem(
                    f"{place}.ref", "DUPLICATE_REF", f"{item.ref!r} is items[{first}] already; use a ref once"
                )
            )
        key = _clean(f"{place}.key", item.key, problems)
        if not key.isascii() and len(key.encode()) > IDENTIFIER_LIMIT:
            problems.append(_over(f"{place}.key", len(key.encode()), IDENTIFIER_LIMIT, "bytes"))
        _check_attributes(place, item.attributes, limits, problems)
        items.append(item if key == item.key else msgspec.structs.replace(item, key=key))
        if len(problems) >= limits.problems:
            break
    if len(problems) < limits.problems:
        problems += _lost_refs(observation.edges, seen)
    if problems:
        raise ValidationFailed(problems[: limits.problems])
    return msgspec.structs.replace(observation, items=tuple(items), **head)


def observation_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of Observation JSON, version 1, as published at `SCHEMA_ID`."""
    schema = msgspec.json.schema(Observation)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Observation, version 1",
        **schema,
    }


def schema_text() -> str:
    """The schema as the file `discovery/schemas/observation-v1.json` holds it."""
    return msgspec.json.format(msgspec.json.encode(observation_schema()), indent=2).decode() + "\n"


def _read(
    decoder: msgspec.json.Decoder[Entry],
    place: str,
    parts: Sequence[msgspec.Raw],
    problems: list[Problem],
    limits: ObservationLimits,
) -> list[Entry]:
    entries: list[Entry] = []
    for index, part in enumerate(parts):
        try:
            entries.append(decoder.decode(part))
        except _UNREADABLE as error:
            problems.append(_unreadable(f"{place}[{index}]", error))
            if len(problems) >= limits.problems:
                break
    return entries


def _unreadable(place: str, error: Exception) -> Problem:
    if isinstance(error, RecursionError):
        return Problem(place or "report", "LIMIT", "it is nested too deeply; send flat attributes")
    if isinstance(error, UnicodeDecodeError):
        return Problem(place or "report", "MALFORMED", "it is not UTF-8; encode it as UTF-8")
    message = str(error)
    inside = _PLACE.search(message)
    if inside:
        place, message = place + inside["path"], message[: inside.start()]
    return Problem(place.removeprefix(".") or "report", "MALFORMED", message)


def _over(place: str, found: int, most: int, unit: str) -> Problem:
    return Problem(place, "LIMIT", f"it has {found} {unit}; at most {most} are taken, so send it in parts")


def _clean(place: str, text: str, problems: list[Problem]) -> str:
    try:
        return clean_text(text)
    except InvalidValue as error:
        problems.append(Problem(place, "MALFORMED", str(error)))
        return ""


def _check_attributes(
    place: str, attributes: Mapping[str, Any], limits: ObservationLimits, problems: list[Problem]
) -> None:
    if len(attributes) > limits.attributes:
        problems.append(_over(f"{place}.attributes", len(attributes), limits.attributes, "attributes"))
    for name, value in attributes.items():
        if type(value) in (list, dict) and _depth(value, limits.depth) > limits.depth:
            message = f"it is nested more than {limits.depth} deep; send flat attributes"
            problems.append(Problem(f"{place}.attributes.{name[:64]}", "LIMIT", message))


def _depth(value: object, most: int) -> int:
    """How deep lists and objects nest, looked at no further than one level beyond `most`."""
    level, depth = [value], 0
    while depth <= most:
        level = [
            part
            for parent in level
            if isinstance(parent, list | dict)
            for part in (parent.values() if isinstance(parent, dict) else parent)
        ]
        depth += 1
        if not level:
            break
    return depth


def _lost_refs(edges: Sequence[ObservedEdge], refs: Mapping[str, int]) -> list[Problem]:
    return [
        Problem(
            f"edges[{index}].{end}",
            "UNKNOWN_REF",
            f"no item of this report has the ref {ref!r}; add the item",
        )
        for index, edge in enumerate(edges)
        for end, ref in (("from", edge.source), ("to", edge.target))
        if ref not in refs
    ]


if __name__ == "__main__":
    import sys

    sys.stdout.write(schema_text())
