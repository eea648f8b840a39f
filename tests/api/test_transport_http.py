"""GraphQL over HTTP against a real server: statuses, media types, credentials, deadlines, and everything malformed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import strawberry
from structlog.testing import capture_logs

from cmdb_graphql.documents import DocumentCache
from cmdb_graphql.errors import Refusal
from cmdb_graphql.limits import Limits
from cmdb_graphql.operations import OperationRecord
from cmdb_graphql.transport import GraphQLEndpoint, Profile, TransportSettings
from cmdb_graphql.transport_http import GRAPHQL_RESPONSE, JSON, negotiate
from tests.api.malformed_requests import (
    GOOD,
    MALFORMED_BODIES,
    MALFORMED_HEADERS,
    MALFORMED_QUERIES,
    QUERY_STRINGS,
    with_parameters,
)
from tests.api.toy_service import ADMIN, VIEWER, Desk, ToyContext, endpoint, schema, serving

CONFORMANCE = TransportSettings(profile=Profile.CONFORMANCE)
QUICK = TransportSettings(deadline_seconds=0.2, body_seconds=0.2)


class Client:
    """Posts as the holder of `token`; `raw` leaves everything to the test."""

    def __init__(self, http: httpx.AsyncClient, token: str | None = ADMIN) -> None:
        self.http = http
        self.token = token

    async def raw(self, method: str = "POST", **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        headers = {**(options.pop("headers", None) or {})}
        if self.token is not None:
            headers.setdefault("authorization", f"Bearer {self.token}")
        return await self.http.request(method, "/graphql", headers=headers, **options)

    async def post(self, query: str, accept: str = GRAPHQL_RESPONSE, **parameters: object) -> httpx.Response:
        return await self.raw(json={"query": query, **parameters}, headers={"accept": accept})

    async def get(self, **parameters: str) -> httpx.Response:
        return await self.raw("GET", params=parameters, headers={"accept": GRAPHQL_RESPONSE})


@asynccontextmanager
async def client_of(served: GraphQLEndpoint[ToyContext], token: str | None = ADMIN) -> AsyncIterator[Client]:
    async with (
        serving(served) as address,
        httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as http,
    ):
        yield Client(http, token)


@pytest.fixture
async def production() -> AsyncIterator[Client]:
    async with client_of(endpoint(Desk())) as client:
        yield client


@pytest.fixture
async def conformance() -> AsyncIterator[Client]:
    async with client_of(endpoint(Desk(), CONFORMANCE)) as client:
        yield client


def code(response: httpx.Response) -> str:
    found: str = response.json()["errors"][0]["extensions"]["code"]
    return found


# What a good request gets


async def test_an_answer_has_data_revision_and_cost(production: Client) -> None:
    answer = await production.post(
        "query q($n: Int!) { items(first: $n) { totalCount } }", variables={"n": 20}
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{GRAPHQL_RESPONSE}; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "data": {"items": {"totalCount": 20}},
        "extensions": {
            "revision": 7,
            "cost": {"estimated": 20, "spent": 20, "limit": 10_000, "remaining": 9_980, "truncated": False},
        },
    }


async def test_refused_operations_name_the_revision_too(production: Client) -> None:
    answer = await production.post("{ nothing }")
    assert answer.json()["extensions"] == {"revision": 7}


async def test_the_operation_is_chosen_by_name(production: Client) -> None:
    two = "query a { add(a: 1) } query b { add(a: 2) }"
    assert (await production.post(two, operationName="b")).json()["data"] == {"add": 3}
    assert code(await production.post(two)) == "OPERATION_RESOLUTION_FAILED"
    assert code(await production.post(two, operationName="c")) == "OPERATION_RESOLUTION_FAILED"


async def test_mutations_run_and_domain_errors_keep_code_and_facts(production: Client) -> None:
    done = await production.post('mutation { rename(id: "1", name: "new") { name } }')
    assert done.json()["data"] == {"rename": {"name": "new"}}
    stale = await production.post('mutation { rename(id: "1", name: "stale") { name } }')
    error = stale.json()["errors"][0]
    assert (stale.status_code, error["path"]) == (200, ["rename"])
    assert error["extensions"] == {
        "code": "STALE_VERSION",
        "item": "1",
        "expected": 3,
        "found": 5,
        "changes": [],
    }


async def test_one_failing_field_leaves_the_others(production: Client) -> None:
    answer = (await production.post('{ a: item(id: "none") { name } b: item { name } }')).json()
    assert answer["data"] == {"a": None, "b": {"name": "first"}}
    assert [e["extensions"]["code"] for e in answer["errors"]] == ["NOT_FOUND"]


@pytest.mark.parametrize("field", ["boom", "hole", "unwritable"])
async def test_unknown_errors_are_masked_and_logged_under_their_id(production: Client, field: str) -> None:
    with capture_logs() as logs:
        answer = await production.post(f"{{ {field} }}")
    error = answer.json()["errors"][0]
    assert error["extensions"]["code"] == "INTERNAL"
    assert error["extensions"]["errorId"] == logs[0]["error_id"]
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text


async def test_an_away_store_is_an_honest_503(production: Client) -> None:
    for accept in (JSON, GRAPHQL_RESPONSE):
        answer = await production.post("{ away }", accept=accept)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
        assert answer.json()["errors"][0]["extensions"] == {
            "code": "UNAVAILABLE",
            "retryAfter": 3,
            "retryable": True,
        }


# Credentials come first


@pytest.mark.parametrize(
    "value", [None, "", "Bearer", "Bearer wrong", f"Basic {ADMIN}", ADMIN, b"Bearer \xff\xfe"]
)
async def test_strangers_get_401_in_graphql_form(production: Client, value: str | bytes | None) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"accept", GRAPHQL_RESPONSE.encode())]
    if value is not None:
        headers.append((b"authorization", value if isinstance(value, bytes) else value.encode()))
    answer = await production.http.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == f"{GRAPHQL_RESPONSE}; charset=utf-8"
    assert list(answer.json()) == ["errors"]
    assert code(answer) == "UNAUTHENTICATED"


async def head_only(address: str, *lines: str) -> bytes:
    """The status line that a request gets whose head is `lines` and whose body never comes."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        "\r\n".join(["POST /graphql HTTP/1.1", "host: x", *lines, "content-length: 99", "", ""]).encode()
    )
    await writer.drain()
    try:
        return await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.close()


