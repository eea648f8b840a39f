"""When this process looks for garbage in cycles, so that nobody waits for it.

Python finds such garbage by walking objects with the interpreter held: the young ones often, which takes a millisecond
or two, and now and then all of them. Those are a schema, compiled kernels and what they rest on, six hundred thousand
that live as long as the process: 400 ms in the middle of somebody's request, every few seconds while there are many.
So what is there after the start is taken out of it, and the walk through the rest is left to quiet moments.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

YOUNG, MIDDLE_AGED, OLD = 700, 3, 100_000
"""Thresholds of the three generations: the last is for a service that is never quiet, after hours."""
QUIET_SECONDS = 1.0
WORTH_IT = 15
"""A quiet moment is used if middle-aged objects were walked so often since all were."""


def leave_to_quiet_moments() -> None:
    """From now on this process walks all objects in `tidy` only. Call it before the service's modules are imported:
    they make most of the objects, and take a third less time then."""
    gc.set_threshold(YOUNG, MIDDLE_AGED, OLD)


def settle() -> None:
    """Whatever is there lives as long as the process, or until this is called again: it is walked once, now."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def tidy(started: asyncio.Future[Any], in_flight: Callable[[], int]) -> None:
    """Wait for the start, take what it made out of garbage collection, and from then on look when nobody asks.

    `in_flight`: how many requests are being answered.
    """
    await asyncio.wait([started])
    gc.freeze()  # without a walk, which would find hardly anything: somebody may be waiting already
    was_quiet = False
    while True:
        await asyncio.sleep(QUIET_SECONDS)
        is_quiet = not in_flight()
        if is_quiet and was_quiet and gc.get_count()[2] >= WORTH_IT:
            gc.collect()
        was_quiet = is_quiet
