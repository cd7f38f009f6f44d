"""The three hashes Foldline stands on, each fixed for ever because logs and other languages rely on it.

- `hash128`: ids and units in columns: MurmurHash3 x64 128 (Appleby 2011, public domain), seed 0, over UTF-8.
- `partition_of`: a unit's partition: murmur2 as the Java Kafka client's default partitioner
  (org.apache.kafka.common.utils.Utils.murmur2 and toPositive), over UTF-8.
- `draw`: a decision's random number: XXH3 64 (Collet 2020), its upper 53 bits.
"""

from typing import Any

import numpy as np
import xxhash

from foldline.errors import InputError
from foldline.kernels import Bytes, Int, kernel, part, patient
from foldline.records.words import load64, word_at

DRAWS = 1 << 53
"""Draws are integers below this: every one is exact as float64."""

_MASK = (1 << 64) - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
_MIX1, _MIX2 = 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53
_ADD1, _ADD2 = 0x52DCE729, 0x38495AB5

_U1, _U2 = np.uint64(_C1), np.uint64(_C2)
_UMIX1, _UMIX2 = np.uint64(_MIX1), np.uint64(_MIX2)
_UADD1, _UADD2 = np.uint64(_ADD1), np.uint64(_ADD2)
_FIVE = np.uint64(5)


def _rotate(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (64 - bits))) & _MASK


def _mix(word: int) -> int:
    word = ((word ^ (word >> 33)) * _MIX1) & _MASK
    word = ((word ^ (word >> 33)) * _MIX2) & _MASK
    return word ^ (word >> 33)


def hash128(text: str) -> tuple[int, int]:
    """Both 64-bit halves (h1, h2) of MurmurHash3 x64 128, seed 0, over the text's UTF-8.

    The plain statement of what `hash_spans` computes; O(length) in pure Python, about 3 us for an id.

    Example:
        >>> "%016x %016x" % hash128("a")
        '85555565f6597889 e6b53a48510e895a'
    """
    return _hash128(text.encode())


def _hash128(data: bytes) -> tuple[int, int]:
    size = len(data)
    h1 = h2 = 0
    whole = size & ~15
    for place in range(0, whole, 16):
        k1 = int.from_bytes(data[place : place + 8], "little")
        k2 = int.from_bytes(data[place + 8 : place + 16], "little")
        h1 ^= _rotate(k1 * _C1 & _MASK, 31) * _C2 & _MASK
        h1 = ((_rotate(h1, 27) + h2) * 5 + _ADD1) & _MASK
        h2 ^= _rotate(k2 * _C2 & _MASK, 33) * _C1 & _MASK
        h2 = ((_rotate(h2, 31) + h1) * 5 + _ADD2) & _MASK
    k1 = int.from_bytes(data[whole : whole + 8], "little")
    k2 = int.from_bytes(data[whole + 8 :], "little")
    h1 ^= (_rotate(k1 * _C1 & _MASK, 31) * _C2 & _MASK) ^ size
    h2 ^= (_rotate(k2 * _C2 & _MASK, 33) * _C1 & _MASK) ^ size
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    h1, h2 = _mix(h1), _mix(h2)
    h1 = (h1 + h2) & _MASK
    return h1, (h2 + h1) & _MASK


@part
def _rotated(word: Any, bits: Int) -> Any:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@part
def _mixed(word: Any) -> Any:
    word = (word ^ (word >> np.uint64(33))) * _UMIX1
    word = (word ^ (word >> np.uint64(33))) * _UMIX2
    return word ^ (word >> np.uint64(33))


@part
def hash_span(buffer: Bytes, start: Int, end: Int) -> Any:
    """`hash128` of the bytes start to end of a (m,) uint8 buffer, as two uint64; for use in kernels."""
    h1, h2 = np.uint64(0), np.uint64(0)
    place, stop = start, buffer.size
    while place + 16 <= end:
        h1 ^= _rotated(load64(buffer, place) * _U1, 31) * _U2
        h1 = (_rotated(h1, 27) + h2) * _FIVE + _UADD1
        h2 ^= _rotated(load64(buffer, place + 8) * _U2, 33) * _U1
        h2 = (_rotated(h2, 31) + h1) * _FIVE + _UADD2
        place += 16
    rest = end - place
    if rest > 8:
        tail = word_at(buffer, place + 8, stop) & (~np.uint64(0) >> np.uint64(8 * (16 - rest)))
        h2 ^= _rotated(tail * _U2, 33) * _U1
        h1 ^= _rotated(load64(buffer, place) * _U1, 31) * _U2
    elif rest > 0:
        head = word_at(buffer, place, stop) & (~np.uint64(0) >> np.uint64(8 * (8 - rest)))
        h1 ^= _rotated(head * _U1, 31) * _U2
    size = np.uint64(end - start)
    h1 ^= size
    h2 ^= size
    h1 += h2
    h2 += h1
    h1, h2 = _mixed(h1), _mixed(h2)
    h1 += h2
    return h1, h2 + h1


