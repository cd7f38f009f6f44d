"""Named numpy arrays as canonical bytes: the one form in which states are dumped.

Layout: a JSON header line naming each array, its dtype and shape in sorted order, then the raw little-endian
bytes. The same arrays always give the same bytes; nothing in them runs code when loaded.
"""

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError

Arrays = dict[str, npt.NDArray[np.generic]]

_DTYPES = {"int8", "int32", "int64", "uint8", "uint16", "uint64", "float64"}

# By dtype in either byte order: numpy takes microseconds to spell a name.
_WRITTEN = {
    written: (dtype.name, dtype.newbyteorder("<"))
    for dtype in map(np.dtype, sorted(_DTYPES))
    for written in (dtype.newbyteorder("<"), dtype.newbyteorder(">"))
}


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    name: str
    dtype: str
    shape: tuple[int, ...]


_HEADER = msgspec.json.Decoder(list[_Entry])


def dump_arrays(arrays: Mapping[str, npt.NDArray[np.generic]]) -> bytes:
    """The arrays as bytes; dtypes int8, int32, int64, uint8, uint16, uint64 and float64.

    Example:
        >>> import numpy as np
        >>> dump_arrays({"n": np.array([1, 2])})[:20]
        b'[["n","int64",[2]]]\\n'
    """
    entries, bodies = [], []
    for name in sorted(arrays):
        array = arrays[name]
        found = _WRITTEN.get(array.dtype)
        if found is None:
            raise TypeError(f"array {name!r} has dtype {array.dtype}, expected one of {sorted(_DTYPES)}")
        entries.append(_Entry(name, found[0], array.shape))
        bodies.append(np.ascontiguousarray(array, dtype=found[1]).data)
    # Joined as they stand, they are copied once.
    return b"".join([msgspec.json.encode(entries), b"\n", *bodies])


def load_arrays(data: bytes) -> Arrays:
    """The arrays dumped, writable and owned by the caller.

    Raises:
        FoldError: `fold.damaged_root` where the bytes are not a dump.
    """
    head, newline, body = data.partition(b"\n")
    arrays: Arrays = {}
    position = 0
    try:
        if not newline:
            raise ValueError("no header line")
        for entry in _HEADER.decode(head):
            if entry.dtype not in _DTYPES or any(side < 0 for side in entry.shape):
                raise ValueError(f"array {entry.name!r} has dtype {entry.dtype}, shape {entry.shape}")
            dtype = np.dtype(entry.dtype).newbyteorder("<")
            count = int(np.prod(entry.shape, dtype=np.int64)) if entry.shape else 1
            array = np.frombuffer(body, dtype=dtype, count=count, offset=position)
            arrays[entry.name] = array.astype(np.dtype(entry.dtype)).reshape(entry.shape)
            position += count * dtype.itemsize
        if position != len(body):
            raise ValueError(f"{len(body) - position} bytes too many")
    except (ValueError, msgspec.DecodeError) as error:
        raise FoldError(
            "fold.damaged_root", f"loading a dumped state of {len(data)} bytes: {error}"
        ) from error
    return arrays


def narrowed(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """The same integers in fewer bytes, where they have room: a function of the values alone."""
    least, most = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for dtype in (np.dtype(np.int8), np.dtype(np.int32)):
        room = np.iinfo(dtype)
        if room.min <= least and most <= room.max:
            return array.astype(dtype)
    return array
