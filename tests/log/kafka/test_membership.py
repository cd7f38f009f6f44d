"""Static members of a group: one that is started again under its name takes up its share, and disturbs nobody."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from foldline.log.kafka.log import KafkaLog
from foldline.log.open import open_log
from foldline.log.protocol import Log, Share, Topic

Opened = Callable[[str], Log]


@pytest.fixture
def opened(kafka_url: str) -> Iterator[Opened]:
    """Opens the log as a process of that name does, which a busy machine may keep from the group for a while."""
    with ExitStack() as stack:
        with KafkaLog(kafka_url) as log:
            log.create(Topic("t", 4))
        yield lambda name: stack.enter_context(
            open_log(f"{kafka_url}?foldline.instance={name}&session.timeout.ms=30000")
        )


def _await(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold within half a minute."""
    deadline = time.monotonic() + 30
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _count(share: Share) -> int:
    return len(share.partitions() or ())


def _refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [said for said in caplog.messages if "has no use for this member" in said]


def test_who_comes_back_under_its_name_has_its_partitions_again(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    """At once, without a rebalance: the other is not assigned anew."""
    caplog.set_level(logging.INFO, "foldline.log.kafka")
    one, two = (opened(name).share("t", "g", name) for name in ("one", "two"))
    try:
        assert _await(lambda: _count(one) == _count(two) == 2)
        before, kept = one.partitions(), two.partitions()
        assert before is not None
        one.close()
        told = len(caplog.messages)
        again = opened("one").share("t", "g", "one")
        try:
            assert _await(lambda: again.partitions() == before)
            assert two.partitions() == kept
            given = [said for said in caplog.messages[told:] if "the group has given this member" in said]
            assert len(given) == 1, given
        finally:
            again.close()
    finally:
        two.close()


def test_of_two_of_one_name_the_first_works_no_more(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    """The group keeps the newer; the other has no partitions and says what to do, once."""
    first = opened("one").share("t", "g", "one")
    try:
        assert _await(lambda: _count(first) == 4)
        second = opened("one").share("t", "g", "one")
        try:
            assert _await(lambda: _count(second) == 4)
            assert _await(lambda: first.partitions() == frozenset())
            assert _await(lambda: len(_refusals(caplog)) == 1)
            assert "another process has the same foldline.instance" in _refusals(caplog)[0]
        finally:
            second.close()
    finally:
        first.close()
