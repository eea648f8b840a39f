"""When this process looks for garbage in cycles, so that nobody waits for it.

Python finds such garbage by walking objects with the interpreter held. What there is to find is mostly the database
driver's: some fifty objects a statement that refer to each other, thousands a second, dead after some milliseconds.
Left to itself Python looks so often that many of them are still alive, and grow old; and the old it walks all at once,
now and then: six hundred thousand objects that live as long as the process, and 400 ms in the middle of a request.

So what is there after the start is taken out of it, and the rest is walked by the clock: the young five times a second,
which takes two milliseconds or so under load, and what outlived that every five seconds. Who outlives that too is taken
to live long, and out of it as well: a session of the driver that was at work just then is garbage nobody finds, some
hundred objects every five seconds. After some minutes of that, everything is walked in a quiet moment.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from itertools import count
from typing import Any

YOUNG, MIDDLE_AGED, NEVER = 2_000, 3, 100_000
"""Thresholds of generations: of the young, which a burst of objects meets, and which takes two milliseconds; of the
middle-aged until the start is over; one that nothing meets."""
ROUND_SECONDS = 0.2
ROUNDS = 25
"""What outlived walks of the young is walked every so many rounds."""
MUCH, TOO_MUCH = 120, 17_280
"""Such walks since everything was walked, while somebody asked: ten minutes of them are worth a walk in a quiet moment,
a day of them at any. (Objects that were taken out cannot be counted: counting walks them.)"""
QUIET_ROUNDS = 150
"""Nobody has asked for so many rounds: that is a quiet moment."""


def leave_to_tidy() -> None:
    """From now on this process walks all objects in `tidy` only. Call it before the service's modules are imported:
    they make most of the objects, and take a third less time then."""
    gc.set_threshold(YOUNG, MIDDLE_AGED, NEVER)


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
    gc.set_threshold(YOUNG, NEVER, NEVER)
    taken_out, quiet = 0, 0
    for number in count(1):
        await asyncio.sleep(ROUND_SECONDS)
        quiet = 0 if in_flight() else quiet + 1
        if number % ROUNDS:
            gc.collect(1)
            continue
        gc.collect()
        gc.freeze()
        taken_out += quiet < ROUNDS
        if taken_out >= TOO_MUCH or (taken_out >= MUCH and quiet >= QUIET_ROUNDS):
            settle()
            taken_out = 0
