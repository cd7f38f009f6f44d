"""Pickles whose bytes do not depend on which equal texts are one object.

A pickle writes a text once and then refers to it, by identity: so a model restored from a snapshot, which shares texts
otherwise than the original, would have other bytes for ever after. Here texts stand in a table in front, and are
referred to by value; and so are numpy's numbers.

Objects are restored attribute by attribute. Where a dictionary of them is asked for, as pickling does and plain
unpickling, CPython before 3.13 moves an object's attributes out of it for good, and a tree of River's takes an eighth
to two thirds more time from then on (`benchmarks/snapshots.py`): so whoever dumps a model had better go on with what
was restored of it.
"""

import copyreg
import io
import pickle
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import msgspec
import numpy as np

PROTOCOL: Final = 5

_IS_HEAP_TYPE: Final = 1 << 9
"""Among a class's flags: that it was made by a class statement."""

_TEXTS = msgspec.json.Decoder(list[str])


Reduce = Callable[[Any], Any]
"""What stands for an object, as `object.__reduce__` has it."""


def pickled(value: Any, reduced: Mapping[type[Any], Reduce] | None = None) -> bytes:
    """The value as bytes. O(objects in it).

    Args:
        value: what to pickle.
        reduced: for some classes, what stands for an object.

    Example:
        >>> pickled(["ab", "".join(["a", "b"])]) == pickled(["ab", "ab"])
        True
    """
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, PROTOCOL)
    pickler.dispatch_table = {**copyreg.dispatch_table, **(reduced or {})}
    pickler.dump(value)
    return msgspec.json.encode(list(pickler.texts)) + b"\n" + buffer.getvalue()


def unpickled(data: bytes) -> Any:
    """What was pickled. This runs code that the bytes name: only for bytes whose signature is good.

    Raises:
        Exception: whatever the bytes bring about, where they are no such pickle.
    """
    head, _, body = data.partition(b"\n")
    unpickler = _Unpickler(io.BytesIO(body))
    unpickler.texts = _TEXTS.decode(head)
    return unpickler.load()


def restored(made: Any, attributes: dict[str, Any]) -> Any:
    """The object with these attributes, set one by one. Older snapshots name it for every object."""
    for name, value in attributes.items():
        object.__setattr__(made, name, value)
    return made


def restored_in_order(made: Any, state: tuple[Any, ...]) -> Any:
    """The object with attributes set one by one; the names of all come first, as one tuple, then the values."""
    for name, value in zip(state[0], state[1:], strict=True):
        object.__setattr__(made, name, value)
    return made


@cache
def _is_plain(kind: Any) -> bool:
    """Whether instances are restored as `object` has it: made empty, then given what stands in their dictionary."""
    return (
        bool(kind.__flags__ & _IS_HEAP_TYPE)
        and kind.__dictoffset__ != 0
        and not copyreg._slotnames(kind)  # type: ignore[attr-defined]  # noqa: SLF001 - as pickle asks for them
        and not hasattr(kind, "__setstate__")
        and all(
            getattr(kind, name) is getattr(object, name)
            for name in ("__new__", "__reduce__", "__reduce_ex__")
        )
        and getattr(kind, "__getstate__", None) is getattr(object, "__getstate__", None)
    )


@cache
def _is_set_through(kind: Any, names: tuple[str, ...]) -> bool:
    """Whether setting one of the attributes runs code of the class's, which restoring must not."""
    return any(hasattr(getattr(kind, name, None), "__set__") for name in names)


class _Pickler(pickle.Pickler):
    dispatch_table: dict[type[Any], Reduce]

    def __init__(self, buffer: io.BytesIO, protocol: int) -> None:
        super().__init__(buffer, protocol)
        self.texts: dict[str, int] = {}
        self._layouts: dict[tuple[str, ...], tuple[str, ...]] = {}

    def reducer_override(self, obj: Any) -> Any:
        """How plain objects are restored; NotImplemented for all others."""
        kind: Any = type(obj)
        if kind in self.dispatch_table or not _is_plain(kind):
            return NotImplemented
        attributes = vars(obj)
        names = tuple(attributes)
        if _is_set_through(kind, names):
            return NotImplemented
        # One tuple for all objects that have the same names: it is written once, and then referred to.
        state = (self._layouts.setdefault(names, names), *attributes.values())
        return copyreg.__newobj__, (kind,), state, None, None, restored_in_order  # type: ignore[attr-defined]  # pickle's own

    def persistent_id(self, obj: Any) -> Any:
        """The place of a text in the table, a number of numpy's as Python's; None for anything else."""
        if type(obj) is str:
            return self.texts.setdefault(obj, len(self.texts))
        return float(obj) if type(obj) is np.float64 else None


class _Unpickler(pickle.Unpickler):
    texts: list[str]

    def persistent_load(self, pid: Any) -> Any:
        """The text at that place, or the number."""
        return np.float64(pid) if isinstance(pid, float) else self.texts[pid]
