"""Making clients of a cluster: their settings, and what they report while nobody is calling them."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Literal, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from foldline.errors import LogError
from foldline.log.kafka import gathering
from foldline.log.kafka.address import Address
from foldline.log.kafka.faults import DENIED, error_of, fault
from foldline.log.kafka.fetcher import Fetcher, ObjectFetcher
from foldline.log.kafka.librdkafka import librdkafka
from foldline.log.kafka.native_fetcher import NativeFetcher

OPEN_S: Final = 5.0
"""How long opening waits for the first answer of the cluster."""

CALL_S: Final = 10.0
"""How long one call waits for the cluster before `log.unavailable`."""

TRANSACTION_S: Final = 10.0
"""After this long the cluster gives up a transaction whose process died; until then readers wait behind it."""

MESSAGE_BYTES: Final = 8 << 20
"""Largest message appended, and taken by topics made here."""

SENT_BYTES: Final = MESSAGE_BYTES + (1 << 16)
"""The same with what the client puts around it: what topics made here take, and all partitions in one answer."""

Made = TypeVar("Made", Consumer, Producer, AdminClient, NativeFetcher)


def _quietly(record: logging.LogRecord) -> bool:
    """The client logs as errors what it retries and what fencing does; shown to who asks for debugging only."""
    record.levelno, record.levelname = logging.DEBUG, "DEBUG"
    return _logger.isEnabledFor(logging.DEBUG)


_logger = logging.getLogger("foldline.log.kafka.client")
_logger.addFilter(_quietly)


class Clients:
    """Makes clients of one cluster, and keeps the last trouble that any of them reported.

    Args:
        address: the cluster and the user's properties.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._trouble: KafkaError | None = None
        self._noted = threading.Lock()
        self._library = librdkafka() if address.native else None
        if self._library is not None:
            gathering.prepare()

    @property
    def trouble(self) -> KafkaError | None:
        """The last trouble reported, the one that is worth naming of several."""
        with self._noted:
            return self._trouble

    def connect(self) -> AdminClient:
        """A client for the cluster's administration, once the cluster has answered it.

        Raises:
            LogError: `log.unavailable` if it does not within `OPEN_S`, at once where it refuses the client;
                `log.url` for a property that the client does not know.
        """
        admin = self._make(AdminClient, self._common())
        deadline = time.monotonic() + OPEN_S
        where = f"opening the log on {self.address.servers}"
        hint = "see that it runs, that the address is right, and which security.protocol it wants"
        while True:
            try:
                admin.list_topics(timeout=0.5)
            except KafkaException as error:
                last = error_of(error)
            else:
                return admin
            with suppress(KafkaException):
                admin.poll(0)
            trouble = self.trouble
            if trouble is not None and trouble.code() in DENIED:
                raise fault(trouble, where)
            if time.monotonic() > deadline:
                raise fault(trouble or last, f"{where}, no answer within {OPEN_S:g} s, {hint}")

    def consumer(
        self, isolation: Literal["read_committed", "read_uncommitted"] = "read_committed"
    ) -> Consumer:
        """A client that reads records from offsets it is told, and never commits its own."""
        return self._make(Consumer, self._reading(isolation))

    def fetcher(self) -> Fetcher:
        """Fetches committed records from offsets it is told: from librdkafka itself where it can be reached."""
        library = self._library
        if library is None:
            return ObjectFetcher(self.consumer())
        settings = self._reading("read_committed")
        del settings["error_cb"]
        return self._make(lambda given, logger: NativeFetcher(library, given, self._note, logger), settings)

    def _reading(self, isolation: str) -> dict[str, Any]:
        own = {
            "group.id": self.address.on_cluster("foldline"),
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "isolation.level": isolation,
            "enable.partition.eof": True,
        }
        # With librdkafka's second of backing off a full queue stands still; with its 64 MB a reader holds as much.
        # Brokers answer one request of a connection after another: while a fetch waits, nothing else is answered.
        # What a broker answers is compressed, and many times as large once it is unpacked.
        tuned = {
            "fetch.wait.max.ms": 10,
            "fetch.queue.backoff.ms": 5,
            "fetch.message.max.bytes": 256 << 10,
            "fetch.max.bytes": SENT_BYTES,
            "queued.min.messages": 5_000,
            "queued.max.messages.kbytes": 2048,
            "fetch.error.backoff.ms": 50,
        }
        return tuned | self._common() | own

    def member(self, group: str) -> Consumer:
        """A client that is a member of a group and is told which partitions it should work on."""
        own: dict[str, Any] = {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "partition.assignment.strategy": "roundrobin",
        }
        if self.address.instance:
            own["group.instance.id"] = self.address.instance
        tuned = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1500, "max.poll.interval.ms": 30_000}
        return self._make(Consumer, tuned | self._common() | own)

    def producer(self, transactional_id: str | None = None, *, compresses: bool = True) -> Producer:
        """A client that appends idempotently, acknowledged by all replicas in sync.

        Args:
            transactional_id: of one that writes transactions.
            compresses: whether it compresses what it sends, unless the address says otherwise.
        """
        own: dict[str, Any] = {"enable.idempotence": True, "acks": "all"}
        if transactional_id is not None:
            own |= {"transactional.id": transactional_id}
        # With several requests under way, an idempotent producer whose broker dies keeps all processors busy until
        # another leads (confluentinc/librdkafka#2565, #3692); here appends wait for each other anyway.
        tuned = {
            "linger.ms": 0,
            "compression.type": "lz4" if compresses else "none",
            "max.in.flight.requests.per.connection": 1,
            "message.max.bytes": SENT_BYTES,
            "message.timeout.ms": round(CALL_S * 1000),
        }
        if transactional_id is not None:
            # Connected only where it must, the client looks for its coordinator every half second: 5 ms or 500.
            tuned |= {
                "transaction.timeout.ms": round(TRANSACTION_S * 1000),
                "enable.sparse.connections": False,
            }
        return self._make(Producer, tuned | self._common() | own)

    def _common(self) -> dict[str, Any]:
        tuned = {
            "client.id": "foldline",
            "reconnect.backoff.max.ms": 1000,
            "topic.metadata.propagation.max.ms": 5000,
            "socket.connection.setup.timeout.ms": 5000,
        }
        own = {"bootstrap.servers": self.address.servers, "error_cb": self._note}
        return tuned | self.address.properties | own

    def _make(self, kind: Callable[..., Made], settings: dict[str, Any]) -> Made:
        try:
            return kind(settings, logger=_logger)
        except (KafkaException, ValueError, TypeError) as error:
            raise LogError(
                "log.url",
                f"the Kafka client does not take the properties given for {self.address.servers}: {error}",
            ) from error

    def _note(self, error: KafkaError) -> None:
        with self._noted:
            # That all brokers are down follows upon every reason why; the reason is what helps.
            if error.code() == KafkaError._ALL_BROKERS_DOWN and self._trouble is not None:  # noqa: SLF001 - its code
                return
            if self._trouble is None or self._trouble.code() not in DENIED:
                self._trouble = error
