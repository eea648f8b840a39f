"""A small catalogue and random ChangeSets on it, for properties of planning, composition, undo and the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from cmdb.model.catalogue import Catalogue, compile_catalogue
from cmdb.model.change_set import ChangeSet, DeleteEdge, DeleteItem, Operation, PutEdge, PutEntries, PutItem
from cmdb.model.draft import EstateState
from cmdb.model.entries import parse_entry
from cmdb.model.items import EdgeFacts, EdgeKey, ItemChange

ENTRIES: Mapping[str, Any] = {
    "record": {
        "initial": "new",
        "may_start": ["open"],
        "states": {"new": {"to": ["open"]}, "open": {"to": ["done"]}, "done": {}},
        "closed": ["done"],
    },
    "Item": {"description": "Root.", "abstract": True},
    "Host": {
        "extends": "Item",
        "description": "A host.",
        "attributes": {
            "serial": {"type": "string"},
            "cores": {"type": "integer", "default": 2},
            "tags": {"type": "string", "list": True},
            "secret": {"type": "string", "secret": True},
            "badge": {"type": "string", "unique": True},
            "double": {"type": "integer", "computed": "cores * 2"},
        },
        "identify": [["serial"], ["name"]],
    },
    "Machine": {"extends": "Host", "description": "Tangible.", "attributes": {"weight": {"type": "integer"}}},
    "Guest": {
        "extends": "Host",
        "description": "Virtual.",
        "attributes": {"weight": {"type": "string"}, "owner": {"type": "email", "required": True}},
    },
    "Tool": {
        "extends": "Item",
        "description": "Runs on hosts.",
        "attributes": {"mtbf": {"type": "duration"}, "facts": {"type": "json"}},
        "identify": [{"by": ["name"], "within": "RUNS_ON"}],
    },
    "RUNS_ON": {"from": ["Tool", "Guest"], "to": ["Host"], "inverse": "runs"},
    "LEADS": {"from": ["Item"], "to": ["Item"], "inverse": "led_by", "cardinality": "one-to-one"},
    "OWNED_BY": {"from": ["Item"], "to": ["Tool"], "inverse": "owns", "cardinality": "many-to-one"},
    "HEADS": {"from": ["Tool"], "to": ["Item"], "inverse": "headed_by", "cardinality": "one-to-many"},
}
NOW = "2026-11-24T09:30:00.000000Z"


def catalogue_of(**changes: Any) -> Catalogue:  # noqa: ANN401 - raw entries
    """The small catalogue, some of its entries replaced or added."""
    raw = {**ENTRIES, **changes}
    return compile_catalogue({name: parse_entry(name, entry) for name, entry in raw.items()})


SMALL = catalogue_of()
IDS = st.sampled_from(["i0", "i1", "i2", "i3", "i4"])
CLASSES = st.sampled_from(["Machine", "Guest", "Tool", "Host"])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b", "c", " A "]),
        "lifecycle": st.sampled_from(["new", "open", "done"]),
        "serial": st.sampled_from([None, "s1", "s2"]),
        "cores": st.sampled_from([None, 1, 4, "8", "many"]),
        "tags": st.sampled_from([None, [], ["x"], ["x", "y"]]),
        "badge": st.sampled_from([None, "b1", "b2"]),
        "weight": st.sampled_from([None, 7, "7", "heavy"]),
        "owner": st.sampled_from([None, "ada@example.org", "bob@example.org"]),
        "mtbf": st.sampled_from([None, "PT5H", 7]),
        "facts": st.sampled_from([{"a": [1, None]}, 1, 1.0, True]),
        "secret": st.sampled_from([None, "hush"]),
    },
)
FACTS = st.builds(
    EdgeFacts,
    required=st.sampled_from([None, "1", "50%"]),
    strength=st.sampled_from([None, "soft", "hard"]),
    confidence=st.sampled_from(["declared", "observed"]),
)
KEYS = st.builds(
    EdgeKey, st.sampled_from(["RUNS_ON", "LEADS", "OWNED_BY", "HEADS"]), IDS, IDS, st.sampled_from(["", "g"])
)
ENTRY_CHANGES: list[Mapping[str, Any]] = [
    {"Tool": {**ENTRIES["Tool"], "description": description}}
    for description in ("Runs on hosts.", "Does things.")
] + [
    {"Host": {**ENTRIES["Host"], "attributes": {**ENTRIES["Host"]["attributes"], "double": double}}}
    for double in ({"type": "integer", "computed": "cores * 2"}, {"type": "integer", "computed": "cores * 3"})
]
OPERATIONS: st.SearchStrategy[Operation] = st.one_of(
    st.builds(PutItem, IDS, FIELDS, CLASSES, st.just("upsert")),
    st.builds(PutItem, IDS, FIELDS, st.none(), st.just("update")),
    st.builds(PutEdge, KEYS, FACTS),
    st.builds(PutEdge, KEYS.map(lambda key: key._replace(group=""))),
    st.builds(DeleteEdge, KEYS),
    st.builds(DeleteItem, IDS),
    st.builds(PutEntries, st.sampled_from(ENTRY_CHANGES)),
)
CHANGE_SETS = st.builds(ChangeSet, st.lists(OPERATIONS, min_size=1, max_size=5).map(tuple))

Snapshot = tuple[dict[str, dict[str, Any]], dict[EdgeKey, EdgeFacts]]


def snapshot(state: EstateState) -> Snapshot:
    """Contents only: fields of items (and bodies of entries) and facts of edges, without versions and times."""
    items: dict[str, dict[str, Any]] = {item.id: dict(item.fields) for item in state.items.values()}
    edges = {key: edge.facts for edges in state.edges.values() for key, edge in edges.items()}
    return items, edges


def apply_changes(before: Snapshot, changes: Iterable[ItemChange]) -> Snapshot:
    """The snapshot after changes, by the plainest reading of what an ItemChange says; entries are left out.

    Raises AssertionError where a change does not fit what it is applied to.
    """
    items, edges = {i: dict(fields) for i, fields in before[0].items()}, dict(before[1])
    for change in changes:
        if change.item_id.startswith("catalogue:"):
            continue
        if change.before is None:
            assert change.item_id not in items
            items[change.item_id] = dict(change.after or {})
        elif change.after is None:
            assert items.pop(change.item_id) == change.before
        else:
            fields = items[change.item_id]
            for name, value in change.before.items():
                assert fields.pop(name) == value
            assert not fields.keys() & change.after.keys()
            fields.update(change.after)
        for edge in change.edges:
            assert edge.key.source == change.item_id
            assert edges.pop(edge.key, None) == edge.before
            if edge.after is not None:
                edges[edge.key] = edge.after
    return items, edges
