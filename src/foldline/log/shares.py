"""Who of a group works on which partitions of a topic: a matter of even work, never of safety, which leases hold."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from foldline.errors import LogError
from foldline.log.clock import Clock
from foldline.log.protocol import Lease

_logger = logging.getLogger("foldline.log")

SEAT_S: Final = 5.0
"""A member that is gone without a word is missed after this long."""

LOOK_MS: Final = 1_000
"""How often a member looks who else is there."""


class FirstCome:
    """No share: whoever comes first takes what is free."""

    def partitions(self) -> frozenset[int] | None:
        """See `Share.partitions`."""
        return None

    def reached(self, offsets: Mapping[int, int]) -> None:
        """See `Share.reached`; the roots say it already."""

    def close(self) -> None:
        """See `Share.close`."""


class Leasing(Protocol):
    """What seats need of a log."""

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """See `Log.acquire`."""
        ...

    def release(self, *leases: Lease) -> None:
        """See `Log.release`."""
        ...


class Seats:
    """The share of a log without groups of its own: members sit on seats, which are leases, and see each other there.

    There are as many seats as partitions; the partitions are dealt to the seats taken, in turn. Members that look at
    different moments may disagree for a second.

    Args:
        log: whose leases.
        seats: common beginning of the seats' names.
        member: who sits.
        partitions: how many.
        clock: the log's.
        taken: the names of leases that are held now and begin so, in order.
    """

    def __init__(
        self,
        log: Leasing,
        seats: str,
        member: str,
        partitions: int,
        clock: Clock,
        taken: Callable[[str], list[str]],
    ) -> None:
        self._log = log
        self._prefix = seats
        self._member = member
        self._seats = [f"{seats}{number:05d}" for number in range(partitions)]
        self._clock = clock
        self._taken = taken
        self._lock = threading.Lock()
        self._seat: Lease | None = None
        self._sat_at = self._looked_at = 0
        self._mine: frozenset[int] = frozenset()
        self._closed = False

    def partitions(self) -> frozenset[int] | None:
        """See `Share.partitions`. Looks who is there once a second; none after `close`."""
        with self._lock:
            now = self._clock()
            if not self._closed and now - self._looked_at >= LOOK_MS:
                self._looked_at = now
                self._look(now)
            return self._mine

    def reached(self, offsets: Mapping[int, int]) -> None:
        """See `Share.reached`; the roots say it already."""

    def close(self) -> None:
        """See `Share.close`."""
        with self._lock:
            self._closed = True
            self._mine = frozenset()
            if self._seat is None:
                return
            try:
                self._log.release(self._seat)
            except LogError as error:
                _logger.warning("seat %s is free in %g s only: %s", self._seat.name, SEAT_S, error)
            self._seat = None

    def _look(self, now: int) -> None:
        if self._seat is None or now - self._sat_at >= SEAT_S * 1000 / 3:
            self._sit(now)
        taken = self._taken(self._prefix)
        if self._seat is None or self._seat.name not in taken:
            self._mine = frozenset()
            return
        turn = taken.index(self._seat.name)
        self._mine = frozenset(range(turn, len(self._seats), len(taken)))

    def _sit(self, now: int) -> None:
        """Keep the seat, or take one that is free."""
        tried = [self._seat.name] if self._seat is not None else []
        taken = set(self._taken(self._prefix))
        tried += [seat for seat in self._seats if seat not in taken]
        self._seat = None
        for name in tried:
            self._seat = self._log.acquire(name, self._member, SEAT_S)
            if self._seat is not None:
                self._sat_at = now
                return
