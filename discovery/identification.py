"""Identification: which stored item each reported item is, or that it is new.

The source's own key decides first, then the identity rules of the reported class, strongest first; what is identified
inside a host waits until its host is known. Two entries of one report that share a key are one item, unless a stronger
rule tells them apart. Pure: what the store knows is asked for by yielding a `Question`, a level of items at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cmdb.errors import InvalidValue
from cmdb.model.catalogue import Catalogue
from cmdb.model.identity import contradicts, rule_keys, source_key
from cmdb.model.items import EdgeKey, new_id
from cmdb.model.values import IDENTIFIER_LIMIT, Stored, clean_text
from discovery.observation import Observation, ObservedItem


@dataclass(frozen=True, slots=True)
class Question:
    """Asked of the store: who holds these keys, and which keys do these items hold."""

    keys: tuple[str, ...] = ()
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """`holders`: the item of each key that has one. `held`: the keys of each item asked about."""

    holders: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    """What one reported item is.

    `matched_by` is the key by which it was recognised, empty for a new item. `level` counts the hosts it stands in.
    `keys` are those of what was reported, strongest first, the source's own before all. `fault`: why no rule could be
    applied, empty if they could.
    """

    id: str
    new: bool
    matched_by: str
    level: int
    keys: tuple[str, ...]
    fault: str = ""

    @property
    def native(self) -> str:
        """The source's own key, empty if it gave none."""
        return self.keys[0] if self.keys and self.keys[0].startswith("@") else ""


@dataclass(frozen=True, slots=True)
class Identified:
    """The identity of every item of a report, in its order, and all that was learnt about holders on the way."""

    identities: tuple[Identity, ...]
    holders: Mapping[str, str | None]
    held: Mapping[str, frozenset[str]]


NAMESAKES_LIMIT = 16
"""With how many earlier entries that share a key an entry is compared; a thousand namesakes must not cost a million."""

Identification = Generator[Question, Answer, Identified]


def identify(
    catalogue: Catalogue, observation: Observation, make_id: Callable[[], str] = new_id
) -> Identification:
    """Identify the items of a report; drive it with `next` and `send`, answering each `Question`.

    An item of an unknown class, or with values that have no normal form, is identified by what remains; that it is
    wrong is told when it is planned.
    """
    return _Identifier(catalogue, observation, make_id).run()


def host_types(catalogue: Catalogue, class_name: str) -> frozenset[str]:
    """The relationship types inside whose targets items of a class are identified."""
    item_class = catalogue.classes.get(class_name)
    rules = item_class.identity_rules if item_class else ()
    return frozenset(rule.within for rule in rules if rule.within is not None)


