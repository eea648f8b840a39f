"""The demo estate is valid, says the same every time, and its story is true: what is saved, what a site costs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from cmdb.demo import estate
from cmdb.demo.blueprint import expand
from cmdb.errors import BadRequest
from cmdb.model.catalogue import Catalogue, builtin_catalogue
from cmdb.model.topology import members_needed

Document = Mapping[str, Any]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return builtin_catalogue()


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    return estate.demo_observation()


@pytest.fixture(scope="module")
def story() -> list[dict[str, Any]]:
    return estate.demo_observations()


def lost(observation: Document, catalogue: Catalogue, failed: Iterable[str]) -> tuple[set[str], set[str]]:
    """References of what is down and of what is at risk, by the plainest reading of the two least fixpoints."""
    gates: dict[tuple[str, ...], list[tuple[str, int | str | None]]] = defaultdict(list)
    for edge in observation["edges"]:
        dependency = catalogue.relationship(edge["type"]).dependency
        if dependency != "none" and edge.get("strength", dependency) == "hard":
            group = ("group", edge["group"]) if "group" in edge else (edge["type"], edge["to"])
            gates[edge["from"], *group].append((edge["to"], edge.get("required")))
    down, at_risk = set(failed), set[str]()
    needed = {gate: members_needed(members[0][1], len(members)) for gate, members in gates.items()}
    changed = True
    while changed:
        changed = False
        for gate, members in gates.items():
            if gate[0] not in down and sum(ref not in down for ref, _ in members) < needed[gate]:
                down.add(gate[0])
                changed = True
    changed = True
    while changed:
        changed = False
        for gate, members in gates.items():
            up = [ref for ref, _ in members if ref not in down]
            bare = len(up) < len(members) and len(up) == needed[gate]
            if gate[0] not in down | at_risk and (bare or sum(r not in at_risk for r in up) < needed[gate]):
                at_risk.add(gate[0])
                changed = True
    return down, at_risk


def services(observation: Document) -> set[str]:
    return {item["ref"] for item in observation["items"] if item["class"] == "BusinessService"}


def reference_of(observation: Document, named: Mapping[str, str]) -> str:
    (ref,) = [
        item["ref"]
        for item in observation["items"]
        if item["class"] == named["class"] and item["attributes"]["name"] == named["name"]
    ]
    return str(ref)


def affected_by(observation: Document, records: Iterable[str]) -> set[str]:
    wanted = set(records)
    return {e["to"] for e in observation["edges"] if e["type"] == "AFFECTS" and e["from"] in wanted}


def test_two_expansions_are_equal(story: list[dict[str, Any]]) -> None:
    estate._steps.cache_clear()
    assert json.dumps(estate.demo_observations()) == json.dumps(story)


def test_answers_do_not_share_state(now: dict[str, Any]) -> None:
    spoilt = estate.demo_observation()
    spoilt["items"][0]["attributes"]["name"] = "spoilt"
    assert estate.demo_observation() == now


def test_it_is_a_mid_size_company(now: dict[str, Any], catalogue: Catalogue) -> None:
    counts = Counter(item["class"] for item in now["items"])
    cis = sum(n for name, n in counts.items() if catalogue.is_a(name, "ConfigurationItem"))
    assert 1_350 <= cis <= 1_650
    assert 24 <= counts["BusinessService"] <= 30
    assert 270 <= counts["Incident"] <= 330
    assert 180 <= counts["Change"] <= 220
    assert counts["ServiceLevelAgreement"] == counts["BusinessService"]
    assert (
        min(counts[name] for name in ("Customer", "Supplier", "Contract", "Outage", "Problem", "Team")) >= 4
    )


def test_every_attribute_is_valid_in_the_catalogue(now: dict[str, Any], catalogue: Catalogue) -> None:
    for item in now["items"]:
        item_class = catalogue.item_class(item["class"])
        assert not item_class.abstract, item["ref"]
        attributes = dict(item["attributes"])
        assert isinstance(attributes.pop("name"), str)
        assert attributes.pop("lifecycle", item_class.lifecycle.initial) in item_class.lifecycle.transitions
        for name, value in attributes.items():
            item_class.attributes[name].normalise(value)
        for attribute in item_class.attributes.values():
            assert not attribute.entry.required or attribute.name in attributes, (item["ref"], attribute.name)


def test_every_edge_is_valid_in_the_catalogue(now: dict[str, Any], catalogue: Catalogue) -> None:
    classes = {item["ref"]: item["class"] for item in now["items"]}
    targets: Counter[tuple[str, str]] = Counter()
    required: dict[tuple[str, str], set[str]] = defaultdict(set)
    for edge in now["edges"]:
        relationship = catalogue.relationship(edge["type"])
        assert catalogue.allows(relationship, classes[edge["from"]], classes[edge["to"]]), edge
        targets[edge["type"], edge["from"]] += 1
        assert not relationship.one_target or targets[edge["type"], edge["from"]] == 1, edge
        assert ("group" in edge) == ("required" in edge), edge
        if "group" in edge:
            required[edge["from"], edge["group"]].add(str(edge["required"]))
    assert [gate for gate, said in required.items() if len(said) > 1] == []


def test_identity_rules_tell_all_items_apart(now: dict[str, Any], catalogue: Catalogue) -> None:
    inside = {(e["from"], e["type"]): e["to"] for e in now["edges"]}
    holders: dict[tuple[str, ...], set[str]] = defaultdict(set)
    identified = set()
    for item in now["items"]:
        for rule in catalogue.item_class(item["class"]).identity_rules:
            values = [item["attributes"].get(name) for name in rule.attributes]
            scope = inside.get((item["ref"], rule.within)) if rule.within else ""
            if None not in values and scope is not None:
                holders[str(rule), scope, *(str(v).casefold() for v in values)].add(item["ref"])
                identified.add(item["ref"])
    assert {key: refs for key, refs in holders.items() if len(refs) > 1} == {}
    anonymous = {item["class"] for item in now["items"] if item["ref"] not in identified}
    assert anonymous == set()


def test_every_item_but_the_people_around_them_has_an_owner(
    now: dict[str, Any], catalogue: Catalogue
) -> None:
    owned = {edge["from"] for edge in now["edges"] if edge["type"] == "OWNED_BY"}
    cis = [item for item in now["items"] if catalogue.is_a(item["class"], "ConfigurationItem")]
    assert {item["class"] for item in cis if item["ref"] not in owned} <= {
        "BusinessProcess",
        "SoftwareProduct",
    }


def test_story_told_in_steps_ends_at_the_estate_of_today(
    now: dict[str, Any], story: list[dict[str, Any]], catalogue: Catalogue
) -> None:
    items: dict[str, Any] = {}
    edges: dict[tuple[str, ...], Any] = {}
    for observation in story:
        said = {item["ref"] for item in observation["items"]}
        for edge in observation["edges"]:
            assert {edge["from"], edge["to"]} <= said
            edges[edge["type"], edge["from"], edge["to"], edge.get("group", "")] = edge
        for item in observation["items"]:
            lifecycle = catalogue.item_class(item["class"]).lifecycle
            state = item["attributes"].get("lifecycle", lifecycle.initial)
            if item["ref"] not in items:
                assert state in lifecycle.starts
            else:
                before = items[item["ref"]]["attributes"].get("lifecycle", lifecycle.initial)
                assert state == before or state in lifecycle.transitions[before], item["ref"]
            items[item["ref"]] = item
    assert [o["seen_at"] for o in story] == sorted(o["seen_at"] for o in story)
    assert len(story) > 5
    assert items == {item["ref"]: item for item in now["items"]}
    assert sorted(map(json.dumps, edges.values())) == sorted(map(json.dumps, now["edges"]))


def test_records_lie_in_the_year_before_and_closed_ones_make_sense(now: dict[str, Any]) -> None:
    for item in now["items"]:
        facts = item["attributes"]
        if item["class"] == "Incident":
            times = [facts.get(name) for name in ("opened_at", "responded_at", "resolved_at", "closed_at")]
            known = [moment for moment in times if moment]
            assert known == sorted(known)
            assert "2025-11-17" <= known[0] <= known[-1] <= now["seen_at"]
            assert (facts["lifecycle"] == "closed") == ("closed_at" in facts)
            assert "resolution" in facts or facts["lifecycle"] not in ("resolved", "closed")
        if item["class"] == "Change":
            assert facts["planned_start"] < facts["planned_end"]
            assert ("outcome" in facts) == (facts["lifecycle"] == "closed")
            assert facts["lifecycle"] == "closed" or facts["planned_start"] > now["seen_at"]


def test_some_changes_caused_incidents_and_their_outcome_says_so(now: dict[str, Any]) -> None:
    items = {item["ref"]: item for item in now["items"]}
    blamed = {
        e["to"] for e in now["edges"] if e["type"] == "CAUSED_BY" and items[e["to"]]["class"] == "Change"
    }
    assert len(blamed) >= 10
    assert all(items[ref]["attributes"]["outcome"] != "successful" for ref in blamed)


def test_nothing_was_changed_by_pattern_in_frozen_times(now: dict[str, Any]) -> None:
    starts = [
        item["attributes"]["planned_start"] for item in now["items"] if item["ref"].startswith("change/")
    ]
    assert len(starts) > 100
    assert not [
        start
        for start in starts
        if "2025-11-24" <= start <= "2025-12-01" or "2025-12-14" <= start < "2025-12-28"
    ]


@pytest.mark.parametrize("feed", ["muc-feed-a", "muc-feed-b", "nue-feed-a", "nue-feed-b"])
def test_losing_a_power_feed_takes_no_business_service_down(
    now: dict[str, Any], catalogue: Catalogue, feed: str
) -> None:
    down, at_risk = lost(now, catalogue, [feed])
    assert down & services(now) == set()
    assert at_risk


@pytest.mark.parametrize(
    "device", ["muc-r01-leaf-a", "muc-spine-1", "nue-router-2", "muc-flash-1-ctl-a", "nue-fw-1"]
)
def test_one_device_of_a_pair_takes_nothing_but_itself_down(
    now: dict[str, Any], catalogue: Catalogue, device: str
) -> None:
    down, at_risk = lost(now, catalogue, [device])
    assert down == {device}
    assert at_risk


@pytest.mark.parametrize("rack", [f"{site}-r0{n}" for site in ("muc", "nue") for n in (1, 2, 3, 4)])
def test_losing_a_rack_of_hypervisors_takes_no_business_service_down(
    now: dict[str, Any], catalogue: Catalogue, rack: str
) -> None:
    down, _ = lost(now, catalogue, [rack])
    assert len(down) > 5
    assert down & services(now) == set()


def test_losing_munich_takes_down_what_runs_there_alone(now: dict[str, Any], catalogue: Catalogue) -> None:
    down, _ = lost(now, catalogue, ["muc"])
    assert down & services(now) == {
        "Business Intelligence",
        "Customer Care",
        "Karwen Club",
        "Newsletters and Campaigns",
        "Payroll",
        "Telephony",
    }


def test_losing_nuremberg_takes_down_what_runs_there_alone(now: dict[str, Any], catalogue: Catalogue) -> None:
    down, _ = lost(now, catalogue, ["nue"])
    assert down & services(now) == {
        "Developer Platform",
        "Files and Printing",
        "IT Service Desk",
        "Intranet",
        "Supplier Documents",
    }


def test_second_payment_provider_made_payment_redundant(
    story: list[dict[str, Any]], catalogue: Catalogue
) -> None:
    first, last = story[0], estate.demo_observation()
    assert {"Online Payment", "Tills"} <= lost(first, catalogue, ["psp-zahlwerk"])[0]
    assert lost(last, catalogue, ["psp-zahlwerk"])[0] & services(last) == set()


def test_failure_question_is_saved_by_redundancy(now: dict[str, Any], catalogue: Catalogue) -> None:
    question = estate.demo_questions()["failure"]
    down, at_risk = lost(now, catalogue, [reference_of(now, named) for named in question["down"]])
    assert len(down) < 20
    assert {"muc-tape-1", "muc-oob"} <= down
    assert down & services(now) == set()
    assert at_risk & services(now)


def test_change_question_names_a_change_with_an_impact(now: dict[str, Any], catalogue: Catalogue) -> None:
    question = estate.demo_questions()["change"]
    affected = {reference_of(now, named) for named in question["affects"]}
    assert affected == affected_by(now, [reference_of(now, question["record"])])
    down, at_risk = lost(now, catalogue, affected)
    assert len(down) > 100
    assert down & services(now)
    assert at_risk & services(now)


def test_history_question_names_an_item_with_several_revisions(
    story: list[dict[str, Any]], now: dict[str, Any]
) -> None:
    ref = reference_of(now, estate.demo_questions()["history"]["item"])
    told = [
        item["attributes"] for observation in story for item in observation["items"] if item["ref"] == ref
    ]
    versions = [facts for before, facts in zip([None, *told], told, strict=False) if facts != before]
    assert len(versions) == 4


def test_planned_changes_collide_although_each_alone_is_harmless(
    now: dict[str, Any], catalogue: Catalogue
) -> None:
    pairs = [
        collision["records"]
        for collision in estate.demo_questions()["collisions"]
        if len(collision["records"]) == 2
    ]
    assert len(pairs) == 3
    for pair in pairs:
        alone = [affected_by(now, [reference_of(now, record)]) for record in pair]
        assert alone[0].isdisjoint(alone[1])
        together = lost(now, catalogue, alone[0] | alone[1])[0]
        apart = lost(now, catalogue, alone[0])[0] | lost(now, catalogue, alone[1])[0]
        assert len(together - apart) > 3, pair


def test_blueprint_error_names_the_missing_item() -> None:
    block = {"class": "Server", "name": "a", "edges": [{"POWERED_BY": "no-such-pdu"}]}
    with pytest.raises(BadRequest, match="a -POWERED_BY-> 'no-such-pdu'"):
        expand([{"blocks": [block]}])


def test_blueprint_error_names_the_variables_there_are() -> None:
    block = {"class": "Server", "name": "{sight}-1", "for": {"site": ["muc"]}}
    with pytest.raises(BadRequest, match=r"no variable 'sight'; there are .*site"):
        expand([{"blocks": [block]}])


def test_blueprint_expands_loops_ranges_groups_and_sizes() -> None:
    document = {
        "tables": {"site": {"muc": {"town": "Munich"}}},
        "blocks": [
            {"class": "Pdu", "for": {"side": ["a", "b"]}, "name": "pdu-{side}"},
            {
                "class": "Server",
                "for": {"site": ["muc"], "n": "1..2"},
                "spread": {"rack": [7, 8]},
                "name": "{site}-{n:02}",
                "attributes": {"site": "{site_town}", "memory": "2 GiB", "rack_unit": "{rack}"},
                "edges": [{"POWERED_BY": ["pdu-a", "pdu-b"], "group": "power", "required": 1}],
            },
        ],
    }
    expansion = expand([document])
    assert list(expansion.items) == ["pdu-a", "pdu-b", "muc-01", "muc-02"]
    assert expansion.items["muc-02"].attributes == {
        "name": "muc-02",
        "site": "Munich",
        "memory": 2 * 2**30,
        "rack_unit": 8,
    }
    assert len(expansion.edges) == 4
    assert expansion.edges[0].facts == {
        "type": "POWERED_BY",
        "from": "muc-01",
        "to": "pdu-a",
        "group": "power",
        "required": 1,
    }
