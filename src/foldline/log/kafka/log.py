"""The log on Kafka: `Log` over topics of a cluster."""

import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from foldline.errors import InputError, LogError
from foldline.log import validation
from foldline.log.block import Block, block_of
from foldline.log.clock import Clock, now_ms
from foldline.log.kafka.address import parse_address
from foldline.log.kafka.avro import STATES, AvroForm
from foldline.log.kafka.catalogue import Catalogue
from foldline.log.kafka.chunk import Selection
from foldline.log.kafka.clients import MESSAGE_BYTES, Clients
from foldline.log.kafka.leases import LEASES, SETTINGS, Leases
from foldline.log.kafka.membership import Membership
from foldline.log.kafka.messages import in_avro, sent_row, to_message
from foldline.log.kafka.reader import Reader
from foldline.log.kafka.transactions import Fenced, Outgoing, Transactor
from foldline.log.kafka.writer import Writer
from foldline.log.protocol import AHEAD_MS, Batch, Counts, Lease, Row, Share, Topic, leases_of
from foldline.log.shown_url import shown_url


class KafkaLog:
    """The `Log` protocol on a Kafka cluster. Threads and connections are opened as they are needed.

    A log object must not be carried over a fork.

    Args:
        url: `kafka://host:port,host:port/namespace?client.property=value`.
        clock: milliseconds since 1970-01-01 UTC; the machine's by default.

    Raises:
        LogError: `log.url`; `log.unavailable` where the cluster does not answer within seconds, or refuses.
    """

    counts: Counts = "messages"

    def __init__(self, url: str, *, clock: Clock = now_ms) -> None:
        self.url = url
        self._clock = clock
        self._address = parse_address(url, url.partition("://")[2])
        self._avro = (
            AvroForm(self._address.registry, self._address.registry_user) if self._address.registry else None
        )
        self._clients = Clients(self._address)
        admin = self._clients.connect()
        self._closed = False
        self._reader = Reader(self._clients)
        self._catalogue = Catalogue(admin, self._address, self._forget)
        self._writer = Writer(self._clients)
        id = self._address.on_cluster(f"foldline.{secrets.token_hex(8)}")
        self._together = Transactor(self._clients, f"{id}.appends")
        self._turn = threading.Lock()
        self._leases = Leases(self._clients, self._reader, self._writer, self._create_leases, id, clock)

    def create(self, topic: Topic) -> Topic:
        """See `Log.create`."""
        validation.check_topic(topic)
        self._check_open()
        return self._catalogue.create(topic)

    def examine(self, topic: Topic) -> list[str]:
        """See `Log.examine`. Settings of the topic that break a promise of the log, or only cost."""
        self._check_open()
        return self._catalogue.examine(topic)

    def delete(self, topic: str) -> None:
        """See `Log.delete`. The brokers free the space in their own time."""
        self._check_open()
        self._catalogue.delete(topic)

    def topics(self) -> list[Topic]:
        """See `Log.topics`. Those of the namespace, without Kafka's own."""
        self._check_open()
        return self._catalogue.all()

    def topic(self, name: str) -> Topic:
        """See `Log.topic`. As of at most half a second ago."""
        self._check_open()
        return self._catalogue.need(name)

    def append(self, batches: Sequence[Batch], *, lease: Lease | Sequence[Lease] | None = None) -> list[int]:
        """See `Log.append`. One batch is one idempotent produce; several, or any under a lease, one transaction.

        Raises:
            LogError: `log.unavailable`: whether they were written is not known; what carries ids may be sent again.
        """
        validation.check_batches(batches, self._clock())
        self._check_open()
        messages = [self._outgoing(batch) for batch in batches]
        leases = leases_of(lease)
        if leases:
            offsets = self._leases.append(messages, leases)
        elif len(messages) == 1:
            offsets = [self._writer.append(*messages[0])]
        else:
            offsets = self._append_together(messages) if messages else []
        for batch, (topic, message), offset in zip(batches, messages, offsets, strict=True):
            # What is written under leases is what this process goes on to read: roots, bundles. Of events its share is
            # small, and they are read as columns.
            row = sent_row(offset, message) if leases and batch.count == 1 else None
            self._reader.appended(topic, message["partition"], offset, row)
        return offsets

    def read(
        self, topic: str, partition: int, offset: int, *, max_records: int = 1000, end: int | None = None
    ) -> list[Row]:
        """See `Log.read`. What was fetched ahead is there at once."""
        found = self._select(topic, partition, offset, max_records, end)
        rows = [] if found is None else found.rows()
        return rows if self._avro is None or topic.endswith(STATES) else self._avro.read(rows)

    def read_block(self, topic: str, partition: int, offset: int, *, max_records: int) -> Block | None:
        """See `ReadsBlocks.read_block`."""
        if self._avro is not None:
            rows = self.read(topic, partition, offset, max_records=max_records)
            return block_of(rows) if rows else None
        found = self._select(topic, partition, offset, max_records, None)
        return None if found is None else found.block()

    def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """See `Log.offsets`. Asks the partition's leader; the end is that of the last committed transaction."""
        self._check_open()
        return self._reader.ends(*self._place(topic, partition))

    def since(self, topic: str, partition: int, time: int) -> int:
        """See `Log.since`. The partition's leader finds it by the timestamps of messages."""
        self._check_open()
        # A message's timestamp is its greatest time, or what the brokers' clocks took in its place.
        return self._reader.since(*self._place(topic, partition), max(0, time - AHEAD_MS))

    def size(self, topic: str) -> None:
        """See `Log.size`. The client has no question for it."""
        self._check_open()
        self._catalogue.need(topic)

    def wait(self, ends: Mapping[tuple[str, int], int], timeout_s: float) -> bool:
        """See `Log.wait`. Woken by what the cluster sends, within the time that takes."""
        self._check_open()
        return self._reader.wait({self._place(*place): end for place, end in ends.items()}, timeout_s)

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """See `Log.acquire`. Taking is a transaction, renewing is sent without waiting."""
        validation.check_lease_request(name, holder, ttl_s)
        self._check_open()
        return self._leases.acquire(name, holder, round(ttl_s * 1000))

    def release(self, *leases: Lease) -> None:
        """See `Log.release`."""
        self._check_open()
        self._leases.release(leases)

    def share(self, topic: str, group: str, member: str) -> Share:
        """See `Log.share`. A consumer group of the cluster, named `foldline.` and the group's name."""
        self._check_open()
        named = self._address.on_cluster(f"foldline.{group}")
        return Membership(self._clients, self._address.on_cluster(topic), named)

    def clean(self) -> int:
        """See `Log.clean`. The brokers do that: 0."""
        self._check_open()
        return 0

    def close(self) -> None:
        """See `Log.close`. Waits some seconds at most for what is under way."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        self._leases.close()
        with self._turn:
            self._together.stop()
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _select(
        self, topic: str, partition: int, offset: int, max_records: int, end: int | None
    ) -> Selection | None:
        """The rows to read; None where an end says beforehand that there are none."""
        validation.check_read(max_records)
        self._check_open()
        place = self._place(topic, partition)
        if end is not None and end <= offset <= self._reader.ends(*place)[1] and offset >= 0:
            return None
        gaps = self._catalogue.need(topic).cleanup == "compact"
        found = self._reader.read(*place, offset, max_records, end, gaps=gaps)
        if found is None:
            raise validation.out_of_range(topic, partition, offset, *self._reader.ends(*place))
        return found

    def _append_together(self, messages: list[Outgoing]) -> list[int]:
        with self._turn:
            for _ in range(3):
                try:
                    return self._together.commit(messages)
                except Fenced:
                    time.sleep(0.01)
        raise LogError(
            "log.unavailable", "appending several batches: another process uses this log object's id"
        )

    def _outgoing(self, batch: Batch) -> Outgoing:
        topic = self._catalogue.need(batch.topic)
        validation.check_fits(batch, topic.partitions, topic.cleanup)
        if len(batch.payload) > MESSAGE_BYTES:
            raise InputError(
                "input.invalid",
                f"batch for {batch.topic!r}: {len(batch.payload)} bytes, at most {MESSAGE_BYTES} go into one message; "
                "append it in parts",
                field="payload",
            )
        source = batch.topic if self._address.cloud_events else None
        name, compact = self._address.on_cluster(batch.topic), topic.cleanup == "compact"
        message = to_message(batch, compact=compact, now=now_ms(), source=source)
        if self._avro is not None and self._address.writes_avro and batch.count == 1 and not compact:
            value = self._avro.write(batch.payload, name)
            if value is not None:
                message = in_avro(message, value)
        return name, message

    def _place(self, topic: str, partition: int) -> tuple[str, int]:
        validation.check_partition(topic, partition, self._catalogue.need(topic).partitions)
        return self._address.on_cluster(topic), partition

    def _create_leases(self) -> None:
        self._catalogue.create(Topic(LEASES, cleanup="compact"), SETTINGS)

    def _forget(self, topic: str) -> None:
        self._reader.forget(self._address.on_cluster(topic))

    def _check_open(self) -> None:
        if self._closed:
            raise LogError("log.closed", f"the log {shown_url(self.url)} was closed; open it again")
