"""When this process looks for garbage in cycles, so that nobody waits for it.

Python finds such garbage by walking objects with the interpreter held: the young ones often, which takes a millisecond
or two, and now and then all of them. Those are a schema, compiled kernels and what they rest on, six hundred thousand
that live as long as the process: 400 ms in the middle of somebody's request, every few seconds while there are many.
So what is there after the start is taken out of it. The rest is walked twice a second, which takes two or three
milliseconds under load; the longer it takes, the less often, but for moments in which nobody asks. It cannot wait for
those alone: the database driver leaves some fifty objects a statement that refer to each other, and of a service that
is never idle thousands a second live long enough to grow old.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

YOUNG, MIDDLE_AGED, OLD = 700, 3, 100_000
"""Thresholds of the three generations; the last is never met, since `tidy` comes before."""
ROUND_SECONDS = 0.5
WORTH_IT = 5
"""All objects are walked if middle-aged ones were so often since."""
SHARE = 0.01
"""How much of the time in which somebody asks may be spent on it."""


def leave_to_tidy() -> None:
    """From now on this process walks all objects in `tidy` only. Call it before the service's modules are imported:
    they make most of the objects, and take a third less time then."""
    gc.set_threshold(YOUNG, MIDDLE_AGED, OLD)


def settle() -> None:
    """Whatever is there lives as long as the process, or until this is called again: it is walked once, now."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def tidy(started: asyncio.Future[Any], in_flight: Callable[[], int]) -> None:
    """Wait for the start, take what it made out of garbage collection, and from then on look at the rest.

    `in_flight`: how many requests are being answered.
    """
    await asyncio.wait([started])
    gc.freeze()  # without a walk, which would find hardly anything: somebody may be waiting already
    was_quiet, due = False, 0.0
    while True:
        await asyncio.sleep(ROUND_SECONDS)
        is_quiet, begun = not in_flight(), time.perf_counter()
        if gc.get_count()[2] >= WORTH_IT and (begun >= due or (is_quiet and was_quiet)):
            gc.collect()
            ended = time.perf_counter()
            due = ended + (ended - begun) / SHARE
        was_quiet = is_quiet
