"""The JSON forms that `--json` prints, as types; the pictures are drawn from the same records.

A record is plain JSON data with stable keys: keys are added, never renamed. Times are RFC 3339 in UTC, ids are the
CMDB's own, `revision` is the ledger's number of which the answer is true.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

ItemRecord = TypedDict(
    "ItemRecord",
    {"id": str, "class": str, "name": str, "layer": NotRequired[str], "lifecycle": NotRequired[str | None]},
)
"""An item as far as lists show it."""


class EdgeRecord(TypedDict):
    """An edge, from the dependent to its dependency; `group` is null for an edge that is a gate of its own."""

    type: str
    source: str
    target: str
    group: str | None
    required: str | None
    strength: str | None


class WalkRecord(TypedDict):
    """`cmdb deps` and `cmdb dependents`: what is reached from `start`, and the edges walked over."""

    revision: int
    direction: str
    start: ItemRecord
    items: list[ItemRecord]
    edges: list[EdgeRecord]
    truncated: bool


class ArticulationPointRecord(TypedDict):
    """An item that cuts off `cut_off` others when it is lost; `separated` has the first few of them."""

    item: ItemRecord
    cut_off: int
    parts: int
    part_sizes: list[int]
    separated: list[ItemRecord]


class BridgeRecord(TypedDict):
    """A link (one and other) that cuts off `cut_off` items when it is lost; `separated` has the first few of them."""

    one: ItemRecord
    other: ItemRecord
    edges: list[EdgeRecord]
    cut_off: int
    separated: list[ItemRecord]


class WeakPointsRecord(TypedDict):
    """`cmdb weak-points`: lists have the worst first and may be shorter than `counts` say."""

    revision: int
    counts: dict[str, int]
    articulation_points: list[ArticulationPointRecord]
    bridges: list[BridgeRecord]


class RankedRecord(TypedDict):
    """An item and what its failure alone takes down; `services_touched` depend on it, whatever redundancy saves."""

    item: ItemRecord
    criticality: str | None
    items_down: int
    services_down: int
    services_touched: int


class RankingRecord(TypedDict):
    """`cmdb ranking`: of `count` items those after the first `offset`; `behind`: revisions since, being taken up."""

    revision: int
    behind: int
    by: str
    count: int
    offset: int
    items: list[RankedRecord]


class TouchedRecord(TypedDict):
    """`cmdb touched`: of `count` services that depend on `item` those after the first `offset`; see `behind` above.
    With --paths: of each of these a shortest chain of dependencies, from the service to the item."""

    revision: int
    behind: int
    item: ItemRecord
    count: int
    offset: int
    services: list[ItemRecord]
    paths: NotRequired[list[list[ItemRecord]]]


class HistoryFigureRecord(TypedDict):
    """The outages that are in a component figure: how many, how long together, in which time. ISO 8601."""

    observed: str
    outages: int
    down: str


FigureRecord = TypedDict(
    "FigureRecord",
    {
        "id": str,
        "class": str,
        "name": str,
        "unavailability": float,
        "basis": str,
        "default_class": str | None,
        "mtbf": str | None,
        "mttr": str | None,
        "history": HistoryFigureRecord | None,
        "ignored": list[str],
    },
)
"""How often an item is down by itself; `ignored` attributes make no sense. Lengths of time are ISO 8601."""


class FiguresRecord(TypedDict):
    """`cmdb figures`: in the order in which items were named."""

    revision: int
    figures: list[FigureRecord]


MeasuredRecord = TypedDict(
    "MeasuredRecord",
    {
        "from": str,
        "to": str,
        "availability": float | None,
        "target": float | None,
        "met": bool | None,
        "agreed": str,
        "down": str,
        "allowed_down": str | None,
        "planned": str,
        "degraded": str,
        "calendars": list[str],
        "unusable": list[str],
        "set_aside": list[dict[str, str]],
    },
)
"""`measured` of `cmdb availability`: null availability: no time was agreed; without calendars: round the clock.
Lengths of time are ISO 8601; `unusable` are ids of outages."""


class WayRecord(TypedDict):
    """A way of `length` items from end to end; `items` has the first hundred."""

    length: int
    items: list[ItemRecord]


MinimumCutRecord = TypedDict(
    "MinimumCutRecord",
    {
        "revision": int,
        "from": ItemRecord,
        "to": ItemRecord,
        "connected": bool,
        "separable": bool,
        "count": int,
        "truncated": bool,
        "items": list[ItemRecord],
        "ways": list[WayRecord],
        "direct": list[EdgeRecord],
    },
)
"""`cmdb minimum-cut`: `items` separate the two ends; each of `ways` passes one of them."""


class FieldChange(TypedDict):
    """One field before and after; null where it had no value."""

    field: str
    before: Any
    after: Any


class EdgeChangeRecord(TypedDict):
    """One outgoing edge before and after; null where it was not there."""

    type: str
    target: str
    target_name: str | None
    group: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


ChangeRecord = TypedDict(
    "ChangeRecord",
    {
        "id": str,
        "class": str,
        "name": str,
        "kind": str,
        "fields": list[FieldChange],
        "edges": list[EdgeChangeRecord],
    },
)
"""What happened to one item: `kind` is created, updated or deleted."""


class EventRecord(TypedDict):
    """One revision as it touched one item."""

    revision: int
    recorded_at: str
    actor: str
    source: str | None
    run: str | None
    message: str | None
    reason: str | None
    change: ChangeRecord


class HistoryRecord(TypedDict):
    """`cmdb history`: newest first."""

    item: ItemRecord
    events: list[EventRecord]
    more: bool


DiffRecord = TypedDict("DiffRecord", {"from": int, "to": int, "changes": list[ChangeRecord], "more": bool})
"""`cmdb diff`: net changes between two revisions."""


class RefusalRecord(TypedDict):
    """One thing of a file that was not taken, and why."""

    where: str
    why: str


class ImportRecord(TypedDict):
    """`cmdb import`: one a file."""

    file: str
    format: str | None
    items: int
    edges: int
    created: int
    changed: int
    unchanged: int
    refused: list[RefusalRecord]
    revision: int | None


class EventImportanceRecord(TypedDict):
    """How much one basic event matters; `raw` and `rrw` are null where they are infinite."""

    event: str
    label: str
    probability: float
    birnbaum: float
    criticality: float
    fussell_vesely: float
    diagnostic: float
    raw: float | None
    rrw: float | None


class CutSetRecord(TypedDict):
    """A minimal cut set, and the product of its events' probabilities."""

    probability: float
    events: list[str]


