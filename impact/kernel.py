"""The one way to compile a kernel: without the interpreter lock, and kept on disk for the next start.

A kernel is a module-level function over arrays and numbers, and calls only other kernels. It holds no Python object, so
any number of threads run it at once beside the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile at the first call for the types it is given; later processes load it from the cache in milliseconds.

    What is cached has the code of the kernels it calls inside, so it is stale as soon as any file with kernels changes.
    """
    compiled: Any = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    # numba itself would look at the function's own file alone, and go on with the old code of all others.
    compiled._cache._cache_file._source_stamp += _kernels_digest()
    return cast(Function, compiled)


@cache
def _kernels_digest() -> bytes:
    """Of all files beside this one that have kernels."""
    texts = (path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return sha256(b"".join(text for text in texts if b"impact.kernel" in text)).digest()


def _prefetch(context: Any, array: Any, index: Any) -> Any:  # noqa: ANN401 - numba's protocol

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - numba's protocol
        array_type = signature.args[0]
        view = target.make_array(array_type)(target, builder, arguments[0])
        place = builder.bitcast(builder.gep(view.data, [arguments[1]]), cgutils.voidptr_t)
        number = ir.IntType(32)
        function = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
            builder.module,
            ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number]),
            "llvm.prefetch.p0",
        )
        builder.call(function, [place, number(0), number(3), number(1)])  # to read, to keep, data
        return target.get_dummy_value()

    return types.void(array, types.intp), generate


prefetch = cast(
    "Callable[[npt.NDArray[np.int32] | npt.NDArray[np.uint64] | npt.NDArray[np.uint8], np.int64], None]",
    intrinsic(_prefetch),
)
"""In a kernel: begin to load `array.flat[index]` into the cache. Never faults; a wrong index costs time only."""