async def test_strangers_are_refused_before_their_body_is_read() -> None:
    async with serving(endpoint(Desk())) as address:
        assert b" 401 " in await head_only(address, "content-type: application/json")


async def test_a_reception_without_its_store_is_503_and_a_slow_one_504() -> None:
    async with client_of(endpoint(Desk(down=True))) as client:
        answer = await client.post("{ __typename }")
        assert (answer.status_code, answer.headers["retry-after"], code(answer)) == (503, "3", "UNAVAILABLE")
    async with client_of(endpoint(Desk(patience=30), QUICK)) as client:
        answer = await client.post("{ __typename }")
        assert (answer.status_code, code(answer)) == (504, "DEADLINE_EXCEEDED")


# Profiles


async def test_production_serves_no_get_and_no_introspection_to_a_viewer(production: Client) -> None:
    viewer = Client(production.http, VIEWER)
    get = await viewer.get(query="{ __typename }")
    assert (get.status_code, get.headers["allow"]) == (405, "POST")
    for query in (
        "{ __schema { queryType { name } } }",
        '{ __type(name: "Item") { name } }',
        "{ ...f } fragment f on Query { __schema { description } }",
    ):
        assert code(await viewer.post(query)) == "INTROSPECTION_DISABLED"
    assert (await viewer.post("{ __typename }")).json()["data"] == {"__typename": "Query"}


async def test_production_lets_a_role_introspect(production: Client) -> None:
    answer = await production.post('{ __type(name: "Item") { name } }')
    assert answer.json()["data"] == {"__type": {"name": "Item"}}
    refused = await Client(production.http, VIEWER).post('{ __type(name: "Item") { name } }')
    assert code(refused) == "INTROSPECTION_DISABLED", "the text is known by now, the role is another"


@pytest.mark.parametrize(
    "query",
    ["{ itme { name } }", "{ add(A: 1) }", "{ ... on Itme { name } }", "query q($a: Itn) { add(a: $a) }"],
)
async def test_names_are_suggested_only_to_those_who_may_introspect(production: Client, query: str) -> None:
    assert "Did you mean" in (await production.post(query)).text
    viewer = await Client(production.http, VIEWER).post(query)
    assert code(viewer) == "GRAPHQL_VALIDATION_FAILED"
    assert "Did you mean" not in viewer.text


