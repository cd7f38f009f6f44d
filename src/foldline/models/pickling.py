"""Pickles whose bytes do not depend on which equal texts are one object.

A pickle writes a text once and then refers to it, by identity: so a model restored from a snapshot, which shares texts
otherwise than the original, would have other bytes for ever after. Here texts stand in a table in front, and are
referred to by value; and so are numpy's numbers.
"""

import copyreg
import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import numpy as np

PROTOCOL: Final = 5

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


class _Pickler(pickle.Pickler):
    dispatch_table: dict[type[Any], Reduce]

    def __init__(self, buffer: io.BytesIO, protocol: int) -> None:
        super().__init__(buffer, protocol)
        self.texts: dict[str, int] = {}

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
