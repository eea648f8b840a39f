"""Where an undirected network falls apart: articulation points, bridges, and what they hold together.

One depth-first search answers all of it in linear time (Hopcroft and Tarjan, "Algorithm 447: efficient algorithms for
graph manipulation", 1973): `low` of a node is the earliest position that its subtree reaches past the link it was
entered by. Parallel links are told apart by their numbers, so two of them are no bridge; self-loops join nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cmdb.errors import BadRequest
from impact.kernel import kernel
from impact.rows import Int32Array, Rows


@kernel
def search_depth_first(
    starts: Int32Array,
    neighbours: Int32Array,
    links: Int32Array,
    without: int,
    order: Int32Array,
    position: Int32Array,
    parent: Int32Array,
    entered_by: Int32Array,
    low: Int32Array,
    size: Int32Array,
    root: Int32Array,
) -> None:
    """Fill the arrays of `Connectivity` by a search from every node not yet seen; link `without` counts as cut."""
    nodes = len(starts) - 1
    slots = starts[:nodes].copy()
    position[:] = -1
    seen = np.int32(0)
    for first in range(nodes):
        if position[first] >= 0:
            continue
        parent[first] = -1
        entered_by[first] = -1
        root[first] = first
        order[seen] = first
        position[first] = seen
        low[first] = seen
        size[first] = 1
        seen += 1
        node = first
        while node >= 0:
            slot = slots[node]
            if slot < starts[node + 1]:
                slots[node] = slot + 1
                link = links[slot]
                if link == entered_by[node] or link == without:
                    continue
                other = neighbours[slot]
                if position[other] < 0:
                    parent[other] = node
                    entered_by[other] = link
                    root[other] = first
                    order[seen] = other
                    position[other] = seen
                    low[other] = seen
                    size[other] = 1
                    seen += 1
                    node = other
                elif position[other] < low[node]:
                    low[node] = position[other]
            else:
                above = parent[node]
                if above >= 0:
                    size[above] += size[node]
                    if low[node] < low[above]:
                        low[above] = low[node]
                node = above


@kernel
def label_components(
    order: Int32Array,
    position: Int32Array,
    parent: Int32Array,
    low: Int32Array,
    by_links: bool,
    label: Int32Array,
) -> None:
    """Label nodes by their 2-edge-connected component (`by_links`), or by the block of the link each was entered by.

    A component or block begins at a node, whose number is its label, unless it goes on from the node above.
    """
    for node in order:
        above = parent[node]
        if above < 0 or low[node] > position[above] or (not by_links and low[node] >= position[above]):
            label[node] = node
        else:
            label[node] = label[above]


@dataclass(frozen=True, eq=False)
class Connectivity:
    """How a network hangs together: one depth-first search and what follows from it. Arrays are int32[n], per node.

    `order`: the nodes as they were entered; the subtree below a node is contiguous there. `position`: where in it a
    node stands. `parent` and `entered_by`: the node and the link it was entered from, -1 for the first node of a
    component. `low`: the earliest position that its subtree reaches. `size`: nodes of its subtree, itself among them.
    `component`: the first node of its connected component.
    """

    rows: Rows
    order: Int32Array
    position: Int32Array
    parent: Int32Array
    entered_by: Int32Array
    low: Int32Array
    size: Int32Array
    component: Int32Array

    @cached_property
    def _falls_off(self) -> Int32Array:
        """The nodes whose subtrees stay alone when their parent is gone, those of one parent together."""
        entered = np.flatnonzero(self.parent >= 0)
        alone = entered[self.low[entered] >= self.position[self.parent[entered]]].astype(np.int32)
        return alone[np.argsort(self.parent[alone], kind="stable")]

    @cached_property
    def components(self) -> int:
        """How many connected components there are; a node without links is one."""
        return int(np.count_nonzero(self.parent < 0))

    @cached_property
    def articulation_points(self) -> Int32Array:
        """The nodes without which what they join falls apart, ascending."""
        parts = np.bincount(self.parent[self._falls_off], minlength=self.rows.nodes)
        parts += self.parent >= 0
        return np.flatnonzero(parts >= 2).astype(np.int32)

    @cached_property
    def bridges(self) -> Int32Array:
        """The links without which what they join falls apart, ascending."""
        below = self._falls_off
        alone = self.low[below] > self.position[self.parent[below]]
        return np.sort(self.entered_by[below[alone]])

    @cached_property
    def two_edge_components(self) -> Int32Array:
        """Per node, a label shared by the nodes that no single link separates: int32[n]."""
        return self._labels(by_links=True)

    @cached_property
    def blocks(self) -> Int32Array:
        """Per link, a label shared by the links of one biconnected component, -1 for a self-loop: int32[m]."""
        labels = self._labels(by_links=False)
        one, other = self.rows.ends[:, 0], self.rows.ends[:, 1]
        deeper = np.where(self.position[one] > self.position[other], one, other)
        return np.where(one == other, -1, labels[deeper]).astype(np.int32)

    @cached_property
    def cut_off(self) -> Int32Array:
        """Per node, how many others its loss cuts off from the largest part that is left: int32[n]."""
        below = self._falls_off
        above = self.parent[below]
        fallen = np.zeros(self.rows.nodes, np.int32)
        np.add.at(fallen, above, self.size[below])
        others = self.size[self.component] - 1
        largest = others - fallen  # what hangs above it
        np.maximum.at(largest, above, self.size[below])
        return others - largest

    @cached_property
    def cut_off_by_link(self) -> Int32Array:
        """Per link, how many nodes its loss cuts off from the larger part: int32[m], 0 for all but bridges."""
        cut = np.zeros(len(self.rows.ends), np.int32)
        below = self._falls_off
        below = below[self.low[below] > self.position[self.parent[below]]]
        size = self.size[below]
        cut[self.entered_by[below]] = np.minimum(size, self.size[self.component[below]] - size)
        return cut

    def parts(self, node: int) -> list[Int32Array]:
        """The nodes of each part that is left of the node's component when it is gone, largest part first."""
        subtrees = [self._subtree(int(child)) for child in self._fallen_from(node)]
        gone = np.array([node], np.int32)
        return _largest_first([*subtrees, self._others(np.concatenate([gone, *subtrees]), node)])

    def part_sizes(self, node: int) -> list[int]:
        """The sizes of `parts`, largest first, without gathering the nodes."""
        sizes: list[int] = self.size[self._fallen_from(node)].tolist()
        above = int(self.size[self.component[node]]) - 1 - sum(sizes)
        return sorted([*sizes, above] if above else sizes, reverse=True)

    def sides(self, link: int) -> list[Int32Array]:
        """The nodes of both sides of a bridge, the larger first. Raises `BadRequest` if the link is none."""
        one, other = (int(end) for end in self.rows.ends[link])
        below = one if self.entered_by[one] == link else other
        if self.entered_by[below] != link or self.low[below] != self.position[below]:
            raise BadRequest(f"link {link} is no bridge; the bridges are {self.bridges.tolist()}")
        subtree = self._subtree(below)
        return _largest_first([subtree, self._others(subtree, below)])

    def _fallen_from(self, node: int) -> Int32Array:
        """The nodes whose subtrees stay alone when this one is gone."""
        below = self._falls_off
        begin, end = np.searchsorted(self.parent[below], [node, node + 1])
        return below[begin:end]

    def _subtree(self, node: int) -> Int32Array:
        begin = self.position[node]
        return self.order[begin : begin + self.size[node]]

    def _others(self, without: Int32Array, node: int) -> Int32Array:
        """The nodes of a node's component but some."""
        component = self._subtree(int(self.component[node]))
        return component[~np.isin(component, without)]

    def _labels(self, *, by_links: bool) -> Int32Array:
        label = np.empty(self.rows.nodes, np.int32)
        label_components(self.order, self.position, self.parent, self.low, by_links, label)
        return label


def connectivity(rows: Rows) -> Connectivity:
    """Search a network; linear time, 28 bytes a node."""
    arrays = [np.empty(rows.nodes, np.int32) for _ in range(7)]
    search_depth_first(rows.starts, rows.neighbours, rows.links, -1, *arrays)
    return Connectivity(rows, *arrays)


def _largest_first(parts: list[Int32Array]) -> list[Int32Array]:
    return sorted((part for part in parts if len(part)), key=lambda part: (-len(part), int(part.min())))
