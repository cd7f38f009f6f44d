"""Hashes that other systems assign by."""

_MASK = 0xFFFFFFFF


def fnv1a_32(data: bytes) -> int:
    """FNV-1a, 32 bits (Fowler, Noll and Vo).

    Example:
        >>> hex(fnv1a_32(b"foobar"))
        '0xbf9cf968'
    """
    h = 0x811C9DC5
    for byte in data:
        h = (h ^ byte) * 0x01000193 & _MASK
    return h


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3 x86 32 (Appleby 2011).

    Example:
        >>> murmur3_32(b"a")
        1009084850
    """
    h, size = seed, len(data)
    whole = size & ~3
    for place in range(0, whole, 4):
        h ^= _scrambled(int.from_bytes(data[place : place + 4], "little"))
        h = ((h << 13 & _MASK | h >> 19) * 5 + 0xE6546B64) & _MASK
    h ^= _scrambled(int.from_bytes(data[whole:], "little")) ^ size
    h = (h ^ h >> 16) * 0x85EBCA6B & _MASK
    h = (h ^ h >> 13) * 0xC2B2AE35 & _MASK
    return h ^ h >> 16


def _scrambled(word: int) -> int:
    word = word * 0xCC9E2D51 & _MASK
    word = (word << 15 | word >> 17) & _MASK
    return word * 0x1B873593 & _MASK
