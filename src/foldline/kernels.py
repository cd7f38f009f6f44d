"""How loops are compiled: late, and only where that pays.

Loading numba takes half a second and compiling anew takes several. So nothing here imports it before a loop must be
compiled, and loops that also run as they stand (`patient`) are compiled only when a process has had enough turns of
them to pay for that: a short script never waits for a compiler.

No kernel counts references to the arrays it passes on unless it asks to, which would cost three times the work; so
none may make arrays. They write into what they are given.

Numba keeps compiled code beside the source and trusts it while that one file is unchanged, although it holds
code of every file it calls into. Here its stamp covers those files too. Before it looks at the stamp it loads the types
of what is there, which after an upgrade may be gone: such code counts as none.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial, update_wrapper
from pickle import UnpicklingError
from typing import Any, Final, TypeAlias, TypeVar, cast

import numpy as np

Bytes: TypeAlias = Any
"""(m,) uint8 text, not changed."""

Int: TypeAlias = Any
"""An int64: a place, a size, a row."""

Word: TypeAlias = Any
"""A uint64; mixed with an int64 it would become a float."""

_Function = TypeVar("_Function", bound=Callable[..., object])

PATIENCE: Final = 2_000
"""Turns of patient loops that a process runs as they stand: some 50 ms of work, a tenth of loading numba."""

_turns_left = PATIENCE


def lose_patience() -> None:
    """From now on compile every loop when it is first called: for processes that are here to stay."""
    global _turns_left  # noqa: PLW0603 - how much a process has worked is the process's
    _turns_left = 0


class Loop:
    """A function that numba compiles, once it is called from Python or from another that is compiled.

    Attributes:
        py_func: the function as it stands.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.py_func = function
        self._options = options
        self._compiled: Any = None
        update_wrapper(self, function)

    @property
    def is_ready(self) -> bool:
        """Whether it was compiled, or read from the cache, in this process."""
        return self._compiled is not None and bool(self._compiled.overloads)

    @property
    def _numba_type_(self) -> Any:
        """What numba asks an object of which it does not know the type for."""
        return self.compiled()._numba_type_

    def __call__(self, *args: Any) -> Any:
        """Run it, compiled."""
        return (self._compiled or self.compiled())(*args)

    def compiled(self) -> Any:
        """Numba's dispatcher of the function, which compiles it for each new combination of types."""
        if self._compiled is None:
            from numba import njit

            dispatcher: Any = njit(**self._options)(self.py_func)
            cached = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
            if cached is not None:
                names = sorted({__name__, *_sources(self.py_func.__module__, set())})
                cached._source_stamp = tuple(filter(None, map(_stamp, names)))  # noqa: SLF001 - numba offers no way to name more files
                cached._load_index = partial(_readable, cached._load_index)  # noqa: SLF001 - nor to pass over what cannot be read
            # Another thread's would do as well: numba compiles under a lock of its own.
            self._compiled = dispatcher
        return self._compiled


class Patient(Loop):
    """A loop that runs as it stands until the process's patience is used up."""

    def __init__(
        self,
        function: Callable[..., Any],
        options: dict[str, Any],
        turns: Callable[..., int],
        plain: Callable[..., Any] | None,
    ) -> None:
        super().__init__(function, options)
        self._turns = turns
        self._plain = plain or function

    def __call__(self, *args: Any) -> Any:
        """Run it, as it stands or compiled."""
        global _turns_left  # noqa: PLW0603 - as in `lose_patience`
        if self._compiled is None:
            if _turns_left > 0:
                _turns_left -= max(1, self._turns(*args))
            if _turns_left > 0:
                with np.errstate(over="ignore"):  # machine integers wrap round, and loops rely on it
                    return self._plain(*args)
        return super().__call__(*args)


