from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.cut_sets import services
from impact import effects, path_sets, small_cut_sets
from impact.closure import Closure
from impact.reduction import Reduction
from impact.redundancy import (
    Margin,
    cut_sets_by_order,
    cut_sets_of_diagrams,
    minimal_cut_sets,
    redundancy_margin,
)
from tests.closures import Drawn, Truth, bundle, closure_from, entangled, named, residues


def minimal(truth: Truth, size: int) -> list[tuple[int, ...]]:
    """The minimal cut sets of that many nodes without the service, by trying all."""
    found: set[frozenset[int]] = set()
    for members in range(2, size + 1):
        found |= {
            frozenset(nodes)
            for nodes in itertools.combinations(range(1, len(truth.names)), members)
            if not any(smaller <= frozenset(nodes) for smaller in found) and truth.falls(frozenset(nodes))
        }
    return sorted(tuple(sorted(cut)) for cut in found if len(cut) == size)


@settings(deadline=None, max_examples=200)
@given(st.one_of(entangled(), residues()), st.sampled_from([1, 3, 50_000]))
def test_the_search_finds_every_minimal_cut_set_once(drawn: Drawn, at_once: int) -> None:
    residue, truth, _ = drawn
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_TRIED_AT_ONCE", "_FOURS_AT_ONCE", "_SORTED_AT_ONCE"):
            patch.setattr(small_cut_sets, name, at_once)
        found = list(small_cut_sets.small_cut_sets(residue))
    assert [[tuple(row) for row in rows.tolist()] for rows in found] == [
        minimal(truth, size) for size in (2, 3, 4)
    ]


@settings(deadline=None)
@given(entangled())
def test_any_will_do_ends_with_the_first_order_that_has_some(drawn: Drawn) -> None:
    residue, truth, _ = drawn
    *without, last = small_cut_sets.small_cut_sets(residue, any_will_do=True)
    assert not any(map(len, without))
    known = {tuple(row) for row in last.tolist()}
    expected = minimal(truth, 2 + len(without))
    assert known <= set(expected)
    assert bool(known) == bool(expected)


NEEDS_FOUR = {
    "two pairs": [bundle("s", "ab"), bundle("a", "cd"), bundle("b", "ef")],
    "four of one gate": [bundle("s", "cdef")],
    "a triple and one": [bundle("s", "az"), bundle("a", "cde")],
    "a triple and a pair with one in common": [bundle("s", "ab"), bundle("a", "cde"), bundle("b", "cf")],
    "two triples with two in common": [bundle("s", "ab"), bundle("a", "cde"), bundle("b", "cdf")],
    "two singles and a pair": [bundle("s", "ayz"), bundle("a", "cd")],
    "two pairs through a third gate": [
        bundle("s", "ac"),
        bundle("a", "bd"),
        bundle("b", "ef"),
        bundle("d", "gh"),
    ],
    "two pairs, one through a ring": [
        bundle("s", "ab"),
        bundle("a", "cd"),
        bundle("b", "ef"),
        bundle("c", "ag", 2),
    ],
}


@pytest.mark.parametrize("edges", NEEDS_FOUR.values(), ids=NEEDS_FOUR)
def test_each_way_that_takes_four_is_found(edges: list) -> None:  # type: ignore[type-arg]
    names = {name for some in edges for edge in some for name in edge.source + edge.target}
    closure, truth = named("s" + "".join(sorted(names - {"s"})), *edges)
    found = minimal_cut_sets(closure, np.full(closure.size, 0.5), order=4)
    assert found.complete_order == 4
    fours = {cut.nodes for cut in found.sets if len(cut.nodes) == 4}
    assert fours == set(minimal(truth, 4)) != set()


def test_services_of_hundreds_of_items_have_the_cut_sets_of_the_diagram() -> None:
    """Another method altogether; here it takes many times as long, and is not finished for every order 3."""
    finished = 0
    for reduction in services(1_000):
        searched = list(cut_sets_by_order(reduction, 3))
        drawn = list(cut_sets_of_diagrams(reduction, [2, 3]))
        assert len(searched) == 2
        for one, other in zip(searched, drawn, strict=False):
            assert one.count == other.count > 0
            assert one.rows.tolist() == sorted(sorted(row) for row in other.rows.tolist())
        finished += len(drawn)
    assert finished >= 3


