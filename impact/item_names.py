"""Items by what people call them: an id, a name, or Class/name.

Promises: all names are looked for together; each costs a look at the items whose name is as long as it, not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set

import numpy as np

from cmdb.model.columns import Int64s, Texts
from cmdb.model.packed_topology import PackedTopology

_CLASS_AND_NAME = re.compile(r"([A-Z][A-Za-z0-9_]*)/(.+)", re.DOTALL)


def find_items(topology: PackedTopology, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The numbers of the items that each of `names` fits, in order of ids: none, one, or several.

    An id goes before a name, and a name with a slash in it before Class/name (the class itself, not its subclasses).
    """
    wanted = set(names)
    qualified = {text: match for text in wanted if (match := _CLASS_AND_NAME.fullmatch(text))}
    by_name = _find_named(topology, wanted | {match[2] for match in qualified.values()})
    found: dict[str, tuple[int, ...]] = {}
    for text in wanted:
        number = topology.number_of(text)
        if number is not None:
            found[text] = (number,)
            continue
        fitting = by_name[text]
        if not fitting and text in qualified:
            class_name, name = qualified[text].groups()
            fitting = [n for n in by_name[name] if topology.item(n).class_name == class_name]
        found[text] = tuple(sorted(fitting, key=topology.id_of))
    return found


def _find_named(topology: PackedTopology, names: Set[str]) -> dict[str, list[int]]:
    """The numbers of the items of these names."""
    texts = topology.columns.names
    lengths = np.diff(texts.starts)
    alike: dict[int, Int64s] = {}
    found: dict[str, list[int]] = {}
    for name in names:
        encoded = name.encode("utf-8", "surrogatepass")
        places = alike.get(len(encoded))
        if places is None:
            places = alike[len(encoded)] = np.flatnonzero(lengths == len(encoded))
        found[name] = [n for n in _equal(texts, places, encoded).tolist() if n not in topology.changed]
    for number, item in topology.changed.items():
        if item is not None and item.name in found:
            found[item.name].append(number)
    return found


def _equal(texts: Texts, places: Int64s, wanted: bytes) -> Int64s:
    """Those of `places`, all as long as `wanted`, whose text it is. Names differ most at their ends."""
    starts = texts.starts
    for offset in range(len(wanted) - 1, -1, -1):
        if not len(places):
            break
        places = places[texts.blob[starts[places] + offset] == wanted[offset]]
    return places
