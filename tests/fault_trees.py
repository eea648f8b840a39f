"""Fault trees for tests: short names for formulas, and random trees; what happens, by definition."""

from __future__ import annotations

from hypothesis import strategies as st

from impact.fault_tree import Argument, BasicEvent, FaultTree, Formula, Gate, HouseEvent

EVENTS = ("a", "b", "c", "d")


def all_of(*arguments: Argument) -> Formula:
    return Formula("and", arguments)


def any_of(*arguments: Argument) -> Formula:
    return Formula("or", arguments)


def no(argument: Argument) -> Formula:
    return Formula("not", (argument,))


@st.composite
def trees(draw: st.DrawFn) -> FaultTree:
    """Gates that use the events, house events and the gates before them, over nested formulas."""
    gates: list[Gate] = []
    for place in range(draw(st.integers(1, 6))):
        names = st.sampled_from([*EVENTS, "on", "off", *(gate.name for gate in gates)])

        def joined(below: st.SearchStrategy[Argument]) -> st.SearchStrategy[Formula]:
            many = st.lists(below, min_size=1, max_size=4).map(tuple)
            return st.one_of(
                st.builds(Formula, st.sampled_from(["and", "or", "xor"]), many),
                st.builds(Formula, st.just("not"), st.tuples(below)),
                many.flatmap(
                    lambda a: st.builds(Formula, st.just("atleast"), st.just(a), st.integers(1, len(a)))
                ),
            )

        nested = joined(st.one_of(names, joined(names)))
        gates.append(Gate(f"g{place}", draw(nested)))
    chances = draw(st.lists(st.floats(0, 1), min_size=len(EVENTS), max_size=len(EVENTS)))
    events = [BasicEvent(name, chance) for name, chance in zip(EVENTS, chances, strict=True)]
    houses = [HouseEvent("on", True), HouseEvent("off", False)]
    return FaultTree.build("t", gates, events, houses, top=gates[-1].name)


def happens(tree: FaultTree, failed: frozenset[str]) -> bool:
    """Whether the top event happens when exactly these basic events do, straight from the formulas."""

    def of(argument: Argument) -> bool:
        if isinstance(argument, Formula):
            values = [of(a) for a in argument.arguments]
            match argument.operator:
                case "and":
                    return all(values)
                case "or":
                    return any(values)
                case "xor":
                    return sum(values) % 2 == 1
                case "not":
                    return not values[0]
                case "atleast":
                    return sum(values) >= argument.least
        if argument in tree.gates:
            return of(tree.gates[argument].formula)
        if argument in tree.house_events:
            return tree.house_events[argument].state
        return argument in failed

    return of(tree.top)
