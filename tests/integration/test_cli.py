"""The command line against a real service: `cmdb serve` in a process of its own, other commands as users call them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import networkx as nx
import pyarrow as pa
import pytest

from cmdb.cli import main
from cmdb.cli.client import Access, Client
from cmdb.store.connection import Connection


class Neo4jAddress(Protocol):
    """What the fixture of `tests/conftest.py` gives."""

    @property
    def uri(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def password(self) -> str: ...


CLEAR = "MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS"
SHOP = {
    "source": "by-hand",
    "items": [
        {"ref": "shop", "class": "BusinessService", "key": "shop", "attributes": {"name": "Web Shop"}},
        {"ref": "web", "class": "Cluster", "key": "web", "attributes": {"name": "web", "kind": "web"}},
        {"ref": "a", "class": "Server", "key": "1", "attributes": {"name": "web-1", "memory": "64 GiB"}},
        {"ref": "b", "class": "Server", "key": "2", "attributes": {"name": "web-2"}},
        {"ref": "dns", "class": "ApplicationService", "key": "dns", "attributes": {"name": "dns"}},
    ],
    "edges": [
        {"type": "DEPENDS_ON", "from": "shop", "to": "web"},
        {"type": "USES", "from": "shop", "to": "dns"},
        {"type": "HAS_MEMBER", "from": "web", "to": "a", "group": "members", "required": 1},
        {"type": "HAS_MEMBER", "from": "web", "to": "b", "group": "members", "required": 1},
    ],
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the command printed
        """The one JSON value of standard output."""
        [line] = self.out.splitlines()
        return json.loads(line)


Cmdb = Callable[..., Ended]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cmdb-data")


@pytest.fixture(scope="module")
def url(neo4j_server: Neo4jAddress, data_dir: Path) -> Iterator[str]:
    """The address of a service on the session's Neo4j, which is emptied first."""

    async def clear() -> None:
        connection = await Connection.open(
            neo4j_server.uri, neo4j_server.user, neo4j_server.password, deadline=60
        )
        await connection.run(CLEAR)
        await connection.close()

    asyncio.run(clear())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CMDB_")}
    environment |= {
        "CMDB_NEO4J_URI": neo4j_server.uri,
        "CMDB_NEO4J_USER": neo4j_server.user,
        "CMDB_NEO4J_PASSWORD": neo4j_server.password,
        "CMDB_NEO4J_DEADLINE": "60",  # patience for a busy machine
        "CMDB_REQUEST_DEADLINE": "60",
    }
    log = data_dir / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "cmdb.cli", "serve", "--port", "0", "--data", str(data_dir)],
            env=environment,
            stdout=stream,
            stderr=stream,
        )
    try:
        yield _announced(process, log)
    finally:
        process.terminate()
        process.wait(30)


def _announced(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r'"url": ?"(http://[^"]+)"', log.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"the service did not start: {log.read_text()[-3000:]}")


