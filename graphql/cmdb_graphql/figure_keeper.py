"""Keeps the ranking and the index of services of the present, and makes those of the past when they are asked for.

The work is done in a thread, by kernels that do not hold the interpreter; the event loop only says what is wanted.
After each round the keeper rests for some times as long as the round took, so that constant changes cost a bounded
share of a core; answers say how many revisions they are behind meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Set

import structlog

from cmdb.errors import CmdbError
from cmdb.model.packed_topology import PackedTopology
from impact.engine import Engine
from impact.estate_figures import EstateFigures

LEAST_REST = 0.5
RESTS = 4.0
"""The rest after a round, in rounds; half a second at least."""
KEPT_PAST = 2
"""Figures of the past that are kept: some 60 bytes an item each, and the sets of services."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("cmdb.figures")


class FigureKeeper:
    """One for a process. `moved` may be called at any time in the event loop, and returns at once."""

    def __init__(self, engine: Engine, classes: Callable[[], Set[str]]) -> None:
        self._engine = engine
        self._classes = classes
        self._present: PackedTopology | None = None
        self._figures: EstateFigures | None = None
        self._past: dict[int, EstateFigures] = {}
        self._making = threading.Lock()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Keep the figures of the present from now on, asked for or not."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name="figures")

    async def close(self) -> None:
        """Keep them no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def moved(self, topology: PackedTopology) -> None:
        """This is the present from now on."""
        self._present = topology
        self._wanted.set()

    async def latest(self, topology: PackedTopology) -> EstateFigures:
        """The figures of the present that are there, `topology`'s own where there are none yet.

        Whoever asks starts the keeping.
        """
        found = self._figures
        if found is None:
            found = await asyncio.to_thread(self._made, topology, True)
        self.start()
        return found

    async def exactly(self, topology: PackedTopology) -> EstateFigures:
        """The figures of this very topology, of the past or not, made if need be: seconds for a million items."""
        return await asyncio.to_thread(self._made, topology, False)

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            begun = asyncio.get_running_loop().time()
            if self._present is not None:
                try:
                    await asyncio.to_thread(self._made, self._present, True)
                except CmdbError as error:
                    _log.warning(
                        "figures_not_made", error=str(error), doing="trying again at the next change"
                    )
            took = asyncio.get_running_loop().time() - begun
            await asyncio.sleep(max(LEAST_REST, RESTS * took))

    def _made(self, topology: PackedTopology, present: bool) -> EstateFigures:
        """In a thread. One at a time: each may follow from the one before. Those of the `present` are kept as such."""
        with self._making:
            latest = self._figures
            for known in (latest, self._past.get(topology.revision)):
                if known is not None and known.topology is topology:
                    return known
            graph, classes = self._engine.graph(topology), self._classes()
            if latest is not None and latest.classes == classes:
                made = latest.following(graph, classes)
            else:
                made = EstateFigures.of(graph, classes)
            if present:
                self._figures = made
            else:
                self._past[topology.revision] = made
                while len(self._past) > KEPT_PAST:
                    del self._past[next(iter(self._past))]
            return made
