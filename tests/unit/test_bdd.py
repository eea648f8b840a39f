"""Decision diagrams against truth tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impact.bdd import Bdd
from impact.cut_sets import minimal_cut_sets
from impact.errors import TooManyNodes

VARIABLES = 5
STATES = list(itertools.product((False, True), repeat=VARIABLES))
Truth: TypeAlias = tuple[bool, ...]
Term: TypeAlias = tuple[str, tuple["Term", ...]]

probabilities = st.lists(st.floats(0, 1), min_size=VARIABLES, max_size=VARIABLES).map(np.array)


def joined(terms: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    return st.one_of(
        st.tuples(st.just("not"), st.tuples(terms)),
        st.tuples(st.sampled_from(["and", "or", "xor"]), st.tuples(terms, terms)),
        st.tuples(st.just("if"), st.tuples(terms, terms, terms)),
        st.tuples(st.sampled_from(["1+", "2+", "3+"]), st.tuples(terms, terms, terms, terms)),
    )


leaves = st.sampled_from([(str(v), ()) for v in range(VARIABLES)] + [("false", ()), ("true", ())])
functions: st.SearchStrategy[Term] = st.recursive(leaves, joined, max_leaves=20)

TRUTH: dict[str, Callable[..., bool]] = {
    "false": lambda: False,
    "true": lambda: True,
    "not": lambda a: not a,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "xor": lambda a, b: a != b,
    "if": lambda f, g, h: g if f else h,
    "1+": lambda *n: sum(n) >= 1,
    "2+": lambda *n: sum(n) >= 2,
    "3+": lambda *n: sum(n) >= 3,
}


def truth(term: Term, state: Truth) -> bool:
    name, parts = term
    return state[int(name)] if name.isdigit() else TRUTH[name](*(truth(part, state) for part in parts))


def made(bdd: Bdd, term: Term) -> int:
    name, parts = term
    if name.isdigit():
        return bdd.variable(int(name))
    if name in {"false", "true"}:
        return bdd.TRUE if name == "true" else bdd.FALSE
    inputs = [made(bdd, part) for part in parts]
    if name.endswith("+"):
        return bdd.at_least(int(name[0]), inputs)
    operation: dict[str, Callable[..., int]] = {
        "not": bdd.negation,
        "and": bdd.conjunction,
        "or": bdd.disjunction,
        "xor": bdd.exclusive_or,
        "if": bdd.if_then_else,
    }
    return operation[name](*inputs)


def chance(term: Term, p: np.ndarray) -> float:
    return sum(float(np.prod(np.where(state, p, 1 - p))) for state in STATES if truth(term, state))


@settings(deadline=None)
@given(functions, functions)
def test_two_functions_are_one_number_exactly_when_they_agree_everywhere(a: Term, b: Term) -> None:
    bdd = Bdd(VARIABLES)
    same = all(truth(a, state) == truth(b, state) for state in STATES)
    assert (made(bdd, a) == made(bdd, b)) == same


@settings(deadline=None)
@given(functions, probabilities)
def test_the_probability_is_the_sum_over_all_states(term: Term, p: np.ndarray) -> None:
    bdd = Bdd(VARIABLES)
    root = made(bdd, term)
    assert bdd.probability(root, p) == pytest.approx(chance(term, p), abs=1e-12)
    assert bdd.probability(bdd.negation(root), p) == pytest.approx(1 - chance(term, p), abs=1e-12)


@settings(deadline=None)
@given(functions, probabilities)
def test_the_derivative_is_the_difference_that_an_event_makes(term: Term, p: np.ndarray) -> None:
    bdd = Bdd(VARIABLES)
    probability, derivatives = bdd.birnbaum(made(bdd, term), p)
    assert probability == pytest.approx(chance(term, p), abs=1e-12)
    for variable in range(VARIABLES):
        sure, never = p.copy(), p.copy()
        sure[variable], never[variable] = 1, 0
        wanted = chance(term, sure) - chance(term, never)
        assert derivatives[variable] == pytest.approx(wanted, abs=1e-12)


def test_small_probabilities_keep_their_digits_also_under_negation() -> None:
    bdd = Bdd(2)
    both = bdd.conjunction(bdd.variable(0), bdd.variable(1))
    p = np.array([1e-9, 3e-9])
    assert bdd.probability(both, p) == pytest.approx(3e-18, rel=1e-14)
    up = bdd.negation(both)
    assert bdd.probability(bdd.negation(up), p) == pytest.approx(3e-18, rel=1e-14)
    assert bdd.birnbaum(up, p)[1] == pytest.approx([-3e-9, -1e-9], rel=1e-14)


def test_monotone_functions_have_no_complements() -> None:
    bdd = Bdd(9)
    rows = bdd.reachable(bdd.at_least(4, [bdd.variable(v) for v in range(9)]))
    assert all(child == 1 or child % 2 == 0 for row in rows[1:].tolist() for child in row[1:])


def test_size_and_support_are_those_of_the_reduced_diagram() -> None:
    bdd = Bdd(6)
    quorum = bdd.at_least(2, [bdd.variable(v) for v in (1, 3, 5)])
    assert bdd.size(quorum) == 4
    assert bdd.support(quorum) == [1, 3, 5]
    assert bdd.size(bdd.TRUE) == 0


def test_tables_grow_while_an_operation_is_on_its_way() -> None:
    width = 11
    bdd = Bdd(2 * width)
    pairs = [bdd.conjunction(bdd.variable(v), bdd.variable(v + width)) for v in range(width)]
    root = bdd.FALSE
    for pair in pairs:
        root = bdd.disjunction(root, pair)
    assert bdd.size(root) == 2 ** (width + 1) - 2
    assert bdd.probability(root, np.full(2 * width, 0.5)) == pytest.approx(1 - 0.75**width)


def test_a_diagram_too_large_is_refused_and_what_was_made_before_still_holds() -> None:
    bdd = Bdd(40, node_limit=300)
    variables = [bdd.variable(v) for v in range(40)]
    pair = bdd.conjunction(variables[7], variables[27])
    with pytest.raises(TooManyNodes, match="more than 300 nodes") as refused:
        bdd.at_least(20, variables)
    assert refused.value.facts() == {"limit": "diagramNodes", "allowed": 300}
    assert len(bdd) == 300
    assert bdd.probability(pair, np.full(40, 0.5)) == 0.25


@pytest.mark.parametrize("index", [-1, 3])
def test_a_variable_that_is_none_is_an_error(index: int) -> None:
    with pytest.raises(IndexError, match=f"variable {index} of 3"):
        Bdd(3).variable(index)


def minimal(term: Term) -> set[frozenset[int]]:
    solutions = [frozenset(v for v in range(VARIABLES) if state[v]) for state in STATES if truth(term, state)]
    return {a for a in solutions if not any(b < a for b in solutions)}


@settings(deadline=None)
@given(functions)
def test_the_cut_sets_are_the_smallest_sets_that_make_it_true(term: Term) -> None:
    bdd = Bdd(VARIABLES)
    found = minimal_cut_sets(bdd, made(bdd, term))
    listed = list(found)
    assert {frozenset(members) for members in listed} == minimal(term)
    assert len(listed) == found.total == sum(found.by_order)
    assert [len(members) for members in listed] == [o for o, n in enumerate(found.by_order) for _ in range(n)]


@settings(deadline=None)
@given(functions, st.integers(0, VARIABLES + 1))
def test_with_an_order_the_larger_cut_sets_are_left_out(term: Term, order: int) -> None:
    bdd = Bdd(VARIABLES)
    found = minimal_cut_sets(bdd, made(bdd, term), order=order)
    assert {frozenset(members) for members in found} == {a for a in minimal(term) if len(a) <= order}


@settings(deadline=None)
@given(functions, probabilities)
def test_the_likeliest_cut_sets_come_first(term: Term, p: np.ndarray) -> None:
    bdd = Bdd(VARIABLES)
    found = list(minimal_cut_sets(bdd, made(bdd, term)).most_likely(p))
    assert {frozenset(members) for _, members in found} == minimal(term)
    chances = [product for product, _ in found]
    assert chances == sorted(chances, reverse=True)
    assert chances == pytest.approx([float(np.prod(p[list(members)])) for _, members in found])


@settings(max_examples=10, deadline=None)
@given(st.integers(30, 45))
def test_cut_sets_are_counted_where_there_are_too_many_to_list(columns: int) -> None:
    """One of three in each column: 3 to the power of the columns, beyond what a machine word holds."""
    bdd = Bdd(3 * columns)
    root = bdd.TRUE
    for column in reversed(range(columns)):
        root = bdd.conjunction(root, bdd.at_least(1, [bdd.variable(3 * column + v) for v in range(3)]))
    found = minimal_cut_sets(bdd, root)
    assert found.total == 3**columns
    assert found.by_order == (0,) * columns + (3**columns,)


def test_the_order_bound_cuts_off_what_would_not_fit() -> None:
    """All of them need more nodes than are allowed; the pairs do not."""
    bdd = Bdd(24)
    ring = [bdd.conjunction(bdd.variable(v), bdd.variable((7 * v + 5) % 24)) for v in range(24)]
    many = bdd.disjunction(ring[0], bdd.at_least(9, [bdd.variable(v) for v in range(24)]))
    with pytest.raises(TooManyNodes):
        minimal_cut_sets(bdd, many, node_limit=100)
    assert minimal_cut_sets(bdd, many, order=2, node_limit=100).by_order == (0, 0, 1)


def test_an_order_below_zero_is_an_error() -> None:
    bdd = Bdd(1)
    with pytest.raises(ValueError, match="order -1"):
        minimal_cut_sets(bdd, bdd.variable(0), order=-1)