async def test_conformance_serves_get_for_queries_only(conformance: Client) -> None:
    added = await conformance.get(query="query q($a: Int!) { add(a: $a) }", variables='{"a": 41}')
    assert added.json()["data"] == {"add": 42}
    mutation = await conformance.get(query="mutation { __typename }")
    assert (mutation.status_code, mutation.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND"])
async def test_other_methods_are_405(conformance: Client, method: str) -> None:
    answer = await conformance.raw(method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, GET")


# Media types


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/json; charset=utf-8", JSON),
        ("APPLICATION/JSON", JSON),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE}; charset=UTF-8, application/json", GRAPHQL_RESPONSE),
        (f"application/json, {GRAPHQL_RESPONSE}", GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE};q=0.5, application/json", JSON),
        (f"{GRAPHQL_RESPONSE}, application/json;q=0.9, */*;q=0.1", GRAPHQL_RESPONSE),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("application/json;q=0, */*", GRAPHQL_RESPONSE),
        ("text/html, application/json;q=nonsense, application/graphql-response+json;q=0.1", GRAPHQL_RESPONSE),
    ],
)
def test_accept_is_negotiated(accept: str | None, media: str) -> None:
    assert negotiate(accept) == media


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "application/json;charset=utf-16", ";", "a" * 5000]
)
async def test_what_we_do_not_speak_is_406(production: Client, accept: str) -> None:
    answer = await production.post("{ __typename }", accept=accept)
    assert (answer.status_code, code(answer)) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    "query", ["{", "{ nothing }", "query q($id: ID!) { __typename }", "{ a: add(a: 1) " + "x " * 20 + "}"]
)
async def test_faults_of_well_formed_requests_are_400_or_200_by_media_type(
    production: Client, query: str
) -> None:
    new, old = await production.post(query), await production.post(query, accept=JSON)
    assert (new.status_code, old.status_code) == (400, 200)
    assert "data" not in new.json()
    assert "data" not in old.json()
    assert code(new) == code(old)


# Deadlines, cancellation, size


async def test_a_query_past_the_deadline_is_504_and_cancelled() -> None:
    desk = Desk()
    async with client_of(endpoint(desk, QUICK)) as client:
        answer = await client.post("{ slow }")
        mutation = await client.post("mutation { slowWrite }", accept=JSON)
    assert (answer.status_code, code(answer)) == (504, "DEADLINE_EXCEEDED")
    assert answer.json()["extensions"]["revision"] == 7
    assert desk.cancelled == ["slow"]
    assert mutation.status_code == 504
    assert "may or may not" in mutation.json()["errors"][0]["message"]


async def test_an_operation_is_cancelled_when_its_client_goes() -> None:
    desk = Desk()
    async with client_of(endpoint(desk)) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.raw(json={"query": "{ slow }"}, timeout=0.2)
        for _ in range(100):
            if desk.cancelled:
                break
            await asyncio.sleep(0.02)
    assert desk.cancelled == ["slow"]


async def test_a_body_that_does_not_come_is_408() -> None:
    async with serving(endpoint(Desk(), QUICK)) as address:
        head = ("content-type: application/json", f"authorization: Bearer {ADMIN}")
        assert b" 408 " in await head_only(address, *head)


async def test_a_body_of_exactly_the_allowed_size_is_read(production: Client) -> None:
    body = b'{"query": "{ __typename }"}'
    assert (
        await production.raw(content=body.ljust(262_144), headers={"content-type": JSON})
    ).status_code == 200


