"""Whether assertions (`impact.assertions`) hold of an estate, and if one does not, what speaks against it.

Promises: answers are facts, a code with ids and figures, never sentences. An assertion that names nothing known, or
several items, is not taken to hold and not taken to fail: it is `UNKNOWN`, as is one that the engine cannot decide
within its limits. What each service needs is taken out of the estate once, however many assertions are about it.

Down means the least fixpoint over edges of every confidence; `DoesNotDependOn` follows edges that carry failure, hard
or soft. Availability is the predicted one, from the figures of components that the caller gives.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

import numpy as np

from cmdb.model.columns import Int32s
from cmdb.model.packed_columns import Kind
from cmdb.model.packed_topology import PackedTopology
from impact.assertions import (
    Assertion,
    AvailableAtLeast,
    Claim,
    DoesNotDependOn,
    Every,
    Named,
    NoSinglePoint,
    Spares,
    Survives,
    TakesDownAtMost,
)
from impact.availability import TARGET_WIDTH, availability_of, solve
from impact.closure import Floats
from impact.engine import Engine
from impact.explanation import Explainer
from impact.findings import (
    MOST_FINDINGS,
    MOST_MEMBERS,
    MOST_SHOWN,
    BrokenGate,
    CheckResult,
    Finding,
    FindingCode,
    Outcome,
    Shortfall,
)
from impact.importance import importances_of
from impact.item_names import find_items
from impact.propagation import State
from impact.redundancy import cut_sets_by_order, redundancy_margin
from impact.service_needs import ServiceNeeds
from impact.simulation import CODES, Impact
from impact.single_points import find_single_points
from impact.traversal import shortest_way

MOST_IMPORTANT = 5
"""Items that are named as what an availability hangs on."""
ROUNDING, ROUNDING_EACH = 1e-9, 2.0**-53
"""Floating-point numbers are rounded: an unavailability may be off by such a share, and by so much for each figure."""
BUDGET_SECONDS = 1.0
"""After so long no further effort begins to make a predicted availability more precise."""
SURVIVAL_SECONDS = 4.0
"""For how many failures one service survives, and again for which it does not; hardly any takes a second."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Classes:
    """What the catalogue says. `below`: a class with its subclasses, None for one that does not exist."""

    below: Callable[[str], frozenset[str] | None]
    services: frozenset[str]


Figures: TypeAlias = Callable[[ServiceNeeds], Floats]
"""How likely each of what a service needs is down by itself: float64 per node of its closure."""


def _endless() -> None:
    """Patience without end."""


def check(
    assertions: Sequence[Assertion],
    topology: PackedTopology,
    engine: Engine,
    classes: Classes,
    *,
    figures: Figures,
    patience: Callable[[], None] = _endless,
) -> tuple[CheckResult, ...]:
    """Every assertion with its result, in their order.

    `figures` is asked once a service whose availability is asserted. `patience` is called between steps, of some
    milliseconds each as a rule; what it raises ends the check.
    """
    check = _Check(topology, engine, classes, figures, patience)
    known = find_items(topology, {name for a in assertions for name in _names(a.claim)})
    progress = [_Progress(assertion) for assertion in assertions]
    about: dict[int, list[_Progress]] = defaultdict(list)
    for each in progress:
        patience()
        claim = each.assertion.claim
        unknown = [*check.unknown_names(claim, known), *check.unknown_classes(claim)]
        if unknown:
            each.add_all(unknown, Outcome.UNKNOWN)
            continue
        numbers = {name: known[name][0] for name in _names(claim)}
        if isinstance(claim, NoSinglePoint | Survives | AvailableAtLeast):
            each.numbers = numbers
            subjects = check.subjects(claim.subject, numbers)
            each.examined = len(subjects)
            for subject in subjects:
                about[subject].append(each)
        else:
            each.examined = 1
            for finding in check.failure_or_path(claim, numbers):
                each.add(finding, Outcome.FAILED)
    for subject in sorted(about, key=topology.id_of):
        needs = ServiceNeeds.of(topology, topology.id_of(subject))
        check.about_service(about[subject], needs)
    return tuple(each.result() for each in progress)


