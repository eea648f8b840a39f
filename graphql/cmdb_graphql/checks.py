"""Assertions about the estate, held to it (`checks`)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from enum import Enum
from typing import Annotated, Self, TypeVar

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest, DeadlineExceeded
from cmdb.model.catalogue import Catalogue
from cmdb.model.packed_topology import PackedTopology
from cmdb_graphql.access import Action
from cmdb_graphql.availability_answer import Asked
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.graph import AtLeast, ItemSummary, topology_of
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.scalars import Long
from impact.assertions import parse
from impact.checks import Classes, check
from impact.closure import Floats
from impact.estate_figures import service_classes
from impact.findings import BrokenGate, CheckResult, Finding, Outcome, Shortfall
from impact.service_needs import ServiceNeeds

Info = strawberry.Info[Context, None]
Described = strawberry.argument
T = TypeVar("T")

MAX_TEXT = 65_536
MAX_ASSERTIONS = 200
CHECKERS = ThreadPoolExecutor(2, thread_name_prefix="check")
"""Threads of their own: in them checks wait for figures, which those of everybody may be needed to read."""
LOOK_SECONDS = 0.1
"""How often a thread that waits for figures looks whether its time is up."""
DEADLINE_SHARE = 0.9
"""So much of the request's deadline a check may take: then it can still say itself what to do."""


@strawberry.enum(name="CheckOutcome", description="What became of an assertion.")
class OutcomeType(Enum):
    """`impact.findings.Outcome`."""

    PASSED = strawberry.enum_value("passed", description="It holds.")
    FAILED = strawberry.enum_value("failed", description="It does not hold.")
    UNKNOWN = strawberry.enum_value(
        "unknown", description="A name in it fits nothing or several items, or it cannot be decided in time."
    )


@strawberry.type(name="BrokenGate", description="Redundancy that gave way.")
class BrokenGateType:
    """`impact.findings.BrokenGate`."""

    owner: ItemSummary = strawberry.field(description="Whose redundancy it is.")
    group: str | None
    required: int = strawberry.field(description="So many members have to be up.")
    size: int = strawberry.field(description="So many members there are.")
    up: int = strawberry.field(description="So many are left.")
    lost: list[ItemSummary] = strawberry.field(description="Members that are down, 50 at most.")

    @classmethod
    def of(cls, topology: PackedTopology, gate: BrokenGate) -> Self:
        """The same for GraphQL."""
        return cls(
            owner=ItemSummary.of(topology, gate.owner),
            group=gate.group,
            required=gate.required,
            size=gate.size,
            up=gate.up,
            lost=_summaries(topology, gate.lost),
        )


@strawberry.type(
    name="AvailabilityShortfall", description="A predicted availability where more was asserted; shares of 1."
)
class ShortfallType:
    """`impact.findings.Shortfall`."""

    lower: float = strawberry.field(description="It is proved to be no less.")
    upper: float = strawberry.field(description="It is proved to be no more.")
    least: float = strawberry.field(description="What was asserted.")

    @classmethod
    def of(cls, shortfall: Shortfall) -> Self:
        """The same for GraphQL."""
        return cls(lower=shortfall.lower, upper=shortfall.upper, least=shortfall.least)


@strawberry.type(
    name="CheckFinding", description="What speaks against an assertion, as a code and its arguments."
)
class FindingType:
    """`impact.findings.Finding`."""

    code: str = strawberry.field(description="See docs/guides/checks.md.")
    about: ItemSummary | None = strawberry.field(
        description="The item that goes down, depends on another, or is not available enough."
    )
    members: list[ItemSummary] = strawberry.field(
        description="What takes it down, is taken down, is depended on, or matters most; 50 at most."
    )
    path: list[ItemSummary] = strawberry.field(
        description="The way from `about` to the cause; of one longer than 100 items both ends."
    )
    hops: int | None = strawberry.field(description="The length of the whole way.")
    gate: BrokenGateType | None = strawberry.field(
        description="The first redundancy on the way that is defeated."
    )
    shortfall: ShortfallType | None = strawberry.field(description="By how much an availability is too low.")
    found: int | None
    allowed: int | None
    name: str | None = strawberry.field(description="A name that fits no item, several, or no class.")

    @classmethod
    def of(cls, topology: PackedTopology, finding: Finding) -> Self:
        """The same for GraphQL."""
        return cls(
            code=finding.code,
            about=ItemSummary.of(topology, finding.about) if finding.about is not None else None,
            members=_summaries(topology, finding.members),
            path=_summaries(topology, finding.path),
            hops=finding.hops,
            gate=BrokenGateType.of(topology, finding.gate) if finding.gate is not None else None,
            shortfall=ShortfallType.of(finding.shortfall) if finding.shortfall is not None else None,
            found=finding.found,
            allowed=finding.allowed,
            name=finding.name,
        )


