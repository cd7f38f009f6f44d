"""Every log passes the suite shipped to whoever writes a log."""

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from foldline.log.clock import Clock
from foldline.log.memory import MemoryLog
from foldline.log.open import open_log
from foldline.log.outbox.log import OutboxLog
from foldline.log.protocol import Batch, Log, Row
from foldline.log.sqlite.log import SqliteLog
from foldline.testing import check_log as suite
from foldline.testing.check_log import LOG_CHECKS, check_log
from foldline.testing.log_checks.subject import LogSubject


def sqlite_subject(folder: Path) -> LogSubject:
    """New files in a folder."""
    numbers = count()

    def make(*, clock: Clock) -> Log:
        return SqliteLog(folder / f"{next(numbers)}.db", clock=clock)

    def reopen(log: Log, *, clock: Clock) -> Log:
        return open_log(log.url, clock=clock)

    return LogSubject(make, reopen)


@pytest.mark.parametrize("name", LOG_CHECKS)
def test_memory_log_passes(name: str) -> None:
    """The log in memory does what every log must."""
    assert LOG_CHECKS[name](LogSubject(MemoryLog)) is None


@pytest.mark.parametrize("name", LOG_CHECKS)
def test_sqlite_log_passes(name: str, tmp_path: Path) -> None:
    """The log in a file does what every log must."""
    assert LOG_CHECKS[name](sqlite_subject(tmp_path)) is None


def kafka_subject(url: str, query: str = "") -> LogSubject:
    """New namespaces on a cluster."""
    numbers = count()

    def make(*, clock: Clock) -> Log:
        return open_log(f"{url}-{next(numbers)}{query}", clock=clock)

    def reopen(log: Log, *, clock: Clock) -> Log:
        return open_log(log.url, clock=clock)

    return LogSubject(make, reopen, cleans=False)


@pytest.mark.parametrize("name", LOG_CHECKS)
def test_kafka_log_passes(name: str, kafka_url: str) -> None:
    """The log on a real Apache Kafka does what every log must."""
    assert LOG_CHECKS[name](kafka_subject(kafka_url)) is None


@pytest.mark.parametrize("name", LOG_CHECKS)
def test_kafka_log_passes_by_the_clients_objects(name: str, kafka_url: str) -> None:
    """Where librdkafka itself cannot be reached, messages are read as objects, and nothing else changes."""
    assert LOG_CHECKS[name](kafka_subject(kafka_url, "?foldline.native=false")) is None


def outbox_subject(folder: Path) -> LogSubject:
    """A log with an outbox in front of files that are never away."""
    numbers = count()

    def opened(url: str, clock: Clock) -> Log:
        def cluster() -> Log:
            return open_log(url, clock=clock)

        path = folder / f"outbox-{next(numbers)}.db"
        return OutboxLog(url, path, cluster, mirrored=lambda _: True, probe="t", needs=None, clock=clock)

    def make(*, clock: Clock) -> Log:
        return opened(f"sqlite:///{folder}/{next(numbers)}.db", clock)

    def reopen(log: Log, *, clock: Clock) -> Log:
        return opened(log.url, clock)

    return LogSubject(make, reopen)


@pytest.mark.parametrize("name", LOG_CHECKS)
def test_outbox_log_passes(name: str, tmp_path: Path) -> None:
    """With its cluster there, a log with an outbox is as the cluster's."""
    assert LOG_CHECKS[name](outbox_subject(tmp_path)) is None


def test_check_log_runs_every_check() -> None:
    """The whole suite in one call names what it ran."""
    assert check_log(MemoryLog) == list(LOG_CHECKS)
    assert len(LOG_CHECKS) >= 20


def test_check_log_fails_when_it_collects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty suite is no pass."""
    monkeypatch.setattr(suite, "LOG_CHECKS", {})
    with pytest.raises(AssertionError, match="no checks"):
        check_log(MemoryLog)


class LosesTheLastBatch(MemoryLog):
    """A wrong log: the last of several batches is dropped."""

    def append(self, batches: Sequence[Batch], *, lease: Any = None) -> list[int]:
        """All but the last."""
        return super().append(batches[:-1] or batches, lease=lease)


class CutsNothing(MemoryLog):
    """A wrong log: reads ignore `end`."""

    def read(
        self, topic: str, partition: int, offset: int, *, max_records: int = 1000, end: int | None = None
    ) -> list[Row]:
        """Up to the log's end."""
        return super().read(topic, partition, offset, max_records=max_records)


class AnyLease(MemoryLog):
    """A wrong log: stale leases write."""

    def append(self, batches: Sequence[Batch], *, lease: Any = None) -> list[int]:
        """Whoever asks."""
        return super().append(batches)


class NeverCleans(MemoryLog):
    """A wrong log: retention does nothing."""

    def clean(self) -> int:
        """Nothing."""
        return 0


@pytest.mark.parametrize("wrong", [LosesTheLastBatch, CutsNothing, AnyLease, NeverCleans])
def test_check_log_finds_wrong_logs(wrong: Callable[..., Log]) -> None:
    """A log that breaks a promise does not pass."""
    with pytest.raises(AssertionError):
        check_log(wrong)
