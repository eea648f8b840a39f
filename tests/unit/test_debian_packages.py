"""The Debian package graph: its syntax, its figures, and what really goes down in it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from benchmarks.debian_packages import DATA, clauses, gates, observation, providers, read_packages
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import PlainTopology, TopologyEdge, TopologyItem
from impact.engine import Engine
from impact.explanation import Explainer
from impact.propagation import State, simulate_failure
from tests.topologies import packed

with_data = pytest.mark.skipif(not DATA.exists(), reason=f"the Debian package data set is not at {DATA}")


def test_versions_qualifiers_and_architectures_are_ignored() -> None:
    relation = "libc6 (>= 2.34), python3:any (<< 3.12), awk | mawk [amd64] <!nocheck>, g++-12, , 0ad"
    assert list(clauses(relation)) == [["libc6"], ["python3"], ["awk", "mawk"], ["g++-12"], ["0ad"]]


def test_a_name_is_met_by_the_package_itself_and_by_all_that_provide_it() -> None:
    packages = [
        {"Package": "exim", "Provides": "mta (= 4), postfix"},
        {"Package": "postfix", "Provides": "mta"},
        {
            "Package": "cron",
            "Pre-Depends": "exim",
            "Depends": "mta, postfix | ghost, mta (>= 2), exim (<< 9), ghost",
        },
    ]
    met_by = providers(packages)
    assert met_by["mta"] == ["exim", "postfix"]
    assert list(gates(packages[2], met_by)) == [("exim", ("exim",)), ("mta", ("exim", "postfix"))]


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return observation(read_packages())


@pytest.fixture(scope="module")
def topology(made: dict[str, Any]) -> PlainTopology:
    return PlainTopology.build(
        1,
        [
            TopologyItem(i["key"], i["attributes"]["name"], i["class"], "software", "live")
            for i in made["items"]
        ],
        [
            TopologyEdge(
                e["type"],
                e["from"],
                e["to"],
                e.get("group"),
                e.get("required"),
                e["strength"],
                e["confidence"],
            )
            for e in made["edges"]
        ],
    )


@pytest.fixture(scope="module")
def arrays(topology: PlainTopology) -> PackedTopology:
    return packed(topology)


@with_data
def test_the_figures_hang_together_as_the_module_says(made: dict[str, Any], topology: PlainTopology) -> None:
    edges = made["edges"]
    pairs = Counter((edge["from"], edge["to"]) for edge in edges)
    hard = {(edge["from"], edge["to"]) for edge in edges if "group" not in edge}
    assert len(made["items"]) == len(topology.items) == 63_436
    assert len(edges) == topology.edge_count == 280_722
    assert len(pairs) == 279_192
    assert len(hard) == sum("group" not in edge for edge in edges) == 255_539
    assert len({(edge["from"], edge["group"]) for edge in edges if "group" in edge}) == 8_831
    assert sum(count > 1 for count in pairs.values()) == 1_437
    assert sum(count - 1 for count in pairs.values()) == 1_530
    assert sum(pairs[pair] - 1 for pair in hard) == 694


@with_data
def test_clauses_are_lost_only_where_nothing_meets_them_or_as_repetitions() -> None:
    packages = read_packages()
    met_by = providers(packages)
    written = [
        (package["Package"], frozenset(target for name in names for target in met_by.get(name, ())), names)
        for package in packages
        for names in clauses(f"{package.get('Pre-Depends', '')},{package.get('Depends', '')}")
    ]
    assert len(written) == 279_228
    assert sum(len(targets) > 1 for _, targets, _ in written) == 8_870
    assert [(name, names) for name, targets, names in written if not targets] == [
        ("console-setup-freebsd", ["vidcontrol"]),
        ("console-setup-freebsd", ["kbdcontrol"]),
    ]
    distinct = {(name, targets) for name, targets, _ in written if targets}
    assert len(distinct) == 279_228 - 2 - 14_856 == 264_370


@with_data
@pytest.mark.parametrize(
    ("package", "reached", "down"),
    [
        ("perl", 20_614, 8_302),
        ("systemd", 5_556, 135),
        ("dbus", 5_253, 561),
        ("nginx", 104, 45),
        ("exim4-daemon-light", 122, 1),
    ],
)
def test_what_is_reached_and_what_is_really_down(
    topology: PlainTopology, arrays: PackedTopology, package: str, reached: int, down: int
) -> None:
    """The figures of the data set's README, with the package itself counted in both."""
    plain = simulate_failure(topology, [package])
    assert (len(plain.states), len(plain.in_state(State.DOWN))) == (reached, down)
    fast = Engine().simulate_failure(arrays, [package])
    assert (len(fast.nodes), fast.counts[State.DOWN]) == (reached, down)
    assert dict(fast.states) == dict(plain.states)
    assert dict(fast.distances) == dict(plain.distances)


@with_data
def test_every_package_that_perl_takes_down_has_a_path_of_packages_that_are_down(
    topology: PlainTopology,
) -> None:
    impact = simulate_failure(topology, ["perl"])
    explainer = Explainer(impact)
    for package in impact.down:
        path = explainer.explain(package).path
        assert path[-1] == "perl"
        assert all(hop in impact.down for hop in path)
