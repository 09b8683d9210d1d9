"""Numba's compiler behind two typed decorators, with one set of options for the package.

A compiled function must stand in one file with those it calls: Numba's cache looks at the changes
of the function's own file alone, and would go on using what it compiled from another file before
that was edited. A test holds this.

No fast-math: results are the same bits on any number of threads, and NaN stays NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    F = TypeVar("F", bound=Callable[..., Any])

prange = numba.prange


def compiled(function: F) -> F:
    """Compile to machine code at the first call; later processes read it from the cache.

    Other threads run on meanwhile: the interpreter's lock is released.
    """
    return cast("F", numba.njit(cache=True, error_model="numpy", nogil=True)(function))


def compiled_parallel(function: F) -> F:
    """The same, with each `prange` loop spread over threads; its turns must be independent."""
    return cast("F", numba.njit(cache=True, error_model="numpy", parallel=True)(function))
