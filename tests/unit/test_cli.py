"""The command line without a service: pictures of records, exit statuses, access, names."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from graphql import GraphQLEnumType, GraphQLSchema, build_schema, parse, validate
from rich.console import Console, RenderableType

from cmdb.cli import (
    administration,
    checking,
    exporting,
    fault_trees,
    looking,
    measured,
    network,
    past,
    serving,
    session,
    what_if,
)
from cmdb.cli.change_picture import diff_picture, history_picture
from cmdb.cli.client import DEFAULT_URL, Access, Client, Refused
from cmdb.cli.exit_status import ExitStatus, exit_status_of
from cmdb.cli.graph_file import GraphFormat
from cmdb.cli.impact_picture import fact_words, impact_picture
from cmdb.cli.impact_records import FactRecord, ImpactRecord, MemberRecord, TermRecord
from cmdb.cli.records import ChangeRecord, EdgeRecord, ItemRecord, WalkRecord
from cmdb.cli.session import as_of_input
from cmdb.cli.terminal import shown
from cmdb.cli.trees import walk_picture
from cmdb.demo import loading, questions
from cmdb.errors import Ambiguous, BadRequest, NotFound, StoreUnavailable


def drawn(parts: Iterable[RenderableType], width: int = 120) -> str:
    console = Console(width=width, force_terminal=False, color_system=None)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return capture.get()


def item(
    name: str, class_name: str = "Server", layer: str = "compute", lifecycle: str = "live"
) -> ItemRecord:
    return {"id": f"id-{name}", "class": class_name, "name": name, "layer": layer, "lifecycle": lifecycle}


def edge(
    source: str,
    target: str,
    kind: str = "RUNS_ON",
    group: str | None = None,
    required: str | None = None,
    strength: str | None = "hard",
) -> EdgeRecord:
    return {
        "type": kind,
        "source": f"id-{source}",
        "target": f"id-{target}",
        "group": group,
        "required": required,
        "strength": strength,
    }


SHOP: WalkRecord = {
    "revision": 12,
    "direction": "dependencies",
    "start": item("shop", "Application", "application"),
    "items": [item("web-1"), item("web-2", lifecycle="maintenance"), item("pdu-a", "Pdu", "facility")],
    "edges": [
        edge("shop", "web-1", group="hosts", required="1"),
        edge("shop", "web-2", group="hosts", required="1"),
        edge("web-1", "pdu-a", "POWERED_BY"),
        edge("web-2", "pdu-a", "POWERED_BY", strength="soft"),
    ],
    "truncated": False,
}


class TestTrees:
    def test_a_redundancy_group_stands_on_a_line_of_its_own_with_what_it_needs(self) -> None:
        lines = drawn(walk_picture(SHOP)).splitlines()
        assert lines[0] == "shop  Application · application"
        assert lines[1] == "└── hosts: needs 1 of 2"
        assert lines[2] == "    ├── runs on web-1  Server · compute"

    def test_lifecycles_other_than_live_soft_edges_and_impact_states_are_shown(self) -> None:
        text = drawn(walk_picture(SHOP, {"id-web-2": "down"}))
        assert "runs on web-2  Server · compute · maintenance  ● down" in text
        assert "powered by pdu-a  Pdu · facility  (soft)" in text
        assert "live" not in text

    def test_dependents_are_walked_against_the_edges(self) -> None:
        walk: WalkRecord = {
            **SHOP,
            "direction": "dependents",
            "start": item("pdu-a", "Pdu", "facility"),
            "items": [item("web-1"), item("web-2"), item("shop", "Application", "application")],
        }
        lines = drawn(walk_picture(walk)).splitlines()
        assert lines[1].startswith("├── powered by web-1")
        assert "[hosts: needs 1]" in lines[2]
        assert lines[-1] == "3 dependents, revision 12"

    def test_a_cycle_is_drawn_once_and_named_with_an_arrow_where_it_closes(self) -> None:
        walk: WalkRecord = {
            **SHOP,
            "start": item("a"),
            "items": [item("b")],
            "edges": [edge("a", "b"), edge("b", "a")],
        }
        assert drawn(walk_picture(walk)).splitlines()[:3] == [
            "a  Server · compute",
            "└── runs on b  Server · compute",
            "    └── runs on a  Server · compute  ↑",
        ]

    def test_an_entangled_estate_gives_as_many_lines_as_edges(self) -> None:
        names = [f"n{i}" for i in range(12)]
        edges = [edge(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        walk: WalkRecord = {
            **SHOP,
            "start": item("n0"),
            "items": [item(n) for n in names[1:]],
            "edges": edges,
        }
        assert len(drawn(walk_picture(walk)).splitlines()) == 1 + len(edges) + 1


def member(name: str, state: str) -> MemberRecord:
    return {"id": f"id-{name}", "name": name, "state": state}


def gate(code: str, required: int, up: int, *members: MemberRecord) -> FactRecord:
    return {"code": code, "group": "hosts", "required": required, "up": up, "members": list(members)}


IMPACT: ImpactRecord = {
    "revision": 12,
    "failed": [item("pdu-a", "Pdu", "facility"), item("pdu-b", "Pdu", "facility")],
    "counts": {"down": 3, "degraded": 0, "at_risk": 1, "reduced": 2, "protected": 1200},
    "added": 1206,
    "truncated": False,
    "customers": [{"id": "id-c", "class": "Customer", "name": "Example Ltd", "worst": "down", "items": 1}],
    "teams": [{"id": "id-t", "class": "Team", "name": "web team", "worst": "at_risk", "items": 2}],
    "owners": [],
    "agreements": [],
    "concerned": {"services": 2, "customers": 0, "teams": 0, "owners": 0, "agreements": 0},
    "down": [
        {"id": "id-pdu-a", "class": "Pdu", "name": "pdu-a", "because": []},
        {"id": "id-pdu-b", "class": "Pdu", "name": "pdu-b", "because": []},
        {
            "id": "id-shop",
            "class": "Application",
            "name": "shop",
            "because": [gate("gate_below_required", 1, 0, member("web-1", "down"), member("web-2", "down"))],
        },
    ],
    "degraded": [],
    "at_risk": [
        {
            "id": "id-db",
            "class": "Cluster",
            "name": "db",
            "because": [gate("gate_without_spare", 1, 1, member("db-1", "up"), member("db-2", "down"))],
        }
    ],
    "reduced": [],
    "protected": [],
    "services": [
        {
            "id": "id-s",
            "class": "BusinessService",
            "name": "Web Shop",
            "state": "down",
            "because": [gate("gate_below_required", 1, 0, member("shop", "down"))],
        }
    ],
}


class TestImpactPicture:
    def test_the_verdict_comes_first_and_leaves_out_what_is_nought(self) -> None:
        first = drawn(impact_picture(IMPACT)).splitlines()[0]
        assert first == (
            "If pdu-a and pdu-b fail together: 3 down, 1 at risk, 2 reduced, 1,200 protected  (revision 12)"
        )

    def test_services_come_before_other_items_and_say_why(self) -> None:
        text = drawn(impact_picture(IMPACT))
        service = "● down  Web Shop  BusinessService  needs shop ● down"
        assert text.index("Services") < text.index(service) < text.index("At risk")

    def test_customers_and_teams_stand_in_a_line_each_and_a_cut_list_is_told(self) -> None:
        text = drawn(impact_picture(IMPACT))
        assert "Customers: Example Ltd ● down" in text
        assert "Teams: web team ◔ at risk" in text
        assert "Owners" not in text
        assert "--bulk" not in text
        cut: ImpactRecord = {**IMPACT, "truncated": True}
        assert "--bulk" in drawn(impact_picture(cut))

    def test_services_that_redundancy_saved_are_named_in_one_line(self) -> None:
        saved: ImpactRecord = {
            **IMPACT,
            "services": [{"id": f"id-{n}", "name": n, "state": "protected"} for n in ("Tills", "Payroll")],
        }
        assert "Unharmed, 2 services: Tills, Payroll" in drawn(impact_picture(saved))

    def test_service_time_lost_is_told_with_what_was_not_worked_out(self) -> None:
        term: TermRecord = {"id": "id-s", "class": "BusinessService", "name": "Web\x1b[31m Shop"}
        impact: ImpactRecord = {
            **IMPACT,
            "service_time": {
                "from": "2026-11-27T14:00:00.000000Z",
                "to": "2026-11-27T20:00:00.000000Z",
                "services_down": 5,
                "unagreed": 1,
                "lost": "PT4H30M",
                "worked_out": 3,
                "truncated": True,
                "judged": 4,
                "broken": 0,
                "broken_by_priority": 2,
                "broken_before": 1,
                "services": [{"service": term, "before": "up", "lost": "PT4H30M", "calendars": []}],
                "targets": [],
                "set_aside": [{"id": "id-c", "name": "Odd", "reason": "hours is no object"}],
            },
        }
        text = drawn(impact_picture(impact))
        assert "From 2026-11-27 14:00 to 2026-11-27 20:00 UTC that takes 4h30m of agreed service time" in text
        assert "of 4 targets 2 missed for incidents of a priority, 1 missed already" in " ".join(text.split())
        assert "Web·[31m Shop  BusinessService  4h30m  round the clock" in text
        assert "… and 2 more" in text
        assert "Nothing is agreed about 1 other service down." in text
        assert "Set aside: Odd: hours is no object" in text
        assert "Worked out for 3 of the services down, not for all." in text
        none: ImpactRecord = {**impact, "service_time": {**impact["service_time"], "judged": 0}}
        assert "targets" not in drawn(impact_picture(none))

    def test_members_of_one_name_and_state_are_counted(self) -> None:
        fact = gate(
            "gate_with_spare", 1, 2, member("kafka", "up"), member("kafka", "down"), member("kafka", "up")
        )
        assert fact_words(fact).plain == "needs 1 of 3, 2 up: kafka ● down, 2 kafka ○ up"

    def test_redundancy_is_worded_as_needed_and_up_with_the_worst_member_first(self) -> None:
        assert "needs 1 of 2, 0 up: web-1 ● down, web-2 ● down" in drawn(impact_picture(IMPACT))
        assert "needs 1 of 2, 1 up, no spare left: db-2 ● down, db-1 ○ up" in drawn(impact_picture(IMPACT))

    def test_what_was_failed_by_the_question_is_not_listed_as_its_consequence(self) -> None:
        after_verdict = drawn(impact_picture(IMPACT)).split("\n", 1)[1]
        assert "pdu-a" not in after_verdict

    def test_long_lists_are_cut_and_say_by_how_much(self) -> None:
        many: ImpactRecord = {
            **IMPACT,
            "at_risk": [
                {"id": f"id-{n}", "class": "Server", "name": f"s{n}", "because": []} for n in range(40)
            ],
        }
        assert "… and 25 more; --all shows them" in drawn(impact_picture(many))
        assert "s39" in drawn(impact_picture(many, rows=None))

    def test_what_redundancy_saved_is_counted_and_drawn_with_everything(self) -> None:
        reason = gate("gate_with_spare", 1, 2, member("db-1", "up"))
        saved: ImpactRecord = {
            **IMPACT,
            "reduced": [{"id": "id-q", "class": "Cluster", "name": "quorum", "because": [reason]}],
        }
        assert "… and 2 reduced and 1,200 protected; --all shows them" in drawn(impact_picture(saved))
        assert "quorum" not in drawn(impact_picture(saved))
        everything = drawn(impact_picture(saved, rows=None))
        assert "Reduced" in everything
        assert "quorum" in everything
        assert "--all" not in everything

    @pytest.mark.parametrize(
        ("fact", "words"),
        [
            (
                gate("gate_leans_on_at_risk", 1, 2, member("a", "at_risk"), member("b", "at_risk")),
                "but not safe",
            ),
            (
                {
                    "code": "soft_dependency_down",
                    "group": None,
                    "required": None,
                    "up": None,
                    "members": [member("dns", "down")],
                },
                "uses dns ● down",
            ),
        ],
    )
    def test_other_reasons_are_worded(self, fact: FactRecord, words: str) -> None:
        assert words in fact_words(fact).plain


CHANGE: ChangeRecord = {
    "id": "id-web-1",
    "class": "Server",
    "name": "web-1",
    "kind": "updated",
    "fields": [
        {"field": "memory", "before": 32 * 2**30, "after": 64 * 2**30},
        {"field": "site", "before": None, "after": "muc"},
    ],
    "edges": [
        {
            "type": "POWERED_BY",
            "target": "id-pdu",
            "target_name": "pdu-a",
            "group": "power",
            "before": {"required": "2"},
            "after": {"required": "1"},
        }
    ],
}


class TestChangePictures:
    def test_history_shows_each_value_before_and_after(self) -> None:
        text = drawn(
            history_picture(
                {
                    "item": item("web-1"),
                    "events": [
                        {
                            "revision": 7,
                            "recorded_at": "2026-11-24T09:30:15.000Z",
                            "actor": "ada",
                            "source": "demo",
                            "run": None,
                            "message": "more memory",
                            "reason": "CHG1",
                            "change": CHANGE,
                        }
                    ],
                    "more": True,
                },
                sizes={"memory"},
            )
        )
        assert "●      7  2026-11-24 09:30:15  updated by ada, source demo" in text
        assert "“more memory” [CHG1]" in text
        assert "memory  32 GiB → 64 GiB" in text
        assert "site    - → muc" in text
        assert "~ POWERED_BY → pdu-a  [power]  required 2 → 1" in text
        assert "older changes" in text

    def test_diff_signs_and_counts_the_changes(self) -> None:
        created: ChangeRecord = {**CHANGE, "kind": "created", "name": "web-2"}
        text = drawn(diff_picture({"from": 3, "to": 7, "changes": [created, CHANGE], "more": False}))
        assert "+ Server/web-2" in text
        assert "~ Server/web-1" in text
        assert text.splitlines()[-1] == "1 created, 1 updated between revisions 3 and 7"

    def test_no_difference_is_said(self) -> None:
        assert "no difference between revisions 3 and 3" in drawn(
            diff_picture({"from": 3, "to": 3, "changes": [], "more": False})
        )


class TestTerminal:
    def test_control_and_bidirectional_characters_never_reach_the_terminal(self) -> None:
        assert shown("a\x1b[31mb\u202ec\nd") == "a·[31mb·c·d"

    def test_lists_and_objects_are_shown_as_json_and_nothing_as_a_dash(self) -> None:
        assert (shown(["ä", 1]), shown(None), shown("")) == ('["ä", 1]', "-", "-")

    def test_markup_in_names_is_text(self) -> None:
        walk: WalkRecord = {**SHOP, "start": item("[red]x[/red]"), "items": [], "edges": []}
        assert "[red]x[/red]" in drawn(walk_picture(walk))


class TestExitStatus:
    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (NotFound("item", "x"), ExitStatus.NOT_FOUND),
            (Ambiguous("x", [("1", "Server", "x"), ("2", "Rack", "x")]), ExitStatus.NOT_FOUND),
            (Refused("FORBIDDEN", "no", {}), ExitStatus.NOT_ALLOWED),
            (Refused("UNAUTHENTICATED", "no", {}), ExitStatus.NOT_ALLOWED),
            (Refused("DEADLINE_EXCEEDED", "late", {}), ExitStatus.UNAVAILABLE),
            (StoreUnavailable("gone"), ExitStatus.UNAVAILABLE),
            (Refused("VALIDATION_FAILED", "bad", {}), ExitStatus.REFUSED),
        ],
    )
    def test_it_follows_the_code(self, error: Refused, status: ExitStatus) -> None:
        assert exit_status_of(error) is status

    def test_every_status_is_explained(self) -> None:
        assert all(status.explained.endswith(".") for status in ExitStatus)


class TestAccess:
    def test_the_environment_decides(self, tmp_path: Path) -> None:
        environment = {"CMDB_URL": "https://cmdb.example/", "CMDB_TOKEN": " t "}
        assert Access.from_environment(environment, data_dir=tmp_path) == Access("https://cmdb.example", "t")

    def test_without_a_token_the_one_in_the_data_directory_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "admin-token").write_text("cmdb_x\n")
        assert Access.from_environment({}, data_dir=tmp_path) == Access(DEFAULT_URL, "cmdb_x")

    def test_the_stored_token_is_not_shown_to_another_host(self, tmp_path: Path) -> None:
        (tmp_path / "admin-token").write_text("cmdb_x\n")
        assert Access.from_environment({"CMDB_URL": "http://cmdb.example"}, data_dir=tmp_path).token is None

    @pytest.mark.parametrize("url", ["cmdb.example", "ftp://cmdb.example", "http://", "http://[::1"])
    def test_an_address_that_is_none_is_refused(self, url: str, tmp_path: Path) -> None:
        with pytest.raises(BadRequest, match="CMDB_URL"):
            Access.from_environment({"CMDB_URL": url}, data_dir=tmp_path)


def client_answering(status: int, body: object) -> Client:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer t"
        return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body).encode())

    return Client(Access("http://cmdb.example", "t"), transport=httpx.MockTransport(answer))


class TestClient:
    def test_an_answer_comes_with_its_revision(self) -> None:
        with client_answering(200, {"data": {"a": 1}, "extensions": {"revision": 5}}) as client:
            assert client.query("{ a }") == {"a": 1, "_revision": 5}

    def test_an_error_beside_data_is_raised_with_code_and_facts(self) -> None:
        error = {"message": "gone", "extensions": {"code": "NOT_FOUND", "kind": "item"}}
        with (
            client_answering(200, {"data": {"a": None}, "errors": [error]}) as client,
            pytest.raises(Refused, match="gone") as caught,
        ):
            client.query("{ a }")
        assert (caught.value.code, caught.value.facts()) == ("NOT_FOUND", {"kind": "item"})

    def test_something_else_than_a_cmdb_is_named(self) -> None:
        with client_answering(200, b"<html>") as client, pytest.raises(Refused, match="is this a CMDB"):
            client.query("{ a }")

    def test_a_gateway_without_service_is_unavailable(self) -> None:
        with client_answering(502, b"bad gateway") as client, pytest.raises(Refused) as caught:
            client.query("{ a }")
        assert exit_status_of(caught.value) is ExitStatus.UNAVAILABLE

    def test_a_service_that_is_not_there_is_unavailable(self) -> None:
        with (
            Client(Access("http://127.0.0.1:9", None)) as client,
            pytest.raises(StoreUnavailable, match="cmdb serve"),
        ):
            client.query("{ a }")


class TestAsOf:
    def test_numbers_are_revisions_and_dates_are_their_first_moment(self) -> None:
        assert as_of_input("12") == {"revision": 12}
        assert as_of_input("2026-11-24") == {"time": "2026-11-24T00:00:00Z"}
        assert as_of_input("2026-11-24T09:30:00Z") == {"time": "2026-11-24T09:30:00Z"}
        assert as_of_input("before:CHG-1: x") == {"beforeChange": "CHG-1: x"}
        assert as_of_input("now") is None

    def test_anything_else_is_refused_with_the_way_out(self) -> None:
        for wrong in ("yesterday", "before:", ""):
            with pytest.raises(BadRequest, match="neither a revision number nor a time"):
                as_of_input(wrong)


CONTRACT = Path(__file__).resolve().parents[2] / "graphql" / "schema.graphql"
MODULES = (
    *(administration, checking, exporting, looking, network, past, serving, session, what_if),
    *(measured, questions, loading),
    # Beside these modules the package has a command of the same name.
    *(import_module(f"cmdb.cli.{name}") for name in ("availability", "figures", "ranking", "touched")),
)
DOCUMENTS = {
    f"{module.__name__}.{name}": text
    for module in MODULES
    for name, text in vars(module).items()
    if isinstance(text, str) and text.lstrip().startswith(("query ", "mutation ")) and "%s" not in text
}


@pytest.fixture(scope="module")
def contract() -> GraphQLSchema:
    return build_schema(CONTRACT.read_text(encoding="utf-8"), assume_valid_sdl=True)


class TestDocuments:
    def test_those_of_every_module_were_found(self) -> None:
        assert {name.rpartition(".")[0] for name in DOCUMENTS} == {module.__name__ for module in MODULES}

    def test_the_formats_of_a_graph_are_those_of_the_contract(self, contract: GraphQLSchema) -> None:
        formats = contract.get_type("GraphFormat")
        assert isinstance(formats, GraphQLEnumType)
        assert formats.values.keys() == {form.upper() for form in GraphFormat}

    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_each_fits_the_contract(self, name: str, contract: GraphQLSchema) -> None:
        assert validate(contract, parse(DOCUMENTS[name])) == []


WATER = """<opsa-mef>
  <define-fault-tree name="water">
    <define-gate name="dry">
      <label>No water</label>
      <or><basic-event name="valve"/><gate name="pumps"/></or>
    </define-gate>
    <define-gate name="pumps"><and><basic-event name="p1"/><basic-event name="p2"/></and></define-gate>
  </define-fault-tree>
  <model-data>
    <define-basic-event name="valve"><float value="0.001"/></define-basic-event>
    <define-basic-event name="p1"><float value="0.1"/></define-basic-event>
    <define-basic-event name="p2"><float value="0.05"/></define-basic-event>
  </model-data>
</opsa-mef>"""


def test_a_fault_tree_is_computed_without_a_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "water.xml"
    file.write_text(WATER)
    fault_trees.fault_tree(file, cut_sets=1)
    picture = capsys.readouterr().out
    assert "water  No water" in picture
    assert "probability       0.005995" in picture
    assert "minimal cut sets  2  (1 of 1, 1 of 2)" in picture
    assert picture.splitlines()[-1].split() == ["0.005", "p1,", "p2"]


def test_the_figures_of_a_fault_tree_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "water.xml"
    file.write_text(WATER)
    fault_trees.fault_tree(file, top="pumps", order=2, json_lines=True)
    record = json.loads(capsys.readouterr().out)
    assert record["probability"] == pytest.approx(0.005)
    assert record["cut_sets"]["by_order"] == [0, 0, 1]
    assert record["cut_sets"]["up_to_order"] == 2
    assert [(e["event"], e["rrw"]) for e in record["events"]] == [("p2", None), ("p1", None), ("valve", 1.0)]


def test_a_fault_tree_that_cannot_be_read_is_an_error_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be read: No such file"):
        fault_trees.fault_tree(tmp_path / "none.xml")