@dataclass(slots=True)
class _Progress:
    """A result while it is found."""

    assertion: Assertion
    numbers: Mapping[str, int] = field(default_factory=dict)
    outcome: Outcome = Outcome.PASSED
    examined: int = 0
    found: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding, outcome: Outcome) -> None:
        """A finding; that something failed is worse than that something is not known."""
        self.count(1, outcome)
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)

    def add_all(self, findings: Iterable[Finding], outcome: Outcome) -> None:
        for finding in findings:
            self.add(finding, outcome)

    def count(self, number: int, outcome: Outcome) -> None:
        """So many findings that are not given."""
        self.found += number
        if self.outcome is not Outcome.FAILED:
            self.outcome = outcome

    def result(self) -> CheckResult:
        return CheckResult(self.assertion, self.outcome, self.examined, self.found, tuple(self.findings))


@dataclass(frozen=True, slots=True)
class _Check:
    """What all assertions are held to."""

    topology: PackedTopology
    engine: Engine
    classes: Classes
    figures: Figures
    patience: Callable[[], None]

    def unknown_names(self, claim: Claim, known: Mapping[str, tuple[int, ...]]) -> Iterator[Finding]:
        for name in _names(claim):
            fitting = known[name]
            if not fitting:
                yield Finding("unknown_name", name=name)
            elif len(fitting) > 1:
                candidates = self._ids(fitting)
                yield Finding("ambiguous_name", name=name, members=candidates, found=len(fitting))

    def unknown_classes(self, claim: Claim) -> Iterator[Finding]:
        for name in _class_names(claim):
            if self.classes.below(name) is None:
                yield Finding("unknown_class", name=name)

    def subjects(self, subject: Named | Every, numbers: Mapping[str, int]) -> list[int]:
        """The items that an assertion is about."""
        if isinstance(subject, Named):
            return [numbers[subject.name]]
        everything = np.arange(self.topology.size, dtype=np.int32)
        found: list[int] = everything[self.topology.flags(everything, self._wanted(subject))].tolist()
        return found

    def about_service(self, asked: Iterable[_Progress], needs: ServiceNeeds) -> None:
        """What speaks against assertions about one service."""
        own: Floats | None = None
        for progress in asked:
            self.patience()
            claim = progress.assertion.claim
            if isinstance(claim, NoSinglePoint):
                points = self._single_points(claim, progress.numbers, needs)
                for point in self._some(progress, points):
                    progress.add(self._single_point(needs, point), Outcome.FAILED)
            elif isinstance(claim, Survives):
                self._survival(progress, claim.failures, needs)
            elif isinstance(claim, AvailableAtLeast):
                own = self.figures(needs) if own is None else own
                self._availability(progress, claim, needs, own)

    def _availability(
        self, progress: _Progress, claim: AvailableAtLeast, needs: ServiceNeeds, own: Floats
    ) -> None:
        until = time.monotonic() + BUDGET_SECONDS

        def late() -> bool:
            self.patience()
            return time.monotonic() > until

        solution = solve(needs.reduction, own, target_width=TARGET_WIDTH, deadline=late)
        found = availability_of(needs.reduction, own, solution)
        allowed = float(1 - claim.percent / 100) * (1 + ROUNDING) + len(own) * ROUNDING_EACH
        if found.most_unavailability <= allowed:
            return
        failed = found.least_unavailability > allowed
        finding = Finding(
            "too_unavailable" if failed else "availability_undecided",
            needs.service,
            shortfall=Shortfall(found.lower, found.upper, float(claim.percent / 100)),
        )
        if failed and len(progress.findings) < MOST_FINDINGS:
            criticality = importances_of(needs.reduction, own, solution).criticality
            most = np.argsort(-criticality, kind="stable")[:MOST_IMPORTANT]
            members = self._ids(needs.numbers[most[criticality[most] > 0]].tolist())
            finding = replace(finding, members=members)
        progress.add(finding, Outcome.FAILED if failed else Outcome.UNKNOWN)

    def _single_points(
        self, claim: NoSinglePoint, numbers: Mapping[str, int], needs: ServiceNeeds
    ) -> list[str]:
        """The items that count against it, in order of ids."""
        points = needs.numbers[find_single_points(needs.closure)]
        points = points[points != needs.numbers[0]]
        excepted = np.array([numbers[name] for name in claim.exceptions], np.int32)
        points = points[~np.isin(points, excepted)]
        if claim.classes:
            classes = self._below(claim.classes)
            points = points[self.topology.flags(points, lambda kind: kind.class_name in classes)]
        return [self.topology.id_of(n) for n in points[self.topology.by_id(points)].tolist()]

    def _survival(self, progress: _Progress, failures: int, needs: ServiceNeeds) -> None:
        reduction = needs.reduction
        alone = needs.numbers[reduction.single_points]
        alone = alone[alone != needs.numbers[0]]
        if len(alone):
            ids = [self.topology.id_of(n) for n in alone[self.topology.by_id(alone)].tolist()]
            for point in self._some(progress, ids):
                progress.add(self._cut_set(needs, (point,), failures), Outcome.FAILED)
            return
        margin = redundancy_margin(reduction, seconds=SURVIVAL_SECONDS, patience=self.patience)
        if margin.failures >= failures:
            return
        if margin.at_least:
            progress.add(
                Finding("undecided", about=needs.service, found=margin.failures, allowed=failures),
                Outcome.UNKNOWN,
            )
            return
        given = [tuple(self._ids(needs.numbers[[*margin.defeated_by]].tolist()))]
        count = 1  # at least: of so many that they cannot be listed one is known
        for sets in cut_sets_by_order(
            reduction, margin.failures + 1, seconds=SURVIVAL_SECONDS, patience=self.patience
        ):
            if sets.count:
                room = MOST_FINDINGS - len(progress.findings)
                given, count = self._some_sets(needs, sets.rows[:room]), sets.count
        for members in given:
            progress.add(self._cut_set(needs, members, failures), Outcome.FAILED)
        progress.count(count - len(given), Outcome.FAILED)

    def _some_sets(self, needs: ServiceNeeds, rows: Int32s) -> list[tuple[str, ...]]:
        """Sets of items whose failure takes the service down, one of each kind."""
        parts = list(needs.reduction.parts())
        return sorted(
            tuple(sorted(min(self._ids(needs.numbers[parts[node]].tolist())) for node in row))
            for row in rows.tolist()
        )

    def failure_or_path(self, claim: Claim, numbers: Mapping[str, int]) -> Iterator[Finding]:
        """What speaks against an assertion about a failure or a dependency."""
        match claim:
            case Spares(failing, spared):
                impact = self._impact(self._ids(numbers[name] for name in failing))
                for item in dict.fromkeys(self._ids(numbers[name] for name in spared)):
                    if item in impact.down:
                        yield self._taken_down("taken_down", impact, item)
            case TakesDownAtMost(failing):
                yield from self._too_many(claim, self._ids(numbers[name] for name in failing))
            case DoesNotDependOn(dependent, dependency):
                yield from self._dependency(numbers[dependent], dependency, numbers)

    def _too_many(self, claim: TakesDownAtMost, failing: tuple[str, ...]) -> Iterator[Finding]:
        impact = self._impact(failing)
        if claim.counted is None:
            found = impact.counts[State.DOWN] - len(impact.failed)
            down = impact.page(
                State.DOWN, MOST_MEMBERS, len(impact.failed)
            )  # those that failed are the nearest
        else:
            places = impact.of_kind(self._wanted(claim.counted))
            down = places[(impact.codes[places] == CODES[State.DOWN]) & (impact.distances_of(places) > 0)]
            found = len(down)
        if found > claim.most:
            members = self._ids(impact.nodes[down[:MOST_MEMBERS]].tolist())
            first = self._taken_down("too_many_down", impact, members[0])
            yield replace(first, members=members, found=found, allowed=claim.most)

    def _dependency(
        self, dependent: int, dependency: Named | Every, numbers: Mapping[str, int]
    ) -> Iterator[Finding]:
        if isinstance(dependency, Named):
            target = numbers[dependency.name]
            way = shortest_way(self.topology, dependent, lambda frontier: frontier == target)
        else:
            wanted = self._wanted(dependency)
            way = shortest_way(
                self.topology, dependent, lambda frontier: self.topology.flags(frontier, wanted)
            )
        if way:
            path = self._ids(_both_ends(way))
            yield Finding("depends_on", path[0], path[-1:], path, len(way) - 1)

    def _some(self, progress: _Progress, items: list[str]) -> list[str]:
        """Those that there is room for; the others are counted."""
        some = items[: MOST_FINDINGS - len(progress.findings)]
        if len(some) < len(items):
            progress.count(len(items) - len(some), Outcome.FAILED)
        return some

    def _single_point(self, needs: ServiceNeeds, point: str) -> Finding:
        self.patience()
        return self._taken_down("single_point", needs.simulate({point}), needs.service)

    def _cut_set(self, needs: ServiceNeeds, members: tuple[str, ...], allowed: int) -> Finding:
        self.patience()
        found = self._taken_down("cut_set", needs.simulate(set(members)), needs.service)
        return replace(found, members=members, found=len(members) - 1, allowed=allowed)

    def _taken_down(self, code: FindingCode, impact: Impact, item: str) -> Finding:
        """That an item goes down, by which way, and which redundancy does not help."""
        self.patience()
        explainer = Explainer(impact)
        path = explainer.explain(item).path
        shown = _both_ends(path)
        return Finding(
            code, item, impact.failed[:MOST_MEMBERS], shown, len(path) - 1, _broken(explainer, shown)
        )

    def _impact(self, failing: Iterable[str]) -> Impact:
        self.patience()
        return self.engine.simulate_failure(self.topology, set(failing))

    def _wanted(self, every: Every) -> Callable[[Kind], bool]:
        classes = self._below([every.class_name]) if every.class_name else self.classes.services
        return lambda kind: kind.class_name in classes

    def _below(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset().union(*(self.classes.below(name) or () for name in names))

    def _ids(self, numbers: Iterable[int]) -> tuple[str, ...]:
        return tuple(map(self.topology.id_of, numbers))


def _both_ends(path: tuple[T, ...]) -> tuple[T, ...]:
    """A path, or where it is very long its first and last items."""
    half = MOST_SHOWN // 2
    return path if len(path) <= MOST_SHOWN else (*path[:half], *path[-half:])


def _broken(explainer: Explainer, path: Iterable[str]) -> BrokenGate | None:
    for item in path:
        for fact in explainer.explain(item).facts:
            size = len(fact.members)
            if fact.required is not None and fact.up is not None and fact.up < fact.required < size:
                lost = tuple(member for member, state in fact.members if state is State.DOWN)
                return BrokenGate(item, fact.group, fact.required, size, fact.up, lost[:MOST_MEMBERS])
    return None


def _names(claim: Claim) -> tuple[str, ...]:
    """The names of items in a claim."""
    match claim:
        case NoSinglePoint(subject, _, exceptions):
            return (*_named(subject), *exceptions)
        case Survives(subject, _) | AvailableAtLeast(subject, _):
            return _named(subject)
        case Spares(failing, spared):
            return (*failing, *spared)
        case TakesDownAtMost(failing, _, _):
            return failing
        case DoesNotDependOn(dependent, dependency):
            return (dependent, *_named(dependency))


def _class_names(claim: Claim) -> tuple[str, ...]:
    match claim:
        case NoSinglePoint(subject, classes, _):
            return (*_classed(subject), *classes)
        case Survives(subject, _) | AvailableAtLeast(subject, _):
            return _classed(subject)
        case TakesDownAtMost(_, _, counted):
            return _classed(counted)
        case DoesNotDependOn(_, dependency):
            return _classed(dependency)
    return ()


def _named(subject: Named | Every) -> tuple[str, ...]:
    return (subject.name,) if isinstance(subject, Named) else ()


def _classed(subject: Named | Every | None) -> tuple[str, ...]:
    return (subject.class_name,) if isinstance(subject, Every) and subject.class_name else ()
