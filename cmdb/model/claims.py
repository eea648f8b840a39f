"""Which identity keys a ChangeSet's items take up and give back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cmdb.errors import IdentityTaken, InvalidValue
from cmdb.model.catalogue import Catalogue
from cmdb.model.draft import Draft
from cmdb.model.identity import contradicts, rule_keys
from cmdb.model.items import Edge, EdgeKey, Item

Claims = dict[str, str]
"""Identity key to the item that takes it up, or gives it back."""


def claim_keys(
    draft: Draft, touched: Iterable[str], native: Mapping[str, tuple[str, ...]]
) -> tuple[Claims, Claims]:
    """The keys that items take up and give back; `native` are keys that a source claims, per item.

    A key in use by somebody else is an error, unless a stronger rule tells the two apart; then they are namesakes, and
    the claimant goes without that key.

    Raises:
        IdentityTaken: a key belongs to another item.
        InvalidValue: the values of a rule are too long.
    """
    state = draft.state
    wanted: dict[str, tuple[str, ...]] = {}
    fresh: dict[str, tuple[str, ...]] = {}
    releases: Claims = {}
    for item_id in {*touched, *native, *(state.items if draft.catalogue_changed else ())}:
        old, new = state.items.get(item_id), draft.item(item_id)
        after = _keys(draft.catalogue, new, draft.outgoing(item_id)) if new else ()
        before = _stored_keys(state.catalogue, old, state.edges.get(item_id, {})) if old else ()
        if new:
            wanted[item_id] = after
            fresh[item_id] = (*native.get(item_id, ()), *(key for key in after if key not in before))
        given_up = set(before) - set(after) if new else {*before, *state.held.get(item_id, ())}
        releases.update((key, item_id) for key in given_up if state.holders.get(key, item_id) == item_id)
    claims: Claims = {}
    claimed: dict[str, set[str]] = {}
    for item_id in sorted(fresh):
        for key in fresh[item_id]:
            holder = claims.get(key) or (None if key in releases else state.holders.get(key))
            if holder is None:
                claims[key] = item_id
                claimed.setdefault(item_id, set()).add(key)
            elif holder != item_id:
                held = (state.held.get(holder, set()) - releases.keys()) | claimed.get(holder, set())
                if not contradicts((key,), wanted[item_id], held):
                    raise IdentityTaken(key, holder, item_id)
    return claims, {key: item for key, item in releases.items() if key not in claims}


def _keys(catalogue: Catalogue, item: Item, edges: Mapping[EdgeKey, Edge]) -> tuple[str, ...]:
    try:
        return rule_keys(catalogue, item.class_name, item.fields, edges)
    except InvalidValue as error:
        raise InvalidValue(f"item {item.id}: {error}") from None


def _stored_keys(catalogue: Catalogue, item: Item, edges: Mapping[EdgeKey, Edge]) -> tuple[str, ...]:
    try:
        return _keys(catalogue, item, edges)
    except InvalidValue:
        return ()
