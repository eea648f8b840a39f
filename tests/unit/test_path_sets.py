from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.cut_sets import SITES, services, sites
from impact import path_sets
from impact.path_sets import PathSets, TooManyPathSets
from impact.reduction import Reduction
from impact.redundancy import Margin, redundancy_margin
from tests.closures import Drawn, bundle, entangled, named, pool, residues


@settings(deadline=None, max_examples=200)
@given(entangled() | residues(), st.sampled_from([0, path_sets.MOST_WORK]))
def test_a_cut_is_found_exactly_where_there_is_one(drawn: Drawn, first_work: int) -> None:
    """Without work for the whole every way of breaking is looked at by itself."""
    residue, truth, _ = drawn
    paths = PathSets(residue)
    for failures in range(1, 5):
        sets = itertools.combinations(range(1, residue.size), min(failures, residue.size - 1))
        expected = any(truth.falls(frozenset(nodes)) for nodes in sets)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(path_sets, "_FIRST_WORK", first_work)
            try:
                found = paths.find_cut(failures)
            except TooManyPathSets:
                assert first_work == 0
                assert residue.gate_start[1] == 1
                assert residue.required[0] == 1
                continue
        assert (found is not None) == expected
        if found is not None:
            assert len(found) <= failures
            assert truth.falls(frozenset(found))


def test_a_service_on_several_sites_of_thousands_of_items_survives_all_but_one_of_them() -> None:
    """Each site has single points of failure: its service, for one."""
    alone = [reduction.closure for reduction in services(10_000, 6)]
    for count, required in SITES:
        closure = sites(alone[:count], required)
        assert closure.size > 3_000
        spare = count - required
        assert redundancy_margin(closure) == Margin(min(spare, 4), at_least=spare >= 4), (count, required)


def test_what_would_take_too_long_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    closure, _ = named("sabcdefg", bundle("s", "abcdefg", 4))
    monkeypatch.setattr(path_sets, "MOST_WORK", 20)
    paths = PathSets(Reduction.of(closure).residue)
    with pytest.raises(TooManyPathSets):
        paths.find_cut(3)
    assert redundancy_margin(closure) == Margin(3, at_least=False)
    monkeypatch.undo()
    assert paths.find_cut(3) is None  # nothing of the search that was given up is left
    found = paths.find_cut(4)
    assert found is not None
    assert len(found) == 4


def test_without_time_nothing_is_claimed() -> None:
    closure, _ = named("sabc", bundle("s", "abc"))
    with pytest.raises(TooManyPathSets):
        PathSets(Reduction.of(closure).residue, seconds=0).find_cut(2)


def test_what_nothing_takes_down_has_no_cut() -> None:
    closure, _ = named("sab", bundle("s", "ab", None), bundle("a", "b", None))
    residue = Reduction.of(closure).residue
    assert residue.size == 1  # all else is single points of failure, which are taken to be up
    assert PathSets(residue).find_cut(4) is None


@pytest.mark.parametrize(
    ("members", "required"), [(70, 67), (100, 97), (100, 96), (120, 60), (500, 497), (1_000, 900)]
)
def test_a_pool_of_more_members_than_a_word_has_bits_has_its_margin(members: int, required: int) -> None:
    spare = members - required
    assert redundancy_margin(pool(members, required), seconds=30) == Margin(
        min(spare, 4), at_least=spare >= 4
    )
