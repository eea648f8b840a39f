"""Identity keys: the strings by which two reports of one thing are known to be one, and racing duplicates refused.

A key is written `Host(serial_number,manufacturer)=abc123|dell`: the rule that made it, then the canonical values.
A rule belongs to the class that declares it, so a Server and a VirtualMachine compete for one Host key, and
reclassification keeps it. A scoped rule names its target: `SoftwareInstance(name)@RUNS_ON=<id>|nginx`. A source's own
key for an item is `@source/native key`. Each key identifies one item in the whole CMDB (a unique constraint in Neo4j
says so).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cmdb.errors import InvalidValue
from cmdb.model.catalogue import Catalogue, IdentityRule
from cmdb.model.items import EdgeKey
from cmdb.model.values import IDENTIFIER_LIMIT, Stored, canonical_identifier


def rule_name(rule: IdentityRule) -> str:
    """The part of a key before its `=`."""
    scope = f"@{rule.within}" if rule.within else ""
    return f"{rule.declared_by}({','.join(rule.attributes)}){scope}"


def rule_keys(
    catalogue: Catalogue, class_name: str, fields: Mapping[str, Stored], outgoing: Iterable[EdgeKey]
) -> tuple[str, ...]:
    """Every key that an item with these fields (flat, as `Item.fields`) and outgoing edges has, strongest first.

    Raises:
        InvalidValue: a value is too long to identify anything.
    """
    item_class = catalogue.classes[class_name]
    targets: dict[str, list[str]] | None = None
    keys: list[str] = []
    for rule in item_class.identity_rules:
        values = [fields.get(name) for name in rule.attributes]
        if any(value is None or value == "" or value == [] for value in values):
            continue
        text = "|".join(_escaped(value) for value in values if value is not None)
        _check_length(text, f"the values of identity rule {rule}")
        if rule.within is None:
            keys.append(f"{rule_name(rule)}={text}")
            continue
        if targets is None:
            targets = {}
            for edge in outgoing:
                targets.setdefault(edge.type, []).append(edge.target)
        keys.extend(
            f"{rule_name(rule)}={target}|{text}" for target in sorted(set(targets.get(rule.within, ())))
        )
    for attribute in item_class.attributes.values():
        value = fields.get(attribute.name)
        if attribute.entry.unique and value is not None and value != "" and value != []:
            text = _escaped(value)
            _check_length(text, f"the unique {attribute.name}")
            keys.append(f"{attribute.declared_by}.{attribute.name}={text}")
    return tuple(keys)


def source_key(source: str, native_key: str) -> str:
    """The key by which a source knows an item. Slashes of the source are escaped: no two sources share a key.

    Raises:
        InvalidValue: too long, or empty.
    """
    if not native_key or len(native_key) > IDENTIFIER_LIMIT or "\0" in native_key:
        raise InvalidValue(
            f"a native key has 1 to {IDENTIFIER_LIMIT} characters and no NUL; this one has {len(native_key)}"
        )
    return f"@{source.replace('%', '%25').replace('/', '%2F')}/{native_key}"


def contradicts(claimed: Iterable[str], claimant_keys: Iterable[str], holder_keys: Iterable[str]) -> bool:
    """Whether claimant and holder of a key are two different things that only share a weaker mark.

    They are when some rule stronger than that of the shared key (earlier in `claimant_keys`) is complete on both sides
    and tells them apart: two servers of one name with two serial numbers. `claimed` are the shared keys. A source's own
    key, and that of a unique attribute, belong to one item whatever else is known.
    """
    shared, ours = set(claimed), tuple(claimant_keys)
    if any(_is_exclusive(key) for key in shared):
        return False
    theirs: dict[str, set[str]] = {}
    for key in holder_keys:
        theirs.setdefault(_rule_of(key), set()).add(key)
    for key in ours:
        if key in shared:
            return False
        others = theirs.get(_rule_of(key))
        if others and not _is_exclusive(key) and others.isdisjoint(ours):
            return True
    return False


def _is_exclusive(key: str) -> bool:
    return key.startswith("@") or not _rule_of(key).partition("@")[0].endswith(")")


def _check_length(text: str, what: str) -> None:
    if len(text) > IDENTIFIER_LIMIT:
        raise InvalidValue(
            f"{what} have {len(text)} characters; {IDENTIFIER_LIMIT} at most identify anything"
        )


def _rule_of(key: str) -> str:
    return key.partition("=")[0]


def _escaped(value: Stored) -> str:
    return canonical_identifier(value).replace("%", "%25").replace("|", "%7C")
