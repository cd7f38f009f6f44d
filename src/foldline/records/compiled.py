"""How this room compiles its loops, and the names its kernels give to what numba infers.

No kernel counts references to the arrays it passes on, which would cost three times the work; so none may make
arrays. They write into what they are given.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

from numba import njit
from numba.extending import intrinsic as numba_intrinsic

Bytes: TypeAlias = Any
"""(m,) uint8 text, not changed."""

Int: TypeAlias = Any
"""An int64: a place, a size, a row."""

Word: TypeAlias = Any
"""A uint64; mixed with an int64 it would become a float."""

_Function = TypeVar("_Function", bound=Callable[..., object])

kernel: Final[Callable[[_Function], _Function]] = njit(cache=True, _nrt=False)  # type: ignore[call-overload]
"""Compiles a loop; the result is cached on disk."""

inlined: Final[Callable[[_Function], _Function]] = njit(  # type: ignore[call-overload]
    cache=True, _nrt=False, forceinline=True
)
"""Compiles a part of a loop into every place it is called from."""

intrinsic: Final[Callable[[Callable[..., Any]], Any]] = numba_intrinsic
"""Makes an operation of the machine callable in kernels."""