class _Identifier:
    """One identification. `ids` fills level by level; `merged` maps a new id to the one it turned out to be."""

    def __init__(self, catalogue: Catalogue, observation: Observation, make_id: Callable[[], str]) -> None:
        self.catalogue = catalogue
        self.source = observation.source
        self.items = observation.items
        self.make_id = make_id
        self.hosts = _hosts(catalogue, observation)
        self.ids: dict[int, str] = {}
        self.new: set[str] = set()
        self.merged: dict[str, str] = {}
        self.matched_by: dict[int, str] = {}
        self.keys: dict[int, tuple[str, ...]] = {}
        self.faults: dict[int, str] = {}
        self.claimants: dict[str, list[int]] = {}
        self.holders: dict[str, str | None] = {}
        self.held: dict[str, frozenset[str]] = {}

    def run(self) -> Identification:
        levels = _levels(len(self.items), self.hosts)
        for level in levels:
            for index in level:
                self.keys[index] = self._keys(index)
            yield from self._ask_holders(
                key for index in level for key in self.keys[index][:1] if key[0] == "@"
            )
            strangers = [index for index in level if self._known_by_source(index) is None]
            yield from self._ask_holders(key for index in strangers for key in self.keys[index])
            doubtful = sorted(
                {holder for index in strangers for holder in self._doubtful(index)} - set(self.held)
            )
            if doubtful:
                answer = yield Question(items=tuple(doubtful))
                self.held.update((item, answer.held.get(item, frozenset())) for item in doubtful)
            self._resolve(level)
        level_of = {index: number for number, level in enumerate(levels) for index in level}
        identities = tuple(self._identity(index, level_of[index]) for index in range(len(self.items)))
        return Identified(identities, self.holders, self.held)

    def _ask_holders(self, keys: Iterable[str]) -> Generator[Question, Answer, None]:
        asked = tuple(dict.fromkeys(key for key in keys if key not in self.holders))
        if asked:
            answer = yield Question(keys=asked)
            self.holders.update((key, answer.holders.get(key)) for key in asked)

    def _known_by_source(self, index: int) -> str | None:
        """The holder of the source's own key. What others hold of such an item's keys is asked if it changes."""
        keys = self.keys[index]
        return self.holders.get(keys[0]) if keys and keys[0].startswith("@") else None

    def _keys(self, index: int) -> tuple[str, ...]:
        item = self.items[index]
        try:
            native = (source_key(self.source, item.key),) if item.key else ()
        except InvalidValue:
            native = ()
        if item.class_name not in self.catalogue.classes:
            return native
        outgoing = [
            EdgeKey(kind, "", self._id(target))
            for kind, target in self.hosts.get(index, ())
            if target in self.ids
        ]
        try:
            fields = normal_fields(self.catalogue, item)
            return native + rule_keys(self.catalogue, item.class_name, fields, outgoing)
        except InvalidValue as error:
            self.faults[index] = str(error)
            return native

    def _doubtful(self, index: int) -> list[str]:
        """Holders of weaker keys who might only be namesakes: whoever does not hold the strongest anyway."""
        rules = [key for key in self.keys[index] if not key.startswith("@")]
        strongest = self.holders.get(rules[0]) if rules else None
        holders = (self.holders.get(key) for key in rules[1:])
        return [holder for holder in holders if holder is not None and holder != strongest]

    def _resolve(self, level: Sequence[int]) -> None:
        """First those whom the store knows, so that entries of the report which are the same follow them."""
        unknown = []
        for index in level:
            found = self._stored_match(index)
            if found is None:
                unknown.append(index)
            else:
                self.matched_by[index], self.ids[index] = found
                self._claim(index)
        for index in unknown:
            matches = self._reported_matches(index)
            stored = [match for match in matches if match[1] not in self.new]
            if matches:
                self.matched_by[index], chosen = (stored or matches)[0]
            else:
                chosen = self.make_id()
                self.new.add(chosen)
            self.ids[index] = chosen
            for key, item in matches:
                if item in self.new and item != chosen:
                    self._merge(item, chosen, key)
            self._claim(index)

    def _merge(self, item: str, into: str, key: str) -> None:
        for index in self.claimants[key]:
            if self._id(index) == item:
                self.matched_by.setdefault(index, key)
        self.merged[item] = into

    def _stored_match(self, index: int) -> tuple[str, str] | None:
        keys = self.keys[index]
        for key in keys:
            holder = self.holders.get(key)
            if holder is not None and not namesakes(key, keys, self.held.get(holder, ())):
                return key, holder
        return None

    def _reported_matches(self, index: int) -> list[tuple[str, str]]:
        """Earlier entries that this one is the same as. New ones among them become one, whatever told them apart."""
        keys = self.keys[index]
        return [
            (key, self._id(other))
            for key in keys
            for other in self.claimants.get(key, ())[:NAMESAKES_LIMIT]
            if not namesakes(key, keys, self.keys[other])
        ]

    def _claim(self, index: int) -> None:
        for key in self.keys[index]:
            self.claimants.setdefault(key, []).append(index)

    def _id(self, index: int) -> str:
        item = self.ids[index]
        while item in self.merged:
            item = self.merged[item]
        self.ids[index] = item
        return item

    def _identity(self, index: int, level: int) -> Identity:
        item = self._id(index)
        new = item in self.new
        matched_by = "" if new else self.matched_by[index]
        return Identity(item, new, matched_by, level, self.keys[index], self.faults.get(index, ""))


def namesakes(key: str, keys: Iterable[str], others_keys: Iterable[str]) -> bool:
    """Whether two that share `key` are two all the same, because a stronger rule tells them apart."""
    return contradicts((key,), keys, others_keys)


def normal_fields(catalogue: Catalogue, item: ObservedItem) -> dict[str, Stored]:
    """The reported values that have a normal form, by field name; the others are left out."""
    item_class = catalogue.classes[item.class_name]
    fields: dict[str, Stored] = {}
    for name, raw in item.attributes.items():
        attribute = item_class.attributes.get(name)
        try:
            if name == "name":
                fields[name] = clean_text(raw, IDENTIFIER_LIMIT)
            elif attribute is not None and raw is not None:
                fields[name] = attribute.normalise(raw)
        except InvalidValue:
            continue
    return fields


def _hosts(catalogue: Catalogue, observation: Observation) -> dict[int, list[tuple[str, int]]]:
    """Per item, by index: the edges inside whose targets it is identified, as (type, index of the target)."""
    within = {name: host_types(catalogue, name) for name in {item.class_name for item in observation.items}}
    wanted = frozenset().union(*within.values()) if within else frozenset()
    hosts: dict[int, list[tuple[str, int]]] = defaultdict(list)
    if wanted:
        places = {item.ref: index for index, item in enumerate(observation.items)}
        for edge in observation.edges:
            if edge.type in wanted:
                source, target = places[edge.source], places[edge.target]
                if edge.type in within[observation.items[source].class_name] and source != target:
                    hosts[source].append((edge.type, target))
    return hosts


def _levels(count: int, hosts: Mapping[int, Sequence[tuple[str, int]]]) -> list[list[int]]:
    """Items by level: each after all its hosts. What stands in a circle of hosts comes last, together."""
    waits = {index: len({target for _, target in edges}) for index, edges in hosts.items()}
    guests: dict[int, list[int]] = defaultdict(list)
    for index, edges in hosts.items():
        for target in {target for _, target in edges}:
            guests[target].append(index)
    level = [index for index in range(count) if index not in waits]
    levels = []
    while level:
        levels.append(level)
        following = []
        for index in level:
            for guest in guests.get(index, ()):
                waits[guest] -= 1
                if not waits[guest]:
                    following.append(guest)
                    del waits[guest]
        level = sorted(following)
    if waits:
        levels.append(sorted(waits))
    return levels
