"""Catalogue entries as people write them: YAML with JSON's types only, so that no word changes into something else."""

from __future__ import annotations

import re
from typing import Any

import yaml

from cmdb.errors import CatalogueError
from cmdb.model.entries import Entry, parse_entry


def parse_entries(text: str, origin: str = "catalogue file") -> dict[str, Entry]:
    """The entries of one YAML text: safe types only, no aliases, no key twice.

    Raises:
        CatalogueError: not YAML of the right form, or an entry is wrong.
    """
    try:
        for event in yaml.parse(text, Loader=_SafeLoader):
            if isinstance(event, yaml.AliasEvent) and event.start_mark is not None:
                raise yaml.YAMLError(f"aliases are not allowed (line {event.start_mark.line + 1})")
        raw = yaml.load(text, Loader=_EntryLoader)  # noqa: S506 - a SafeLoader that is stricter still
    except (yaml.YAMLError, RecursionError, ValueError, LookupError) as error:
        raise CatalogueError(
            origin, f"not readable as YAML: {str(error)[:300]}", "mend the text at that place"
        ) from None
    if not isinstance(raw, dict):
        raise CatalogueError(
            origin, "the text is not a mapping of names to entries", "write `Name: {...}` per entry"
        )
    return {str(name): parse_entry(str(name), entry) for name, entry in raw.items()}


_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C where PyYAML has it: ten times faster, and the built-in catalogue is read at every start."""


class _EntryLoader(_SafeLoader):  # type: ignore[misc,valid-type]  # known when the module is loaded
    """YAML with JSON's types only, and without a key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.YAMLError(f"keys are words; quote {key!r} (line {key_node.start_mark.line + 1})")
            if key in seen:
                raise yaml.YAMLError(f"key {key!r} twice (line {key_node.start_mark.line + 1})")
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


# Only what JSON would read as something else than a text is: `no`, `2026-11-24`, `22:22`, `0o17` and `1_000` stay as
# they are written.
_EntryLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"null|~|", ["n", "~", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", list("-0123456789")),
):
    _EntryLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)
_EntryLoader.yaml_constructors = {
    f"tag:yaml.org,2002:{tag}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{tag}"]
    for tag in ("null", "bool", "int", "float", "str", "seq", "map")
} | {None: yaml.SafeLoader.yaml_constructors[None]}
