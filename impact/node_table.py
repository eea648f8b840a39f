"""The nodes of decision diagrams in arrays: each kept once, found again in constant time, room made when there is none.

A node is a row (variable, low, high) whose number is larger than those of its children. Kernels get the arrays,
and cannot make room: one that finds none saves where it was in `state`, says `FULL`, and is called again after `grow`.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from impact.errors import TooManyNodes
from impact.kernel import kernel

Ints: TypeAlias = npt.NDArray[np.int32]
Longs: TypeAlias = npt.NDArray[np.int64]

NO_VARIABLE = 2**31 - 1
"""The variable of a terminal: after all others."""

MADE, TOP, RESULT, PLACE = 0, 1, 2, 3
"""Places of `state`: the number of nodes, and three for a kernel that was stopped for want of room."""

FULL = -1
RESUME = -1

_FIRST_CAPACITY = 128
_QUICK_GROWTH = 2**20
_GROWN_MEMORY = 2**20
_LARGEST_MEMORY = 2**22
"""Answers of 16 bytes. Growing past 16 MB costs more than it saves (das9701: 7.3 s, and 9.3 s with 256 MB)."""


class NodeTable:
    """`terminals` nodes without variable, then the others in the order in which they were made; at most `limit`.

    `questions`: how many answers are worth remembering from the start; otherwise the memory grows with the nodes.

    `arrays`: the nodes (rows of three); their numbers by hash (0: free), at most half full; a lossy memory
    of answers (rows of three arguments, the first not 0, and the answer); the state.
    """

    __slots__ = ("_terminals", "arrays", "limit")

    def __init__(self, terminals: int, limit: int, *, questions: int = _FIRST_CAPACITY) -> None:
        nodes = np.zeros((min(_FIRST_CAPACITY, limit), 3), np.int32)
        nodes[:terminals, 0] = NO_VARIABLE
        self._terminals = terminals
        self.limit = limit
        self.arrays: tuple[Ints, Ints, Ints, Longs] = (
            nodes,
            np.zeros(2 * _FIRST_CAPACITY, np.int32),
            np.zeros((min(1 << max(questions - 1, 127).bit_length(), _LARGEST_MEMORY), 4), np.int32),
            np.array([terminals, 0, 0, 0], np.int64),
        )

    def __len__(self) -> int:
        return int(self.arrays[3][MADE])

    def grow(self) -> None:
        """Make room for more nodes. Raises `TooManyNodes` at the limit."""
        nodes, _, memory, state = self.arrays
        made = len(self)
        if made >= self.limit:
            raise TooManyNodes(self.limit)
        capacity = min((4 if made < _QUICK_GROWTH else 2) * made, self.limit)
        more = np.zeros((capacity, 3), np.int32)
        more[:made] = nodes[:made]
        slots = 1 << (2 * capacity - 1).bit_length()
        unique = _unique(more, self._terminals, made, np.zeros(slots, np.int32))
        entries = min(slots // 2, _GROWN_MEMORY)
        if len(memory) < entries:
            memory = _moved(memory, np.zeros((entries, 4), np.int32))
        self.arrays = more, unique, memory, state


@kernel
def scatter(a: int, b: int, c: int) -> int:
    """A number of 63 bits that spreads three numbers; its low bits choose a slot."""
    x = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ np.uint64(b)) * np.uint64(0xC2B2AE3D27D4EB4F)
    x = (x ^ np.uint64(c)) * np.uint64(0x165667B19E3779F9)
    return int((x ^ (x >> np.uint64(29))) >> np.uint64(1))


@kernel
def number_of(nodes: Ints, unique: Ints, state: Ints | Longs, variable: int, low: int, high: int) -> int:
    """The number of a node, which is made if there is none yet; `FULL` if there is no room for it."""
    last = len(unique) - 1
    slot = scatter(variable, low, high) & last
    while unique[slot] != 0:
        found = unique[slot]
        if nodes[found, 0] == variable and nodes[found, 1] == low and nodes[found, 2] == high:
            return int(found)
        slot = (slot + 1) & last
    made = state[MADE]
    if made == len(nodes):
        return FULL
    nodes[made, 0] = variable
    nodes[made, 1] = low
    nodes[made, 2] = high
    unique[slot] = made
    state[MADE] = made + 1
    return int(made)


@kernel
def _unique(nodes: Ints, first: int, made: int, unique: Ints) -> Ints:
    """Fill an empty table with the numbers of the nodes."""
    last = len(unique) - 1
    for node in range(first, made):
        slot = scatter(nodes[node, 0], nodes[node, 1], nodes[node, 2]) & last
        while unique[slot] != 0:
            slot = (slot + 1) & last
        unique[slot] = node
    return unique


@kernel
def _moved(memory: Ints, larger: Ints) -> Ints:
    """What is remembered, in an empty memory."""
    last = len(larger) - 1
    for entry in range(len(memory)):
        if memory[entry, 0] != 0:
            slot = scatter(memory[entry, 0], memory[entry, 1], memory[entry, 2]) & last
            for column in range(4):  # a slice takes seconds to compile
                larger[slot, column] = memory[entry, column]
    return larger
