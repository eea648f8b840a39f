"""A few threads for kernels, which run beside each other since they do not hold the interpreter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Task = TypeVar("Task")


def in_threads(tasks: Iterable[Task], work: Callable[[Iterator[Task]], None], threads: int) -> None:
    """Let so many threads, this one among them, `work` off the same iterator; each takes its next task from it.

    The tasks must be of an iterator that is safe to share, as those of ranges are. Returns when all are done; raises
    what any of them raised.
    """
    shared = iter(tasks)
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work(shared)
        except BaseException as error:
            errors.append(error)

    others = [threading.Thread(target=guarded, daemon=True) for _ in range(threads - 1)]
    for thread in others:
        thread.start()
    guarded()
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]
