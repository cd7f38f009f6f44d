"""Membership of a consumer group: the group's coordinator deals the partitions out, and notices who is gone.

The group only says who should work on what. That nobody else writes is held by leases, which are fenced in the
cluster; so assignment and revocation may come at every moment, and a member that was stopped and believes it still
has its partitions does no harm. The truth of how far a fold has come stands in its roots: offsets are committed for
tools that show lag, and never read.

The classic protocol with eager assignment is used. All members give up all partitions at each change, which costs
nothing here: a worker goes on until its learner has seen that it lost the partition, and one that keeps it never
stops. It works with every broker; the newer protocol (KIP-848) would save a rebalance that nobody waits for.
"""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from foldline.log.kafka.clients import Clients
from foldline.log.kafka.faults import DENIED, error_of

_logger = logging.getLogger("foldline.log.kafka")

POLL_S: Final = 0.1
COMMIT_EVERY_S: Final = 1.0

STALLED_S: Final = 30.0
"""A member that nobody has asked for its partitions this long leaves them to the others, until somebody asks again."""

_OVER: Final = frozenset(
    {KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL}  # noqa: SLF001 - librdkafka's own code
)
"""The member never gets anything any more."""

_REFUSED: Final = DENIED | {KafkaError.GROUP_AUTHORIZATION_FAILED}


class Membership:
    """A member of a group, as a `Share`. Nothing is fetched through it.

    Args:
        clients: makes the consumer.
        topic: as the cluster calls it.
        group: likewise.
    """

    def __init__(self, clients: Clients, topic: str, group: str) -> None:
        self._topic = topic
        self._mine: frozenset[int] | None = None
        self._asked_at = time.monotonic()
        self._told = ""
        self._consumer = clients.member(group)
        self._closed = threading.Event()
        self._reached: Mapping[int, int] = {}
        self._committed: Mapping[int, int] = {}
        self._committed_at = time.monotonic()
        self._consumer.subscribe(
            [topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        self._thread = threading.Thread(target=self._run, name="foldline-kafka-group", daemon=True)
        self._thread.start()

    def partitions(self) -> frozenset[int] | None:
        """See `Share.partitions`. None until the first assignment: what is free then waits for nobody."""
        self._asked_at = time.monotonic()
        return self._mine

    def reached(self, offsets: Mapping[int, int]) -> None:
        """See `Share.reached`. Sent at most once a second, by the thread that the consumer belongs to."""
        self._reached = offsets

    def close(self) -> None:
        """See `Share.close`. The others share what was this member's at once."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._thread.join()

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        # From a place of its own, so that no committed offset is asked for; paused, so that nothing is fetched.
        consumer.assign([TopicPartition(place.topic, place.partition, 0) for place in places])
        consumer.pause(places)
        self._mine = frozenset(place.partition for place in places)
        _logger.info("the group has given this member partitions %s of %s", sorted(self._mine), self._topic)

    def _revoked(self, _consumer: Consumer, _places: list[TopicPartition]) -> None:
        """Revoked at each change, to be given anew in a moment; what is worked on goes on until then."""

    def _run(self) -> None:
        while not self._closed.is_set():
            if time.monotonic() - self._asked_at > STALLED_S:
                # The client leaves the group once it has not been polled for its `max.poll.interval.ms`.
                self._closed.wait(POLL_S)
                continue
            message: Any = None
            try:
                message = self._consumer.poll(POLL_S)
            except KafkaException as raised:
                self._note(error_of(raised))
            if message is not None and message.error() is not None:
                self._note(message.error())
            if self._reached != self._committed and time.monotonic() - self._committed_at >= COMMIT_EVERY_S:
                self._commit()
        with suppress(KafkaException, RuntimeError):
            self._consumer.close()

    def _note(self, error: KafkaError) -> None:
        """Say what will not mend itself, once; the client sees to all else."""
        # An error told as an event has this code where it is fatal; raised, it says so itself.
        if error.code() in _OVER or error.fatal():
            self._mine = frozenset()
            self._closed.wait(POLL_S)  # nothing comes any more
            hint = (
                "another process has the same foldline.instance; give each its own, and start this one again"
            )
        elif error.code() in _REFUSED:
            hint = "partitions are taken first come, first served"
        else:
            _logger.debug("group of %s: %s", self._topic, error)
            return
        if error.name() != self._told:
            self._told = error.name()
            _logger.error(
                "the group that shares %s has no use for this member: %s; %s", self._topic, error, hint
            )

    def _commit(self) -> None:
        self._committed, self._committed_at = dict(self._reached), time.monotonic()
        mine = self._mine or frozenset()
        places = [TopicPartition(self._topic, p, n) for p, n in self._committed.items() if p in mine]
        if places:
            with suppress(KafkaException):  # a rebalance is under way: the next one tells
                self._consumer.commit(offsets=places, asynchronous=True)
