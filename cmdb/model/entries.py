"""The written form of the catalogue: one entry per class, relationship type or state machine, checked by itself.

What entries mean together (inheritance, clashes, targets) is `cmdb.model.catalogue`'s. The spelling of a name tells
its kind: `Server` is a class, `RUNS_ON` a relationship type, `change` a lifecycle.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from cmdb.errors import CatalogueError, InvalidValue
from cmdb.model.values import VALUE_TYPES, check_json

ClassName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{1,63}$")]
RelationshipName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$", max_length=64)]
AttributeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=64)]
EnumValue = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]
StateName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=64)]
Language = Annotated[str, StringConstraints(pattern=r"^(en|zh)$")]
Rule = Annotated[tuple[str, ...], Field(min_length=1)]
ENTRY_LIMIT = 262_144
"""Most characters of one entry as JSON."""

_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*")
_RELATIONSHIP = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_LIFECYCLE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def _check_duration(text: str) -> str:
    """The text as it is written, if it is a duration that is not negative."""
    try:
        milliseconds = VALUE_TYPES["duration"].normalise(text)
    except InvalidValue as error:
        raise ValueError(str(error)) from None
    if not isinstance(milliseconds, int) or milliseconds < 0:
        raise ValueError("a negative duration; give how long it takes")
    return text


DurationText = Annotated[str, AfterValidator(_check_duration)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AttributeEntry(_Entry):
    """One attribute of a class; the facts of `model.md`."""

    type: str
    list: bool = False
    values: tuple[EnumValue, ...] = ()
    description: str = ""
    title: Mapping[Language, str] = Field(default_factory=dict)
    required: bool = False
    recommended: bool = False
    default: Any = None
    unique: bool = False
    indexed: bool = False
    searched: bool = False
    secret: bool = False
    computed: str | None = None
    unit: str | None = None


class ScopedRule(_Entry):
    """An identity rule that holds inside one target of a relationship: `{by: [name], within: RUNS_ON}`."""

    by: tuple[str, ...] = Field(min_length=1)
    within: RelationshipName


class ReliabilityEntry(_Entry):
    """How an item of a class is assumed to fare by itself: `availability`, or `mtbf` and `mttr` together."""

    availability: float | None = Field(default=None, strict=True, ge=0, le=1)
    mtbf: DurationText | None = None
    mttr: DurationText | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        times = (self.mtbf is not None) + (self.mttr is not None)
        if times != (2 if self.availability is None else 0):
            raise ValueError("give either availability, or mtbf and mttr")
        if self.mtbf is not None and not VALUE_TYPES["duration"].normalise(self.mtbf):
            raise ValueError("mtbf is no time at all; give how long it works between two failures")
        return self


class ClassEntry(_Entry):
    """A class of items. `inherit_identity` false: the parent's identity rules do not hold for it, only its own."""

    extends: ClassName | None = None
    abstract: bool = False
    description: str
    title: Mapping[Language, str] = Field(default_factory=dict)
    plural: AttributeName | None = None
    layer: str | None = None
    lifecycle: str | None = None
    attributes: Mapping[AttributeName, AttributeEntry] = Field(default_factory=dict)
    identify: tuple[Rule | ScopedRule, ...] = ()
    inherit_identity: bool = True
    reliability: ReliabilityEntry | None = None


class RelationshipEntry(_Entry):
    """A type of edge, from the dependent to what it depends on."""

    source: tuple[ClassName, ...] = Field(alias="from", min_length=1)
    target: tuple[ClassName, ...] = Field(alias="to", min_length=1)
    inverse: AttributeName
    dependency: Literal["hard", "soft", "none"] = "none"
    cardinality: Literal["many-to-many", "many-to-one", "one-to-many", "one-to-one"] = "many-to-many"
    description: str = ""
    title: Mapping[Language, str] = Field(default_factory=dict)
    inverse_title: Mapping[Language, str] = Field(default_factory=dict)


class StateEntry(_Entry):
    """One state and where it may lead."""

    to: tuple[str, ...] = ()
    title: Mapping[Language, str] = Field(default_factory=dict)


class LifecycleEntry(_Entry):
    """A state machine. `may_start`: the states, besides `initial`, in which an item may first be seen."""

    initial: str
    may_start: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    states: Mapping[StateName, StateEntry] = Field(min_length=1)


Entry = ClassEntry | RelationshipEntry | LifecycleEntry


def parse_entry(name: str, raw: object) -> Entry:
    """The entry written as `raw`.

    Raises:
        CatalogueError: naming the entry, the field and what is wrong with it.
    """
    if _CLASS.fullmatch(name):
        kind: type[ClassEntry] | type[RelationshipEntry] | type[LifecycleEntry] = ClassEntry
    elif _RELATIONSHIP.fullmatch(name) and len(name) > 1:
        kind = RelationshipEntry
    elif _LIFECYCLE.fullmatch(name):
        kind = LifecycleEntry
    else:
        raise CatalogueError(
            repr(name)[:80],
            "the name is none of the three spellings",
            "write a class as Server, a relationship type as RUNS_ON, a lifecycle as change",
        )
    if len(name) > 64:
        raise CatalogueError(name[:80], f"the name has {len(name)} characters", "use at most 64")
    try:
        check_json(raw)
    except InvalidValue as error:
        raise CatalogueError(name, str(error), "an entry holds plain JSON values only") from None
    if len(json.dumps(raw)) > ENTRY_LIMIT:
        raise CatalogueError(name, "the entry is too long", f"an entry has at most {ENTRY_LIMIT} characters")
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'entry'}: {fault['msg']}"
            for fault in error.errors()[:8]
        )
        raise CatalogueError(name, faults, "see the catalogue guide for the form of an entry") from None


def entry_record(entry: Entry) -> dict[str, Any]:
    """The entry as plain JSON, in the form in which it is written: what is stored and shown."""
    return entry.model_dump(mode="json", by_alias=True, exclude_defaults=True)
