"""The topics of a cluster: creating, listing, finding. A topic's id is Kafka's own."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicDescription,
)

from foldline.errors import LogError
from foldline.log.kafka.address import Address
from foldline.log.kafka.clients import CALL_S
from foldline.log.kafka.faults import NO_ANSWER, UNKNOWN_TOPIC, error_of, fault
from foldline.log.kafka.settings import Standing, check_standing, settings_for
from foldline.log.protocol import Topic
from foldline.log.validation import topic_missing

FRESH_S: Final = 0.5
"""What is known of a topic is asked for again after this long."""

ASK_S: Final = 2.0
"""How long one broker is waited for."""

DOUBTS_S: Final = (0.1, 0.3, 0.6)
"""A topic that was there is asked for again after such pauses: a broker just started may not know it yet."""

INTERNAL: Final = "__"
"""Topics whose names begin so are Kafka's, or this log's own, and no part of it."""

_MASK: Final = (1 << 64) - 1

Result = TypeVar("Result")


class Catalogue:
    """The topics of one namespace. Thread-safe.

    Args:
        admin: connected.
        address: namespace and replication.
        changed: called with a topic's name when it was found to have gone or been made again.
    """

    def __init__(self, admin: AdminClient, address: Address, changed: Callable[[str], None]) -> None:
        self._admin = admin
        self._address = address
        self._changed = changed
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Standing]] = {}

    def find(self, name: str) -> Standing | None:
        """The topic of that name, or None; as of at most `FRESH_S` ago."""
        known = self._known.get(name)
        if known is not None and time.monotonic() - known[0] < FRESH_S:
            return known[1]
        with self._lock:
            asked = time.monotonic()
            [found] = self._describe([name])
            for pause_s in DOUBTS_S if known is not None else ():
                if found is not None:
                    break
                time.sleep(pause_s)
                [found] = self._describe([name])
            self._learn(name, found, asked)
        return found

    def need(self, name: str) -> Topic:
        """The topic of that name.

        Raises:
            LogError: `log.topic_missing`.
        """
        found = self.find(name)
        if found is None:
            raise topic_missing(name)
        return found.topic

    def examine(self, topic: Topic) -> list[str]:
        """What of a topic that stands is not as it should be but only costs.

        Raises:
            LogError: `log.topic_conflict`, `log.topic_missing`.
        """
        found = self.find(topic.name)
        if found is None:
            raise topic_missing(topic.name)
        return check_standing(found, topic, self._address)

    def names(self) -> list[str]:
        """Every topic's name in this log, in order."""
        try:
            listed = self._admin.list_topics(timeout=CALL_S).topics
        except KafkaException as error:
            raise fault(error_of(error), "listing topics") from error
        names = [self._address.in_log(name) for name in listed if not name.startswith(INTERNAL)]
        return sorted(name for name in names if name and not name.startswith(INTERNAL))

    def all(self) -> list[Topic]:
        """Every topic, by name."""
        return [found.topic for found in self._describe(self.names()) if found is not None]

    def create(self, topic: Topic, settings: dict[str, str] | None = None) -> Topic:
        """Create the topic, or return the one that stands.

        Args:
            topic: checked already.
            settings: of the topic, beside those it follows.

        Raises:
            LogError: `log.topic_conflict`; `log.unavailable` where the cluster refuses.
        """
        standing = self.find(topic.name)
        if standing is None:
            new = NewTopic(
                self._address.on_cluster(topic.name),
                topic.partitions,
                self._address.replication,
                config=settings_for(topic) | (settings or {}),
            )
            try:
                self._ask(
                    lambda: self._admin.create_topics([new], request_timeout=ASK_S),
                    f"creating topic {new.topic!r}",
                    frozenset(),
                )
            except KafkaException as error:
                if error_of(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise fault(error_of(error), f"creating topic {new.topic!r}", topic=topic.name) from error
            standing = self._await(topic.name)
        check_standing(standing, topic, self._address)
        return standing.topic

    def delete(self, name: str) -> None:
        """Delete the topic.

        Raises:
            LogError: `log.topic_missing`.
        """
        on_cluster = self._address.on_cluster(name)
        try:
            self._ask(
                lambda: self._admin.delete_topics([on_cluster], request_timeout=ASK_S),
                f"deleting topic {on_cluster!r}",
                UNKNOWN_TOPIC,
            )
        except KafkaException as error:
            raise fault(error_of(error), f"deleting topic {on_cluster!r}", topic=name) from error
        finally:
            with self._lock:
                self._known.pop(name, None)
            self._changed(name)
        deadline = time.monotonic() + CALL_S
        while self._describe([name]) != [None] and time.monotonic() < deadline:
            time.sleep(0.01)

    def _ask(self, act: Callable[[], dict[str, Future[None]]], doing: str, done: frozenset[int]) -> None:
        """Have the cluster do something to one topic; asked again where no answer comes, as while the controller moves.

        Args:
            act: asks.
            doing: for the message.
            done: what the cluster answers where an earlier try, whose answer was lost, has done it.

        Raises:
            KafkaException: the cluster refuses.
            LogError: `log.unavailable` where it does not answer.
        """
        deadline, again = time.monotonic() + CALL_S, False
        while True:
            try:
                for future in act().values():
                    future.result(CALL_S)
            except (TimeoutError, KafkaException) as error:
                code = None if isinstance(error, TimeoutError) else error_of(error).code()
                if again and code in done:
                    return
                if code is not None and code not in NO_ANSWER:
                    raise
                if time.monotonic() > deadline:
                    raise LogError(
                        "log.unavailable",
                        f"{doing}: no answer within {CALL_S:g} s; see that the cluster runs",
                    ) from error
                again = True
                # The client waits for a controller that has gone until it is told of another.
                with suppress(KafkaException):
                    self._admin.list_topics(timeout=ASK_S)
            else:
                return

    def _await(self, name: str) -> Standing:
        """A topic just created, once every partition has a leader."""
        deadline = time.monotonic() + CALL_S
        while True:
            with self._lock:
                asked = time.monotonic()
                [found] = self._describe([name], led=True)
                if found is not None:
                    self._learn(name, found, asked)
                    return found
            if time.monotonic() > deadline:
                raise LogError(
                    "log.unavailable", f"topic {name!r} was created, but has no leader after {CALL_S:g} s"
                )
            time.sleep(0.02)

    def _learn(self, name: str, found: Standing | None, asked: float) -> None:
        known = self._known.get(name)
        if known is not None and (found is None or found.topic.id != known[1].topic.id):
            self._changed(name)
        if found is None:
            self._known.pop(name, None)
        else:
            self._known[name] = (asked, found)

    def _describe(self, names: Sequence[str], *, led: bool = False) -> list[Standing | None]:
        """The topics that are there; with `led` those of which each partition has a leader.

        A question goes to one broker; where that is away, it is asked again, perhaps of another.
        """
        deadline = time.monotonic() + CALL_S
        while True:
            try:
                return self._describe_once(names, led=led) if names else []
            except LogError:
                if time.monotonic() > deadline:
                    raise
                # The client waits for a controller that has gone until it is told of another.
                with suppress(KafkaException):
                    self._admin.list_topics(timeout=ASK_S)

    def _describe_once(self, names: Sequence[str], *, led: bool) -> list[Standing | None]:
        wanted = [self._address.on_cluster(name) for name in names]
        described = self._admin.describe_topics(TopicCollection(wanted), request_timeout=ASK_S)
        found = [_or_none(described[name], name) for name in wanted]
        if led:
            found = [
                one if one is not None and all(p.leader for p in one.partitions) else None for one in found
            ]
        standing = [name for name, one in zip(wanted, found, strict=True) if one is not None]
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in standing]
        if not resources:
            return [None] * len(names)
        futures = self._admin.describe_configs(resources, request_timeout=ASK_S)
        settings = {r.name: _or_none(future, r.name) for r, future in futures.items()}
        return [
            _standing(name, one, settings.get(place))
            for name, place, one in zip(names, wanted, found, strict=True)
        ]


