"""A fault tree made small for computing: numbers for names, one kind of gate for `and` and `or`, nothing said twice.

`or` is the negation of an `and` of negations, so a conjunction of conjunctions becomes one, and so does a disjunction
of disjunctions: the diagrams on the way to the top are fewer and smaller (half as many nodes on some Aralia trees).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import itemgetter
from typing import Literal, TypeAlias

from impact.bdd import FALSE, TRUE, Bdd
from impact.errors import TooManyNodes
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

        A weight is asked for a place. Without one the arguments are visited as they stand. Events that only the root's
        own node uses come before all: tested last, each would copy the whole diagram. Events that the root does not
        depend on come last.
        """
        first = len(self.events)
        uses = Counter(argument >> 1 for _, _, arguments in self.nodes for argument in arguments)
        top = self.nodes[(self.root >> 1) - first][2] if self.root >> 1 >= first else ()
        seen: dict[int, None] = {a >> 1: None for a in top if a >> 1 < first and uses[a >> 1] == 1}
        waiting = [self.root >> 1]
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

    def factored(self) -> Circuit:
        """The same with `a and b, or a and c` written `a and (b or c)`, where nothing else uses the two conjunctions.

        On the Aralia tree das9701 that saves a third of the nodes on the way to the top.
        """
        first = len(self.events)
        uses = Counter(argument >> 1 for _, _, arguments in self.nodes for argument in arguments)
        nodes: list[Node] = []
        once: set[int] = set()
        moved: dict[int, int] = {}

        def conjunction(arguments: list[int]) -> int:
            if len(arguments) == 1:
                return arguments[0]
            nodes.append(("and", 0, tuple(arguments)))
            once.add(first + len(nodes) - 1)
            return 2 * (first + len(nodes) - 1)

        for place, (kind, least, arguments) in enumerate(self.nodes, first):
            inputs = [2 * moved.get(a >> 1, a >> 1) + (a & 1) for a in arguments]
            while kind == "and":
                terms = {a: nodes[(a >> 1) - first][2] for a in inputs if a & 1 and a >> 1 in once}
                shared, times = max(
                    Counter(chain(*terms.values())).items(), key=itemgetter(1), default=(0, 0)
                )
                if times < 2:
                    break
                group = [a for a, term in terms.items() if shared in term]
                rests = [conjunction([x for x in terms[a] if x != shared]) ^ 1 for a in group]
                together = conjunction([shared, conjunction(rests) ^ 1])
                inputs = [*(a for a in inputs if a not in group), together ^ 1]
            moved[place] = first + len(nodes)
            nodes.append((kind, least, tuple(inputs)))
            if kind == "and" and uses[place] == 1:
                once.add(moved[place])
        root = 2 * moved.get(self.root >> 1, self.root >> 1) + (self.root & 1)
        return _merged(_without_unused(Circuit(self.events, tuple(nodes), root)))


class Construction:
    """The diagram of a circuit on its way, with the events in one order; it can be stopped and go on.

    `bdd` is the diagram, `progress` how many nodes of the circuit are in it.
    """

    def __init__(self, circuit: Circuit, order: Sequence[int]) -> None:
        self.circuit = circuit
        self.order = order
        self.bdd = Bdd(len(circuit.events))
        self._made = [FALSE] * len(circuit.events)
        self._costs = [0] * len(circuit.events)
        for variable, event in enumerate(order):
            self._made[event] = self.bdd.variable(variable)

    @property
    def progress(self) -> int:
        """How many nodes of the circuit are done."""
        return len(self._made) - len(self.circuit.events)

    @property
    def root(self) -> int:
        """The function of the circuit, when all is done."""
        return self._made[self.circuit.root >> 1] ^ (self.circuit.root & 1)

    def advance(self, node_limit: int) -> bool:
        """Go on until the diagram is done (true) or would have more nodes than that (false)."""
        self.bdd.node_limit = node_limit
        try:
            for node in self.circuit.nodes[self.progress :]:
                before = len(self.bdd)
                self._made.append(self._function(node))
                self._costs.append(len(self.bdd) - before)
        except TooManyNodes:
            return False
        return True

    def _function(self, node: Node) -> int:
        kind, least, arguments = node
        # Those that are tested last first: what they make together is below all that follows. Then the small first.
        tests = {argument: self.bdd.first_variable(self._made[argument >> 1]) for argument in arguments}
        ordered = sorted(arguments, key=lambda argument: (-tests[argument], self._costs[argument >> 1]))
        inputs = [self._made[argument >> 1] ^ (argument & 1) for argument in ordered]
        if kind == "atleast":
            return self.bdd.at_least(least, inputs[::-1])
        combine = self.bdd.conjunction if kind == "and" else self.bdd.exclusive_or
        return reduce(combine, inputs, TRUE if kind == "and" else FALSE)


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


def _without_unused(circuit: Circuit) -> Circuit:
    """The same without nodes that the root does not depend on."""
    first = len(circuit.events)
    used = {circuit.root >> 1}
    for place in range(first + len(circuit.nodes) - 1, first - 1, -1):
        if place in used:
            used.update(argument >> 1 for argument in circuit.nodes[place - first][2])
    moved = {place: place for place in range(first)}
    nodes: list[Node] = []
    for place, (kind, least, arguments) in enumerate(circuit.nodes, first):
        if place in used:
            moved[place] = first + len(nodes)
            nodes.append((kind, least, tuple(2 * moved[a >> 1] + (a & 1) for a in arguments)))
    return Circuit(circuit.events, tuple(nodes), 2 * moved[circuit.root >> 1] + (circuit.root & 1))


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
