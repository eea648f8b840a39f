"""The API explorer in a real browser: it works under the strict policy, from one origin, in both languages."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

import pytest
import strawberry
import uvicorn
from axe_playwright_python.async_playwright import Axe
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    async_playwright,
    expect,
)
from playwright.async_api import Request as PageRequest
from starlette.middleware.base import RequestResponseEndpoint
from strawberry.fastapi import GraphQLRouter

from cmdb_graphql.static_files import STATIC_FOLDER, SecurityHeaders, static_router

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TOKEN = "cmdb_test_token"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH (apt-get install chromium)"),
    pytest.mark.skipif(
        not (STATIC_FOLDER / "graphiql.html").is_file(),
        reason="the browser pages are not built (CMDB_WEB_SKIP=1)",
    ),
]


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"Hello, {name}."


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def caller(self, info: strawberry.Info) -> AsyncIterator[str]:
        yield str(info.context["connection_params"].get("authorization"))


async def need_token(request: Request, call_next: RequestResponseEndpoint) -> Response:
    if request.url.path == "/graphql" and request.headers.get("authorization") != f"Bearer {TOKEN}":
        return JSONResponse({"errors": [{"message": "This needs a valid API token."}]}, status_code=401)
    return await call_next(request)


@pytest.fixture(scope="module")
async def origin() -> AsyncIterator[str]:
    """A service with the explorer and a schema of two fields, on a free port."""
    app = FastAPI()
    schema = strawberry.Schema(Query, subscription=Subscription)
    app.include_router(GraphQLRouter[None, None](schema, path="/graphql", graphql_ide=None))
    app.include_router(static_router())
    app.middleware("http")(need_token)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(SecurityHeaders(app), log_level="warning", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        yield chromium
        await chromium.close()


@dataclass(slots=True)
class Visit:
    """An open explorer page and what went wrong in it."""

    page: Page
    foreign_requests: list[str] = field(default_factory=list)
    console_errors: list[str] = field(default_factory=list)

    @property
    def token_state(self) -> Locator:
        return self.page.get_by_role("status")

    @property
    def answer(self) -> Locator:
        return self.page.locator(".result-window")

    async def give_token(self, token: str) -> None:
        await self.page.locator("#token").fill(token)
        await self.page.locator("#token").press("Enter")

    async def run(self, name: str, query: str) -> None:
        """Put the query into a new tab and execute it once the editor has read its name."""
        await self.page.get_by_role("button", name="New tab").click()
        await self.page.locator(".graphiql-query-editor .monaco-editor").click()
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.insert_text(query)
        await expect(self.page.locator(".graphiql-tab-active")).to_contain_text(name)
        await self.page.keyboard.press("Control+Enter")


OpenExplorer = Callable[[str], Awaitable[Visit]]


@pytest.fixture
async def open_explorer(browser: Browser, origin: str) -> AsyncIterator[OpenExplorer]:
    """Opens /graphiql in a fresh profile with the given browser language."""
    own = (f"{origin}/", "data:", f"blob:{origin}/")
    profiles: list[BrowserContext] = []

    async def open_in(locale: str) -> Visit:
        profile = await browser.new_context(locale=locale, reduced_motion="reduce")
        profiles.append(profile)
        visit = Visit(await profile.new_page())

        def note_request(request: PageRequest) -> None:
            if not request.url.startswith(own):
                visit.foreign_requests.append(request.url)

        def note_message(message: ConsoleMessage) -> None:
            if message.type == "error":
                visit.console_errors.append(message.text)

        visit.page.on("request", note_request)
        visit.page.on("console", note_message)
        visit.page.on("pageerror", lambda error: visit.console_errors.append(str(error)))
        await visit.page.add_init_script(
            "document.addEventListener('securitypolicyviolation', violation =>"
            " console.error(`refused by policy: ${violation.violatedDirective} ${violation.blockedURI}`))"
        )
        await visit.page.goto(f"{origin}/graphiql")
        await expect(visit.page.locator(".graphiql-query-editor .view-line").first).to_be_visible()
        return visit

    yield open_in
    for profile in profiles:
        await profile.close()


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_a_query_is_sent_and_answered_without_outside_requests_or_violations(
    open_explorer: OpenExplorer, locale: str
) -> None:
    visit = await open_explorer(locale)
    await visit.give_token(TOKEN)
    await visit.run("Greet", 'query Greet { hello(name: "explorer") }')
    await expect(visit.answer).to_contain_text("Hello, explorer.")
    assert visit.foreign_requests == []
    assert visit.console_errors == []


async def test_a_mistake_is_underlined_without_a_policy_violation(open_explorer: OpenExplorer) -> None:
    visit = await open_explorer("en-GB")
    await visit.give_token(TOKEN)
    await visit.run("Wrong", "query Wrong { noSuchField }")
    await expect(visit.page.locator(".squiggly-error").first).to_be_visible()
    await expect(visit.answer).to_contain_text("noSuchField")
    assert [text for text in visit.console_errors if "policy" in text.lower()] == []


async def test_a_subscription_carries_the_token_in_its_first_message(open_explorer: OpenExplorer) -> None:
    visit = await open_explorer("en-GB")
    await visit.give_token(TOKEN)
    await visit.run("Me", "subscription Me { caller }")
    await expect(visit.answer).to_contain_text(f"Bearer {TOKEN}")
    assert visit.console_errors == []


async def test_the_token_is_refused_accepted_and_forgotten_in_plain_words(
    open_explorer: OpenExplorer,
) -> None:
    visit = await open_explorer("en-GB")
    await expect(visit.token_state).to_have_text("No token")
    await visit.give_token("mistyped")
    await expect(visit.token_state).to_have_text("Token refused")
    await expect(visit.page.get_by_role("alert").filter(has_text="refused this token")).to_be_visible()
    await visit.give_token(TOKEN)
    await expect(visit.token_state).to_have_text("Token accepted")
    await expect(visit.page.locator("#token-panel")).to_have_count(0)
    await visit.page.reload()
    await expect(visit.token_state).to_have_text("Token accepted")
    await visit.page.get_by_role("button", name="Token accepted").click()
    await visit.page.get_by_role("button", name="Forget").click()
    await expect(visit.token_state).to_have_text("No token")


async def test_the_token_is_kept_in_the_tab_only(open_explorer: OpenExplorer) -> None:
    visit = await open_explorer("en-GB")
    await visit.give_token(TOKEN)
    await visit.run("Greet", "query Greet { hello }")
    await expect(visit.answer).to_contain_text("Hello, world.")
    on_disk = await visit.page.evaluate("JSON.stringify({...localStorage}) + document.cookie + location.href")
    assert TOKEN not in on_disk
    assert TOKEN in await visit.page.evaluate("JSON.stringify({...sessionStorage})")


async def test_the_language_follows_the_browser_and_the_switch_is_remembered(
    open_explorer: OpenExplorer,
) -> None:
    visit = await open_explorer("zh-CN")
    await expect(visit.page.get_by_role("heading", level=1)).to_have_text("CMDB API 浏览器")
    await expect(visit.page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(visit.page.locator(".graphiql-query-editor")).to_contain_text("按名称排序的前十台服务器")
    await visit.page.get_by_role("button", name="English").click()
    await expect(visit.page.get_by_role("heading", level=1)).to_have_text("CMDB API explorer")
    await expect(visit.page).to_have_title("CMDB API explorer")
    await visit.page.reload()
    await expect(visit.page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_our_part_of_the_page_breaks_no_accessibility_rule(
    open_explorer: OpenExplorer, locale: str, scheme: Literal["light", "dark"]
) -> None:
    visit = await open_explorer(locale)
    await visit.page.emulate_media(color_scheme=scheme)
    await visit.give_token("mistyped")
    await expect(visit.page.locator(".token-panel [role=alert]")).to_be_visible()
    found = await Axe().run(visit.page, context=[".page-header", ".token-panel"])
    assert found.violations_count == 0, found.generate_report()


async def test_examples_open_as_tabs_on_a_first_visit(open_explorer: OpenExplorer) -> None:
    visit = await open_explorer("en-GB")
    await expect(visit.page.get_by_role("tab")).to_have_text(
        [
            re.compile(name)
            for name in ("FindServers", "Search", "Dependents", "WhatIf", "History", "RevisionFeed")
        ]
    )
