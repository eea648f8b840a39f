"""Statements that look many things up by key say by which index.

While a store grows from nothing, Neo4j's statistics lag behind: it takes the index of identity keys for empty and reads
all of it for each key that is asked about (measured: 5,000 look-ups among 15,000 keys did not end within 60 s; with the
hint they take 0.03 s).
"""

from __future__ import annotations

import importlib
import pkgutil
import re

import cmdb.store

LOOK_UP = re.compile(r"\((\w*):(Item|Tombstone|IdentityKey|Revision) \{(id|key|number): (?!\$)")


def statements() -> dict[str, str]:
    """Every statement of the store that goes through a list."""
    found = {}
    for module_info in pkgutil.iter_modules(cmdb.store.__path__):
        module = importlib.import_module(f"cmdb.store.{module_info.name}")
        for name, value in vars(module).items():
            if isinstance(value, str) and "UNWIND" in value and LOOK_UP.search(value):
                found[f"{module_info.name}.{name}"] = value
    return found


def missing_hints(statement: str) -> list[str]:
    """Look-ups without a hint; the far end of a relationship whose near end has one needs none."""
    missing = []
    for clause in re.split(r"(?=\b(?:OPTIONAL )?MATCH )", statement)[1:]:
        looked_up = LOOK_UP.findall(clause)
        hints = set(re.findall(r"USING INDEX SEEK (\w+):(\w+)\((\w+)\)", clause))
        if looked_up and not hints & set(looked_up):
            missing.append(clause.splitlines()[0])
    return missing


def test_every_look_up_of_a_list_names_its_index() -> None:
    found = statements()
    assert {"loading.LOAD_KEYS", "loading.LOAD_ITEMS", "recording.WRITE", "reading.FIND_KEYS"} <= found.keys()
    assert {name: missing for name, text in found.items() if (missing := missing_hints(text))} == {}


def test_a_look_up_without_a_hint_is_noticed() -> None:
    assert missing_hints("UNWIND $ids AS id MATCH (i:Item {id: id}) RETURN i") == [
        "MATCH (i:Item {id: id}) RETURN i"
    ]
    assert not missing_hints("UNWIND $ids AS id MATCH (i:Item {id: id}) USING INDEX SEEK i:Item(id) RETURN i")
