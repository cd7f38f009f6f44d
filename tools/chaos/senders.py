"""Those who send events: each its own partitions, again and again until the log has acknowledged them."""

import random
import threading
import time
from dataclasses import dataclass, field

from foldline.errors import LogError
from foldline.log.protocol import Batch, Log
from foldline.records.codec import encode_lines
from foldline.records.types import Outcome

ROWS = 50
ACTIONS = tuple(f"article-{n:02d}" for n in range(20))


@dataclass(slots=True)
class Sent:
    """What the log has acknowledged.

    Attributes:
        places: of each batch: partition, offset, first event, events.
        tries: appends made, those without an answer included.
    """

    places: list[tuple[int, int, int, int]] = field(default_factory=list)
    tries: int = 0

    @property
    def events(self) -> int:
        """Events acknowledged."""
        return sum(count for _, _, _, count in self.places)


class Sender:
    """Sends outcomes to one partition at a pace, in a thread.

    Args:
        log: that all senders share, as the threads of a service do.
        topic: event topic.
        partition: of it.
        events: how many.
        per_s: how many a second, where the log takes them.
        seed: of what is sent.
    """

    def __init__(self, log: Log, topic: str, partition: int, events: int, per_s: float, seed: int) -> None:
        self.sent = Sent()
        self.failure: BaseException | None = None
        self._log = log
        self._topic = topic
        self._partition = partition
        self._events = events
        self._per_s = per_s
        self._rng = random.Random(seed * 1000 + partition)
        self.thread = threading.Thread(target=self._run, name=f"sender-{partition}", daemon=True)

    def _run(self) -> None:
        try:
            started = time.monotonic()
            for first in range(0, self._events, ROWS):
                count = min(ROWS, self._events - first)
                offset = self._append(self._batch(first, count))
                self.sent.places.append((self._partition, offset, first, count))
                ahead = started + (first + count) / self._per_s - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for the sender
            self.failure = error

    def _append(self, batch: Batch) -> int:
        """Until it is acknowledged; the offset."""
        while True:
            self.sent.tries += 1
            try:
                return self._log.append([batch])[0]
            except LogError as error:
                if error.code != "log.unavailable":
                    raise
                time.sleep(0.2)

    def _batch(self, first: int, count: int) -> Batch:
        now, rng, p = time.time_ns() // 1_000_000, self._rng, self._partition
        made = [
            Outcome(
                time=now, id=f"0.{p}.{first + i:08x}", unit=f"user-{rng.randrange(100_000)}",
                action=rng.choice(ACTIONS),
                propensity=0.05, reward=rng.choice([0.1, 1 / 3, 0.0, 1.0]), bundle="external", definition=1,
            )
            for i in range(count)
        ]  # fmt: skip
        return Batch(self._topic, p, encode_lines(made), count, now, now)
