from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pytest

import cmdb_graphql.bulk
from tests.api.conftest import Api

LINES, ARROW = "application/x-ndjson", "application/vnd.apache.arrow.stream"


async def pair(api: Api) -> dict[str, str]:
    """A shop that needs one of two servers, one of them with a hostile name."""
    ids = {
        "shop": await api.create("Application", name="shop"),
        "a": await api.create("Server", name='a"\n\\ 名'),
        "b": await api.create("Server", name="b"),
    }
    for host in "ab":
        await api.relate("RunsOn", ids["shop"], ids[host], group="web", required="1")
    return ids


async def post(api: Api, body: object, accept: str = LINES, token: str | None = None) -> Any:  # noqa: ANN401
    headers = {"authorization": f"Bearer {token or api.admin}", "accept": accept}
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return await api.http.post("/bulk/impact", content=content, headers=headers)


def rows(lines: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in lines.splitlines()]


async def test_json_lines_and_arrow_say_the_same(api: Api) -> None:
    ids = await pair(api)
    answer = await post(api, {"down": [ids["a"]]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == LINES
    head, *items = rows(answer.content)
    assert head["impact"]["counts"] == {"down": 1, "degraded": 0, "at_risk": 1, "reduced": 0, "protected": 0}
    assert head["impact"]["failed"] == [ids["a"]]
    assert items[0] == {
        "id": ids["a"],
        "name": 'a"\n\\ 名',
        "class": "Server",
        "layer": "compute",
        "lifecycle": "live",
        "criticality": None,
        "state": "down",
        "distance": 0,
    }
    arrow = await post(api, {"down": [ids["a"]]}, ARROW)
    table = pa.ipc.open_stream(arrow.content).read_all()
    assert table.to_pylist() == items
    assert orjson.loads(table.schema.metadata[b"impact"]) == head["impact"]


@pytest.mark.parametrize("form", [LINES, ARROW])
async def test_a_large_answer_is_sent_in_parts(api: Api, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    question = {"down": [(await pair(api))["a"]]}
    whole = await post(api, question, form)
    monkeypatch.setattr(cmdb_graphql.bulk, "SENT_AT_ONCE", 100)
    sent = await post(api, question, form)
    assert sent.content == whole.content
    assert ("content-length" in whole.headers, "content-length" in sent.headers) == (True, False)


async def test_the_question_takes_every_argument_of_the_typed_one(api: Api) -> None:
    ids = await pair(api)
    head, *_ = rows((await post(api, {"down": [ids["a"]], "alreadyDown": [ids["b"]]})).content)
    assert head["impact"]["counts"]["down"] == 3
    pinned = await post(api, {"down": [ids["a"], ids["b"]], "pinned": [ids["shop"]]})
    assert rows(pinned.content)[0]["impact"]["counts"]["down"] == 2
    other = await post(api, {"down": [ids["a"]], "types": ["DEPENDS_ON"]})
    assert len(rows(other.content)) == 2
    early = await post(api, {"down": [ids["a"]], "asOf": {"revision": 4}})
    assert rows(early.content)[0]["impact"]["revision"] == 4
    assert len(rows(early.content)) == 3
    late = await post(api, {"down": [ids["a"]], "atLeast": 5})
    assert rows(late.content)[0]["impact"]["revision"] >= 5


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"nonsense", "not JSON"),
        ({}, "no item"),
        ({"down": ["x"], "more": 1}, "more"),
        ({"down": "x"}, "array"),
        ({"down": ["x"], "minimumConfidence": "SURE"}, "DECLARED"),
        ({"down": ["x"], "asOf": {}}, "exactly one"),
        ({"down": ["x"], "types": ["NO_SUCH"]}, "NO_SUCH"),
        ({"down": ["no-such-item"]}, "no-such-item"),
        ({"down": ["x"] * 1_001}, "1000"),
    ],
)
async def test_a_wrong_question_is_refused_with_a_reason(api: Api, body: object, words: str) -> None:
    answer = await post(api, body)
    assert answer.status_code in (400, 404)
    assert words in answer.json()["errors"][0]["message"]


async def test_only_readers_ask_and_only_for_forms_there_are(api: Api) -> None:
    assert (await post(api, {"down": ["x"]}, token="nobody")).status_code == 401
    assert (await post(api, {"down": ["x"]}, "text/html")).status_code == 406
    assert (await post(api, b" " * 1_100_000)).status_code == 413
