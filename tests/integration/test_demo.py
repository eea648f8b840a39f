"""`make demo` as users run it, on a directory of its own: once from nothing, once again, and where it cannot start."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cmdb.cli.client import Access, Client
from cmdb.cli.session import Session
from cmdb.cli.terminal import Terminal
from cmdb.demo.questions import WrongAnswer, ask_change, ask_failure, ask_history


def run_demo(directory: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CMDB_")}
    return subprocess.run(
        [sys.executable, "-m", "cmdb.demo", str(directory)],
        env=environment | {"DEMO_EXIT": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=500,
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(directory: Path) -> subprocess.CompletedProcess[str]:
    return run_demo(directory)


def test_the_first_run_loads_the_estate_and_answers_all_questions(
    first: subprocess.CompletedProcess[str],
) -> None:
    assert first.returncode == 0, first.stdout + first.stderr
    assert re.search(r"demo estate is loaded: [12],\d{3} items created", first.stdout)
    assert re.search(r"This machine reported itself: [1-9][\d,]* items", first.stdout)
    assert re.search(r"If muc-feed-a fails: \d+ down, .*\d+ at risk", first.stdout)
    assert re.search(r"If muc-flash-2 fails: \d+ down", first.stdout)
    assert "memory  128 GiB → 192 GiB" in first.stdout
    assert "/graphiql" in first.stdout


def test_the_second_run_finds_everything_there(
    first: subprocess.CompletedProcess[str], directory: Path
) -> None:
    assert first.returncode == 0
    second = run_demo(directory)
    assert second.returncode == 0, second.stdout + second.stderr
    assert re.search(r"demo estate is there: [12],\d{3} items unchanged", second.stdout)


def test_it_leaves_nothing_running(first: subprocess.CompletedProcess[str], directory: Path) -> None:
    server = json.loads((directory / "neo4j" / "server.json").read_text())
    assert not Path(f"/proc/{server['pid']}").exists()


def test_a_directory_that_cannot_be_used_is_named_and_fails(tmp_path: Path) -> None:
    file = tmp_path / "a-file"
    file.touch()
    failed = run_demo(file)
    assert failed.returncode == 1
    assert "a-file" in failed.stdout
    assert "Traceback" not in failed.stdout + failed.stderr


class Scripted(Client):
    """A client of no service: answers each query by its name."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__(Access("http://cmdb.example", None))
        self._answers = answers

    def query(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        name = re.split(r"\W+", document.strip())[1]
        answer: dict[str, Any] = self._answers[name]
        return answer


ITEM = {"item": {"id": "i", "class": "C", "name": "n", "layer": "compute", "lifecycle": "LIVE"}}


def impact(*services: str, **counts: int) -> dict[str, Any]:
    """An answer in which services `s0`, `s1`, ... have these states and nothing else is reached."""
    ids = [f"s{n}" for n in range(len(services))]
    columns = {
        "ids": ids,
        "names": ids,
        "classes": ["BusinessService"] * len(ids),
        "layers": ["business"] * len(ids),
        "states": list(services),
        "explanations": [{"id": i, "facts": [], "path": [i]} for i in ids],
    }
    every = {"down": 0, "degraded": 0, "atRisk": 0, "reduced": 0, "protected": 0} | counts
    listed = [
        {"id": i, "class": "BusinessService", "name": i, "state": state.upper(), "because": []}
        for i, state in zip(ids, services, strict=True)
    ]
    nobody: dict[str, Any] = {"customers": [], "teams": [], "owners": [], "agreements": []}
    nobody["concerned"] = {"services": len(listed), "customers": 0, "teams": 0, "owners": 0, "agreements": 0}
    failed = [ITEM["item"]]
    answer = {"revision": 1, "added": 0, "failed": failed, "counts": every, "services": listed}
    answer["record"] = columns
    return {"impact": answer | nobody}


CHANGE = {"change": {"id": "c", "attributes": {}, "lifecycle": "ASSESSED"}}
NO_HISTORY = {"history": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}


@pytest.mark.parametrize(
    ("ask", "answers", "why"),
    [
        (ask_failure, impact(), "nothing is at risk"),
        (ask_failure, impact("at_risk", "down"), "do not keep s1 up"),
        (ask_failure, impact("at_risk"), "protects nothing"),
        (ask_change, CHANGE | impact("at_risk"), "some should be down"),
        (ask_change, CHANGE | impact("down"), "some should be down"),
        (ask_change, {"change": None}, "there is no change"),
        (ask_history, NO_HISTORY, "does not know of its memory"),
    ],
)
def test_a_wrong_answer_is_noticed(
    ask: Callable[[Session], object], answers: Mapping[str, Any], why: str
) -> None:
    replies = {
        "Item": ITEM,
        "DemoChange": answers,
        "Impact": answers,
        "AllAffected": answers,
        "History": answers,
    }
    with pytest.raises(WrongAnswer, match=why):
        ask(Session(Scripted(replies), Terminal()))
