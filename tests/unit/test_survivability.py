"""What link failures lose, against a search for every failure: small random networks and SNDlib."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import BadRequest
from impact import survivability as module
from impact.rows import rows_of
from impact.survivability import Demands, LinkFailure, lost_demands, survivability
from tests.networks import Sample, labels, samples, sndlib, with_sndlib

RING = rows_of(4, [(0, 1), (1, 2), (2, 3), (3, 0)])
FOURS = Demands.of([(0, 1, 5.0), (0, 2, 3.0), (2, 2, 100.0)])


def losses(
    sample: Sample, demands: Demands, failures: Iterable[tuple[int, ...]]
) -> dict[tuple[int, ...], tuple[int, float]]:
    """Number and amount of the demands that each failure loses, by a search of networkx for each."""
    graph = sample.graph
    whole = labels(graph, sample.nodes)
    carried = whole[demands.sources] == whole[demands.targets]
    found = {}
    for failure in failures:
        sample.cut(graph, failure)
        label = labels(graph, sample.nodes)
        sample.mend(graph, failure)
        lost = carried & (label[demands.sources] != label[demands.targets])
        found[failure] = (int(lost.sum()), float(demands.amounts[lost].sum()))
    return found


def test_a_ring_survives_each_link_and_the_pair_that_leaves_a_node_alone_from_which_nothing_is_asked() -> (
    None
):
    found = survivability(RING, FOURS)
    single, double = found.single(), found.double(2)
    assert (found.offered, found.carried.tolist()) == (108.0, [0, 1, 2])
    assert (single.failures, single.harmless, single.mean_share, single.worst) == (4, 4, 1.0, ())
    assert (double.failures, double.harmless) == (6, 1)
    assert double.worst == (LinkFailure((0, 2), 8.0, 2), LinkFailure((0, 3), 8.0, 2))
    assert double.worst_share == pytest.approx(1 - 8 / 108)


def test_a_demand_without_a_way_beforehand_is_in_no_figure() -> None:
    found = survivability(rows_of(3, [(0, 1)]), Demands.of([(0, 1, 1.0), (0, 2, 9.0)]))
    assert (found.offered, found.carried.tolist()) == (1.0, [0])
    assert found.single().worst_share == 0.0


def test_what_a_given_set_of_links_loses_is_named() -> None:
    assert lost_demands(RING, FOURS, [0]).tolist() == []
    assert lost_demands(RING, FOURS, [0, 2]).tolist() == [0, 1]
    assert lost_demands(RING, FOURS, [0, 1, 2, 3]).tolist() == [0, 1]


def test_nothing_asked_is_nothing_lost() -> None:
    nothing = survivability(RING, Demands.of([]))
    assert (nothing.offered, nothing.single().mean_share, nothing.double().worst_share) == (0.0, 1.0, 1.0)
    no_links = survivability(rows_of(2, []), Demands.of([(0, 0, 1.0)]))
    assert (no_links.single().failures, no_links.single().mean_share, no_links.double().worst) == (0, 1.0, ())


@pytest.mark.parametrize(
    ("demand", "says"),
    [
        ((0, 4, 1.0), "demands end at 4 to 4"),
        ((0, 1, -1.0), "not negative"),
        ((0, 1, float("nan")), "finite"),
    ],
)
def test_senseless_demands_are_refused(demand: tuple[int, int, float], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        survivability(RING, Demands.of([demand]))


def test_pairs_have_to_be_asked_for_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINKS_IN_PAIRS", 3)
    with pytest.raises(BadRequest, match="4 links; pairs are looked at for 3 at most"):
        survivability(RING, FOURS)
    with pytest.raises(BadRequest, match="ask `survivability` with pairs=True"):
        survivability(RING, FOURS, pairs=False).double()


@settings(max_examples=150, deadline=None)
@given(samples(nodes=8, links=12), st.data())
def test_every_single_and_double_failure_loses_what_a_search_says(
    sample: Sample, data: st.DataObject
) -> None:
    node = st.integers(0, sample.nodes - 1)
    amount = st.integers(0, 9).map(float)
    demands = Demands.of(data.draw(st.lists(st.tuples(node, node, amount), max_size=10)))
    found = survivability(sample.rows, demands)
    assert found.pair_amount is not None
    assert found.pair_demands is not None
    links = range(len(sample.links))
    for (link,), lost in losses(sample, demands, combinations(links, 1)).items():
        assert (found.single_demands[link], found.single_amount[link]) == lost
        assert (found.pair_demands[link, link], found.pair_amount[link, link]) == lost
    for pair, lost in losses(sample, demands, combinations(links, 2)).items():
        assert (found.pair_demands[pair], found.pair_amount[pair]) == lost
        assert (found.pair_demands[pair[::-1]], found.pair_amount[pair[::-1]]) == lost


@settings(max_examples=60, deadline=None)
@given(samples(nodes=8, links=12), st.data())
def test_the_demands_that_any_set_of_links_loses_are_those_without_a_way(
    sample: Sample, data: st.DataObject
) -> None:
    node = st.integers(0, sample.nodes - 1)
    pairs = data.draw(st.lists(st.tuples(node, node), max_size=10))
    demands = Demands.of((one, other, 1.0) for one, other in pairs)
    failed = data.draw(st.sets(st.integers(0, len(sample.links) - 1))) if sample.links else set()
    graph = sample.graph
    sample.cut(graph, failed)
    label = labels(graph, sample.nodes)
    expected = [index for index, (one, other) in enumerate(pairs) if label[one] != label[other]]
    assert lost_demands(sample.rows, demands, failed).tolist() == expected


SMALL = (
    *("abilene", "dfn-bwin", "di-yuan", "geant", "giul39", "janos-us-ca"),
    *("newyork", "nobel-germany", "norway", "sun", "ta2"),
)


@with_sndlib
@pytest.mark.parametrize("name", [*SMALL, "brain"])
def test_every_single_failure_of_an_sndlib_network_loses_what_a_search_says(name: str) -> None:
    sample, demands = sndlib()[name]
    found = survivability(sample.rows, demands, pairs=False)
    expected = losses(sample, demands, combinations(range(len(sample.links)), 1))
    assert found.single_demands.tolist() == [count for count, _ in expected.values()]
    np.testing.assert_allclose(found.single_amount, [amount for _, amount in expected.values()])


@with_sndlib
@pytest.mark.parametrize("name", SMALL)
def test_every_double_failure_of_an_sndlib_network_loses_what_a_search_says(name: str) -> None:
    sample, demands = sndlib()[name]
    found = survivability(sample.rows, demands)
    assert found.pair_amount is not None
    assert found.pair_demands is not None
    expected = losses(sample, demands, combinations(range(len(sample.links)), 2))
    upper = np.triu_indices(len(sample.links), 1)
    assert found.pair_demands[upper].tolist() == [count for count, _ in expected.values()]
    np.testing.assert_allclose(found.pair_amount[upper], [amount for _, amount in expected.values()])


@with_sndlib
def test_the_double_failures_of_the_largest_sndlib_network_lose_what_a_search_says() -> None:
    """All 54,946 of them, which takes half a minute."""
    sample, demands = sndlib()["brain"]
    found = survivability(sample.rows, demands)
    assert found.pair_amount is not None
    assert found.pair_demands is not None
    assert found.double().failures == 54_946
    for pair, (count, amount) in losses(sample, demands, combinations(range(len(sample.links)), 2)).items():
        assert found.pair_demands[pair] == count
        assert found.pair_amount[pair] == pytest.approx(amount)


@with_sndlib
def test_the_two_directions_of_a_cable_taken_as_one_link_lose_more() -> None:
    """`brain` writes each of its 166 cables in both directions."""
    sample, demands = sndlib()["brain"]
    cables = Sample("brain", sample.nodes, sorted({(min(ends), max(ends)) for ends in sample.links}))
    found = survivability(cables.rows, demands)
    expected = losses(cables, demands, combinations(range(166), 1))
    assert found.single_demands.tolist() == [count for count, _ in expected.values()]
    assert found.single().harmless < 166
