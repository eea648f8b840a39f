"""Facts and paths: what is named as a cause, and that blame never goes in a circle."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impact.explanation import Explainer, Explanation, FactCode, to_columns
from impact.propagation import State, simulate_failure
from tests.estates import chosen, estates
from tests.topologies import (
    CHAIN,
    CIRCULAR_BLAME,
    PAIR,
    SOFT,
    TWO_OF_FOUR,
    Reference,
    gate,
    graph,
)


def explained(reference: Reference, failed: str, item: str) -> Explanation:
    return Explainer(simulate_failure(reference.topology, failed.split())).explain(item)


def test_the_path_to_the_cause_never_goes_in_a_circle() -> None:
    assert explained(CIRCULAR_BLAME, "f", "x").path == ("x", "v3", "v2", "v1", "f")
    assert explained(CIRCULAR_BLAME, "f", "y").path == ("y", "f")


def test_a_gate_that_leans_on_members_at_risk_is_also_the_fault_of_those_it_lost() -> None:
    """Each alone would leave enough: the lost one is the nearest cause."""
    needs = {
        "app": [gate(1, "lost", "north", "south")],
        "north": [gate(1, "n1", "n2")],
        "south": [gate(1, "s1", "s2")],
    }
    impact = simulate_failure(graph(needs), ["lost", "n1", "s1"])
    explanation = Explainer(impact).explain("app")
    assert [fact.code for fact in explanation.facts] == ["gate_leans_on_at_risk"]
    assert explanation.path == ("app", "lost")


def test_a_failed_gate_is_explained_with_its_members_and_their_states() -> None:
    explanation = explained(TWO_OF_FOUR, "n1 n3 n4", "quorum")
    assert explanation.to_record() == {
        "id": "quorum",
        "state": "down",
        "path": ["quorum", "n1"],
        "facts": [
            {
                "code": "gate_below_required",
                "group": "g0",
                "required": 2,
                "up": 1,
                "members": [
                    {"id": "n1", "state": "down"},
                    {"id": "n2", "state": "up"},
                    {"id": "n3", "state": "down"},
                    {"id": "n4", "state": "down"},
                ],
            }
        ],
    }


def test_one_that_is_down_tells_its_thinned_gates_too() -> None:
    topology = graph({"x": ["a", gate(1, "b", "c")]})
    explanation = Explainer(simulate_failure(topology, ["a", "b"])).explain("x")
    assert [(fact.code, dict(fact.members)) for fact in explanation.facts] == [
        ("gate_below_required", {"a": State.DOWN}),
        ("gate_without_spare", {"b": State.DOWN, "c": State.UP}),
    ]
    failed = Explainer(simulate_failure(topology, ["x", "b"])).explain("x")
    assert [fact.code for fact in failed.facts] == ["failed", "gate_without_spare"]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_facts_and_columns_tell_of_the_same_gates(data: st.DataObject) -> None:
    topology = data.draw(estates())
    impact = simulate_failure(topology, data.draw(chosen(topology)))
    columns, explainer = to_columns(impact), Explainer(impact)
    told = {
        (item, fact.group, tuple(member for member, _ in fact.members))
        for item in impact.states
        for fact in explainer.explain(item).facts
        if fact.required is not None
    }
    ids = columns["ids"]
    assert told == {
        (ids[item], group, tuple(ids[member] for member in members))
        for item, group, _, members in columns["gates"]
    }


@pytest.mark.parametrize(
    ("reference", "failed", "item", "path", "codes"),
    [
        (CHAIN, "disk", "disk", "disk", ["failed"]),
        (CHAIN, "disk", "service", "service app db disk", ["gate_below_required"]),
        (PAIR, "host-1", "kiosk", "kiosk shop web-1 host-1", ["gate_leans_on_at_risk"]),
        (PAIR, "host-1", "shop", "shop web-1 host-1", ["gate_without_spare"]),
        (PAIR, "host-1", "host-2", "", []),
        (TWO_OF_FOUR, "n3", "quorum", "quorum n3", ["gate_with_spare"]),
        (TWO_OF_FOUR, "n3", "client", "client quorum n3", ["reached_only"]),
        (SOFT, "mail", "portal", "portal mail", ["soft_dependency_down"]),
        (SOFT, "mail", "desk", "desk portal mail", ["hard_dependency_degraded"]),
        (
            SOFT,
            "mail spare",
            "front",
            "front portal mail",
            ["gate_without_spare", "hard_dependency_degraded"],
        ),
    ],
)
def test_every_state_has_its_facts_and_its_path(
    reference: Reference, failed: str, item: str, path: str, codes: list[str]
) -> None:
    explanation = explained(reference, failed, item)
    assert (" ".join(explanation.path), [fact.code for fact in explanation.facts]) == (path, codes)


def test_the_columnar_record_names_gate_members_that_were_not_reached() -> None:
    record = to_columns(simulate_failure(PAIR.topology, ["host-1"]))
    assert record["ids"] == ["host-1", "web-1", "shop", "kiosk", "web-2"]
    assert record["states"] == ["down", "down", "at_risk", "at_risk", "up"]
    assert record["distances"] == [0, 1, 2, 3, None]
    assert record["gates"] == [[1, None, 1, [0]], [2, "g0", 1, [1, 4]], [3, None, 1, [2]]]
    assert json.loads(json.dumps(record)) == record


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_path_goes_from_effect_to_cause_over_edges_without_repetition(data: st.DataObject) -> None:
    topology = data.draw(estates())
    impact = simulate_failure(topology, tuple(data.draw(chosen(topology))))
    explainer = Explainer(impact)
    for item, state in impact.states.items():
        explanation = explainer.explain(item)
        path = explanation.path
        assert path[0] == item
        assert path[-1] in impact.failed
        assert len(set(path)) == len(path)
        assert all(
            topology.items[b].id in {e.target for e in topology.dependencies_of(a)}
            for a, b in itertools.pairwise(path)
        )
        assert explanation.facts
        if state is State.DOWN:
            assert all(impact.states[hop] is State.DOWN for hop in path)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_causes_on_a_path_suffice_without_the_ci_itself(data: st.DataObject) -> None:
    """A CI's first hop is down even if the CI itself were held up: blame does not go in a circle."""
    topology = data.draw(estates())
    failed = tuple(data.draw(chosen(topology)))
    impact = simulate_failure(topology, failed)
    explainer = Explainer(impact)
    for item in impact.in_state(State.DOWN):
        if item not in failed:
            without = simulate_failure(topology, failed, pinned={item})
            assert explainer.explain(item).path[1] in without.down


def test_the_guide_explains_every_state_and_every_fact() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "impact.md").read_text(encoding="utf-8")
    for name in [*(state.value for state in State), *get_args(FactCode)]:
        assert f"`{name}`" in guide
