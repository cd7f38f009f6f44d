"""Appending one batch: an idempotent produce, acknowledged by all replicas in sync."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from foldline.errors import LogError
from foldline.log.kafka.clients import CALL_S, Clients
from foldline.log.kafka.faults import error_of, fault

POLL_S: Final = 0.1
FLUSH_S: Final = 2.0


class Writer:
    """One producer and the thread that hears its acknowledgements. Threads may append at once: they share requests."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._renewing = threading.Lock()
        self._producer = clients.producer()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="foldline-kafka-acks", daemon=True)
        self._thread.start()

    def append(self, topic: str, message: dict[str, Any]) -> int:
        """Produce and wait; the message's offset.

        Raises:
            LogError: `log.unavailable` after `CALL_S`; the message may stand on the log nevertheless.
        """
        answered = threading.Event()
        answers: list[tuple[KafkaError | None, Message]] = []

        def hear(error: KafkaError | None, delivered: Message) -> None:
            answers.append((error, delivered))
            answered.set()

        self.send(topic, message, hear)
        # The client gives up by itself after CALL_S and says why.
        if not answered.wait(CALL_S + 2.0):
            raise LogError("log.unavailable", f"appending to {topic!r}: no answer within {CALL_S:g} s")
        error, delivered = answers[0]
        if error is not None:
            raise fault(error, f"appending to {topic!r}", topic=topic)
        return delivered.offset()  # type: ignore[return-value]  # a message delivered has an offset

    def send(
        self,
        topic: str,
        message: dict[str, Any],
        hear: Callable[[KafkaError | None, Message], None] | None = None,
    ) -> None:
        """Produce without waiting."""
        producer = self._producer
        try:
            producer.produce(topic, on_delivery=hear, **message)
        except KafkaException as raised:
            error = error_of(raised)
            if error.fatal():
                self._renew(producer)
            raise fault(error, f"appending to {topic!r}") from raised
        except BufferError as error:
            raise LogError(
                "log.unavailable", f"appending to {topic!r}: too much waits for the cluster"
            ) from error

    def close(self) -> None:
        """Wait a little for what is under way, then stop. Idempotent."""
        if self._closed.is_set():
            return
        with suppress(KafkaException):
            self._producer.flush(FLUSH_S)
        self._closed.set()
        self._thread.join(CALL_S)
        self._producer.purge()

    def _renew(self, broken: Producer) -> None:
        """A producer that met a fatal error takes nothing more; what waited in it is answered with that error."""
        with self._renewing:
            if self._producer is broken and not self._closed.is_set():
                broken.purge()
                self._producer = self._clients.producer()

    def _run(self) -> None:
        while not self._closed.is_set():
            producer = self._producer
            try:
                producer.poll(POLL_S)
            except KafkaException as raised:
                if error_of(raised).fatal():
                    with suppress(KafkaException):
                        producer.poll(0)
                    self._renew(producer)
