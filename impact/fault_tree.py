"""A fault tree: how events, each with its own probability, combine to the one that nobody wants.

Promises: a `FaultTree` never changes, every name in it is defined once, and no gate depends on itself. It may share
gates and events as it likes, and negate them. Events are independent of each other. It does not compute
anything (`impact.fault_tree_analysis` does) nor read a file (`impact.mef`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from impact.errors import InvalidFaultTree

Operator: TypeAlias = Literal["and", "or", "xor", "not", "atleast"]
Argument: TypeAlias = "str | Formula"

DEEPEST_FORMULA = 100
"""Formulas may be nested so deep without a gate in between."""


@dataclass(frozen=True, slots=True)
class Formula:
    """`and`, `or`, `xor` (an odd number) of any number of arguments, `not` of one, `atleast` `least` of them.

    An argument is the name of a gate or an event, or a formula.
    """

    operator: Operator
    arguments: tuple[Argument, ...]
    least: int = 0

    def names(self) -> Iterator[str]:
        """The gates and events in it, in order, those of nested formulas included."""
        for argument in self.arguments:
            if isinstance(argument, str):
                yield argument
            else:
                yield from argument.names()

    def depth(self) -> int:
        """How many formulas are nested in one another, itself included."""
        deepest, layer = 0, [self]
        while layer:
            deepest += 1
            layer = [a for formula in layer for a in formula.arguments if isinstance(a, Formula)]
        return deepest


@dataclass(frozen=True, slots=True)
class Gate:
    """An event that happens when its formula is true."""

    name: str
    formula: Formula
    label: str = ""


@dataclass(frozen=True, slots=True)
class BasicEvent:
    """An event that happens by itself, with a probability from 0 to 1."""

    name: str
    probability: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class HouseEvent:
    """An event that is known to happen, or not to."""

    name: str
    state: bool
    label: str = ""


@dataclass(frozen=True, slots=True)
class FaultTree:
    """Gates, basic events and house events by name; `top` is the gate in question. Made by `build`."""

    name: str
    top: str
    gates: Mapping[str, Gate]
    basic_events: Mapping[str, BasicEvent]
    house_events: Mapping[str, HouseEvent]

    @classmethod
    def build(
        cls,
        name: str,
        gates: Iterable[Gate],
        basic_events: Iterable[BasicEvent],
        house_events: Iterable[HouseEvent] = (),
        *,
        top: str | None = None,
    ) -> FaultTree:
        """A tree of these. Without `top` it is the one gate that no other gate uses.

        Raises `InvalidFaultTree` for a name that is defined twice or not at all, a gate that depends on itself, a
        probability beyond 0 and 1, a formula that makes no sense, and where `top` is needed or is no gate.
        """
        defined: dict[str, Gate | BasicEvent | HouseEvent] = {}
        everything: list[Gate | BasicEvent | HouseEvent] = [*gates, *basic_events, *house_events]
        for thing in everything:
            if thing.name in defined:
                raise InvalidFaultTree(
                    thing.name, "is defined twice", "give gates and events names of their own"
                )
            defined[thing.name] = thing
        by_name = {n: t for n, t in defined.items() if isinstance(t, Gate)}
        events = {n: t for n, t in defined.items() if isinstance(t, BasicEvent)}
        houses = {n: t for n, t in defined.items() if isinstance(t, HouseEvent)}
        for gate in by_name.values():
            _check_formula(gate, gate.formula, defined)
        for event in events.values():
            if not 0 <= event.probability <= 1:
                raise InvalidFaultTree(
                    event.name, f"has probability {event.probability!r}", "give a number from 0 to 1"
                )
        tree = cls(
            name,
            _top(by_name, top),
            MappingProxyType(by_name),
            MappingProxyType(events),
            MappingProxyType(houses),
        )
        _in_order(by_name, by_name)
        return tree

    def gates_below(self) -> list[Gate]:
        """The gates that the top depends on, children before parents, the top last."""
        return _in_order(self.gates, [self.top])

    @property
    def is_coherent(self) -> bool:
        """Whether no gate negates anything, so that another failure never makes the top event go away."""
        return not any(_negates(gate.formula) for gate in self.gates.values())


def _check_formula(gate: Gate, formula: Formula, defined: Mapping[str, object]) -> None:
    if formula.depth() > DEEPEST_FORMULA:
        raise InvalidFaultTree(
            gate.name,
            f"has more than {DEEPEST_FORMULA} formulas nested in one another",
            "make gates of some of them",
        )
    for name in formula.names():
        if name not in defined:
            raise InvalidFaultTree(gate.name, f"uses {name!r}, which is not defined", "define it")
    for part in _parts(formula):
        number = len(part.arguments)
        if part.operator == "not" and number != 1:
            raise InvalidFaultTree(gate.name, f"negates {number} arguments", "give `not` exactly one")
        if number == 0:
            raise InvalidFaultTree(gate.name, f"has an empty `{part.operator}`", "give it an argument")
        if part.operator == "atleast" and not 0 < part.least <= number:
            raise InvalidFaultTree(
                gate.name, f"wants at least {part.least} of {number}", f"give a number from 1 to {number}"
            )


def _parts(formula: Formula) -> Iterator[Formula]:
    yield formula
    for argument in formula.arguments:
        if isinstance(argument, Formula):
            yield from _parts(argument)


def _negates(formula: Formula) -> bool:
    return any(part.operator in {"not", "xor"} for part in _parts(formula))


def _top(gates: Mapping[str, Gate], top: str | None) -> str:
    if top is not None:
        if top not in gates:
            raise InvalidFaultTree(top, "is to be the top event and is no gate", "name a gate")
        return top
    used = {name for gate in gates.values() for name in gate.formula.names()}
    candidates = [name for name in gates if name not in used]
    if len(candidates) != 1:
        listed = ", ".join(candidates[:5]) + (", ..." if len(candidates) > 5 else "") or "none"
        raise InvalidFaultTree(
            "top event",
            f"{len(candidates)} gates are used by no other gate ({listed})",
            "say which gate is the top event",
        )
    return candidates[0]


def _in_order(gates: Mapping[str, Gate], starts: Iterable[str]) -> list[Gate]:
    """The gates below these, children first. Raises `InvalidFaultTree` with the cycle, if there is one."""
    done: dict[str, Gate] = {}
    for start in starts:
        path: dict[str, Iterator[str]] = {}
        waiting = [start]
        while waiting or path:
            if waiting:
                name = waiting.pop()
                if name in path:
                    cycle = [*list(path)[list(path).index(name) :], name]
                    raise InvalidFaultTree(
                        name,
                        f"depends on itself ({_chain(cycle)})",
                        "take one of these gates out of the other",
                    )
                if name in gates and name not in done:
                    path[name] = gates[name].formula.names()
            if path:
                last = next(reversed(path))
                following = next(path[last], None)
                if following is None:
                    done[last] = gates[last]
                    del path[last]
                else:
                    waiting.append(following)
    return list(done.values())


def _chain(names: list[str]) -> str:
    shown = names if len(names) <= 8 else [*names[:4], "...", *names[-3:]]
    return " -> ".join(shown)
