"""Fault trees of others through GraphQL: the figures of the command line's engine, within bounds."""

from __future__ import annotations

import json

import pytest

from cmdb_graphql import fault_trees
from tests.api.conftest import Api

A, B, C = (f'<basic-event name="{name}"/>' for name in "abc")
CHANCES = {"a": 0.1, "b": 0.2, "c": 0.4}


def document(formula: str) -> str:
    """A tree of one gate over the three events."""
    events = "".join(
        f'<define-basic-event name="{name}"><float value="{chance}"/></define-basic-event>'
        for name, chance in CHANCES.items()
    )
    tree = f'<define-fault-tree name="t"><define-gate name="top">{formula}</define-gate></define-fault-tree>'
    return f"<opsa-mef>{tree}<model-data>{events}</model-data></opsa-mef>"


ANALYSIS = """query($document: String!, $top: String, $order: Int) {
  faultTreeAnalysis(document: $document, top: $top, order: $order) {
    name top label gates basicEvents coherent probability cutSets cutSetsByOrder
    importances(first: 2) { event probability birnbaum riskReductionWorth riskAchievementWorth }
    likeliestCutSets(first: 1) { probability events }
  }
}"""
TREE = document(f"<or>{A}<and>{B}{C}</and></or>")


async def test_a_tree_is_analysed_exactly(api: Api) -> None:
    found = (await api.data(ANALYSIS, {"document": TREE}))["faultTreeAnalysis"]
    likely = 0.1 + 0.9 * 0.2 * 0.4
    assert found["probability"] == pytest.approx(likely)
    assert (found["cutSets"], found["cutSetsByOrder"]) == ("2", ["0", "1", "1"])
    assert (found["name"], found["top"], found["gates"], found["basicEvents"]) == ("t", "top", 1, 3)
    assert found["coherent"]
    first, second = found["importances"]
    assert (first["event"], second["event"]) == ("a", "b")
    assert first["birnbaum"] == pytest.approx(1 - 0.2 * 0.4)
    assert first["riskReductionWorth"] == pytest.approx(likely / (0.2 * 0.4))
    assert found["likeliestCutSets"] == [{"probability": pytest.approx(0.1), "events": ["a"]}]


async def test_what_is_infinite_is_null(api: Api) -> None:
    alone = document(f"<or>{A}{A}</or>")
    found = (await api.data(ANALYSIS, {"document": alone}))["faultTreeAnalysis"]
    assert found["importances"][0]["riskReductionWorth"] is None


async def test_only_cut_sets_up_to_an_order(api: Api) -> None:
    found = (await api.data(ANALYSIS, {"document": TREE, "order": 1}))["faultTreeAnalysis"]
    assert (found["cutSets"], found["cutSetsByOrder"]) == ("1", ["0", "1"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1"),
        ("<opsa-mef>", "line 1"),
        ('<!DOCTYPE x [<!ENTITY e "e">]><opsa-mef/>', "entity"),
        (document('<or><gate name="nobody"/></or>'), "nobody"),
    ],
)
async def test_what_is_no_fault_tree_is_refused_with_its_place(api: Api, text: str, said: str) -> None:
    answer = await api.answer(ANALYSIS, {"document": text})
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert said in json.dumps(error)


async def test_what_is_too_large_is_refused_with_a_way_out(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_trees, "MOST_NODES", 2)
    [error] = (await api.answer(ANALYSIS, {"document": TREE}))["errors"]
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert "cmdb fault-tree" in error["message"]


@pytest.mark.parametrize("asked", ["order: 0) { name }", "order: 1) { importances(first: -1) { event } }"])
async def test_senseless_numbers_are_refused(api: Api, asked: str) -> None:
    text = "query($d: String!) { faultTreeAnalysis(document: $d, " + asked + " }"
    assert await api.code(text, {"d": TREE}) == "BAD_REQUEST"


async def test_who_may_not_read_gets_nothing(api: Api) -> None:
    agent = await api.token("agent")
    assert await api.code(ANALYSIS, {"document": TREE}, agent) == "FORBIDDEN"
