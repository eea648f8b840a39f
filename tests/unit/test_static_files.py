"""The pages' routes and the security headers, without a browser."""

from __future__ import annotations

import gzip
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from cmdb_graphql.static_files import CONTENT_SECURITY_POLICY, SecurityHeaders, static_router

HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "graphiql.html").write_text("<!doctype html><title>page</title>")
    (static / "assets" / "main-abc.js").write_text("let answer = 42")
    (static / "assets" / "main-abc.js.gz").write_bytes(gzip.compress(b"let answer = 42"))
    (static / "assets" / "font-abc.woff2").write_bytes(b"font")
    (tmp_path / "secret.txt").write_text("outside")
    return static


def client(folder: Path, *, base_url: str = "http://testserver") -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(static_router(folder))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a defect")

    # Starlette sends its 500 and then raises the defect on, for the server's log.
    transport = httpx.ASGITransport(SecurityHeaders(app), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=base_url)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/graphiql", 200),
        ("/static/assets/main-abc.js", 200),
        ("/static/none.js", 404),
        ("/nowhere", 404),
        ("/broken", 500),
    ],
)
async def test_every_answer_has_the_security_headers(folder: Path, path: str, status: int) -> None:
    answer = await client(folder).get(path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "strict-transport-security" not in answer.headers


async def test_a_refused_websocket_has_the_security_headers() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await SecurityHeaders(refuse)({"type": "websocket", "scheme": "ws"}, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert {name: headers.get(name) for name in HEADERS} == HEADERS


async def test_transport_security_is_asked_for_over_tls_only(folder: Path) -> None:
    answer = await client(folder, base_url="https://testserver").get("/graphiql")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    directives = dict(directive.split(" ", 1) for directive in CONTENT_SECURITY_POLICY.split("; "))
    assert directives["script-src"] == "'self'"
    assert directives["default-src"] == "'self'"
    assert directives["object-src"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
    assert {source for sources in directives.values() for source in sources.split()} == {
        "'self'",
        "'none'",
        "'unsafe-inline'",
        "blob:",
        "data:",
    }


async def test_a_page_is_revalidated_and_a_hashed_file_is_kept_for_good(folder: Path) -> None:
    assert (await client(folder).get("/graphiql")).headers["cache-control"] == "no-cache"
    hashed = await client(folder).get("/static/assets/main-abc.js")
    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_an_answer_of_the_application_itself_is_not_stored(folder: Path) -> None:
    assert (await client(folder).get("/nowhere")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("encodings", ["gzip", "identity"])
async def test_a_compressed_neighbour_goes_to_clients_that_accept_it(folder: Path, encodings: str) -> None:
    answer = await client(folder).get("/static/assets/main-abc.js", headers={"accept-encoding": encodings})
    assert answer.text == "let answer = 42"
    assert answer.headers.get("content-encoding", "identity") == encodings
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["vary"] == "accept-encoding"


async def test_a_file_without_a_compressed_neighbour_goes_out_as_it_is(folder: Path) -> None:
    answer = await client(folder).get("/static/assets/font-abc.woff2", headers={"accept-encoding": "gzip"})
    assert answer.content == b"font"
    assert "content-encoding" not in answer.headers


async def test_an_unchanged_file_is_not_sent_again(folder: Path) -> None:
    browser = client(folder)
    tag = (await browser.get("/graphiql")).headers["etag"]
    assert (await browser.get("/graphiql", headers={"if-none-match": tag})).status_code == 304


@pytest.mark.parametrize(
    "path", ["/static/../secret.txt", "/static/%2e%2e/secret.txt", "/static//etc/passwd", "/static/%00"]
)
async def test_nothing_outside_the_folder_is_handed_out(folder: Path, path: str) -> None:
    assert (await client(folder).get(path)).status_code == 404


async def test_pages_that_were_not_built_say_how_to_build_them_in_both_languages(tmp_path: Path) -> None:
    answer = await client(tmp_path / "none").get("/graphiql")
    assert answer.status_code == 503
    assert "pip install -e ." in answer.text
    assert "网页尚未构建" in answer.text