class CutSetsRecord(TypedDict):
    """How many minimal cut sets there are, how many of 0, 1, 2, ... events, and some of them."""

    total: int
    by_order: list[int]
    up_to_order: int | None
    likeliest: list[CutSetRecord]


class FaultTreeRecord(TypedDict):
    """`cmdb fault-tree`: the figures of a tree; its events are sorted by how much they matter."""

    name: str
    top: str
    label: str
    gates: int
    coherent: bool
    probability: float
    cut_sets: CutSetsRecord
    events: list[EventImportanceRecord]


class BrokenGateRecord(TypedDict):
    """Redundancy that gave way: `required` of `size` members have to be up, `up` are; `lost` are down."""

    owner: ItemRecord
    group: str | None
    required: int
    size: int
    up: int
    lost: list[ItemRecord]


class ShortfallRecord(TypedDict):
    """An availability that is proved to lie from `lower` to `upper`, where `least` was asserted; shares of 1."""

    lower: float
    upper: float
    least: float


class CheckFindingRecord(TypedDict):
    """What speaks against an assertion; `code`, one of `impact.findings.FindingCode`, says what the rest means."""

    code: str
    about: ItemRecord | None
    members: list[ItemRecord]
    path: list[ItemRecord]
    hops: int | None
    gate: BrokenGateRecord | None
    shortfall: ShortfallRecord | None
    found: int | None
    allowed: int | None
    name: str | None


class CheckResultRecord(TypedDict):
    """An assertion; `outcome`: `passed`, `failed`, or `unknown` where it could not be judged."""

    line: int
    text: str
    outcome: str
    examined: int
    found: int
    findings: list[CheckFindingRecord]


class CheckRecord(TypedDict):
    """`cmdb check`: the assertions of one file; of those given with `-e` the file is null."""

    file: str | None
    revision: int
    passed: bool
    results: list[CheckResultRecord]


class StandingRecord(TypedDict):
    """An event of `cmdb watch`. `entered`, `left`: of the items that take the service down by failing alone, since the
    event before; `survives`: further failures, whichever they are, or more if `survives_at_least`; `defeated_by`: one
    more items than it survives, which take it down together."""

    service: ItemRecord
    revision: int
    single_points: int
    survives: int
    survives_at_least: bool
    defeated_by: list[ItemRecord]
    entered: list[ItemRecord]
    left: list[ItemRecord]
    truncated: bool


class FailureStandingRecord(TypedDict):
    """An event of `cmdb watch --failure`: how many items go down when those that `failed` fail together, they among
    them, and how many of these are services. `entered`, `left`: of those that go down, since the event before."""

    failed: list[ItemRecord]
    revision: int
    down: int
    services: int
    entered: list[ItemRecord]
    left: list[ItemRecord]
