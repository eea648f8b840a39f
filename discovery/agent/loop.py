"""Reporting again and again: at an interval, spread out, and patient when nobody takes the report."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from typing import Any

from discovery.agent.report import observe

INTERVAL = 3_600.0
FIRST_PAUSE = 5.0

_log = logging.getLogger(__name__)


class DeliveryFailed(Exception):
    """The report did not get through; it makes sense to try again. The message says why."""


def run_agent(
    post: Callable[[Mapping[str, Any]], object],
    interval: float = INTERVAL,
    once: bool = False,
    *,
    look: Callable[[], Mapping[str, Any]] = observe,
    stop: threading.Event | None = None,
    jitter: Callable[[], float] = random.random,
) -> None:
    """Report this machine every `interval` seconds until `stop` is set, or `once`.

    Intervals are up to a tenth longer, so that machines started together do not report together. After a failure it
    looks again and sends what it then sees: after 5 s, then twice as long each time, at most `interval`.

    Raises:
        DeliveryFailed: from `post`, if it was to report once.
    """
    stopped = stop or threading.Event()
    failures = 0
    while not stopped.is_set():
        try:
            post(look())
            failures = 0
        except DeliveryFailed as error:
            if once:
                raise
            failures += 1
            _log.warning("the report was not taken: %s", error)
        if once:
            return
        pause = interval if not failures else min(interval, FIRST_PAUSE * 2 ** min(failures - 1, 30))
        stopped.wait(pause * (1 + 0.1 * jitter()))
