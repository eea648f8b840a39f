"""The demo estate as Observations, in the order in which it was reported: a first load and what changed in a year.

Pure: the same package gives the same dicts. The company, its places and its story are in `data/estate.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

import yaml

from cmdb.demo.blueprint import Expansion, Yaml, expand, fill
from cmdb.demo.history import Record, instant, make_records
from cmdb.errors import BadRequest

_RECORD_FILES = ("incidents", "changes", "records")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C loader reads the data in a fifth of the time, where PyYAML was built with it."""


@dataclass(frozen=True, slots=True)
class Step:
    """The estate at one time: all items by reference and all edges by key, as an Observation writes them."""

    at: datetime
    message: str
    items: Mapping[str, Mapping[str, Any]]
    edges: Mapping[tuple[str, str, str, str], Mapping[str, Any]]


def demo_observation() -> dict[str, Any]:
    """The estate as it is at the reference time, with all records, as one Observation (JSON form, version 1)."""
    last = _steps()[-1]
    return _observation(last, last.items.values(), last.edges.values())


def demo_observations() -> list[dict[str, Any]]:
    """The same in the order in which it was reported: the first load, then only what each later step changed.

    An item that a later step points at is repeated as it is then, so every Observation stands alone. Loading them in
    order ends at what `demo_observation` says; none claims to be complete, so none makes anything missing.
    """
    steps = _steps()
    observations = [_observation(steps[0], steps[0].items.values(), steps[0].edges.values())]
    for before, now in pairwise(steps):
        edges = [edge for key, edge in now.edges.items() if before.edges.get(key) != edge]
        touched = {ref for ref, item in now.items.items() if before.items.get(ref) != item}
        touched |= {edge[end] for edge in edges for end in ("from", "to")}
        observations.append(_observation(now, (i for ref, i in now.items.items() if ref in touched), edges))
    return observations


def demo_questions() -> dict[str, Any]:
    """What is worth asking: `failure`, `change`, `history`, `collisions` (see `data/questions.yaml`).

    Wherever a question names a record by its id, `{class, name}` is put in its place; a change also gets `affects`, the
    items it takes down.
    """
    questions = _data("questions")
    items, edges = _steps()[-1].items, _steps()[-1].edges.values()

    def reference(ref: str) -> dict[str, str]:
        return {"class": items[ref]["class"], "name": items[ref]["attributes"]["name"]}

    change = questions["change"]["record"]
    return {
        **questions,
        "change": {
            **questions["change"],
            "record": reference(change),
            "affects": [reference(e["to"]) for e in edges if e["type"] == "AFFECTS" and e["from"] == change],
        },
        "collisions": [
            {**collision, "records": [reference(ref) for ref in collision["records"]]}
            for collision in questions["collisions"]
        ],
    }


@cache
def _steps() -> tuple[Step, ...]:
    index, plan = _data("estate"), _data("steps")
    base = [_data(name) for name in index["files"]]
    declared = {key: value for name in _RECORD_FILES for key, value in _data(name).items()}
    reference = index["reference_time"]
    estate = expand([*base, *plan["steps"]])
    records = make_records(estate, declared, reference)
    first = {"at": plan["first"], "message": index["company"]}
    last = {"at": reference, "message": "As of today, with what is still open"}
    steps: list[Step] = []
    updates: dict[str, dict[str, Any]] = {}
    for position, step in enumerate((first, *plan["steps"], last), len(base) - 1):
        for ref, changed in step.get("updates", {}).items():
            updates[ref] = {**updates.get(ref, {}), **fill(changed, {})}
        told = [r for r in records if step is last or (r.ended is not None and r.ended <= step["at"])]
        steps.append(_step(step, estate, position, updates, told))
    return tuple(steps)


def _step(
    step: Mapping[str, Any],
    estate: Expansion,
    position: int,
    updates: Mapping[str, Mapping[str, Any]],
    told: Sequence[Record],
) -> Step:
    """What the documents up to `position` declare, updates applied, with the records told by then.

    An edge of a record to one that is not told yet waits for it.
    """
    items = {ref: item.to_observed() for ref, item in estate.items.items() if item.document <= position}
    for ref, changed in updates.items():
        if ref not in items:
            raise BadRequest(f"demo data, step of {step['at']}: no item {ref!r} to update; mend the name")
        items[ref]["attributes"].update(changed)
    items.update((record.ref, record.to_observed()) for record in told)
    edges = [edge.facts for edge in estate.edges if edge.document <= position]
    for record in told:
        edges.extend(
            {"type": edge_type, "from": record.ref, "to": target}
            for edge_type, target in record.edges
            if target in items
        )
    return Step(
        at=step["at"],
        message=step["message"],
        items=items,
        edges={(e["type"], e["from"], e["to"], e.get("group", "")): e for e in edges},
    )


def _observation(
    step: Step, items: Iterable[Mapping[str, Any]], edges: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "source": _data("estate")["source"],
        "run": f"demo {step.at:%Y-%m-%d}: {step.message}",
        "scope": "demo estate",
        "complete": False,
        "seen_at": instant(step.at),
        "items": [{**item, "attributes": dict(item["attributes"])} for item in items],
        "edges": [dict(edge) for edge in edges],
    }


def _data(name: str) -> Yaml:
    file = resources.files("cmdb.demo") / "data" / f"{name}.yaml"
    return yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - both are safe loaders
