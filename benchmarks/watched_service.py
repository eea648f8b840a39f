"""`cmdb serve` with somebody who watches its event loop: how long it was held, and by what.

    python -m benchmarks.watched_service --port 0 --data FOLDER

Writes `FOLDER/lag.json` ten times a second: the longest time that the loop was held since `FOLDER/lag.reset` was last
touched, how often it was held for more than 5 ms, and for the ten longest what the main thread was doing meanwhile.

A loop that is held, and a process that is not given a core, look alike from inside. So each is written with the
processor time that the main thread had meanwhile: with little of it, somebody else had the core or the interpreter.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass
from heapq import heappush, heappushpop
from pathlib import Path

import orjson
import typer
import uvloop

from cmdb.settings import Settings
from cmdb_graphql.app import SWITCH_SECONDS, Service, serving

STEP_SECONDS = 0.001
HELD_SECONDS = 0.005
WRITTEN_EVERY = 0.1
LONGEST_KEPT = 10


@dataclass(order=True, slots=True)
class Hold:
    """The loop was held for `seconds`, in which the main thread had `cpu` seconds of a processor; and its `stack`."""

    seconds: float
    cpu: float
    stack: str


class Watch:
    """Wakes up every millisecond and notes when it was late; a thread looks what the main thread does meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._main = threading.main_thread().ident or 0
        self._due = 0.0
        self._stack = ""
        self._reset()
        self._reset_at = 0.0

    def start(self) -> None:
        """Begin; call it in the event loop."""
        self._due = time.perf_counter() + STEP_SECONDS
        self._cpu = time.thread_time()
        asyncio.get_running_loop().call_later(STEP_SECONDS, self._wake)
        threading.Thread(target=self._look, daemon=True).start()

    def _reset(self) -> None:
        self._longest: list[Hold] = []
        self._woken = self._held = 0
        self._most = 0.0

    def _wake(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        late = now - self._due
        self._woken += 1
        self._most = max(self._most, late)
        if late > HELD_SECONDS:
            self._held += 1
            hold = Hold(late, cpu - self._cpu, self._stack)
            if len(self._longest) < LONGEST_KEPT:
                heappush(self._longest, hold)
            else:
                heappushpop(self._longest, hold)
        self._stack = ""
        self._due, self._cpu = now + STEP_SECONDS, cpu
        asyncio.get_running_loop().call_later(STEP_SECONDS, self._wake)

    def _look(self) -> None:
        written = 0.0
        while True:
            time.sleep(HELD_SECONDS / 2)
            now = time.perf_counter()
            if now > self._due + HELD_SECONDS / 2 and not self._stack:
                frame = sys._current_frames().get(self._main)
                self._stack = "".join(traceback.format_stack(frame, 6)) if frame else ""
            if now > written + WRITTEN_EVERY:
                written = now
                self._write()

    def _write(self) -> None:
        reset = self._folder / "lag.reset"
        if reset.exists() and reset.stat().st_mtime != self._reset_at:
            self._reset_at = reset.stat().st_mtime
            self._reset()
        record = {
            "woken": self._woken,
            "held": self._held,
            "most": self._most,
            "longest": [asdict(hold) for hold in sorted(self._longest, reverse=True)],
        }
        partial = self._folder / "lag.partial"
        partial.write_bytes(orjson.dumps(record))
        partial.replace(self._folder / "lag.json")


def serve(port: int = 0, data: Path = Path()) -> None:
    """Run it until it is told to stop."""
    sys.setswitchinterval(SWITCH_SECONDS)

    async def started(_url: str, _service: Service) -> None:
        Watch(data).start()

    settings = Settings().model_copy(update={"port": port, "data": data})
    uvloop.run(serving(settings, started=started))


if __name__ == "__main__":
    typer.run(serve)
