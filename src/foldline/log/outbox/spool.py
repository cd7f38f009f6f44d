"""The spool: appends that wait for the cluster, in the order they came, in an embedded log."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from foldline.log.protocol import Batch, Log, Topic

WAITING: Final = "waiting"
"""Appends not yet on the cluster, one a record."""

SENT: Final = "sent"
"""How far they were sent; compacted."""

REFUSED: Final = "refused"
"""Appends that the cluster refuses for good, kept for people to look at."""

JOINED_BYTES: Final = 1 << 20
"""Batches of one partition are sent as one up to this size."""


class Append(NamedTuple):
    """An append that waits.

    Attributes:
        end: the spool's offset after it.
        batches: to be appended together.
    """

    end: int
    batches: list[Batch]

    @property
    def records(self) -> int:
        """How many records it has."""
        return sum(batch.count for batch in self.batches)


_ENCODE = msgspec.msgpack.Encoder().encode
_BATCHES = msgspec.msgpack.Decoder(list[Batch])
_SENT = msgspec.msgpack.Decoder(tuple[str, int])


class Spool:
    """Appends that wait, on an embedded log. Not thread-safe.

    Attributes:
        waiting: how many records wait.
    """

    def __init__(self, local: Log) -> None:
        self._local = local
        self._topic = local.create(Topic(WAITING))
        local.create(Topic(SENT, 1, "compact"))
        local.create(Topic(REFUSED))
        self._next = self._sent()
        self.waiting = sum(append.records for append in self.all())

    def put(self, batches: Sequence[Batch], *, now: int) -> None:
        """Keep an append; on the disk when this returns.

        Raises:
            LogError: `log.full`, and others as `Log.append`.
        """
        self._keep(WAITING, batches, now)
        self.waiting += sum(batch.count for batch in batches)

    def next(self, most: int) -> list[Append]:
        """The oldest appends that wait, at most so many."""
        rows = self._local.read(WAITING, 0, self._next, max_records=most)
        return [Append(row.end, _BATCHES.decode(row.payload)) for row in rows]

    def done(self, appends: Sequence[Append], *, now: int) -> None:
        """These, the oldest, are on the cluster."""
        self._note(appends[-1].end, now)
        self.waiting -= sum(append.records for append in appends)

    def refuse(self, append: Append, *, now: int) -> None:
        """The oldest is one that the cluster refuses for good: it is set aside, and blocks no other."""
        self._keep(REFUSED, append.batches, now)
        self.done([append], now=now)

    def clear(self, *, now: int) -> None:
        """Free the space of what was sent; nothing waits."""
        if self._next == 0:
            return
        self._local.delete(WAITING)
        self._topic = self._local.create(Topic(WAITING))
        self._note(0, now)
        self._local.clean()

    def all(self) -> Iterator[Append]:
        """Every append that waits, oldest first."""
        offset = self._next
        while rows := self._local.read(WAITING, 0, offset, max_records=1_000):
            for row in rows:
                yield Append(row.end, _BATCHES.decode(row.payload))
            offset = rows[-1].end

    def _sent(self) -> int:
        offset, found = 0, ("", 0)
        while rows := self._local.read(SENT, 0, offset):
            found, offset = _SENT.decode(rows[-1].payload), rows[-1].end
        # A topic made again begins at 0: what stands there of the one before holds no more.
        return found[1] if found[0] == self._topic.id else 0

    def _note(self, offset: int, now: int) -> None:
        payload = _ENCODE((self._topic.id, offset))
        self._local.append([Batch(SENT, 0, payload, 1, now, now, b"sent")])
        self._next = offset

    def _keep(self, topic: str, batches: Sequence[Batch], now: int) -> None:
        self._local.append([Batch(topic, 0, _ENCODE(list(batches)), 1, now, now)])


def joined(appends: Sequence[Append]) -> list[Batch]:
    """All their batches for one append: those of a partition joined where they may be, its order kept.

    Example:
        >>> one, two = Batch("t", 0, b"a", 1, 5, 5), Batch("t", 0, b"b\\nc", 2, 6, 9)
        >>> [(batch.payload, batch.count) for batch in joined([Append(1, [one]), Append(2, [two])])]
        [(b'a\\nb\\nc', 3)]
    """
    open_at: dict[tuple[str, int], int] = {}
    groups: list[list[Batch]] = []
    sizes: list[int] = []
    for batch in (batch for append in appends for batch in append.batches):
        place = (batch.topic, batch.partition)
        at = open_at.get(place)
        # One with a key or headers stands for itself, and so does one record that has newlines in it.
        alone = batch.key is not None or batch.headers or (batch.count == 1 and b"\n" in batch.payload)
        if at is None or alone or sizes[at] + len(batch.payload) > JOINED_BYTES:
            groups.append([batch])
            sizes.append(len(batch.payload))
            open_at[place] = len(groups) - 1
            if alone:
                del open_at[place]
        else:
            groups[at].append(batch)
            sizes[at] += len(batch.payload)
    return [_join(group) for group in groups]


def _join(group: list[Batch]) -> Batch:
    if len(group) == 1:
        return group[0]
    return replace(
        group[0],
        payload=b"\n".join([batch.payload for batch in group]),
        count=sum(batch.count for batch in group),
        least=min(batch.least for batch in group),
        greatest=max(batch.greatest for batch in group),
    )
