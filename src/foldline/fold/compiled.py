"""The two ways in which this room compiles its loops.

Neither counts references, so neither may allocate arrays or return them: passes write into what they are given.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., object])

entry: Final[Callable[[_Function], _Function]] = njit(cache=True, _nrt=False)  # type: ignore[call-overload]
"""Compiles a loop called from Python; the result is cached on disk."""

step: Final[Callable[[_Function], _Function]] = njit(  # type: ignore[call-overload]
    _nrt=False, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
"""Compiles a part of such a loop into it. A call through arrays of arrays would cost ten times the work."""
