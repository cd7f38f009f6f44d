"""Ids for decisions and rewards whose caller gave none: 128 random bits, drawn from the system many at a time."""

import os
from collections.abc import Iterator
from typing import Final

_AT_ONCE: Final = 256


def _drawn() -> Iterator[str]:
    while True:
        text = os.urandom(16 * _AT_ONCE).hex()
        for place in range(0, len(text), 32):
            yield text[place : place + 32]


fresh_id: Final = _drawn().__next__
"""32 hex digits, never the same twice. Called from the event loop's thread only; a fork would repeat them."""
