"""The one way to compile a kernel: without the interpreter lock, and kept on disk for the next start.

A kernel is a module-level function over arrays and numbers, and calls only other kernels. It holds no Python object, so
any number of threads run it at once beside the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile at the first call for the types it is given; later processes load it from the cache in milliseconds."""
    return cast(Function, numba.njit(nogil=True, cache=True, error_model="numpy")(function))