@pytest.fixture
def cmdb(
    url: str, data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Cmdb:
    """Runs a command with the admin's token, which it finds in the data directory, or with another."""
    monkeypatch.setenv("CMDB_URL", url)
    monkeypatch.setenv("CMDB_DATA", str(data_dir))

    def run(*arguments: str, token: str | None = None, environment: dict[str, str] | None = None) -> Ended:
        with monkeypatch.context() as scope:
            for name, value in ({"CMDB_TOKEN": token} if token else {} | (environment or {})).items():
                scope.setenv(name, value)
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main(arguments)
            out, err = capsys.readouterr()
            return Ended(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def shop(cmdb: Cmdb, tmp_path: Path) -> dict[str, Any]:
    """The estate of `SHOP` is there; the answer to importing it (again)."""
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(SHOP))
    ended = cmdb("import", str(file), "--json")
    assert ended.status == 0, ended.err
    answer: dict[str, Any] = ended.json
    return answer


def test_import_prints_the_documented_object_a_file_and_the_same_file_again_changes_nothing(
    cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path
) -> None:
    again = cmdb("import", str(tmp_path / "shop.json"), "--json").json
    assert again == {
        "file": str(tmp_path / "shop.json"),
        "format": "observation",
        "items": 5,
        "edges": 4,
        "created": 0,
        "changed": 0,
        "unchanged": 5,
        "refused": [],
        "revision": None,
    }
    assert shop.keys() == again.keys()


def test_a_dry_run_tells_the_same_and_writes_nothing(cmdb: Cmdb, tmp_path: Path) -> None:
    file = tmp_path / "new.json"
    dry = {"ref": "x", "class": "Server", "attributes": {"name": "dry"}}
    file.write_text(json.dumps({"source": "s", "items": [dry]}))
    ended = cmdb("import", str(file), "--dry-run", "--json")
    assert (ended.status, ended.json["created"], ended.json["revision"]) == (0, 1, None)
    assert cmdb("get", "Server", "dry").status == 3


def test_a_refused_file_is_told_with_its_places_and_does_not_keep_the_others_back(
    cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(
        json.dumps({"source": "s", "items": [{"ref": "x", "class": "Sever", "attributes": {"name": "x"}}]})
    )
    ended = cmdb("import", str(bad), str(tmp_path / "shop.json"), "--json")
    first, second = map(json.loads, ended.out.splitlines())
    assert ended.status == 1
    assert "items[0]" in first["refused"][0]["where"]
    assert "Sever" in first["refused"][0]["why"]
    assert second["refused"] == []


def test_a_source_given_stands_for_the_one_in_the_file(cmdb: Cmdb, tmp_path: Path) -> None:
    file = tmp_path / "theirs.json"
    theirs = {"ref": "x", "class": "Server", "key": "x", "attributes": {"name": "theirs"}}
    file.write_text(json.dumps({"source": "they", "items": [theirs]}))
    assert cmdb("import", str(file), "--source", "us").status == 0
    assert cmdb("history", "theirs", "--json").json["events"][0]["source"] == "us"


def test_a_file_that_is_not_there_is_a_usage_error(cmdb: Cmdb) -> None:
    ended = cmdb("import", "/nowhere/at-all.json")
    assert (ended.status, "no file" in ended.err) == (2, True)


def test_status_tells_revision_counts_and_who_asks(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    record = cmdb("status", "--json").json
    assert record["counts"]["business_services"] == 1
    assert record["viewer"] == {"actor": "admin", "role": "admin"}
    assert record["service"]["ready"] is True
    assert "Web Shop" not in cmdb("status").out


def test_a_command_waits_for_the_revision_in_the_environment(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    revision = cmdb("status", "--json").json["revision"]
    there = cmdb("impact", "--down", "web-1", "--json", environment={"CMDB_AT_LEAST": str(revision)})
    assert there.status == 0, there.err
    assert there.json["revision"] >= revision
    for wrong in ("soon", "-1", "٣", "9" * 30):
        refused = cmdb("status", environment={"CMDB_AT_LEAST": wrong})
        assert refused.status == 1
        assert "write the number of a revision" in refused.err
    never = cmdb("ranking", environment={"CMDB_AT_LEAST": str(revision + 1_000_000)})
    assert never.status != 0
    assert str(revision + 1_000_000) in never.err


def test_find_lists_what_has_the_words(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    def found() -> list[str]:
        return [item["name"] for item in cmdb("find", "web", "--json").json]

    deadline = time.monotonic() + 10  # Neo4j's full-text index follows its commits
    while len(found()) < 4 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert {"Web Shop", "web", "web-1", "web-2"} <= set(found())


def test_get_shows_attributes_in_readable_units_and_edges_on_both_sides(
    cmdb: Cmdb, shop: dict[str, Any]
) -> None:
    text = cmdb("get", "Server", "web-1").out
    assert re.search(r"memory +64 GiB", text)
    assert re.search(r"has member +web +Cluster +members: needs 1", text)
    record = cmdb("get", "Host", "web-1", "--json").json
    assert record["attributes"]["memory"] == 64 * 2**30
    assert record["edges"][0]["source_name"] == "web"


def test_dependencies_are_a_tree_with_redundancy_groups(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    lines = cmdb("deps", "Web Shop").out.splitlines()
    assert lines[0] == "Web Shop  BusinessService · business"
    assert "├── depends on web  Cluster · compute" in lines
    assert "│   └── members: needs 1 of 2" in lines
    assert "└── uses dns  ApplicationService · application  (soft)" in lines
    assert "shop" not in cmdb("deps", "Web Shop", "--type", "DEPENDS_ON").out.lower().split("\n", 1)[1]


def test_dependents_go_the_other_way(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    walk = cmdb("dependents", "web-1", "--json").json
    assert [item["name"] for item in walk["items"]] == ["web", "Web Shop"]


def test_a_walk_is_printed_as_a_graph_for_other_programs(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    revision = cmdb("status", "--json").json["revision"]
    text = cmdb("deps", "Web Shop", "--format", "mermaid").out
    assert text.startswith(f"---\ntitle: revision {revision}\n---\nflowchart TB\n")
    assert text.count('-->|"1 of 2"|') == 2
    graph = cmdb("dependents", "web-1", "--format", "json").json
    assert [node["name"] for node in graph["nodes"]] == ["web-1", "web", "Web Shop"]
    assert [edge["gate_members"] for edge in graph["edges"] if edge["group"]] == [2]
    cut = cmdb("deps", "Web Shop", "--format", "dot", "--limit", "1")
    assert (cut.out.startswith("// revision"), "raise --limit" in cut.err) == (True, True)


def test_an_impact_is_printed_as_a_graph_with_states(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    graph = cmdb("impact", "--down", "web-1", "--format", "json").json
    states = {node["name"]: node["state"] for node in graph["nodes"]}
    assert states == {"web-1": "down", "web": "at_risk", "Web Shop": "at_risk"}
    cut = cmdb("impact", "--down", "web-1", "--format", "mermaid", "--limit", "1")
    assert ("there is more" in cut.out, "raise --limit" in cut.err) == (True, True)


def test_a_graph_is_written_to_a_file(cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "shop.graphml"
    ended = cmdb("deps", "Web Shop", "--format", "graphml", "--output", str(file))
    assert (ended.status, ended.out) == (0, "")
    names = {data["name"] for _, data in nx.read_graphml(file).nodes(data=True)}
    assert names == {"Web Shop", "web", "web-1", "web-2", "dns"}


@pytest.mark.parametrize(
    "options",
    [("--output", "x"), ("--format", "dot", "--output", "/nowhere/x"), ("--format", "svg")],
    ids=["no format", "no folder", "unknown format"],
)
def test_a_graph_that_cannot_be_written_is_a_usage_error(
    cmdb: Cmdb, shop: dict[str, Any], options: tuple[str, ...]
) -> None:
    ended = cmdb("deps", "Web Shop", *options)
    assert (ended.status, ended.out) == (2, "")


def test_names_are_ids_names_or_class_and_name(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    item_id = cmdb("get", "Server", "web-1", "--json").json["id"]
    for name in (item_id, "web-1", "Server/web-1", "Host/web-1"):
        assert cmdb("deps", name, "--json").json["start"]["id"] == item_id


def test_an_ambiguous_name_lists_the_candidates(cmdb: Cmdb, tmp_path: Path) -> None:
    twins = [{"ref": c, "class": c, "key": c, "attributes": {"name": "twin"}} for c in ("Server", "Cluster")]
    (tmp_path / "twins.json").write_text(json.dumps({"source": "s", "items": twins}))
    assert cmdb("import", str(tmp_path / "twins.json")).status == 0
    ended = cmdb("deps", "twin", "--json")
    assert ended.status == 3
    error = json.loads(ended.err)["error"]
    assert error["code"] == "AMBIGUOUS"
    assert sorted(c["class"] for c in error["candidates"]) == ["Cluster", "Server"]
    assert cmdb("deps", "Cluster/twin").status == 0


def test_an_unknown_name_is_not_found(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    ended = cmdb("history", "web-7000")
    assert (ended.status, "no item 'web-7000'" in ended.err) == (3, True)


def test_impact_has_the_documented_form_and_names_what_redundancy_saved(
    cmdb: Cmdb, shop: dict[str, Any]
) -> None:
    one = cmdb("impact", "--down", "web-1", "--json").json
    assert {"revision", "down", "degraded", "at_risk", "services"} <= one.keys()
    assert [item["name"] for item in one["down"]] == ["web-1"]
    assert [item["name"] for item in one["at_risk"]] == ["web", "Web Shop"]
    assert {"id", "class", "name", "because"} <= one["at_risk"][0].keys()
    assert {(s["name"], s["state"]) for s in one["services"]} == {("Web Shop", "at_risk")}
    fact = one["at_risk"][0]["because"][0]
    assert (fact["code"], fact["required"], fact["up"]) == ("gate_without_spare", 1, 1)


def test_impact_names_every_customer_however_many(cmdb: Cmdb, tmp_path: Path) -> None:
    customers = [f"customer-{number:02d}" for number in range(73)]
    items = [{"ref": "till", "class": "BusinessService", "key": "till", "attributes": {"name": "Tills"}}]
    items += [
        {"ref": name, "class": "Customer", "key": name, "attributes": {"name": name}} for name in customers
    ]
    edges = [{"type": "SUBSCRIBED_BY", "from": "till", "to": name} for name in customers]
    file = tmp_path / "tills.json"
    file.write_text(json.dumps({"source": "by-hand", "items": items, "edges": edges}))
    imported = cmdb("import", str(file), "--json")
    assert imported.status == 0, imported.err
    told = cmdb("impact", "--down", "Tills", "--json").json
    assert told["concerned"]["customers"] == len(customers)
    assert sorted(customer["name"] for customer in told["customers"]) == customers


def test_several_failures_at_once_are_judged_together(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    text = cmdb("impact", "--down", "web-1", "--down", "Server/web-2").out
    assert text.startswith("If web-1 and web-2 fail together: 4 down")
    assert "needs 1 of 2, 0 up: web-1 ● down, web-2 ● down" in text
    assert cmdb("impact", "--down", "dns", "--json").json["degraded"][0]["name"] == "Web Shop"
    assert cmdb("impact", "--down", "dns", "--type", "DEPENDS_ON", "--json").json["degraded"] == []


def test_the_whole_answer_goes_to_machines_as_lines_and_as_arrow(
    cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path
) -> None:
    lines = [
        json.loads(line) for line in cmdb("impact", "--down", "web-1", "--bulk", "jsonl").out.splitlines()
    ]
    assert {(row["name"], row["state"]) for row in lines[1:]} >= {("web-1", "down"), ("Web Shop", "at_risk")}
    file = tmp_path / "impact.arrow"
    assert cmdb("impact", "--down", "web-1", "--bulk", "arrow", "--output", str(file)).status == 0
    assert pa.ipc.open_stream(file.read_bytes()).read_all().to_pylist() == lines[1:]
    assert cmdb("impact", "--down", "web-1", "--bulk", "arrow").status == 2


def test_what_is_down_already_is_told_from_what_is_added(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    answer = cmdb("impact", "--down", "Server/web-2", "--already-down", "web-1", "--json").json
    assert {item["name"] for item in answer["down"]} >= {"web-1", "web-2", "Web Shop"}
    assert 0 < answer["added"] < sum(answer["counts"].values())


def test_what_is_down_on_record_is_named_with_the_records(
    cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path
) -> None:
    nothing = cmdb("impact", "--already-down-by", "changes")
    assert "By the records nothing is down" in nothing.out
    told = {
        "source": "desk",
        "items": [
            {"ref": "h", "class": "Server", "attributes": {"name": "crm-1"}},
            {"ref": "i", "class": "Server", "attributes": {"name": "crm-2"}},
            {
                "ref": "o",
                "class": "Outage",
                "attributes": {"name": "Disks [gone]", "number": "O-7", "started_at": "2026-01-01T00:00:00Z"},
            },
        ],
        "edges": [{"type": "AFFECTS", "from": "o", "to": "h"}],
    }
    file = tmp_path / "outages.json"
    file.write_text(json.dumps(told))
    assert cmdb("import", str(file)).status == 0
    asked = ("impact", "--down", "crm-2", "--already-down-by", "all")
    record = cmdb(*asked, "--json").json
    assert [(row["name"], row["class"]) for row in record["already_down_by"]] == [("Disks [gone]", "Outage")]
    assert [item["name"] for item in record["failed_by_records"]] == ["crm-1"]
    assert [item["name"] for item in record["failed"]] == ["crm-2", "crm-1"]
    text = cmdb(*asked).out
    assert "If crm-2 fails, with 1 more down on record: 2 down" in text
    assert "On record: Disks [gone] outage (crm-1)" in text
    assert "Down now by the records: 1 down" in cmdb("impact", "--already-down-by", "outages").out
    lines = cmdb(*asked, "--bulk", "jsonl").out.splitlines()
    assert {json.loads(line)["name"] for line in lines[1:]} == {"crm-1", "crm-2"}
    assert "already_down_by" not in cmdb("impact", "--down", "crm-2", "--json").json
    assert cmdb("impact").status == 2


def test_a_failure_from_until_tells_the_agreed_service_time_it_takes(
    cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path
) -> None:
    office = {day: ["08:00-18:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
    told = {
        "source": "agreements",
        "items": [
            {"ref": "s", "class": "ApplicationService", "attributes": {"name": "Payroll"}},
            {"ref": "h", "class": "Server", "attributes": {"name": "hr-1"}},
            {"ref": "a", "class": "ServiceLevelAgreement", "attributes": {"name": "SLA Payroll"}},
            {"ref": "c", "class": "ServiceCalendar", "attributes": {"name": "Office", "hours": office}},
            {
                "ref": "t",
                "class": "ServiceLevelTarget",
                "attributes": {"name": "Payroll up", "measure": "availability", "target": 0.99},
            },
        ],
        "edges": [
            {"type": "DEPENDS_ON", "from": "s", "to": "h"},
            {"type": "GOVERNED_BY", "from": "s", "to": "a"},
            {"type": "GOVERNED_BY", "from": "a", "to": "c"},
            {"type": "TARGET_OF", "from": "t", "to": "a"},
        ],
    }
    file = tmp_path / "agreements.json"
    file.write_text(json.dumps(told))
    assert cmdb("import", str(file)).status == 0
    asked = ("impact", "--down", "hr-1", "--from", "2026-11-27T15:00:00Z")
    found = cmdb(*asked, "--until", "2026-11-28T09:00:00Z", "--json").json["service_time"]
    assert (found["lost"], found["broken"]) == ("PT3H", 1)
    assert cmdb(*asked, "--lasting", "18h", "--json").json["service_time"] == found
    text = cmdb(*asked, "--lasting", "18h").out
    assert "takes 3h of agreed service time from 1 service; of 1 target 1 missed" in text
    assert re.search(r"Payroll +ApplicationService +3h +Office", text)
    assert re.search(r"✗ +Payroll up +99 % +any +SLA Payroll +2026-11 +2h6m +0s +3h +-54m", text)
    now = cmdb("impact", "--down", "hr-1", "--lasting", "1m", "--json").json["service_time"]
    assert datetime.fromisoformat(now["to"]) - datetime.fromisoformat(now["from"]) == timedelta(minutes=1)
    assert "service_time" not in cmdb("impact", "--down", "hr-1", "--json").json


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--from", "2026-11-27T15:00:00Z"), "--until a time, or --lasting"),
        (("--until", "2026-11-27T15:00:00Z", "--lasting", "4h"), "--until a time, or --lasting"),
        (("--until", "tomorrow"), "tomorrow"),
        (("--lasting", "long"), "long"),
        (("--from", "9999-12-31T00:00:00Z", "--lasting", "90000h"), "too long"),
        (("--lasting", "4h", "--format", "json"), "not part of --bulk and --format"),
    ],
)
def test_a_time_that_makes_no_sense_is_a_usage_error(cmdb: Cmdb, options: tuple[str, ...], why: str) -> None:
    ended = cmdb("impact", "--down", "web-1", *options)
    assert ended.status == 2
    assert why in " ".join(re.sub("[│╭╮╰╯─]", " ", ended.err).split())


def test_availability_names_single_points_and_writes_a_fault_tree(
    cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path
) -> None:
    ended = cmdb("availability", "Web Shop", "--json")
    answer = ended.json
    assert 0 < answer["predicted"]["lower"] <= answer["predicted"]["upper"] <= 1
    assert {point["item"]["name"] for point in answer["singlePointsOfFailure"]} >= {"web"}
    text = cmdb("availability", "Web Shop").out
    assert text.startswith("Web Shop is predicted to be available ")
    assert "Single points of failure" in text
    file = tmp_path / "shop.xml"
    assert cmdb("availability", "Web Shop", "--fault-tree", str(file)).status == 0
    assert "opsa-mef" in file.read_text()


def imported(cmdb: Cmdb, tmp_path: Path, told: dict[str, Any]) -> int:
    """The revision that importing this makes."""
    file = tmp_path / "told.json"
    file.write_text(json.dumps(told))
    ended = cmdb("import", str(file), "--json")
    assert ended.status == 0, ended.out
    revision: int = ended.json["revision"]
    return revision


def names(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["name"] for row in rows)


def test_touched_lists_the_services_that_depend_on_an_item(cmdb: Cmdb, tmp_path: Path) -> None:
    services = [
        {"ref": f"s{n}", "class": "ApplicationService", "key": f"s{n}", "attributes": {"name": f"Desk {n}"}}
        for n in range(3)
    ]
    host = {"ref": "h", "class": "Server", "key": "h", "attributes": {"name": "desk-host"}}
    alone = {"ref": "n", "class": "Switch", "key": "n", "attributes": {"name": "net-desk"}}
    edges = [{"type": "DEPENDS_ON", "from": f"s{n}", "to": "h"} for n in range(3)]
    imported(cmdb, tmp_path, {"source": "desks", "items": [host, alone, *services], "edges": edges})
    record = cmdb("touched", "desk-host", "--json").json
    assert (record["item"]["name"], record["count"], record["offset"]) == ("desk-host", 3, 0)
    assert names(record["services"]) == ["Desk 0", "Desk 1", "Desk 2"]
    page = cmdb("touched", "Server/desk-host", "--limit", "1", "--offset", "1", "--json").json
    assert page["services"] == record["services"][1:2]
    text = cmdb("touched", "desk-host", "--limit", "2").out
    assert text.startswith("The failure of desk-host touches 3 services")
    assert text.splitlines()[-1] == "… and 1 more"
    assert "paths" not in record
    record = cmdb("touched", "desk-host", "--paths", "--json").json
    assert [[hop["name"] for hop in path] for path in record["paths"]] == [
        [service["name"], "desk-host"] for service in record["services"]
    ]
    assert "Desk 0 ← desk-host" in cmdb("touched", "desk-host", "--paths").out
    assert cmdb("touched", "net-desk", "--paths").out.startswith("The failure of net-desk touches 0 services")
    assert names(cmdb("touched", "Desk 1", "--json").json["services"]) == ["Desk 1"]
    assert cmdb("touched", "desk-hots").status == 3


def test_a_ranking_has_pages(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    asked = ("ranking", "--as-of", str(cmdb("status", "--json").json["revision"]))
    first = cmdb(*asked, "--json").json
    page = cmdb(*asked, "--offset", "1", "--limit", "2", "--json").json
    assert (page["offset"], page["items"]) == (1, first["items"][1:3])
    *_, before, after = cmdb(*asked, "--offset", "1", "--limit", "2").out.splitlines()
    assert (before, after) == ("… after the first 1", f"… and {first['count'] - 3:,} more")
    beyond = cmdb(*asked, "--offset", "100000")
    assert beyond.out.splitlines()[1:] == [f"… after the first {first['count']:,}"]


def test_what_is_measured_stands_beside_what_is_predicted(cmdb: Cmdb, tmp_path: Path) -> None:
    service = {"name": "Pay", "availability_target": 0.99}
    gone = {"name": "No pay", "started_at": "2025-10-02T00:00:00Z", "ended_at": "2025-10-02T10:00:00Z"}
    wrong = {"name": "Odd", "started_at": "2025-10-04T00:00:00Z", "ended_at": "2025-10-03T00:00:00Z"}
    told = {
        "source": "pay",
        "items": [
            {"ref": "s", "class": "BusinessService", "attributes": service},
            {"ref": "o", "class": "Outage", "attributes": gone | {"number": "PAY-1"}},
            {"ref": "w", "class": "Outage", "attributes": wrong | {"number": "PAY-2"}},
        ],
        "edges": [{"type": "AFFECTS", "from": outage, "to": "s"} for outage in ("o", "w")],
    }
    imported(cmdb, tmp_path, told)
    asked = ("availability", "Pay", "--measured-from", "2025-10-01", "--measured-to", "2025-11-01")
    measured = cmdb(*asked, "--json").json["measured"]
    assert (measured["agreed"], measured["down"], measured["met"]) == ("PT744H", "PT10H", False)
    assert (measured["allowed_down"], len(measured["unusable"])) == ("PT7H26M24S", 1)
    text = cmdb(*asked).out
    assert (
        "Measured from 2025-10-01 00:00 to 2025-11-01 00:00 UTC: 98.6559 %, 10h down in 744h agreed" in text
    )
    assert "the target of 99 % (allows 7h26m24s) was missed" in " ".join(text.split())
    assert "Service hours: round the clock" in text
    assert "Set aside: 1 outage record whose times make no sense" in text
    until_now = cmdb("availability", "Pay", "--measured-from", "2025-10-01", "--json").json["measured"]
    assert until_now["to"] > measured["to"]
    assert "measured" not in cmdb("availability", "Pay", "--json").json


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--measured-to", "2025-10-01"), "say when the period begins"),
        (("--measured-from", "long ago"), "long ago"),
        (("--measured-from", "2025-10-01", "--fault-tree", "shop.xml"), "not part of a fault tree"),
    ],
)
def test_a_period_that_makes_no_sense_is_a_usage_error(
    cmdb: Cmdb, options: tuple[str, ...], why: str
) -> None:
    ended = cmdb("availability", "Web Shop", *options)
    assert ended.status == 2
    assert why in " ".join(re.sub("[│╭╮╰╯─]", " ", ended.err).split())


def test_figures_tell_what_they_rest_on(cmdb: Cmdb, tmp_path: Path) -> None:
    attributes: dict[str, dict[str, Any]] = {
        "fig-1": {"availability": 0.999},
        "fig-2": {"mtbf": "992h", "mttr": "8h"},
        "fig-3": {},
        "fig-4": {},
    }
    told = {
        "source": "figures",
        "items": [
            *(
                {"ref": name, "class": "Server", "key": name, "attributes": {"name": name, **more}}
                for name, more in attributes.items()
            ),
            {
                "ref": "o",
                "class": "Outage",
                "attributes": {
                    "name": "Dead",
                    "number": "FIG-1",
                    "started_at": "2025-10-02T00:00:00Z",
                    "ended_at": "2025-10-02T04:00:00Z",
                },
            },
        ],
        "edges": [{"type": "AFFECTS", "from": "o", "to": "fig-4"}],
    }
    imported(cmdb, tmp_path, told)
    record = cmdb("figures", "fig-2", "Server/fig-1", "fig-3", "fig-4", "--json").json
    assert record["revision"] == cmdb("status", "--json").json["revision"]
    second, first, third, fourth = record["figures"]
    assert (first["basis"], first["unavailability"]) == ("declared_availability", pytest.approx(0.001))
    assert (second["basis"], second["mtbf"], second["mttr"]) == ("declared_mtbf_mttr", "PT992H", "PT8H")
    assert second["unavailability"] == pytest.approx(0.008)
    assert third["basis"] == "class_default"
    assert third["default_class"]
    assert (fourth["basis"], fourth["history"]["outages"]) == ("outage_history", 1)
    assert fourth["history"]["down"] == "PT4H"
    text = cmdb("figures", "fig-1", "fig-2", "fig-4").out
    assert re.search(r"fig-1 +Server +1.00e-03 +its availability +available 99.9 % of the time", text)
    assert re.search(r"fig-2 +Server +8.00e-03 +its MTBF and MTTR +MTBF 992h, MTTR 8h", text)
    assert "1 outage, 4h down in " in text
    assert cmdb("figures", "fig-1", "fig-9").status == 3


def test_all_of_an_impact_has_what_redundancy_saved_and_the_chains_of_causes(
    cmdb: Cmdb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [
        {"ref": f"n{n}", "class": "Server", "key": f"n{n}", "attributes": {"name": f"node-{n}"}}
        for n in range(3)
    ]
    told = {
        "source": "quorum",
        "items": [
            {"ref": "c", "class": "ApplicationService", "key": "c", "attributes": {"name": "client"}},
            {"ref": "q", "class": "Cluster", "key": "q", "attributes": {"name": "quorum"}},
            *nodes,
        ],
        "edges": [
            {"type": "DEPENDS_ON", "from": "c", "to": "q"},
            *(
                {"type": "HAS_MEMBER", "from": "q", "to": f"n{n}", "group": "members", "required": 1}
                for n in range(3)
            ),
        ],
    }
    imported(cmdb, tmp_path, told)
    record = cmdb("impact", "--down", "node-0", "--json").json
    [failed], [reduced], [protected] = record["down"], record["reduced"], record["protected"]
    assert (reduced["name"], reduced["because"][0]["code"]) == ("quorum", "gate_with_spare")
    assert (protected["name"], protected["because"][0]["code"]) == ("client", "reached_only")
    assert failed["path"] == [failed["id"]]
    assert reduced["path"] == [reduced["id"], failed["id"]]
    assert protected["path"] == [protected["id"], reduced["id"], failed["id"]]
    assert "… and 1 reduced and 1 protected; --all shows them" in cmdb("impact", "--down", "node-0").out
    text = cmdb("impact", "--down", "node-0", "--all").out
    assert re.search(r"Reduced *\n.*\nquorum +Cluster +needs 1 of 3, 2 up", text)
    assert re.search(r"Protected *\n.*\nclient +ApplicationService +depends on quorum", text)
    monkeypatch.setattr("cmdb.cli.what_if._MOST_EXPLAINED", 0)
    assert cmdb("impact", "--down", "node-0", "--json").json == record


def test_what_is_pinned_stays_up(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    asked = ("impact", "--down", "web-1", "--down", "Server/web-2")
    assert "Web Shop" in names(cmdb(*asked, "--json").json["down"])
    assert names(cmdb(*asked, "--pin", "Cluster/web", "--json").json["down"]) == ["web-1", "web-2"]


def test_edges_less_certain_than_asked_carry_no_failure(cmdb: Cmdb, tmp_path: Path) -> None:
    told = {
        "source": "guess",
        "items": [
            {"ref": "s", "class": "ApplicationService", "key": "s", "attributes": {"name": "Guess"}},
            {"ref": "h", "class": "Server", "key": "h", "attributes": {"name": "guess-1"}},
        ],
        "edges": [{"type": "DEPENDS_ON", "from": "s", "to": "h", "confidence": "inferred"}],
    }
    imported(cmdb, tmp_path, told)
    asked = ("impact", "--down", "guess-1", "--json")
    assert names(cmdb(*asked).json["down"]) == ["Guess", "guess-1"]
    assert names(cmdb(*asked, "--confidence", "inferred").json["down"]) == ["Guess", "guess-1"]
    for least in ("observed", "declared"):
        assert names(cmdb(*asked, "--confidence", least).json["down"]) == ["guess-1"]


@dataclass(frozen=True, slots=True)
class Past:
    """A question about an estate with names that end alike, what to look at in the answer, and what it was and is."""

    asked: tuple[str, ...]
    seen: Callable[[list[Any]], object]
    before: object
    after: object


PAST = {
    "impact": Past(
        ("impact", "--down", "till", "--json"),
        lambda lines: len(lines[0]["down"]),
        before=2,
        after=3,
    ),
    "bulk": Past(
        ("impact", "--down", "till", "--bulk", "jsonl"),
        lambda lines: sorted(row["state"] for row in lines[1:]),
        before=["down"] * 2,
        after=["down"] * 3,
    ),
    "availability": Past(
        ("availability", "Sale", "--json"),
        lambda lines: sorted(point["item"]["class"] for point in lines[0]["singlePointsOfFailure"]),
        before=["Server"],
        after=["Server", "Switch", "Switch", "Switch"],
    ),
    "ranking": Past(
        ("ranking", "--class", "Server", "--limit", "100", "--json"),
        lambda lines: [
            (row["items_down"], row["services_touched"])
            for row in lines[0]["items"]
            if row["item"]["name"] == "till ranking"
        ],
        before=[(2, 1)],
        after=[(3, 2)],
    ),
    "touched": Past(("touched", "till", "--json"), lambda lines: lines[0]["count"], before=1, after=2),
    "weak-points": Past(
        ("weak-points", "--of", "net-a", "--type", "CONNECTED_TO", "--json"),
        lambda lines: lines[0]["counts"]["articulation_points"],
        before=1,
        after=0,
    ),
    "minimum-cut": Past(
        ("minimum-cut", "net-a", "net-c", "--type", "CONNECTED_TO", "--json"),
        lambda lines: (lines[0]["separable"], len(lines[0]["direct"])),
        before=(True, 0),
        after=(False, 1),
    ),
}


@pytest.mark.parametrize("name", PAST)
def test_a_question_about_the_past_is_answered_as_it_was_then(cmdb: Cmdb, tmp_path: Path, name: str) -> None:
    told: dict[str, Any] = {
        "source": f"past of {name}",
        "items": [
            {"ref": ref, "class": kind, "key": ref, "attributes": {"name": f"{ref} {name}"}}
            for ref, kind in (
                ("Sale", "ApplicationService"),
                ("Return", "ApplicationService"),
                ("till", "Server"),
                *((f"net-{letter}", "Switch") for letter in "abc"),
            )
        ],
        "edges": [
            {"type": "DEPENDS_ON", "from": "Sale", "to": "till"},
            {"type": "CONNECTED_TO", "from": "net-a", "to": "net-b"},
            {"type": "CONNECTED_TO", "from": "net-b", "to": "net-c"},
        ],
    }
    before = imported(cmdb, tmp_path, told)
    told["edges"] += [
        {"type": "DEPENDS_ON", "from": "Return", "to": "till"},
        {"type": "DEPENDS_ON", "from": "Sale", "to": "net-a"},
        {"type": "CONNECTED_TO", "from": "net-a", "to": "net-c"},
    ]
    after = imported(cmdb, tmp_path, told)
    past = PAST[name]
    items = {"till", "Sale", "net-a", "net-c"}
    asked = [f"{word} {name}" if word in items else word for word in past.asked]
    for revision, expected in ((before, past.before), (after, past.after)):
        ended = cmdb(*asked, "--as-of", str(revision))
        assert ended.status == 0, ended.err
        lines = [json.loads(line) for line in ended.out.splitlines()]
        assert past.seen(lines) == expected
        assert lines[0].get("impact", lines[0])["revision"] == revision


def test_the_past_is_named_by_the_change_that_ended_it(
    cmdb: Cmdb, shop: dict[str, Any], url: str, data_dir: Path
) -> None:
    create = """mutation Create($name: String!) {
      createServer(input: {name: $name}, reason: "CHG: 77") { revision }
    }"""
    with Client(Access.from_environment({"CMDB_URL": url}, data_dir=data_dir)) as client:
        first, _ = (
            client.query(create, {"name": name})["createServer"]["revision"] for name in ("new-1", "new-2")
        )
    then = ("--as-of", "before:CHG: 77")
    assert cmdb("get", "Server", "new-1").status == 0
    assert cmdb("get", "Server", "new-1", *then).status == 3
    assert cmdb("impact", "--down", "web-1", *then, "--json").json["revision"] == first - 1
    head = cmdb("impact", "--down", "web-1", *then, "--bulk", "jsonl").out.splitlines()[0]
    assert json.loads(head)["impact"]["revision"] == first - 1
    unknown = cmdb("impact", "--down", "web-1", "--as-of", "before:CHG-78")
    assert (unknown.status, "no revision gives it as its reason" in unknown.err) == (3, True)


def put_memory(cmdb: Cmdb, tmp_path: Path, memory: str) -> int:
    changed = {"ref": "a", "class": "Server", "key": "1", "attributes": {"name": "web-1", "memory": memory}}
    (tmp_path / "memory.json").write_text(json.dumps({"source": "by-hand", "items": [changed]}))
    revision: int = cmdb("import", str(tmp_path / "memory.json"), "--json").json["revision"]
    return revision


def test_history_diff_and_as_of_tell_of_a_change_and_undo_takes_it_back(
    cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path
) -> None:
    revision = put_memory(cmdb, tmp_path, "128 GiB")
    assert "memory  64 GiB → 128 GiB" in cmdb("history", "web-1").out

    diff = cmdb("diff", str(revision - 1), str(revision), "--json").json
    [change] = diff["changes"]
    assert (diff["from"], diff["to"], change["name"], change["kind"]) == (
        revision - 1,
        revision,
        "web-1",
        "updated",
    )
    assert change["fields"] == [{"field": "memory", "before": 64 * 2**30, "after": 128 * 2**30}]
    assert "no difference" in cmdb("diff", str(revision - 1), str(revision), "--scope", "web-2").out

    past = cmdb("get", "Server", "web-1", "--as-of", str(revision - 1), "--json").json
    assert past["attributes"]["memory"] == 64 * 2**30

    assert cmdb("undo", str(revision), "--dry-run").status == 0
    undone = cmdb("undo", str(revision), "--json").json
    assert undone["revision"] == revision + 1
    assert cmdb("get", "Server", "web-1", "--json").json["attributes"]["memory"] == 64 * 2**30


def test_undo_of_what_was_changed_since_is_refused(cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path) -> None:
    first = put_memory(cmdb, tmp_path, "256 GiB")
    put_memory(cmdb, tmp_path, "64 GiB")
    assert cmdb("undo", str(first)).status == 1


def test_a_baseline_is_a_name_for_a_moment(cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path) -> None:
    made = cmdb("baseline", "create", "before", "--scope", "Web Shop", "--json").json
    assert made["size"] == 5
    put_memory(cmdb, tmp_path, "512 GiB")
    assert [c["name"] for c in cmdb("diff", "before", "--json").json["changes"]] == ["web-1"]
    put_memory(cmdb, tmp_path, "64 GiB")
    assert "before" in cmdb("baseline", "list").out
    assert cmdb("baseline", "delete", "before").status == 0
    assert cmdb("diff", "before").status == 3


def test_a_catalogue_file_adds_a_class_without_restart(cmdb: Cmdb, tmp_path: Path) -> None:
    file = tmp_path / "robots.yaml"
    file.write_text("Robot:\n  extends: Equipment\n  description: A picking robot.\n  layer: facility\n")
    assert cmdb("catalogue", "apply", str(file), "--dry-run").status == 0
    assert cmdb("catalogue", "show", "Robot").status == 3
    assert cmdb("catalogue", "apply", str(file)).status == 0
    assert "extends: Equipment" in cmdb("catalogue", "show", "Robot").out
    robot = {
        "ref": "r",
        "class": "Robot",
        "attributes": {"name": "r2", "serial_number": "1", "manufacturer": "M"},
    }
    (tmp_path / "robot.json").write_text(json.dumps({"source": "s", "items": [robot]}))
    assert cmdb("import", str(tmp_path / "robot.json")).status == 0
    deadline = time.monotonic() + 60  # the GraphQL schema is rebuilt beside what it serves, then swapped
    while (ended := cmdb("get", "Robot", "r2", "--json")).status and time.monotonic() < deadline:
        time.sleep(0.2)
    assert ended.json["class"] == "Robot"


def test_a_wrong_catalogue_entry_is_refused_with_the_way_out(cmdb: Cmdb, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("Robot2:\n  extends: Nothing\n  description: A robot.\n")
    ended = cmdb("catalogue", "apply", str(file))
    assert (ended.status, "name a class that exists" in ended.err) == (1, True)


def test_checks_that_hold_end_with_0_and_the_others_with_1_and_reasons(
    cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path
) -> None:
    good = "service 'Web Shop' has no single point of failure of class Host  # both servers\n"
    bad = "failure of 'web-1' and 'Server/web-2' takes down no service\n"
    (tmp_path / "good").write_text(f"# promised\n{good}")
    (tmp_path / "bad").write_text(good + bad)
    passed = cmdb("check", str(tmp_path / "good"))
    assert passed.status == 0
    assert "✓   2  service 'Web Shop' has no" in passed.out
    failed = cmdb("check", str(tmp_path / "good"), str(tmp_path / "bad"))
    assert failed.status == 1
    assert "✗   2  failure of 'web-1'" in failed.out
    assert "1 goes down, 0 at most may: Web Shop (BusinessService)" in failed.out
    assert re.search("way: Web Shop → web → web-[12]", failed.out)
    gate = r"gate \(members\): web needs 1 of 2, 0 up; down: web-[12] \(Server\), web-[12] \(Server\)"
    assert re.search(gate, failed.out)
    assert "1 assertion holds, 1 does not" in failed.out


def test_a_check_of_the_past_and_as_json(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    line = "every BusinessService survives any 1 failure"
    now = cmdb("check", "-e", line, "-e", "'web' does not depend on 'Web Shop'", "--json")
    assert now.status == 1
    record = now.json
    assert (record["file"], record["passed"]) == (None, False)
    assert [result["outcome"] for result in record["results"]] == ["failed", "passed"]
    [finding] = record["results"][0]["findings"]
    assert (finding["code"], [item["name"] for item in finding["members"]]) == ("cut_set", ["web"])
    before = cmdb("check", "-e", line, "--as-of", "0", "--json")
    assert (before.status, before.json["revision"], before.json["results"][0]["examined"]) == (0, 0, 0)


def test_what_is_no_check_ends_with_2_and_its_place(cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "checks"
    file.write_text("service 'Web Shop' survives any 9 failures\n\nwhat?\n")
    ended = cmdb("check", str(file), "-e", "service 'dns' survives any 1 failure")
    assert ended.status == 2
    assert f"{file}:1:33: any 9 failures cannot be asked about" in ended.err
    assert f"{file}:3:5: '?' means nothing here" in ended.err
    assert "1 assertion holds" in ended.out, "what can be read is checked"
    error = json.loads(cmdb("check", str(file), "--json").err)["error"]
    assert (error["code"], error["faults"][0]["line"]) == ("ASSERTION_INVALID", 1)
    assert cmdb("check", str(tmp_path / "none")).status == 2
    assert cmdb("check").status == 2
    file.write_bytes(b"\xff")
    assert cmdb("check", str(file)).status == 2


def test_a_name_that_fits_nothing_is_no_failure_and_no_success(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    unknown = "service 'Web Sop' survives any 1 failure"
    ended = cmdb("check", "-e", unknown)
    assert (ended.status, "nothing is called Web Sop" in ended.out) == (3, True)
    assert cmdb("check", "-e", unknown, "-e", "failure of 'web' takes down nothing").status == 1


def test_a_token_has_the_rights_of_its_role_until_it_is_revoked(
    cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path
) -> None:
    made = cmdb("token", "create", "--role", "viewer", "--name", "vera", "--json").json
    assert cmdb("deps", "web", token=made["token"]).status == 0
    assert cmdb("import", str(tmp_path / "shop.json"), token=made["token"]).status == 4
    assert cmdb("token", "list", token=made["token"]).status == 4
    assert "vera" in cmdb("token", "list").out
    assert made["token"] not in cmdb("token", "list", "--json").out
    assert cmdb("token", "revoke", made["id"]).status == 0
    assert cmdb("deps", "web", token=made["token"]).status == 4


def test_audit_finds_the_chain_whole(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    ended = cmdb("audit", "ledger", "--json")
    assert (ended.status, ended.json["ok"], ended.json["problems"]) == (0, True, [])
    anchor = f"{ended.json['revisions']}:{ended.json['hash']}"
    assert cmdb("audit", "ledger", "--anchor", anchor).status == 0
    forged = cmdb("audit", "ledger", "--anchor", f"1:{'0' * 64}", "--json")
    assert (forged.status, forged.json["ok"]) == (1, False)
    assert "the ledger was rewritten" in forged.json["problems"][0]
    assert cmdb("audit", "ledger", "--anchor", "yesterday").status == 2


def test_an_export_as_an_observation_imports_without_a_change(
    cmdb: Cmdb, shop: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "estate.json"
    assert cmdb("export", "--form", "observation", "--output", str(file), "--source", "by-hand").status == 0
    answer = cmdb("import", str(file), "--json").json
    assert (answer["created"], answer["changed"], answer["refused"]) == (0, 0, [])
    assert answer["items"] >= 5


def test_an_export_as_lines_has_every_item_and_edge_once(cmdb: Cmdb, shop: dict[str, Any]) -> None:
    head, *lines = map(json.loads, cmdb("export").out.splitlines())
    items = [line["item"]["id"] for line in lines if "item" in line]
    edges = [line["edge"] for line in lines if "edge" in line]
    assert head["revision"] == cmdb("status", "--json").json["revision"]
    assert len(items) == len(set(items)) == cmdb("status", "--json").json["counts"]["items"]
    assert {edge["type"] for edge in edges} >= {"DEPENDS_ON", "USES", "HAS_MEMBER"}
    assert len({(e["type"], e["source"], e["target"], e["group"]) for e in edges}) == len(edges)


def test_the_agent_reports_this_machine_through_the_same_door(cmdb: Cmdb) -> None:
    record = cmdb("agent", "--once", "--json").json
    assert (record["format"], record["refused"]) == ("observation", [])
    assert record["items"] > 3
    again = cmdb("agent", "--once", "--json").json
    assert again["created"] <= 10, "only what was started meanwhile may be new"
    assert again["unchanged"] >= record["items"] // 2


def test_no_service_is_said_with_exit_status_5(cmdb: Cmdb) -> None:
    ended = cmdb("status", environment={"CMDB_URL": "http://127.0.0.1:9"})
    assert (ended.status, "cmdb serve" in ended.err) == (5, True)


def test_a_wrong_option_is_a_usage_error(cmdb: Cmdb) -> None:
    assert cmdb("impact", "--dwon", "web-1").status == 2
