"""Leases between log objects, each as a process would have one: taking one over fences its holder in the cluster."""

from collections.abc import Iterator

import pytest

from foldline.errors import LeaseLost
from foldline.log.kafka.log import KafkaLog
from foldline.log.protocol import Batch, Lease, Topic
from foldline.testing.log_checks.subject import SetClock, lines_of, read_all

Two = tuple[KafkaLog, KafkaLog]


@pytest.fixture
def clock() -> SetClock:
    """The clock of both."""
    return SetClock()


@pytest.fixture
def two(kafka_url: str, clock: SetClock) -> Iterator[Two]:
    """Two log objects on one log, with a topic."""
    with KafkaLog(kafka_url, clock=clock) as one, KafkaLog(kafka_url, clock=clock) as other:
        one.create(Topic("t", 2))
        yield one, other


def _taken(log: KafkaLog, name: str, holder: str) -> Lease:
    lease = log.acquire(name, holder, 10.0)
    assert lease is not None
    return lease


def _batch(line: bytes, partition: int = 0) -> Batch:
    return Batch("t", partition, line, 1, 5, 5)


@pytest.mark.parametrize("other_role", ["role", "kept"])
def test_a_taker_fences_the_holder(two: Two, clock: SetClock, other_role: str) -> None:
    """The holder's next append fails; what it holds besides it goes on with."""
    one, other = two
    first, kept = _taken(one, "role/a", "one"), _taken(one, f"{other_role}/b", "one")
    one.append([_batch(b"a")], lease=first)
    assert other.acquire("role/a", "other", 10.0) is None
    clock.now += 10_000
    second = _taken(other, "role/a", "other")
    assert second.epoch == 2
    with pytest.raises(LeaseLost):
        one.append([_batch(b"stale")], lease=first)
    one.append([_batch(b"b")], lease=kept)
    other.append([_batch(b"c")], lease=second)
    with pytest.raises(LeaseLost):
        one.append([_batch(b"stale")], lease=[kept, first])
    assert lines_of(read_all(one, "t")) == [b"a", b"b", b"c"]


def test_a_transaction_under_way_is_ended_by_the_taker(two: Two, clock: SetClock) -> None:
    """A holder stopped inside a commit holds nobody up: what it wrote is gone, and the next is read at once."""
    one, other = two
    first = _taken(one, "role", "one")
    one.append([_batch(b"a")], lease=first)
    [guard] = one._leases._own.values()
    producer = guard._producer
    assert producer is not None
    producer.begin_transaction()
    producer.produce(f"{one.url.rpartition('/')[2]}.t", b"torn", partition=0)
    assert producer.flush(30) == 0
    clock.now += 10_000
    second = _taken(other, "role", "other")
    other.append([_batch(b"b")], lease=second)
    assert lines_of(read_all(other, "t")) == [b"a", b"b"]
    guard.stop()
    with pytest.raises(LeaseLost):
        one.append([_batch(b"stale")], lease=first)


def test_renewals_are_seen_by_others(two: Two, clock: SetClock) -> None:
    """A renewed lease cannot be taken when it would have expired; released it can, at once."""
    one, other = two
    first = _taken(one, "role", "one")
    clock.now += 9_000
    assert _taken(one, "role", "one") == first
    one.append([_batch(b"a")], lease=first)
    clock.now += 9_000
    assert other.acquire("role", "other", 10.0) is None
    one.release(first)
    assert _taken(other, "role", "other").epoch == 2


def test_several_objects_that_want_free_leases_get_one_each(two: Two) -> None:
    """However they race for the guard of what is free, no lease has two holders."""
    one, other = two
    for n in range(6):
        logs = (one, other) if n % 2 else (other, one)
        got = [log.acquire(f"role-{n}", holder, 10.0) for log, holder in zip(logs, "ab", strict=True)]
        assert [lease is not None for lease in got] == [True, False]


def test_a_lease_moves_with_its_holder(two: Two) -> None:
    """The same holder through another log object renews, and appends; the first object fetches it back when asked."""
    one, other = two
    lease = _taken(one, "role", "me")
    assert _taken(other, "role", "me") == lease
    other.append([_batch(b"a")], lease=lease)
    one.append([_batch(b"b")], lease=lease)
    other.append([_batch(b"c")], lease=lease)
    assert lines_of(read_all(one, "t")) == [b"a", b"b", b"c"]


def test_roles_have_guards_of_their_own(two: Two, clock: SetClock) -> None:
    """Who takes a lease of one role leaves the holder's transactions in another alone; one append may be under both."""
    one, other = two
    root, bundle = _taken(one, "fold/p", "one"), _taken(one, "publish/p", "one")
    one.append([_batch(b"a")], lease=root)
    one.append([_batch(b"b")], lease=bundle)
    publishing = one._leases._guard_of("publish/p")
    assert publishing is not one._leases._guard_of("fold/p")
    producer = publishing._producer
    clock.now += 10_000
    taken = _taken(other, "fold/p", "other")
    one.append([_batch(b"c")], lease=bundle)
    assert publishing._producer is producer
    with pytest.raises(LeaseLost):
        one.append([_batch(b"stale")], lease=[bundle, root])
    other.append([_batch(b"d")], lease=[taken, _taken(other, "publish/p", "other")])
    with pytest.raises(LeaseLost):
        one.append([_batch(b"stale")], lease=bundle)
    assert lines_of(read_all(one, "t")) == [b"a", b"b", b"c", b"d"]
