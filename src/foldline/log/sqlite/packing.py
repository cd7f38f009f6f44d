"""How a payload stands in the file: a large one compressed, which is where a log's bytes are and where a disk is slow.

A stored payload that begins with the magic number of a Zstandard frame (RFC 8878, section 3.1.1) is one; any other is
the payload itself. So that this is never wrong, a payload that begins so itself is compressed whatever its size.
"""

import threading
from typing import Final

import zstandard

LARGE: Final = 1 << 18
"""Bytes from which a payload is compressed: outputs and imports. Reading smaller ones would cost more than it saves."""

LEVEL: Final = 1
"""Of Zstandard: the fastest of those that look for more than the nearest repetition."""

_MAGIC: Final = b"\x28\xb5\x2f\xfd"


class _Own(threading.local):
    """Of each thread: neither may serve two at once."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self.decompressor = zstandard.ZstdDecompressor()


_OWN = _Own()


def packed(payload: bytes) -> bytes:
    r"""What to store of a payload. O(bytes).

    Example:
        >>> packed(b"a\nb"), len(packed(b"a\n" * 262_144)) < 100
        (b'a\nb', True)
    """
    if len(payload) < LARGE and not payload.startswith(_MAGIC):
        return payload
    frame = _OWN.compressor.compress(payload)
    return frame if len(frame) < len(payload) or payload.startswith(_MAGIC) else payload


def unpacked(stored: bytes) -> bytes:
    r"""The payload that was stored so. O(bytes).

    Raises:
        ZstdError: the file is damaged.

    Example:
        >>> unpacked(packed(b"a\n" * 262_144)) == b"a\n" * 262_144
        True
    """
    return _OWN.decompressor.decompress(stored) if stored.startswith(_MAGIC) else stored