def _hash_spans(buffer: Bytes, starts: Any, ends: Any, out: Any) -> None:
    """`hash_spans` by `hash128`."""
    data = buffer.tobytes()
    for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        out[row] = _hash128(data[start:end])


@patient(lambda *given: len(given[1]), plain=_hash_spans)
def hash_spans(buffer: Bytes, starts: Any, ends: Any, out: Any) -> None:
    """`hash128` of many spans of one buffer; an empty span gives zeros. O(total bytes), about 15 ns an id.

    Args:
        buffer: (m,) uint8.
        starts: (n,) int64, first byte of each span.
        ends: (n,) int64, the byte after each span's last; at most m.
        out: (n, 2) uint64, written.
    """
    for row in range(len(starts)):
        out[row, 0], out[row, 1] = hash_span(buffer, starts[row], ends[row])


def murmur2(data: bytes) -> int:
    """Murmur2 as the Java Kafka client computes it, as an unsigned 32-bit integer.

    The plain statement of what `partition_of` computes fast.

    Example:
        >>> murmur2(b"foobar") - (1 << 32)
        -790332482
    """
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    size = len(data)
    h = 0x9747B28C ^ size
    whole = size & ~3
    for place in range(0, whole, 4):
        k = int.from_bytes(data[place : place + 4], "little") * m & mask
        h = (h * m & mask) ^ ((k ^ (k >> 24)) * m & mask)
    if size > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)


@kernel
def _partition(data: Any, partitions: Int) -> Int:
    m = np.uint32(0x5BD1E995)
    size = len(data)
    h = np.uint32(0x9747B28C) ^ np.uint32(size)
    whole = size & ~3
    for place in range(0, whole, 4):
        k = np.uint32(data[place]) | (np.uint32(data[place + 1]) << np.uint32(8))
        k |= np.uint32(data[place + 2]) << np.uint32(16)
        k |= np.uint32(data[place + 3]) << np.uint32(24)
        k = np.uint32(k * m)
        k = np.uint32((k ^ (k >> np.uint32(24))) * m)
        h = np.uint32(h * m) ^ k
    if size > whole:
        for place in range(whole, size):
            h ^= np.uint32(data[place]) << np.uint32(8 * (place - whole))
        h = np.uint32(h * m)
    h = np.uint32((h ^ (h >> np.uint32(13))) * m)
    h ^= h >> np.uint32(15)
    return np.int64(h & np.uint32(0x7FFFFFFF)) % partitions


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, as the Java Kafka client's default partitioner; about 0.25 us.

    Args:
        key: the unit, hashed as UTF-8.
        partitions: how many there are, at least 1.

    Raises:
        InputError: `input.invalid` where `partitions` is below 1.

    Example:
        >>> partition_of("user-1", 6)
        2
    """
    if partitions < 1:
        raise InputError(
            "input.invalid", f"partitions is {partitions!r}, expected at least 1", field="partitions"
        )
    return _partition(key.encode(), partitions)  # type: ignore[no-any-return]  # a kernel gives an int


def draw(salt: str, purpose: str, id: str) -> int:
    """A decision's random number: an integer from 0 to 2^53 - 1, uniform, the same in every language.

    XXH3 64 of salt, purpose and id joined by the byte 0x1f, shifted right by 11. A loop's salt and purpose
    must not contain that byte (`checked_name` refuses it); then no two triples join alike.

    Args:
        salt: the loop's salt.
        purpose: what the number is for: `variant`, `action`, a slot.
        id: the decision's id.

    Example:
        >>> draw("salt", "action", "0.1.a") < DRAWS
        True
    """
    return xxhash.xxh3_64_intdigest(f"{salt}\x1f{purpose}\x1f{id}".encode()) >> 11
