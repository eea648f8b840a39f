"""What must hold of a compiled catalogue as a whole: its rules, expressions and names fit each other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cmdb.errors import CatalogueError
from cmdb.model.reserved import RESERVED

if TYPE_CHECKING:
    from cmdb.model.catalogue import Catalogue


def check_consistency(catalogue: Catalogue) -> None:
    """Nothing, if all holds.

    Raises:
        CatalogueError: the first thing that does not.
    """
    _check_rules(catalogue)
    _check_expressions(catalogue)
    _check_field_names(catalogue)


def _check_rules(catalogue: Catalogue) -> None:
    for item_class in catalogue.classes.values():
        for rule in item_class.identity_rules:
            missing = [a for a in rule.attributes if a != "name" and a not in item_class.attributes]
            if missing:
                raise CatalogueError(
                    item_class.name, f"identity rule {rule} names no attribute {missing}", "mend it"
                )
            secret = [
                a
                for a in rule.attributes
                if a in item_class.attributes and item_class.attributes[a].entry.secret
            ]
            if secret:
                raise CatalogueError(
                    item_class.name,
                    f"identity rule {rule} names the secret {secret}",
                    "identify by what may be seen",
                )
            if rule.within is not None and rule.within not in catalogue.relationships:
                raise CatalogueError(
                    item_class.name, f"identity rule {rule}: no type {rule.within}", "mend it"
                )


def _check_expressions(catalogue: Catalogue) -> None:
    for item_class in catalogue.classes.values():
        for attribute in item_class.attributes.values():
            reads = attribute.expression.names if attribute.expression else frozenset()
            hidden = [
                n
                for n in sorted(reads)
                if n in item_class.attributes and item_class.attributes[n].entry.secret
            ]
            if hidden and not attribute.entry.secret:
                place = f"{item_class.name}.{attribute.name}"
                raise CatalogueError(place, f"it is computed from the secret {hidden}", "make it secret too")
            unknown = (
                attribute.expression.names - {"name", *item_class.attributes} if attribute.expression else ()
            )
            if unknown:
                place = f"{item_class.name}.{attribute.name}"
                raise CatalogueError(
                    place, f"the expression names {sorted(unknown)}", "use attributes of the class"
                )


def _check_field_names(catalogue: Catalogue) -> None:
    """Attributes, relationship types and inverses become fields of one object: no two may share a name, or be told
    apart only by an underscore before a digit, which clients that write `ipv4` for `ipv_4` would not see."""
    plurals: dict[str, str] = {}
    for item_class in catalogue.classes.values():
        other = plurals.setdefault(item_class.plural, item_class.name)
        if other != item_class.name:
            raise CatalogueError(
                item_class.name, f"its plural {item_class.plural} is {other}'s", "give a `plural`"
            )
        taken = dict.fromkeys(map(_spelling, RESERVED), "a reserved name")
        for name, attribute in item_class.attributes.items():
            if _spelling(name) in taken:
                place = f"{attribute.declared_by}.{name}"
                raise CatalogueError(
                    place, f"it clashes with {taken[_spelling(name)]}", "choose another name"
                )
            taken[_spelling(name)] = f"the attribute {name}"
        fields = [(r.name.lower(), r.name) for r in catalogue.outgoing(item_class.name)]
        fields += [(r.inverse, r.name) for r in catalogue.incoming(item_class.name)]
        for field_name, relationship in fields:
            if _spelling(field_name) in taken:
                fault = (
                    f"its field {field_name} on {item_class.name} clashes with {taken[_spelling(field_name)]}"
                )
                raise CatalogueError(relationship, fault, "choose another name or `inverse`")
            taken[_spelling(field_name)] = relationship


def _spelling(name: str) -> str:
    return re.sub(r"_(?=[0-9])", "", name)
