"""A slot: one consumer and, for any number of partitions, one stream each.

Whoever waits for rows fetches them, one thread of a slot at a time, and sorts in whatever came for the others: what is
read next was copied a moment ago, by the same thread. Ahead of the readers fetches the client, as much as it is told to
hold. A stream that is full is not fetched until half of it is read, so that it holds up no other.
"""

import threading
import time
from functools import partial
from typing import Final

from confluent_kafka import KafkaException

from foldline.log.kafka.clients import CALL_S
from foldline.log.kafka.faults import error_of, fault
from foldline.log.kafka.fetcher import Fetched, Fetcher, Place
from foldline.log.kafka.stream import Stream

IDLE_S: Final = 60.0
"""A stream that nobody has read for so long is closed, when something is fetched."""


EMPTY_S: Final = 0.002
"""A client that held nothing holds next to nothing for so long: a round over many partitions asks it once, not for
each."""


class Slot:
    """A fetcher with its streams. Not thread-safe; the reader's lock guards it.

    Args:
        changed: of the reader's lock, which is no reentrant one; notified after each fetch.
        fetcher: fetches for this slot alone.

    Attributes:
        streams: by partition.
        is_fetching: whether a thread is at it.
    """

    def __init__(self, changed: threading.Condition, fetcher: Fetcher) -> None:
        self.streams: dict[Place, Stream] = {}
        self.is_fetching = False
        self._changed = changed
        self._fetcher = fetcher
        self._turn = 0
        self._topics: set[str] = set()
        self._closed_in: dict[Place, int] = {}
        self._in_hand = False
        self._emptied = -EMPTY_S

    @property
    def is_emptied(self) -> bool:
        """Whether all that the client held was taken a moment ago."""
        return time.monotonic() - self._emptied < EMPTY_S

    def is_free_for(self, place: Place) -> bool:
        """Whether the partition may be fetched here: messages of its last stream could still be under way."""
        return place not in self.streams and self._turn >= self._closed_in.get(place, -2) + 2

    def open(self, place: Place, offset: int) -> Stream:
        """A stream from an offset on, of a partition that it is free for."""
        if place[0] not in self._topics:
            # A client told to fetch a topic that it does not know looks around once a second.
            try:
                self._fetcher.know(place[0], CALL_S)
            except KafkaException as error:
                raise fault(error_of(error), f"looking for {place[0]}") from error
            self._topics.add(place[0])
        stream = self.streams[place] = Stream(offset)
        self._fetcher.assign(place, offset)
        return stream

    def close(self, place: Place) -> None:
        """Fetch a partition no more."""
        stream = self.streams.pop(place)
        stream.error = "closed"
        self._closed_in[place] = self._turn
        if stream.resume is None:
            self._fetcher.unassign(place)

    def fetch(self, timeout_s: float) -> None:
        """Fetch what there is, waited for so long where there is nothing, without the lock meanwhile; then sort it in.

        Where another thread fetches, wait for it instead.
        """
        if self.is_fetching:
            if timeout_s > 0:
                self._changed.wait(timeout_s)
            return
        if self._in_hand:
            self._give_up()
        self.is_fetching = self._in_hand = True
        self._changed.release()
        try:
            fetched = self._fetcher.fetch(timeout_s)
        finally:
            self._changed.acquire()
            self.is_fetching = False
            self._changed.notify_all()
        if not fetched:
            self._emptied = time.monotonic()
        self._sort_in(fetched)
        self._in_hand = False

    def stop(self) -> None:
        """Let the client go, once nobody fetches any more."""
        deadline = time.monotonic() + CALL_S
        while self.is_fetching and time.monotonic() < deadline:
            self._changed.wait(deadline - time.monotonic())
        if not self.is_fetching:
            self._fetcher.close()

    def _give_up(self) -> None:
        """A fetch was interrupted, by Ctrl-C say, and what it had in hand is lost: all streams have to begin again."""
        for place in list(self.streams):
            self.close(place)

    def _sort_in(self, fetched: Fetched) -> None:
        self._turn += 1
        for place, chunk in fetched.chunks:
            if place in self.streams:
                self.streams[place].feed(chunk)
        for place, offset in fetched.ends:
            if place in self.streams:
                self.streams[place].reach(offset)
        for place, reason in fetched.faults:
            if place in self.streams:
                self.streams[place].error = reason
        self._keep_house()

    def _keep_house(self) -> None:
        """Close what nobody reads; fetch no more of what is full."""
        now = time.monotonic()
        for place, stream in list(self.streams.items()):
            if now - stream.used > IDLE_S:
                self.close(place)
            elif stream.is_full and stream.resume is None:
                self._fetcher.unassign(place)
                stream.resume = partial(self._resume, place, stream)

    def _resume(self, place: Place, stream: Stream) -> None:
        stream.resume = None
        self._fetcher.assign(place, stream.high)
