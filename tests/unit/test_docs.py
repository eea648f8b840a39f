"""The documentation is held to the code: its examples fit the contract, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from cmdb.cli import app
from cmdb.model.catalogue import builtin_catalogue, parse_entries
from discovery.observation import parse_observation

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"^ {4}cmdb ((?:\w[\w-]* ?)+)", re.MULTILINE)


def blocks(language: str) -> list[str]:
    """The fenced examples in a language."""
    return [
        text for page in PAGES for found, text in _BLOCK.findall(page.read_text("utf-8")) if found == language
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text("utf-8")):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        file = (page.parent / target) if target else page
        assert file.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings
            }, link


def test_graphql_examples_fit_the_contract() -> None:
    contract = build_schema((ROOT / "graphql" / "schema.graphql").read_text("utf-8"), assume_valid_sdl=True)
    examples = blocks("graphql")
    assert examples
    assert [error for text in examples for error in validate(contract, parse(text))] == []


def test_observations_in_the_guides_are_observations() -> None:
    examples = [text for text in blocks("json") if '"source"' in text and '"items": [' in text]
    assert examples
    assert all(parse_observation(text.encode()).items for text in examples)


def test_catalogue_entries_in_the_guide_make_a_catalogue() -> None:
    entries = parse_entries("\n".join(blocks("yaml")))
    assert {"Robot", "SERVED_BY", "robot_life"} <= builtin_catalogue().extended(entries).entries.keys()


def test_commands_in_the_guides_exist() -> None:
    groups = {
        group.name: {command.name for command in group.typer_instance.registered_commands}
        for group in app.registered_groups
        if group.typer_instance is not None
    }
    known = {command.name for command in app.registered_commands}
    named = [text.split() for page in PAGES for text in _COMMAND.findall(page.read_text("utf-8"))]
    assert named
    for first, *rest in named:
        assert first in known or (first in groups and rest[0] in groups[first]), (
            f"cmdb {first} {' '.join(rest)}"
        )