async def test_a_body_too_large_is_413_by_length_and_while_reading(production: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 65_536

    for content in (b" " * 262_145, chunks()):
        answer = await production.raw(content=content, headers={"content-type": JSON})
        assert (answer.status_code, code(answer)) == (413, "BODY_TOO_LARGE")


# Everything malformed


def test_there_are_enough_malformed_cases() -> None:
    assert len(MALFORMED_BODIES) + len(MALFORMED_QUERIES) + len(MALFORMED_HEADERS) >= 79


async def test_malformed_bodies_are_400_in_graphql_form(conformance: Client) -> None:
    for name, body in MALFORMED_BODIES.items():
        for accept in (JSON, GRAPHQL_RESPONSE):
            answer = await conformance.raw(content=body, headers={"content-type": JSON, "accept": accept})
            assert (name, answer.status_code, code(answer)) == (name, 400, "BAD_REQUEST")
            assert answer.json()["errors"][0]["message"]


async def test_malformed_queries_are_400_with_a_code_of_their_own(conformance: Client) -> None:
    codes = {
        "BAD_REQUEST",
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
        "OPERATION_RESOLUTION_FAILED",
        "BAD_USER_INPUT",
        "LIMIT_EXCEEDED",
    }
    for name, parameters in MALFORMED_QUERIES.items():
        if name == "null for a default":
            continue  # not refused as a whole: the test below
        answer = await conformance.post(**parameters)
        assert (name, answer.status_code) == (name, 400)
        assert {error["extensions"]["code"] for error in answer.json()["errors"]} <= codes, name
        assert "data" not in answer.json()


async def test_null_for_an_argument_with_a_default_is_the_callers_error(conformance: Client) -> None:
    answer = await conformance.post(**MALFORMED_QUERIES["null for a default"])
    assert (answer.status_code, code(answer)) == (200, "BAD_USER_INPUT")


async def test_malformed_content_headers_are_415(production: Client) -> None:
    for name, headers in MALFORMED_HEADERS.items():
        answer = await production.raw(content=GOOD, headers=headers)
        assert (name, answer.status_code, code(answer)) == (name, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "query_string",
    QUERY_STRINGS,
)
async def test_malformed_query_strings_are_400(conformance: Client, query_string: str) -> None:
    answer = await conformance.http.get(
        f"/graphql?{query_string}", headers={"authorization": f"Bearer {ADMIN}", "accept": GRAPHQL_RESPONSE}
    )
    assert answer.status_code == 400
    assert code(answer)


async def test_unknown_and_null_parameters_are_ignored(production: Client) -> None:
    body = with_parameters(variables=None, operationName=None, extensions=None, extra=[1, 2])
    answer = await production.raw(content=body, headers={"content-type": JSON})
    assert answer.json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    "value", [2**63 - 1, -(2**63), "9" * 30, 1.5e300, [[1], {"a": None}], "\x00 \u202e 🏃"]
)
async def test_extreme_but_sound_values_pass_unchanged(production: Client, value: object) -> None:
    answer = await production.post("query q($v: JSON!) { echo(value: $v) }", variables={"v": value})
    assert answer.json()["data"] == {"echo": value}


# Schema swap, cache, metrics


async def test_a_swapped_schema_serves_the_next_operation() -> None:
    @strawberry.type
    class Other:
        novelty: int = 1

        @strawberry.field
        def added(self) -> str:
            return "here"

    current = [schema]
    async with client_of(endpoint(Desk(), provider=lambda: current[0])) as client:
        assert (await client.post("{ added }")).status_code == 400
        assert (await client.post("{ item { name } }")).status_code == 200
        current[0] = strawberry.Schema(Other)
        assert (await client.post("{ added }")).json()["data"] == {"added": "here"}
        assert (await client.post("{ item { name } }")).status_code == 400, "the known text is checked anew"


def test_a_known_text_is_not_prepared_again_and_the_cache_is_bounded() -> None:
    cache = DocumentCache(Limits(), size=3)
    first = cache.get(schema, "{ add(a: 0) }", may_introspect=False)
    assert cache.get(schema, "{ add(a: 0) }", may_introspect=True) is first
    for i in range(1, 6):
        cache.get(schema, f"{{ add(a: {i}) }}", may_introspect=False)
    assert len(cache) == 3
    assert cache.get(schema, "{ add(a: 0) }", may_introspect=False) is not first


def test_refused_texts_are_not_kept() -> None:
    cache = DocumentCache(Limits())
    with pytest.raises(Refusal):
        cache.get(schema, "{ nothing }", may_introspect=False)
    assert len(cache) == 0


def test_a_schema_with_extensions_that_would_not_run_is_refused() -> None:
    class Silent(strawberry.extensions.SchemaExtension):
        pass

    with pytest.raises(TypeError, match="not run here"):
        DocumentCache(Limits()).get(
            strawberry.Schema(schema.query, extensions=[Silent]), "{ a }", may_introspect=False
        )


async def test_the_observer_hears_of_each_operation() -> None:
    heard: list[OperationRecord] = []
    async with client_of(endpoint(Desk(), observe=heard.append)) as client:
        await client.post("query Good { add(a: 1) }")
        await client.post('mutation Bad { rename(id: 1, name: "stale") { id } }')
    assert [(r.name, r.kind, r.code) for r in heard] == [
        ("Good", "query", None),
        ("Bad", "mutation", "STALE_VERSION"),
    ]
    assert all(0 < r.seconds < 1 for r in heard)
