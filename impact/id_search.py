"""The numbers of ids, by a compiled search: a small answer would else take less time than finding who it is about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmdb.model.columns import Bytes, Int32s
from cmdb.model.packed_topology import PackedTopology
from impact.kernel import kernel

UNKNOWN = -1


def numbers_of(topology: PackedTopology, ids: Sequence[str]) -> tuple[Int32s, list[str]]:
    """int32 per id: what `topology.number_of` says of it, `UNKNOWN` where that is None; and the ids of those."""
    column, new, changed = topology.columns.ids, topology.new_numbers, topology.changed
    width = column.keys.dtype.itemsize
    keys = [column.key_of(item_id) for item_id in ids]
    sought = b"".join([(key or b"").ljust(width, b"\0") for key in keys])
    numbers = np.empty(len(ids), np.int32)
    missing = find(column.keys.view(np.uint8), column.order, np.frombuffer(sought, np.uint8), numbers)
    if not missing and not changed and None not in keys:
        return numbers, []
    unknown = []
    for place, number in enumerate(numbers.tolist()):
        if number == UNKNOWN or keys[place] is None:  # the base does not, or cannot, have this id
            number = new.get(ids[place], UNKNOWN)
        if number == UNKNOWN or changed.get(number, ...) is None:
            number = UNKNOWN
            unknown.append(ids[place])
        numbers[place] = number
    return numbers, unknown


@kernel
def find(keys: Bytes, order: Int32s, sought: Bytes, numbers: Int32s) -> int:
    """The number of each key of `sought`, `UNKNOWN` if it has none; returns how many have none.

    `keys`: those of all, `sought`: as many as there are `numbers`, one after the other, all of one width; `order`: the
    numbers in ascending order of their keys.
    """
    width, missing = len(keys) // max(1, len(order)), 0
    for place in range(len(numbers)):
        low, high, number = 0, len(order), UNKNOWN
        while low < high and number == UNKNOWN:
            middle = (low + high) >> 1
            candidate = order[middle]
            at = 0
            while at < width and keys[candidate * width + at] == sought[place * width + at]:
                at += 1
            if at == width:
                number = candidate
            elif keys[candidate * width + at] < sought[place * width + at]:
                low = middle + 1
            else:
                high = middle
        numbers[place] = number
        missing += int(number == UNKNOWN)
    return missing
