"""`cmdb serve` with somebody who watches its event loop: how long each step holds it, and what does.

    python -m benchmarks.watched_service --port 0 --data FOLDER

Writes `FOLDER/lag.json` ten times a second: the longest step since `FOLDER/lag.reset` was last touched, how many there
were and how many took more than 5 ms, and for the ten longest what the main thread was doing, and where others were.

A step is one callback of the loop. It runs on asyncio's own loop, since steps of uvloop cannot be timed; the steps are
the same. A step that holds the loop, and a machine that has no core left for it, look alike from inside: so the time
that the main thread stood ready and waited for a core, which Linux counts, is taken off. What it waits for the
interpreter, because another thread has it, is not.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from asyncio import events
from dataclasses import asdict, dataclass
from heapq import heappush, heappushpop
from pathlib import Path
from typing import Any

import orjson
import typer

from cmdb.settings import Settings
from cmdb_graphql.app import SWITCH_SECONDS, Service, serving
from cmdb_graphql.garbage import leave_to_tidy

HELD_SECONDS = 0.005
LOOK_SECONDS = 0.002
WRITTEN_EVERY = 0.1
LONGEST_KEPT = 10


@dataclass(order=True, slots=True)
class Step:
    """A step of `whom` took `seconds`, in which the main thread had `cpu` seconds of a processor; and its `stack`.

    There is no stack if nobody could look meanwhile, since all of it was one call that kept the interpreter.
    """

    seconds: float
    cpu: float
    whom: str
    stack: str


class Watch:
    """Times every step of the event loop; a thread looks what the main thread does in long ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._main = threading.main_thread().ident or 0
        self._schedule = os.open(
            f"/proc/self/task/{threading.main_thread().native_id}/schedstat", os.O_RDONLY
        )
        self._began = 0.0
        self._stack = ""
        self._reset_at = 0.0
        self._reset()

    def start(self) -> None:
        """Begin; steps of every loop of this process are timed from now on."""
        run = events.Handle._run

        def timed(handle: Any) -> None:  # noqa: ANN401 - asyncio's own
            waited, cpu = self._waited(), time.thread_time()
            self._began = began = time.perf_counter()
            run(handle)
            seconds = time.perf_counter() - began
            self._began = 0.0
            self._note(seconds - (self._waited() - waited), time.thread_time() - cpu, handle._callback)

        events.Handle._run = timed  # type: ignore[assignment,method-assign]
        threading.Thread(target=self._look, daemon=True).start()

    def _waited(self) -> float:
        """Seconds that the main thread was ready to run and had no core."""
        return int(os.pread(self._schedule, 100, 0).split()[1]) / 1e9

    def _reset(self) -> None:
        self._longest: list[Step] = []
        self._steps = self._held = 0
        self._most = 0.0

    def _note(self, seconds: float, cpu: float, callback: object) -> None:
        self._steps += 1
        self._most = max(self._most, seconds)
        if seconds > HELD_SECONDS:
            self._held += 1
            keep = heappush if len(self._longest) < LONGEST_KEPT else heappushpop
            task = getattr(callback, "__self__", None)
            whom = repr(task.get_coro() if isinstance(task, asyncio.Task) else callback)
            keep(self._longest, Step(seconds, cpu, whom, self._stack))
        self._stack = ""

    def _look(self) -> None:
        written = 0.0
        while True:
            time.sleep(LOOK_SECONDS)
            now, began = time.perf_counter(), self._began
            if began and now > began + HELD_SECONDS and not self._stack:
                self._stack = self._stacks()
            if now > written + WRITTEN_EVERY:
                written = now
                self._write()

    def _stacks(self) -> str:
        """What the main thread is doing, and the innermost frames of the others, one of which may have kept it."""
        frames = sys._current_frames()
        main = "".join(traceback.format_stack(frames.pop(self._main), 6))
        frames.pop(threading.get_ident(), None)
        beside = {
            " < ".join(
                f"{frame.filename}:{frame.lineno}" for frame in reversed(traceback.extract_stack(other, 2))
            )
            for other in frames.values()
        }
        return main + "".join(f"  beside {where}\n" for where in sorted(beside))

    def _write(self) -> None:
        reset = self._folder / "lag.reset"
        if reset.exists() and reset.stat().st_mtime != self._reset_at:
            self._reset_at = reset.stat().st_mtime
            self._reset()
        record = {
            "steps": self._steps,
            "held": self._held,
            "most": self._most,
            "longest": [asdict(step) for step in sorted(self._longest, reverse=True)],
        }
        partial = self._folder / "lag.partial"
        partial.write_bytes(orjson.dumps(record))
        partial.replace(self._folder / "lag.json")


def serve(port: int = 0, data: Path = Path()) -> None:
    """Run it until it is told to stop."""
    sys.setswitchinterval(SWITCH_SECONDS)
    leave_to_tidy()

    async def started(_url: str, _service: Service) -> None:
        Watch(data).start()

    settings = Settings().model_copy(update={"port": port, "data": data})
    asyncio.run(serving(settings, started=started))


if __name__ == "__main__":
    typer.run(serve)