def _standing(
    name: str, described: TopicDescription | None, entries: dict[str, ConfigEntry] | None
) -> Standing | None:
    if described is None or entries is None:
        return None
    settings = {key: entry.value for key, entry in entries.items() if entry.value is not None}
    # A topic both compacted and deleted drops rows by key as well: whoever reads it must be ready for that.
    cleanup = "compact" if "compact" in settings["cleanup.policy"] else "delete"
    retention = int(settings["retention.ms"])
    uuid = described.topic_id
    high = uuid.get_most_significant_bits() & _MASK  # type: ignore[attr-defined]  # the stub leaves it out
    low = uuid.get_least_significant_bits() & _MASK  # type: ignore[attr-defined]  # the stub leaves it out
    topic = Topic(
        name,
        len(described.partitions),
        cleanup,  # type: ignore[arg-type]  # one of the two words
        None if cleanup == "compact" or retention < 0 else retention,
        f"{high:016x}{low:016x}",
    )
    return Standing(topic, min(len(partition.replicas) for partition in described.partitions), settings)


def _or_none(future: "Future[Result]", name: str) -> Result | None:
    try:
        return future.result(CALL_S)
    except KafkaException as error:
        if error_of(error).code() in UNKNOWN_TOPIC:
            return None
        raise fault(error_of(error), f"describing topic {name!r}") from error
    except TimeoutError as error:
        raise LogError(
            "log.unavailable", f"describing topic {name!r}: no answer within {CALL_S:g} s"
        ) from error
