"""A fault tree made small for computing: numbers for names, one kind of gate for `and` and `or`, nothing said twice.

`or` is the negation of an `and` of negations, so a conjunction of conjunctions becomes one, and so does a disjunction
of disjunctions: the diagrams on the way to the top are fewer and smaller (half as many nodes on some Aralia trees).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from impact.bdd import FALSE, TRUE, Bdd
from impact.fault_tree import FaultTree, Formula

Kind: TypeAlias = Literal["and", "xor", "atleast"]
Node: TypeAlias = tuple[Kind, int, tuple[int, ...]]
"""Kind, how many are needed (`atleast` only), arguments."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """`nodes`, children first, over `events`; `root` is an argument.

    An argument is `2 * place + negated`; places below `len(events)` are events, the others nodes.
    """

    events: tuple[str, ...]
    nodes: tuple[Node, ...]
    root: int

    def first_visits(self, weight: Callable[[int], int] | None = None) -> list[int]:
        """The events as a walk from the root meets them; of a node's arguments the one of least weight first.

        A weight is asked for a place. Without one the arguments are visited as they stand. Events that the root
        does not depend on come last.
        """
        seen: dict[int, None] = {}
        waiting = [self.root >> 1]
        first = len(self.events)
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen[place] = None
            if place >= first:
                below = [argument >> 1 for argument in self.nodes[place - first][2]]
                if weight is not None:
                    below.sort(key=weight)
                waiting += reversed(below)
        return [place for place in (*seen, *(e for e in range(first) if e not in seen)) if place < first]

    def leaves(self) -> list[int]:
        """How many leaves the tree below each place would have if nothing were shared."""
        leaves = [1] * len(self.events)
        for _, _, arguments in self.nodes:
            leaves.append(sum(leaves[argument >> 1] for argument in arguments))
        return leaves

    def diagram(self, order: Iterable[int], *, node_limit: int) -> tuple[Bdd, int]:
        """The diagram with the events in this order, and its root. Raises `TooManyNodes`."""
        bdd = Bdd(len(self.events), node_limit=node_limit)
        made = [FALSE] * len(self.events)
        for variable, event in enumerate(order):
            made[event] = bdd.variable(variable)
        for kind, least, arguments in self.nodes:
            # Those that are tested last first: what they make together is below all that follows.
            inputs = sorted(
                (made[argument >> 1] ^ (argument & 1) for argument in arguments), key=bdd.first_variable
            )[::-1]
            if kind == "atleast":
                made.append(bdd.at_least(least, inputs[::-1]))
                continue
            result = TRUE if kind == "and" else FALSE
            for function in inputs:
                result = (bdd.conjunction if kind == "and" else bdd.exclusive_or)(result, function)
            made.append(result)
        return bdd, made[self.root >> 1] ^ (self.root & 1)


def circuit_of(tree: FaultTree) -> Circuit:
    """The circuit of everything below the top; its events are all of the tree's, in their order."""
    builder = _Builder(tree)
    for gate in tree.gates_below():
        builder.places[gate.name] = builder.add(gate.formula)
    return _merged(Circuit(tuple(tree.basic_events), tuple(builder.nodes), builder.places[tree.top]))


class _Builder:
    def __init__(self, tree: FaultTree) -> None:
        self.events = len(tree.basic_events)
        self.nodes: dict[Node, int] = {}
        self.places = {name: 2 * place for place, name in enumerate(tree.basic_events)}
        for house in tree.house_events.values():
            self.places[house.name] = self._node("and", 0, []) ^ (not house.state)

    def add(self, formula: Formula) -> int:
        arguments = [self.places[a] if isinstance(a, str) else self.add(a) for a in formula.arguments]
        operator, least = formula.operator, formula.least
        if operator == "not":
            return arguments[0] ^ 1
        if operator == "xor":
            return self._node("xor", 0, arguments)
        if operator == "or" or (operator == "atleast" and least == 1):
            return self._node("and", 0, [argument ^ 1 for argument in arguments]) ^ 1
        if operator == "and" or least == len(arguments):
            return self._node("and", 0, arguments)
        return self._node("atleast", least, arguments)

    def _node(self, kind: Kind, least: int, arguments: list[int]) -> int:
        if kind == "and":
            arguments = list(dict.fromkeys(arguments))
        if len(arguments) == 1:
            return arguments[0]
        node = kind, least, tuple(arguments)
        return 2 * self.nodes.setdefault(node, self.events + len(self.nodes))


def _merged(circuit: Circuit) -> Circuit:
    """The same with each conjunction that only one other conjunction uses, and not negated, made part of that one."""
    first = len(circuit.events)
    uses = Counter(argument >> 1 for _, _, arguments in circuit.nodes for argument in arguments)
    uses[circuit.root >> 1] += 1
    inner = {
        argument >> 1
        for kind, _, arguments in circuit.nodes
        if kind == "and"
        for argument in arguments
        if argument & 1 == 0 and argument >> 1 >= first and uses[argument >> 1] == 1
    }
    nodes: list[Node] = []
    moved: dict[int, int] = {}
    parts: dict[int, tuple[int, ...]] = {}
    for place, (kind, least, arguments) in enumerate(circuit.nodes, first):
        flat: list[int] = []
        for argument in arguments:
            if kind == "and" and argument & 1 == 0 and argument >> 1 in parts:
                flat += parts[argument >> 1]
            else:
                flat.append(moved.get(argument >> 1, argument >> 1) * 2 + (argument & 1))
        if uses[place] == 0:
            continue
        if kind == "and" and place in inner:
            parts[place] = tuple(flat)
            continue
        moved[place] = first + len(nodes)
        nodes.append((kind, least, tuple(dict.fromkeys(flat)) if kind == "and" else tuple(flat)))
    root = moved.get(circuit.root >> 1, circuit.root >> 1) * 2 + (circuit.root & 1)
    return Circuit(circuit.events, tuple(nodes), root)
