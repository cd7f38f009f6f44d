"""The settings of clients, on which the log's promises and its speed rest."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from foldline.log.kafka.address import Address, parse_address
from foldline.log.kafka.clients import Clients
from foldline.records.hashing import partition_of
from tools.kafka.sharing import Shared


class _Noting(Clients):
    """Makes clients as ever, and notes the settings of each."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.made: list[dict[str, Any]] = []

    def _make(self, kind: Callable[..., Any], settings: dict[str, Any]) -> Any:
        self.made.append(settings)
        return super()._make(kind, settings)


@pytest.fixture
def clients(broker: Shared) -> _Noting:
    """Of a cluster that somebody wants slow and careless."""
    rest = f"{broker.bootstrap}/shop?fetch.wait.max.ms=50&foldline.instance=learner-1"
    return _Noting(parse_address(f"kafka://{rest}", rest))


def test_whoever_reads_sees_committed_records_from_where_it_says(clients: _Noting) -> None:
    """An offset that is gone is an error, never a start somewhere else; a full queue is looked at again soon."""
    clients.consumer().close()
    clients.fetcher().close()
    assert len(clients.made) == 2
    for settings in clients.made:
        promised = {
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "allow.auto.create.topics": None,
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 5_000,
            "fetch.wait.max.ms": "50",
        }
        assert {name: settings.get(name) for name in promised} == promised


def test_whoever_appends_is_acknowledged_by_all_in_sync(clients: _Noting) -> None:
    """Idempotently, with a transactional id or without."""
    clients.producer()
    clients.producer("shop.one")
    for settings, id in zip(clients.made, (None, "shop.one"), strict=True):
        assert (settings["acks"], settings["enable.idempotence"]) == ("all", True)
        assert settings.get("transactional.id") == id


def test_members_are_static_where_they_have_a_name(clients: _Noting, broker: Shared) -> None:
    """All members of a group deal partitions out in the same, eager, way; none reads committed offsets."""
    clients.member("shop.group").close()
    nameless = _Noting(Address(broker.bootstrap))
    nameless.member("shop.group").close()
    for settings, instance in ((clients.made[0], "learner-1"), (nameless.made[0], None)):
        assert settings["partition.assignment.strategy"] == "roundrobin"
        assert (settings["auto.offset.reset"], settings["enable.auto.commit"]) == ("error", False)
        assert settings.get("group.instance.id") == instance


def test_units_stand_where_other_clients_put_their_keys(broker: Shared, kafka_url: str) -> None:
    """The client's `murmur2`, which is the Java client's default, agrees on a real cluster."""
    name = kafka_url.rpartition("/")[2]
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(name, 7)])[name].result(30)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "partitioner": "murmur2"})
    placed: dict[str, int] = {}

    def hear(_error: KafkaError | None, message: Message) -> None:
        placed[(message.key() or b"").decode()] = message.partition() or 0

    for unit in [*(f"user-{n}" for n in range(200)), "ü", "a b", "日本"]:
        producer.produce(name, b"x", unit.encode(), on_delivery=hear)
    assert producer.flush(30) == 0
    assert placed == {unit: partition_of(unit, 7) for unit in placed}
    assert (len(placed), len(set(placed.values()))) == (203, 7)
