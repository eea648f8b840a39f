"""The compiled loops of the ranking: what each item's failure alone takes down.

Mostly that is one walk (`fall`) for each. Two kinds of items need none:

* nothing needs it without redundancy: it takes down itself only, since every gate has a member to lose;
* one item needs it, and no gate has it: it takes down itself and what that one takes down. It *hangs* on that one, and
  through others like it on a *root* that is walked. If the root takes it down too, as in a cycle, it takes down
  exactly what the root does: the walk of the root notes who of those that hang on it is `inside`.

So what hangs in chains and trees, where walks would be long, costs nothing.
"""

from __future__ import annotations

import numpy as np

from cmdb.model.columns import Int32s
from impact.failure_kernels import (
    DOWN,
    GATE,
    REWRITTEN,
    SINGLE,
    Arrays,
    Marks,
    Scratch,
    extra_owner,
    fall,
    take_back,
)
from impact.kernel import kernel

ITSELF, HANGING, WALKED = 0, 1, 2
"""How it is found what an item takes down."""


@kernel
def ways(arrays: Arrays, marks: Marks, owners: Int32s) -> tuple[Marks, Int32s, Int32s, Int32s]:
    """How each item is counted: `way`, `upon`, `root`, `order`.

    `marks`: those of the overlay, per item; `owners`: int32 per gate of the overlay. `way`: uint8 per item, see
    `ITSELF`; `upon`: whom it hangs on; `root`: what is walked for it, -1 for what does not hang; `order`: those that
    hang, each after whom it hangs on.
    """
    span, n, size = arrays.span, len(arrays.span), len(marks)
    upon = np.full(size, -1, np.int32)
    singles, gates = np.zeros(size, np.int32), np.zeros(size, np.int32)
    for node in range(n):
        for at in range(span[node, 0], span[node, 2]):
            other = arrays.dependent[at]
            if marks[other] & REWRITTEN:
                continue
            if at < span[node, 1]:
                singles[node] += 1
                upon[node] = other
            else:
                gates[node] += 1
    for slot in range(len(arrays.x_key)):
        node = arrays.x_key[slot]
        at = arrays.x_head[slot] if node >= 0 else -1
        while at >= 0:
            if arrays.x_kind[at] == SINGLE:
                singles[node] += 1
                upon[node] = extra_owner(arrays, owners, at)
            elif arrays.x_kind[at] == GATE:
                gates[node] += 1
            at = arrays.x_next[at]
    way = np.zeros(size, np.uint8)
    hanging = 0
    for node in range(size):
        if singles[node]:
            alone = singles[node] == 1 and gates[node] == 0
            way[node] = HANGING if alone else WALKED
            hanging += alone
    root = np.full(size, -1, np.int32)
    order = np.empty(hanging, np.int32)
    hung = 0
    path = np.empty(hanging, np.int32)
    on_path = -2
    for node in range(size):
        at, length = node, 0
        while way[at] == HANGING and root[at] == -1:
            root[at] = on_path
            path[length] = at
            length += 1
            at = upon[at]
        if way[at] == HANGING and root[at] == on_path:
            way[at] = WALKED  # a circle of items each of which hangs on the next: one of them is walked
        top = root[at] if way[at] == HANGING else at
        for place in range(length - 1, -1, -1):
            if way[path[place]] == HANGING:
                root[path[place]] = top
                order[hung] = path[place]
                hung += 1
            else:
                root[path[place]] = -1
    return way, upon, root, order[:hung]


@kernel
def count_each(
    arrays: Arrays,
    scratch: Scratch,
    nodes: Int32s,
    service: Marks,
    root: Int32s,
    inside: Marks,
    items: Int32s,
    services: Int32s,
) -> None:
    """How many items, and how many of `service`, each of `nodes` takes down: into `items`, `services` at its number."""
    for place in range(len(nodes)):
        node = nodes[place]
        scratch.marks[node] |= DOWN
        scratch.down[0] = node
        down, noted, _ = fall(
            arrays, scratch.marks, scratch.gates, scratch.down, scratch.touched, 1, 0, scratch.levels[1], DOWN
        )
        lost = 0
        for at in range(down):
            fallen = scratch.down[at]
            lost += service[fallen]
            if root[fallen] == node:
                inside[fallen] = 1
        take_back(arrays, scratch.marks, scratch.gates, scratch.down, down, scratch.touched, noted)
        items[node], services[node] = down, lost


@kernel
def count_hanging(
    order: Int32s, upon: Int32s, inside: Marks, service: Marks, items: Int32s, services: Int32s
) -> None:
    """The same for those that hang on others, once all that is walked is counted."""
    for place in range(len(order)):
        node = order[place]
        above = upon[node]
        items[node], services[node] = items[above], services[above]
        if not inside[node]:
            items[node] += 1
            services[node] += service[node]
