from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from impact.closure import Closure
from impact.single_points import find_single_points, single_points
from tests.closures import Truth, bundle, closures, named

compiled_on_first_use = settings(deadline=None)


@compiled_on_first_use
@given(closures())
def test_single_points_are_what_takes_the_service_down_alone(drawn: tuple[Closure, Truth]) -> None:
    closure, truth = drawn
    assert single_points(closure).nodes.tolist() == truth.single_points()
    assert find_single_points(closure).nonzero()[0].tolist() == truth.single_points()


@compiled_on_first_use
@given(closures())
def test_with_its_dominating_ci_held_up_a_single_point_does_no_harm(drawn: tuple[Closure, Truth]) -> None:
    closure, truth = drawn
    found = single_points(closure)
    for node, dominating in zip(found.nodes.tolist(), found.dominating.tolist(), strict=True):
        assert dominating in truth.single_points()
        assert not truth.falls(frozenset([node]) - {0}, held=dominating)


@compiled_on_first_use
@given(closures())
def test_dominating_cis_form_a_tree_under_the_service(drawn: tuple[Closure, Truth]) -> None:
    found = single_points(drawn[0])
    above = dict(zip(found.nodes.tolist(), found.dominating.tolist(), strict=True))
    for node in above:
        steps = 0
        while node != 0:
            node, steps = above[node], steps + 1
            assert steps <= len(above)


@compiled_on_first_use
@given(closures())
def test_the_dominating_ci_is_the_nearest_of_those_through_which_a_single_point_acts(
    drawn: tuple[Closure, Truth],
) -> None:
    closure, truth = drawn
    found = single_points(closure)
    above = dict(zip(found.nodes.tolist(), found.dominating.tolist(), strict=True))

    def acts_through(node: int, other: int) -> bool:
        return node != other and not truth.falls(frozenset([node]), held=other)

    for node in found.nodes.tolist()[1:]:
        for other in found.nodes.tolist():
            if acts_through(node, other) and not acts_through(other, node):
                assert other == above[node] or acts_through(above[node], other)


@compiled_on_first_use
@given(closures())
def test_a_gate_is_given_where_no_other_single_point_needs_it_directly(drawn: tuple[Closure, Truth]) -> None:
    closure, truth = drawn
    found = single_points(closure)
    owners, names = closure.owners(), set(found.nodes.tolist())
    for node, gate in zip(found.nodes.tolist(), found.defeated_gate.tolist(), strict=True):
        needed = any(
            owners[g] in names - {node}
            and node in closure.gate_members(g)
            and len(closure.gate_members(g)) == closure.required[g]
            for g in range(len(closure.required))
        )
        assert (gate < 0) == (needed or node == 0)
        if gate >= 0:
            assert owners[gate] in names
            members = closure.gate_members(gate)
            lost = [m for m in members if takes_down(truth, node, int(m))]
            assert len(members) > closure.required[gate] > len(members) - len(lost)


def takes_down(truth: Truth, node: int, other: int) -> bool:
    """Whether the failure of one node takes another one down."""
    order = sorted(truth.names, key=lambda name: name != truth.names[other])
    return Truth(order, truth.gates).falls(frozenset([order.index(truth.names[node])]))


def test_a_host_under_both_members_of_a_pair_defeats_it() -> None:
    closure, truth = named("swvh", bundle("s", "wv"), bundle("w", "h", None), bundle("v", "h", None))
    found = single_points(closure)
    assert [truth.names[node] for node in found.nodes] == ["s", "h"]
    assert found.dominating.tolist() == [0, 0]
    assert found.defeated_gate.tolist() == [-1, 0]


def test_a_chain_acts_link_by_link() -> None:
    closure, truth = named("sabc", bundle("s", "a", None), bundle("a", "b", None), bundle("b", "c", None))
    found = single_points(closure)
    assert [truth.names[node] for node in found.dominating] == ["s", "s", "a", "b"]
    assert found.defeated_gate.tolist() == [-1] * 4


def test_a_long_chain_is_no_matter_of_recursion() -> None:
    size = 30_000
    chain = np.arange(size, dtype=np.int32)
    closure = Closure(
        np.append(chain, np.int32(size - 1)),
        np.ones(size - 1, np.int32),
        chain,
        chain[1:],
    )
    found = single_points(closure)
    assert len(found.nodes) == size
    assert found.dominating[-1] == size - 2
