from __future__ import annotations

import asyncio

import pytest

from tests.api.conftest import Api


@pytest.fixture(name="texts")
async def searchable(api: Api) -> Api:
    await api.create(
        "Server", name="web-01", hostname="web-01", fqdn="web-01.example.com", primaryAddress="10.1.2.3"
    )
    await api.create("Application", name="Web Shop", description="Sells books to everybody")
    await api.create("Database", name="订单数据库", description="orders")
    for _ in range(100):  # the full-text index is filled soon after the commit, not in it
        if (await api.data('{ search(text: "orders") { nodes { id } } }'))["search"]["nodes"]:
            break
        await asyncio.sleep(0.1)
    return api


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web", {"web-01", "Web Shop"}),
        ("WEB sho", {"Web Shop"}),
        ("books", {"Web Shop"}),
        ("web-01.example", {"web-01"}),
        ("10.1.2.3", {"web-01"}),
        ("数据库", {"订单数据库"}),
        ("nothing", set()),
        ("", set()),
        ("* OR name:(", set()),
        ('"', set()),
    ],
)
async def test_words_and_their_beginnings_are_found(texts: Api, text: str, found: set[str]) -> None:
    data = await texts.data("query Q($t: String!) { search(text: $t) { nodes { name } } }", {"t": text})
    assert {node["name"] for node in data["search"]["nodes"]} == found


async def test_search_keeps_to_classes_and_page(texts: Api) -> None:
    data = await texts.data(
        """{ a: search(text: "web", classes: ["Host"]) { edges { score node { name } } }
             b: search(text: "web", first: 1) { nodes { id } } }"""
    )
    assert [edge["node"]["name"] for edge in data["a"]["edges"]] == ["web-01"]
    assert data["a"]["edges"][0]["score"] > 0
    assert len(data["b"]["nodes"]) == 1
    assert await texts.code('{ search(text: "web", classes: ["Nope"]) { nodes { id } } }') == "NOT_FOUND"
