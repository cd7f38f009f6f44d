"""How loops are compiled, and the names kernels give to what numba infers.

No kernel counts references to the arrays it passes on, which would cost three times the work; so none may make
arrays. They write into what they are given.

Numba keeps compiled code beside the source and trusts it while that one file is unchanged, although it holds
code of every file it calls into. Here its stamp covers those files too.
"""

import sys
from collections.abc import Callable, Iterator
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

intrinsic: Final[Callable[[Callable[..., Any]], Any]] = numba_intrinsic
"""Makes an operation of the machine callable in kernels."""

inlined: Final[Callable[[_Function], _Function]] = njit(  # type: ignore[call-overload]  # numba takes it untyped
    _nrt=False, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
"""Compiles a part of a loop into every place it is called from; not to be called from Python."""

part: Final[Callable[[_Function], _Function]] = njit(  # type: ignore[call-overload]  # numba takes it untyped
    _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
"""Compiles a part of a loop that is called from several places; not to be called from Python."""


def kernel(function: _Function) -> _Function:
    """Compiles a loop; the result is cached on disk until a source file it is made of changes."""
    dispatcher: Any = njit(cache=True, _nrt=False)(function)  # type: ignore[call-overload]  # numba takes it untyped
    cached = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if cached is not None:
        names = sorted({__name__, *_sources(function.__module__, set())})
        cached._source_stamp = tuple(_stamp(name) for name in names)  # noqa: SLF001 - numba offers no way to name more files
    return dispatcher  # type: ignore[no-any-return]


def _sources(module: str, seen: set[str]) -> set[str]:
    """The module and all of this package from which it takes functions, however far."""
    if module not in seen:
        seen.add(module)
        for called in _taken_from(module):
            _sources(called, seen)
    return seen


def _taken_from(module: str) -> Iterator[str]:
    package = __name__.partition(".")[0] + "."
    for value in list(vars(sys.modules[module]).values()):
        plain = getattr(value, "py_func", None) or getattr(value, "_defn", value)
        name = getattr(plain, "__module__", None)
        if isinstance(name, str) and name.startswith(package):
            yield name


def _stamp(module: str) -> tuple[str, Any, Any]:
    """Name, time of change and size of a module's file."""
    loader: Any = sys.modules[module].__loader__
    stats = loader.path_stats(sys.modules[module].__file__)
    return module, stats["mtime"], stats.get("size")
