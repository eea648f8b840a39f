"""Which item a reported one is: the source's key, rules by strength, hosts first, entries that are one, duplicates."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from cmdb.model.catalogue import builtin_catalogue
from discovery.identification import Answer, Identified, Identity, Question, identify
from discovery.observation import Observation, ObservedEdge, ObservedItem

CATALOGUE = builtin_catalogue()
SOURCE = "scanner"


class KnownKeys:
    """What a store would answer; counts how often it was asked."""

    def __init__(self, held: Mapping[str, Iterable[str]] | None = None) -> None:
        self.held = {item: frozenset(keys) for item, keys in (held or {}).items()}
        self.questions: list[Question] = []

    def answer(self, question: Question) -> Answer:
        self.questions.append(question)
        holders = {key: item for item, keys in self.held.items() for key in keys}
        return Answer(
            {key: holders[key] for key in question.keys if key in holders},
            {item: self.held[item] for item in question.items},
        )


def item(ref: str, class_name: str, key: str = "", **attributes: object) -> ObservedItem:
    return ObservedItem(ref, class_name, key, attributes)


def edge(kind: str, source: str, target: str) -> ObservedEdge:
    return ObservedEdge(kind, source, target)


def identified(
    items: Iterable[ObservedItem], edges: Iterable[ObservedEdge] = (), known: KnownKeys | None = None
) -> Identified:
    keys = known or KnownKeys()
    numbers = itertools.count(1)
    steps = identify(
        CATALOGUE, Observation(SOURCE, items=tuple(items), edges=tuple(edges)), lambda: f"new{next(numbers)}"
    )
    try:
        question = next(steps)
        while True:
            question = steps.send(keys.answer(question))
    except StopIteration as stop:
        result: Identified = stop.value
        return result


def one(observed: ObservedItem, **held: Iterable[str]) -> Identity:
    return identified([observed], known=KnownKeys(held)).identities[0]


SERIAL, UUID, NAME = "Host(serial_number,manufacturer)=s1|dell", "Host(uuid)=u1", "Host(name)=db1"
FULL: dict[str, Any] = {"name": "db1", "serial_number": "S1", "manufacturer": "Dell", "uuid": "U1"}


def test_what_nobody_knows_is_new_and_has_all_its_keys_strongest_first() -> None:
    found = one(item("a", "Server", "k1", **FULL))
    assert (found.id, found.new, found.matched_by) == ("new1", True, "")
    assert found.keys == (f"@{SOURCE}/k1", SERIAL, UUID, NAME)
    assert found.native == f"@{SOURCE}/k1"


@pytest.mark.parametrize("rule", [SERIAL, UUID, NAME])
def test_each_rule_recognises_and_is_named(rule: str) -> None:
    found = one(item("a", "Server", **FULL), x=[rule])
    assert (found.id, found.new, found.matched_by) == ("x", False, rule)


def test_the_sources_own_key_comes_before_every_rule() -> None:
    found = one(item("a", "Server", "k1", **FULL), x=[SERIAL, UUID, NAME], y=[f"@{SOURCE}/k1"])
    assert (found.id, found.matched_by) == ("y", f"@{SOURCE}/k1")


def test_the_strongest_rule_wins() -> None:
    found = one(item("a", "Server", **FULL), x=[SERIAL], y=[UUID], z=[NAME])
    assert (found.id, found.matched_by) == ("x", SERIAL)


def test_another_sources_key_says_nothing() -> None:
    assert one(item("a", "Server", "k1", name="other"), x=["@elsewhere/k1"]).new


def test_a_source_with_a_slash_cannot_speak_as_another() -> None:
    observed = Observation("a/b", items=(item("r", "Server", "c", name="n"),))
    steps = identify(CATALOGUE, observed)
    assert "@a%2Fb/c" in next(steps).keys
    steps.close()


def test_spelling_does_not_matter_to_a_rule() -> None:
    assert one(item("a", "Server", name="  DB1 "), x=[NAME]).id == "x"


def test_namesakes_with_different_serial_numbers_are_two() -> None:
    known = {"x": [NAME, "Host(serial_number,manufacturer)=other|dell"]}
    assert one(item("a", "Server", **FULL), **known).new


def test_a_rule_of_a_common_ancestor_recognises_across_classes() -> None:
    assert one(item("a", "VirtualMachine", name="db1"), x=[NAME]).id == "x"
    assert one(item("a", "SoftwareProduct", name="db1"), x=[NAME]).new


def test_an_incomplete_rule_does_not_count() -> None:
    assert one(item("a", "Server", serial_number="S1"), x=[SERIAL]).new


def test_an_unknown_class_is_known_by_its_source_only() -> None:
    assert one(item("a", "Nonsense", "k1", name="db1"), x=[NAME]).new
    assert one(item("a", "Nonsense", "k1", name="db1"), x=[f"@{SOURCE}/k1"]).id == "x"


def test_a_value_without_a_normal_form_takes_part_in_no_rule() -> None:
    found = one(item("a", "IpAddress", name="x", address="nowhere"), x=["IpAddress(address)=nowhere"])
    assert found.new
    assert found.keys == ()


def test_dependent_items_are_identified_inside_their_host() -> None:
    items = [item("p", "DatabaseInstance", name="postgres"), item("h", "Server", name="db1")]
    known = KnownKeys({"host": [NAME], "pg": ["SoftwareInstance(name)@RUNS_ON=host|postgres"]})
    found = identified(items, [edge("RUNS_ON", "p", "h")], known).identities
    assert [i.id for i in found] == ["pg", "host"]
    assert [i.level for i in found] == [1, 0]


def test_the_same_name_on_two_hosts_is_two_items() -> None:
    items = [
        item("h1", "Server", name="db1"),
        item("h2", "Server", name="db2"),
        item("p1", "DatabaseInstance", name="postgres"),
        item("p2", "DatabaseInstance", name="postgres"),
    ]
    found = identified(items, [edge("RUNS_ON", "p1", "h1"), edge("RUNS_ON", "p2", "h2")]).identities
    assert len({i.id for i in found}) == 4


def test_each_level_of_hosts_costs_one_question() -> None:
    items = [item("v", "Volume", name="v1"), item("a", "StorageArray", name="array")]
    items += [item(f"f{n}", "FileSystem", mount_point=f"/{n}") for n in range(50)]
    edges = [edge("PART_OF", "v", "a"), *(edge("PART_OF", f"f{n}", "v") for n in range(50))]
    known = KnownKeys()
    found = identified(items, edges, known).identities
    assert [i.level for i in found] == [1, 0, *[2] * 50]
    assert len(known.questions) == 3


def test_a_circle_of_hosts_is_no_endless_loop() -> None:
    items = [
        item("a", "FileSystem", name="a"),
        item("b", "FileSystem", name="b"),
        item("h", "Server", name="h"),
    ]
    edges = [edge("PART_OF", "a", "b"), edge("PART_OF", "b", "a"), edge("PART_OF", "a", "h")]
    found = identified(items, edges).identities
    assert len({i.id for i in found}) == 3


def test_two_entries_of_a_report_with_a_common_key_are_one() -> None:
    found = identified(
        [item("a", "Server", name="db1"), item("b", "Server", name="DB1", uuid="U1")]
    ).identities
    assert found[0].id == found[1].id
    assert all(i.new for i in found)


def test_an_entry_that_the_store_knows_leads_those_that_it_does_not() -> None:
    items = [item("a", "Server", name="db1"), item("b", "Server", name="db1", uuid="U1")]
    found = identified(items, known=KnownKeys({"x": [UUID]})).identities
    assert [i.id for i in found] == ["x", "x"]
    assert [i.matched_by for i in found] == [NAME, UUID]


def test_an_entry_with_the_keys_of_two_new_ones_makes_them_one() -> None:
    items = [
        item("a", "Host", name="db1"),
        item("b", "Host", uuid="U1"),
        item("c", "Host", name="db1", uuid="U1"),
    ]
    assert len({i.id for i in identified(items).identities}) == 1


def test_entries_with_one_name_and_different_serial_numbers_stay_two() -> None:
    items = [
        item("a", "Server", **FULL),
        item("b", "Server", **{**FULL, "serial_number": "S2", "uuid": "U2"}),
    ]
    assert len({i.id for i in identified(items).identities}) == 2


def test_a_thousand_namesakes_are_identified_in_moments() -> None:
    items = [
        item(str(n), "Server", **{**FULL, "serial_number": str(n), "uuid": str(n)}) for n in range(5_000)
    ]
    assert len({i.id for i in identified(items).identities}) == 5_000


def test_dependents_of_merged_hosts_share_the_host() -> None:
    items = [
        item("h1", "Server", name="db1"),
        item("h2", "Server", name="db1"),
        item("p1", "DatabaseInstance", name="postgres"),
        item("p2", "DatabaseInstance", name="postgres"),
    ]
    found = identified(items, [edge("RUNS_ON", "p1", "h1"), edge("RUNS_ON", "p2", "h2")]).identities
    assert found[2].id == found[3].id
