"""Fault trees as Open-PSA Model Exchange Format (XML), which the tools of reliability engineers read and write.

Import understands one fault tree: gates with nested formulas, basic events with a constant probability, house events,
components, labels. What it does not understand it refuses, with the line: a tree that was read without one of
its parts would give a wrong figure. Attributes and comments are passed over. Documents that could harm the reader
(entities, external definitions, endless depth) are refused before anything is made of them. Export writes what the top
event depends on, and all basic events.

Source: S. Epstein, A. Rauzy, "Open-PSA Model Exchange Format", version 2.0d (open-psa.github.io/mef).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from impact.errors import InvalidFaultTree
from impact.fault_tree import (
    DEEPEST_FORMULA,
    Argument,
    BasicEvent,
    FaultTree,
    Formula,
    Gate,
    HouseEvent,
    Operator,
)

DEEPEST_ELEMENT = 2 * DEEPEST_FORMULA
MOST_ELEMENTS = 2_000_000

_REFERENCES = ("gate", "basic-event", "house-event", "event")
_OPERATORS: Mapping[str, Operator] = {"and": "and", "or": "or", "xor": "xor", "not": "not"}
_ALWAYS, _NEVER = "constant-true", "constant-false"


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    line: int
    children: list[_Element] = field(default_factory=list)
    text: str = ""

    @property
    def where(self) -> str:
        named = self.attributes.get("name")
        return f"line {self.line}, <{self.name}" + (f' name="{named}">' if named is not None else ">")

    def attribute(self, name: str) -> str:
        value = self.attributes.get(name, "").strip()
        if not value:
            raise InvalidFaultTree(self.where, f"has no `{name}`", f'write <{self.name} {name}="...">')
        return value

    def number(self, name: str) -> int:
        value = self.attribute(name)
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise InvalidFaultTree(self.where, f"has {name}={value!r}", "give a whole number")
        return int(value)

    def parts(self) -> Iterator[_Element]:
        """The children that say something: no label, no attributes."""
        return (child for child in self.children if child.name not in {"label", "attributes"})

    @property
    def label(self) -> str:
        return next((child.text.strip() for child in self.children if child.name == "label"), "")


def import_fault_tree(document: bytes | str, *, name: str | None = None, top: str | None = None) -> FaultTree:
    """The fault tree in an Open-PSA MEF document.

    `name`: which one, where there are several; `top`: its top gate, needed where several gates are used by no other.
    Raises `InvalidFaultTree`, which names the line and the element.
    """
    root = _parse(document)
    if root.name != "opsa-mef":
        raise InvalidFaultTree(root.where, "is not the root of a MEF document", "it begins with <opsa-mef>")
    return _Import(root).tree(name, top)


def export_fault_tree(tree: FaultTree) -> str:
    """The tree as an Open-PSA MEF document, gates from the top down. Importing it gives the same figures.

    Raises `InvalidFaultTree` for a name with a character that XML cannot hold.
    """
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<opsa-mef>"]
    lines.append(f"  <define-fault-tree name={_quoted(tree.name)}>")
    for gate in reversed(tree.gates_below()):
        lines.append(f"    <define-gate name={_quoted(gate.name)}>")
        lines += _label(gate.label, "      ")
        lines += _formula(gate.formula, tree, "      ")
        lines.append("    </define-gate>")
    lines += ["  </define-fault-tree>", "  <model-data>"]
    for event in tree.basic_events.values():
        lines.append(f"    <define-basic-event name={_quoted(event.name)}>")
        lines += _label(event.label, "      ")
        lines += [f'      <float value="{float(event.probability)!r}"/>', "    </define-basic-event>"]
    for house in tree.house_events.values():
        lines.append(f"    <define-house-event name={_quoted(house.name)}>")
        lines += _label(house.label, "      ")
        lines += [f'      <constant value="{str(house.state).lower()}"/>', "    </define-house-event>"]
    return "\n".join([*lines, "  </model-data>", "</opsa-mef>", ""])


def _formula(formula: Formula, tree: FaultTree, indent: str) -> Iterator[str]:
    bound = f' min="{formula.least}"' if formula.operator == "atleast" else ""
    yield f"{indent}<{formula.operator}{bound}>"
    for argument in formula.arguments:
        if isinstance(argument, Formula):
            yield from _formula(argument, tree, indent + "  ")
        else:
            kind = "gate" if argument in tree.gates else "house-event"
            kind = "basic-event" if argument in tree.basic_events else kind
            yield f"{indent}  <{kind} name={_quoted(argument)}/>"
    yield f"{indent}</{formula.operator}>"


def _label(label: str, indent: str) -> list[str]:
    text = "".join(character if _is_xml(character) else " " for character in label)
    return [f"{indent}<label>{escape(text)}</label>"] if text.strip() else []


def _quoted(name: str) -> str:
    if not all(_is_xml(character) for character in name):
        raise InvalidFaultTree(repr(name), "has a character that XML cannot hold", "rename it")
    return quoteattr(name, {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})


def _is_xml(character: str) -> bool:
    return character in "\t\n\r" or " " <= character < "\ud800" or "\ue000" <= character not in "\ufffe\uffff"


class _Import:
    """What one document defines, and where."""

    def __init__(self, root: _Element) -> None:
        self.trees: list[_Element] = []
        self.gates: list[Gate] = []
        self.events: list[BasicEvent] = []
        self.houses: list[HouseEvent] = []
        self.kinds: dict[str, str] = {}
        self.lines: dict[str, int] = {}
        self.references: list[_Element] = []
        self.constants: set[str] = set()
        for part in root.parts():
            if part.name == "define-fault-tree":
                self.trees.append(part)
            elif part.name == "model-data":
                self.read(part)
            else:
                raise _unknown(part, "only <define-fault-tree> and <model-data> are read; take it out")

    def tree(self, name: str | None, top: str | None) -> FaultTree:
        chosen = [t for t in self.trees if name is None or t.attributes.get("name") == name]
        if len(chosen) != 1:
            names = ", ".join(repr(t.attributes.get("name", "")) for t in self.trees[:5]) or "none"
            fault = f"has {len(chosen)} fault trees" + (f" named {name!r}" if name is not None else "")
            raise InvalidFaultTree("the document", f"{fault} ({names})", "name one of them")
        self.read(chosen[0])
        for reference in self.references:
            wanted, kind = reference.name, self.kinds.get(reference.attribute("name"))
            if kind is None or wanted not in {"event", kind}:
                fault = "is not defined" if kind is None else f"is a {kind}"
                raise InvalidFaultTree(reference.where, fault, "define it, or correct the reference")
        houses = [*self.houses, *(HouseEvent(c, c == _ALWAYS) for c in sorted(self.constants))]
        try:
            return FaultTree.build(chosen[0].attribute("name"), self.gates, self.events, houses, top=top)
        except InvalidFaultTree as error:
            if error.where in self.lines:
                where = f"line {self.lines[error.where]}, {self.kinds[error.where]} {error.where!r}"
                raise InvalidFaultTree(where, error.fault, error.way_out) from None
            raise

    def read(self, container: _Element) -> None:
        for part in container.parts():
            if part.name == "define-component":
                self.read(part)
            elif part.name in {"define-gate", "define-basic-event", "define-house-event"}:
                self.define(part)
            else:
                raise _unknown(part, "gates, basic events, house events and components are read; take it out")

    def define(self, part: _Element) -> None:
        name = part.attribute("name")
        if name in self.kinds:
            raise InvalidFaultTree(
                part.where, f"is defined in line {self.lines[name]} already", "rename one of the two"
            )
        self.kinds[name] = part.name.removeprefix("define-")
        self.lines[name] = part.line
        content = list(part.parts())
        if len(content) != 1:
            raise InvalidFaultTree(
                part.where, f"holds {len(content)} formulas or values", "give it exactly one"
            )
        if part.name == "define-gate":
            formula = self.formula(content[0])
            whole = formula if isinstance(formula, Formula) else Formula("or", (formula,))
            self.gates.append(Gate(name, whole, part.label))
        elif part.name == "define-basic-event":
            self.events.append(BasicEvent(name, _probability(content[0]), part.label))
        else:
            self.houses.append(HouseEvent(name, _truth(content[0]), part.label))

    def formula(self, element: _Element) -> Argument:
        if element.name in _REFERENCES:
            self.references.append(element)
            return element.attribute("name")
        if element.name == "constant":
            constant = _ALWAYS if _truth(element) else _NEVER
            if constant not in self.constants and constant in self.kinds:
                raise InvalidFaultTree(
                    element.where, f"{constant!r} is the name of something else", "rename that"
                )
            self.constants.add(constant)
            return constant
        make = _CONNECTIVES.get(element.name)
        if make is None:
            raise _unknown(element, f"the formulas that are read are {', '.join(_CONNECTIVES)}")
        return make(element, tuple(self.formula(part) for part in element.parts()))


def _plain(element: _Element, arguments: tuple[Argument, ...]) -> Formula:
    return Formula(_OPERATORS[element.name], arguments)


def _negated(operator: Operator) -> Callable[[_Element, tuple[Argument, ...]], Formula]:
    return lambda _, arguments: Formula("not", (Formula(operator, arguments),))


def _at_least(element: _Element, arguments: tuple[Argument, ...]) -> Formula:
    return Formula("atleast", arguments, element.number("min"))


def _cardinality(element: _Element, arguments: tuple[Argument, ...]) -> Formula:
    fewest, most = element.number("min"), element.number("max")
    if not fewest <= most <= len(arguments):
        raise InvalidFaultTree(
            element.where, f"wants {fewest} to {most} of {len(arguments)}", "give bounds in ascending order"
        )
    bounds: list[Argument] = [Formula("atleast", arguments, fewest)] if fewest else []
    if most < len(arguments):
        bounds.append(Formula("not", (Formula("atleast", arguments, most + 1),)))
    if not bounds:
        raise InvalidFaultTree(element.where, "is always true", 'write <constant value="true"/>')
    return Formula("and", tuple(bounds))


def _two(element: _Element, arguments: tuple[Argument, ...]) -> tuple[Argument, Argument]:
    if len(arguments) != 2:
        raise InvalidFaultTree(element.where, f"has {len(arguments)} arguments", "give it exactly two")
    return arguments[0], arguments[1]


def _imply(element: _Element, arguments: tuple[Argument, ...]) -> Formula:
    cause, effect = _two(element, arguments)
    return Formula("or", (Formula("not", (cause,)), effect))


def _iff(element: _Element, arguments: tuple[Argument, ...]) -> Formula:
    return Formula("not", (Formula("xor", _two(element, arguments)),))


_CONNECTIVES: Mapping[str, Callable[[_Element, tuple[Argument, ...]], Formula]] = {
    "and": _plain,
    "or": _plain,
    "xor": _plain,
    "not": _plain,
    "nand": _negated("and"),
    "nor": _negated("or"),
    "atleast": _at_least,
    "cardinality": _cardinality,
    "imply": _imply,
    "iff": _iff,
}


def _probability(element: _Element) -> float:
    if element.name not in {"float", "int"}:
        raise _unknown(
            element, 'only constant probabilities are read: compute it, and write <float value="..."/>'
        )
    value = element.attribute("value")
    try:
        probability = float(value)
    except ValueError:
        raise InvalidFaultTree(element.where, f"has value={value!r}", "give a number") from None
    if not 0 <= probability <= 1:
        raise InvalidFaultTree(element.where, f"has the probability {value}", "give a number from 0 to 1")
    return probability


def _truth(element: _Element) -> bool:
    if element.name != "constant":
        raise _unknown(element, 'write <constant value="true"/> or <constant value="false"/>')
    value = element.attribute("value").lower()
    if value not in {"true", "false"}:
        raise InvalidFaultTree(element.where, f"has value={value!r}", "give true or false")
    return value == "true"


def _unknown(element: _Element, way_out: str) -> InvalidFaultTree:
    return InvalidFaultTree(element.where, "is not understood here", way_out)


def _parse(document: bytes | str) -> _Element:
    """The elements of a document. Raises `InvalidFaultTree` for what is not XML, or not harmless XML."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    root: list[_Element] = []
    path: list[_Element] = []
    seen = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal seen
        seen += 1
        element = _Element(name, attributes, parser.CurrentLineNumber)
        if len(path) >= DEEPEST_ELEMENT:
            raise InvalidFaultTree(
                element.where, f"is nested more than {DEEPEST_ELEMENT} deep", "make gates of some formulas"
            )
        if seen > MOST_ELEMENTS:
            raise InvalidFaultTree(
                element.where, f"is element {seen:,}", f"{MOST_ELEMENTS:,} are read at most"
            )
        (path[-1].children if path else root).append(element)
        path.append(element)

    def end(_: str) -> None:
        path.pop()

    def text(data: str) -> None:
        if path and path[-1].name == "label":
            path[-1].text += data
        elif data.strip() and not any(element.name in {"label", "attributes"} for element in path):
            raise InvalidFaultTree(
                f"line {parser.CurrentLineNumber}, <{path[-1].name}>",
                "has text in it",
                "put it into a <label>",
            )

    def refuse_definitions(*_: object) -> int:
        raise InvalidFaultTree(
            f"line {parser.CurrentLineNumber}",
            "defines or refers to an entity or an external definition",
            "write the document without <!ENTITY> and without an address in <!DOCTYPE>",
        )

    def doctype(_: str, system: str | None, public: str | None, subset: int) -> None:
        if system or public or subset:
            refuse_definitions()

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = refuse_definitions
    parser.ExternalEntityRefHandler = refuse_definitions
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise InvalidFaultTree(
            f"line {error.lineno}, column {error.offset + 1}",
            f"is not XML: {expat.ErrorString(error.code)}",
            "correct the document there",
        ) from None
    return root[0]
