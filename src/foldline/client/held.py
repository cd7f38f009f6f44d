"""Events taken from an outbox, to be delivered next."""

from typing import NamedTuple


class Held(NamedTuple):
    """Events to deliver next.

    Attributes:
        outbox: the name that numbers them.
        base: position of the name's event 0.
        first: position of the first.
        lines: the events.
    """

    outbox: str
    base: int
    first: int
    lines: list[bytes]

    @property
    def number(self) -> int:
        """The first event's number."""
        return self.first - self.base

    def body(self) -> bytes:
        """The request that delivers them."""
        return b'{"outbox":"%b","first":%d,"events":[%b]}' % (
            self.outbox.encode(),
            self.number,
            b",".join(self.lines),
        )