class Operation:
    """An operation of the machine, for use in compiled loops; its generator is asked for when one is compiled."""

    def __init__(self, generator: Callable[..., Any], plain: Callable[..., Any] | None = None) -> None:
        self._generator = generator
        self._plain = plain
        self._type: Any = None
        update_wrapper(self, generator)

    @property
    def _numba_type_(self) -> Any:
        if self._type is None:
            from numba.core.registry import cpu_target
            from numba.extending import intrinsic

            made = intrinsic(self._generator)
            cpu_target.typing_context.refresh()
            self._type = cpu_target.typing_context.resolve_value_type(made)
        return self._type

    def __call__(self, *args: Any) -> Any:
        """What stands for it where a loop runs as it stands; an operation without that is for compiled ones only."""
        if self._plain is None:
            raise NotImplementedError(f"{self._generator.__name__} is an operation for compiled loops only")
        return self._plain(*args)


def operation(generator: Callable[..., Any]) -> Callable[..., Any]:
    """Makes an operation of the machine callable in kernels; written as `numba.extending.intrinsic` has it."""
    return Operation(generator)


def operation_like(plain: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An operation for loops that also run as they stand, where `plain` does the same."""

    def generates(generator: Callable[..., Any]) -> Callable[..., Any]:
        return Operation(generator, plain)

    return generates


def kernel(function: _Function) -> _Function:
    """Compiles a loop; the result is cached on disk until a source file it is made of changes."""
    return cast("_Function", Loop(function, {"cache": True, "_nrt": False}))


def numeric(function: _Function) -> _Function:
    """Compiles a formula that may make arrays; division by zero gives an infinity or NaN, as in numpy."""
    return cast("_Function", Loop(function, {"cache": True, "error_model": "numpy"}))


def patient(
    turns: Callable[..., int], plain: Callable[..., Any] | None = None, *, nogil: bool = False
) -> Callable[[_Function], _Function]:
    """Compiles a loop as `kernel` does, once a process has had enough turns of such loops.

    Args:
        turns: how many turns a call makes, given its arguments.
        plain: what to run before in its place, with equal results; by default the function as it stands.
        nogil: whether other threads may run meanwhile, once compiled; what it is given must be the caller's alone.
    """

    def compiles(function: _Function) -> _Function:
        return cast(
            "_Function", Patient(function, {"cache": True, "_nrt": False, "nogil": nogil}, turns, plain)
        )

    return compiles


_OF_A_PART: Final = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class _Part(Loop):
    """A part of a loop: run as it stands where the loop is."""

    def __call__(self, *args: Any) -> Any:
        """Run it as it stands."""
        return self.py_func(*args)


def part(function: _Function) -> _Function:
    """Compiles a part of a loop that is called from several places."""
    return cast("_Function", _Part(function, {**_OF_A_PART}))


def inlined(function: _Function) -> _Function:
    """Compiles a part of a loop into every place it is called from."""
    return cast("_Function", _Part(function, {**_OF_A_PART, "forceinline": True}))


def as_it_stands(function: _Function) -> _Function:
    """The function that a kernel was made of."""
    return cast("_Function", function.py_func) if isinstance(function, Loop) else function


def is_ready(loop: Callable[..., object]) -> bool:
    """Whether a kernel was compiled, or read from the cache, in this process."""
    return isinstance(loop, Loop) and loop.is_ready


def _readable(load: Callable[[], dict[Any, str]]) -> dict[Any, str]:
    """The code that is kept, by types; none where that was kept by another version, or cut short."""
    try:
        return load()
    except (AttributeError, ImportError, EOFError, IndexError, ValueError, UnpicklingError):
        return {}  # compiled anew, as where nothing was kept


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
        name = getattr(value, "__module__", None)
        if callable(value) and isinstance(name, str) and name.startswith(package):
            yield name


def _stamp(module: str) -> tuple[str, Any, Any] | None:
    """Name, time of change and size of a module's file; None where its loader does not tell."""
    loader: Any = sys.modules[module].__loader__
    if not hasattr(loader, "path_stats"):
        return None
    stats = loader.path_stats(sys.modules[module].__file__)
    return module, stats["mtime"], stats.get("size")
