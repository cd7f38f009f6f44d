"""Asking the cluster where partitions end, now."""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from foldline.errors import LogError
from foldline.log.kafka.clients import CALL_S
from foldline.log.kafka.faults import UNKNOWN_TOPIC, error_of, fault
from foldline.log.kafka.fetcher import Place

AGAIN_S: Final = 0.05
"""Between two tries of one question."""

ANEW_S: Final = 0.3
"""Until another client asks in place of one that has lost sight of a partition."""

ASK_S: Final = 1.0
"""One try at a question that a broker which died will not answer; its partitions get other leaders meanwhile."""

Answer = TypeVar("Answer")


class Asker:
    """Asks leaders for the ends of partitions. Thread-safe.

    A consumer does so rather than the administration's client, which goes on asking a leader that was deposed.
    """

    def __init__(self, make: Callable[[], Consumer]) -> None:
        self._make = make
        self._asking = threading.Lock()
        self._consumer: Consumer | None = None
        self._closed = False

    def ask(self, place: Place) -> tuple[int, int]:
        """First and end offset."""
        return self._asked(
            place, lambda consumer: consumer.get_watermark_offsets(TopicPartition(*place), timeout=ASK_S)
        )

    def since(self, place: Place, time: int) -> int | None:
        """The offset of the first message with a timestamp, milliseconds, or a later one; None where there is none."""

        def asked(consumer: Consumer) -> int | None:
            [found] = consumer.offsets_for_times([TopicPartition(*place, time)], timeout=ASK_S)
            if found.error is not None:
                raise KafkaException(found.error)
            return found.offset if found.offset >= 0 else None

        return self._asked(place, asked)

    def _asked(self, place: Place, ask: Callable[[Consumer], Answer]) -> Answer:
        """Tries again while leaders change."""
        deadline = time.monotonic() + CALL_S
        while True:
            pause = AGAIN_S
            with self._asking:
                consumer = self._ready()
                try:
                    return ask(consumer)
                except KafkaException as error:
                    if error_of(error).code() in UNKNOWN_TOPIC:
                        # What a broker that has just started did not know, a client takes for unknown for minutes.
                        consumer.close()
                        self._consumer = None
                        pause = ANEW_S
                    if self._closed or time.monotonic() > deadline:
                        doing = f"asking for the ends of {place[0]}[{place[1]}]"
                        raise fault(error_of(error), doing) from error
            time.sleep(pause)

    def close(self) -> None:
        """Let the consumer go. Idempotent."""
        self._closed = True
        with self._asking:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None

    def _ready(self) -> Consumer:
        if self._closed:
            raise LogError("log.closed", "the log was closed; open it again")
        if self._consumer is None:
            self._consumer = self._make()
        return self._consumer
