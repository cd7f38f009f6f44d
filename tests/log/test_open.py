"""URLs of logs."""

import os
import sys
from pathlib import Path

import pytest

from foldline.errors import LogError, MissingExtra
from foldline.log.memory import MemoryLog
from foldline.log.open import open_log
from foldline.log.protocol import Log, Topic
from foldline.log.sqlite.log import SqliteLog


def test_memory_url_opens_a_new_log() -> None:
    """Two logs in memory share nothing."""
    with open_log("memory://") as one, open_log("memory://") as two:
        one.create(Topic("t"))
        assert isinstance(one, MemoryLog)
        assert two.topics() == []


def test_four_slashes_are_absolute_and_three_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both forms reach the same file, and the log's own URL works from any folder."""
    monkeypatch.chdir(tmp_path)
    with open_log("sqlite:///news.db") as log:
        log.create(Topic("t"))
        url = log.url
    assert url == f"sqlite:///{tmp_path}/news.db"
    assert url.startswith("sqlite:////")
    os.chdir("/")
    with open_log(url) as again:
        assert [topic.name for topic in again.topics()] == ["t"]


def test_logs_are_logs(tmp_path: Path) -> None:
    """Both implementations have every method of the protocol."""
    with MemoryLog() as memory, SqliteLog(tmp_path / "a.db") as file:
        assert isinstance(memory, Log)
        assert isinstance(file, Log)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("news.db", "not a URL"),
        ("", "not a URL"),
        ("postgres://host/db", "'postgres'"),
        ("sqlite://news.db", "three slashes"),
        ("sqlite:///", "not the path"),
        ("sqlite:///:memory:", "not the path"),
        ("sqlite:///a.db?mode=ro", "not the path"),
        ("memory://name", "no name"),
    ],
)
def test_other_urls_are_refused(url: str, says: str) -> None:
    """The error names the URL and the forms that work."""
    with pytest.raises(LogError, match=says) as raised:
        open_log(url)
    assert raised.value.code == "log.url"
    assert repr(url) in str(raised.value)
    assert "sqlite:////absolute" in str(raised.value)


def test_quota_of_a_log_in_memory_is_refused() -> None:
    """A quota that would not hold is not accepted."""
    for url in ("memory://", "kafka://host:9092"):
        with pytest.raises(LogError, match="no quota"):
            open_log(url, max_bytes=10)


def test_kafka_without_its_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said, not that some module is missing."""
    for name in [name for name in sys.modules if name.startswith(("confluent_kafka", "foldline.log.kafka"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(MissingExtra, match=r"foldline\[kafka\]"):
        open_log("kafka://host:9092")
