"""Changes that follow each other, as one: what a diff, an undo and an as-of read are made of."""

from __future__ import annotations

from collections.abc import Iterable

from cmdb.model.items import EdgeChange, EdgeKey, Fields, ItemChange
from cmdb.model.values import Stored, same_value


def compose(changes: Iterable[ItemChange]) -> dict[str, ItemChange]:
    """The net change per item of a sequence of changes in the order in which they happened.

    What was done and taken back does not show. Time is linear in the number of changes.
    """
    net: dict[str, ItemChange] = {}
    cancelled: set[str] = set()
    for change in changes:
        earlier = net.get(change.item_id)
        net[change.item_id] = _then(earlier, change) if earlier else change
    for item_id, change in net.items():
        if _is_nothing(change):
            cancelled.add(item_id)
    return {item_id: change for item_id, change in net.items() if item_id not in cancelled}


def compose_backwards(changes: Iterable[ItemChange]) -> dict[str, ItemChange]:
    """The net change per item that takes a sequence of changes back; `changes` in the order in which they happened."""
    return {item_id: change.reversed() for item_id, change in compose(changes).items()}


def latest(changes: Iterable[ItemChange]) -> dict[str, ItemChange]:
    """What a sequence of changes left of each item it touched, whatever was there before.

    Unlike `compose` it keeps what was done and taken back, so it may be laid over a state that was read meanwhile.
    """
    left: dict[str, ItemChange] = {}
    for change in changes:
        earlier = left.get(change.item_id)
        after = change.after
        if earlier is not None and earlier.after is not None and after is not None:
            after = {**earlier.after, **after}
        edges = {edge.key: edge for edge in (*(earlier.edges if earlier else ()), *change.edges)}
        left[change.item_id] = ItemChange(
            change.item_id, change.class_name, change.name, {}, after, tuple(edges.values())
        )
    return left


def _then(first: ItemChange, second: ItemChange) -> ItemChange:
    before = _before(first, second)
    after = _after(first, second)
    if before is not None and after is not None:
        before, after = _differing(before, after)
    return ItemChange(second.item_id, second.class_name, second.name, before, after, _edges(first, second))


def _before(first: ItemChange, second: ItemChange) -> Fields | None:
    if first.before is None:
        return None
    touched = {*first.before, *(first.after or ())}
    return {**{k: v for k, v in (second.before or {}).items() if k not in touched}, **first.before}


def _after(first: ItemChange, second: ItemChange) -> Fields | None:
    if second.after is None:
        return None
    touched = {*(second.before or ()), *second.after}
    return {**{k: v for k, v in (first.after or {}).items() if k not in touched}, **second.after}


def _differing(before: Fields, after: Fields) -> tuple[dict[str, Stored], dict[str, Stored]]:
    same = {name for name in before if name in after and same_value(before[name], after[name])}
    return (
        {name: value for name, value in before.items() if name not in same},
        {name: value for name, value in after.items() if name not in same},
    )


def _edges(first: ItemChange, second: ItemChange) -> tuple[EdgeChange, ...]:
    edges: dict[EdgeKey, EdgeChange] = {edge.key: edge for edge in first.edges}
    for edge in second.edges:
        earlier = edges.get(edge.key)
        edges[edge.key] = EdgeChange(edge.key, earlier.before, edge.after) if earlier else edge
    return tuple(edge for _, edge in sorted(edges.items()) if edge.before != edge.after)


def _is_nothing(change: ItemChange) -> bool:
    if change.before is None or change.after is None:
        return change.before is None and change.after is None
    return not change.before and not change.after and not change.edges