def test_what_would_be_too_many_ends_the_search_at_the_order_below(monkeypatch: pytest.MonkeyPatch) -> None:
    closure, _ = named("sabcdef", bundle("s", "abcdef", 3))
    q = np.full(closure.size, 0.1)
    monkeypatch.setattr(path_sets, "MOST_WORK", 0)
    assert minimal_cut_sets(closure, q, order=4).counts == (1, 0, 0, 15)
    monkeypatch.setattr(small_cut_sets, "_SORTED_AT_ONCE", 0)
    for name, most, order in (("MOST_TRIED", 20, 2), ("_MOST_COMBINATIONS", 19, 2), ("MOST_FOUND", 14, 3)):
        with monkeypatch.context() as patch:
            patch.setattr(small_cut_sets, name, most)
            assert minimal_cut_sets(closure, q, order=4, node_limit=3).complete_order == order
            one_will_do = name == "MOST_FOUND"
            assert redundancy_margin(closure, node_limit=3) == Margin(order, at_least=not one_will_do)


def test_patience_that_ends_ends_the_search() -> None:
    class Enough(Exception):
        pass

    def patience() -> None:
        raise Enough

    closure, _ = named("sabcdef", bundle("s", "abcdef", 3))
    search = small_cut_sets.small_cut_sets(closure, patience=patience)
    assert len(next(search)) == 0
    with pytest.raises(Enough):
        next(search)


def hosts_behind_two_tiers(hosts: int) -> Closure:
    """A service on one of two members, each on one of two parts, each of which needs that many hosts; a second member
    pair uses the hosts too, so that none is a part of its user. Sets of four: one host of each part."""
    members, parts, others = [1, 2], [3, 4, 5, 6], [7, 8]
    of_part = {part: range(9 + hosts * at, 9 + hosts * (at + 1)) for at, part in enumerate(parts)}
    nodes: list[list[tuple[list[int], int]]] = [[(members, 1), (others, 1)]]
    nodes += [[(parts[:2], 1)], [(parts[2:], 1)]]
    nodes += [[([host], 1) for host in of_part[part]] for part in parts]
    pairs = list(zip(*(of_part[part] for part in parts), strict=True))
    nodes += [[(list(some), 1) for some in pairs], [(list(some), 1) for some in pairs]]
    nodes += [[] for _ in range(4 * hosts)]
    return closure_from(nodes)


@pytest.mark.parametrize("at_once", [10, 1_000_000])
def test_one_gate_with_very_many_pairs_is_gone_through_some_at_a_time(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_cut_sets, "_FOURS_AT_ONCE", at_once)
    monkeypatch.setattr(small_cut_sets, "_SORTED_AT_ONCE", 1_000)
    closure = hosts_behind_two_tiers(6)
    looks: list[int] = []
    *_, fours = small_cut_sets.small_cut_sets(closure, patience=lambda: looks.append(1))
    behind = fours[(fours >= 9).all(axis=1)]
    one_of_each = behind[(np.diff((behind - 9) // 6, axis=1) == 1).all(axis=1)]
    assert len(one_of_each) == 6**4
    assert (len(looks) > 40) == (at_once == 10)
    monkeypatch.setattr(small_cut_sets, "MOST_FOUND", 500)
    assert len(list(small_cut_sets.small_cut_sets(closure))) == 2
    monkeypatch.setattr(small_cut_sets, "_MOST_PAIRS_OF_PAIRS", 10)
    looks.clear()
    assert len(list(small_cut_sets.small_cut_sets(closure, patience=lambda: looks.append(1)))) == 2
    assert len(looks) < 5


def test_the_time_begins_when_it_is_asked_for_and_not_when_the_first_order_is() -> None:
    closure, _ = named("sabcdef", bundle("s", "abcdef", 3))
    search = small_cut_sets.small_cut_sets(closure, seconds=0.05)
    time.sleep(0.1)
    assert len(list(search)) == 1


def test_a_small_diagram_counts_what_would_be_too_many_to_list(monkeypatch: pytest.MonkeyPatch) -> None:
    reduction = Reduction.of(hosts_behind_two_tiers(6))
    by_search = [sets.count for sets in cut_sets_by_order(reduction, 4, node_limit=3)]
    monkeypatch.setattr(small_cut_sets, "MOST_FOUND", 0)
    assert [sets.count for sets in cut_sets_by_order(reduction, 4)] == by_search
    assert by_search[2] >= 6**4


def test_effects_that_are_too_many_leave_it_to_the_diagram(monkeypatch: pytest.MonkeyPatch) -> None:
    closure, _ = named("sabcd", bundle("s", "abcd", 2))
    expected = [sets.count for sets in cut_sets_by_order(Reduction.of(closure), 4)]
    monkeypatch.setattr(effects, "MOST_EFFECTS", 1)
    monkeypatch.setattr(path_sets, "MOST_EFFECTS", 1)
    assert not list(small_cut_sets.small_cut_sets(Reduction.of(closure).residue))
    assert [sets.count for sets in cut_sets_by_order(Reduction.of(closure), 4)] == expected
    assert redundancy_margin(closure) == Margin(2, at_least=False)