@strawberry.type(name="CheckResult", description="An assertion and what became of it.")
class CheckResultType:
    """`impact.findings.CheckResult`."""

    line: int = strawberry.field(description="Where it stands in the text, counted from 1.")
    text: str
    passed: bool
    outcome: OutcomeType
    examined: int = strawberry.field(description="How many items it is about; 0 where a class has none.")
    found: int = strawberry.field(description="How many findings there are.")
    findings: list[FindingType] = strawberry.field(description="The first 20.")

    @classmethod
    def of(cls, topology: PackedTopology, result: CheckResult) -> Self:
        """The same for GraphQL."""
        return cls(
            line=result.assertion.line,
            text=result.assertion.text,
            passed=result.outcome is Outcome.PASSED,
            outcome=OutcomeType(result.outcome.value),
            examined=result.examined,
            found=result.found,
            findings=[FindingType.of(topology, finding) for finding in result.findings],
        )


@strawberry.type(
    name="CheckReport", description="What became of the assertions of a text, true of `revision`."
)
class CheckReport:
    """All results."""

    revision: Long
    passed: bool = strawberry.field(description="Whether all of them hold.")
    results: list[CheckResultType] = strawberry.field(description="In the order of the text.")


@strawberry.type
class CheckQueries:
    """Root fields; each checks the right to read first."""

    @documented
    async def checks(
        self,
        info: Info,
        text: Annotated[
            str,
            Described(
                description="One assertion a line, 200 at most, 65,536 characters together; see docs/guides/checks.md."
            ),
        ],
        as_of: AsOfInput | None = None,
        at_least: AtLeast = None,
    ) -> CheckReport:
        """Whether assertions hold, such as `service 'Web Shop' survives any 1 failure`, and what speaks against
        those that do not.
        """
        context = info.context
        context.require(Action.READ)
        if len(text) > MAX_TEXT:
            raise BadRequest(
                f"text has {len(text)} characters; at most {MAX_TEXT} are read, check it in parts"
            )
        topology = await topology_of(context, as_of, at_least)
        classes = _classes(context.store.catalogue)
        engine, loop = context.services.engine, asyncio.get_running_loop()
        past = topology.revision if as_of is not None else None

        def report(patience: Callable[[], None]) -> CheckReport:
            assertions = parse(text)
            if len(assertions) > MAX_ASSERTIONS:
                raise BadRequest(
                    f"text has {len(assertions)} assertions; at most {MAX_ASSERTIONS} are checked at once"
                )

            def figures(needs: ServiceNeeds) -> Floats:
                read = asyncio.run_coroutine_threadsafe(Asked(context, needs, past).read_figures(), loop)
                return _awaited(read, patience).unavailability

            results = check(assertions, topology, engine, classes, figures=figures, patience=patience)
            return CheckReport(
                revision=Long(topology.revision),
                passed=all(result.outcome is Outcome.PASSED for result in results),
                results=[CheckResultType.of(topology, result) for result in results],
            )

        found = await _within(context.services.settings.request_deadline * DEADLINE_SHARE, report)
        context.spend(sum(result.examined + len(result.findings) for result in found.results))
        return found


def _awaited(read: Future[T], patience: Callable[[], None]) -> T:
    """What a thread waits for while it has patience; then it is given up."""
    try:
        while not read.done():
            patience()
            wait([read], LOOK_SECONDS)
        return read.result()
    finally:
        read.cancel()


def _classes(catalogue: Catalogue) -> Classes:
    def below(name: str) -> frozenset[str] | None:
        return catalogue.subclasses(name) if name in catalogue.classes else None

    return Classes(below, service_classes(catalogue))


async def _within(seconds: float, work: Callable[[Callable[[], None]], T]) -> T:
    """Do work in a thread; it calls what it is given again and again, which ends it when its time is up or nobody
    waits for it any more.
    """
    ends, given_up = time.monotonic() + seconds, threading.Event()

    def patience() -> None:
        if given_up.is_set() or time.monotonic() > ends:
            raise DeadlineExceeded(
                f"the assertions were not all checked within {seconds:g} s; check fewer at once, or fewer services "
                "than every"
            )

    try:
        return await asyncio.get_running_loop().run_in_executor(CHECKERS, work, patience)
    finally:
        given_up.set()


def _summaries(topology: PackedTopology, items: Iterable[str]) -> list[ItemSummary]:
    return [ItemSummary.of(topology, item) for item in items]


QUERIES: list[StrawberryField] = CheckQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
