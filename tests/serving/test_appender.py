"""Group commit: who waits for what, what is refused, and what one failure does to the others."""

import asyncio
from collections.abc import Iterator

import pytest

from foldline.errors import LogError, RequestError
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Topic
from foldline.serving.appender import Appender
from tests.serving.running import GatedLog

LINE = b'{"type":"tick","time":5}'


@pytest.fixture
def log() -> Iterator[GatedLog]:
    """A log whose commits can be held, with a topic."""
    with GatedLog() as made:
        made.create(Topic("x.events", 2))
        made.create(Topic("y.events"))
        yield made


def _count(log: MemoryLog, topic: str = "x.events", partition: int = 0) -> int:
    return log.offsets(topic, partition)[1]


async def _until_reached(log: GatedLog) -> None:
    assert await asyncio.get_running_loop().run_in_executor(None, log.reached.wait, 30)


def test_what_comes_in_one_turn_is_one_commit(log: GatedLog) -> None:
    """All records of all topics and partitions; what comes meanwhile is the next."""

    async def run() -> Appender:
        appender = Appender(log)
        log.gate.clear()
        first = [appender.put("x.events", i % 2, 5, LINE) for i in range(10)]
        first.append(appender.put("y.events", 0, 5, LINE))
        await _until_reached(log)
        second = [appender.put("x.events", 0, 5 + i, LINE) for i in range(10)]
        assert appender.waiting == 21
        assert not any(group.landed.done() for group in first + second)
        log.gate.set()
        await asyncio.gather(*(group.landed for group in first + second))
        await appender.close()
        return appender

    appender = asyncio.run(run())
    assert (appender.counts.commits, appender.counts.records, appender.waiting) == (2, 21, 0)
    assert (_count(log), _count(log, partition=1), _count(log, "y.events")) == (15, 5, 1)
    assert appender.waiting_bytes == 0


def test_more_than_may_wait_is_refused(log: GatedLog) -> None:
    """By number and by size; what was refused is nowhere."""

    async def run() -> None:
        appender = Appender(log, max_waiting=3, max_waiting_bytes=200)
        log.gate.clear()
        kept = [appender.put("x.events", 0, 5, LINE) for _ in range(3)]
        with pytest.raises(RequestError, match="3 records of 72 bytes wait"):
            appender.put("x.events", 0, 5, LINE)
        with pytest.raises(RequestError):
            appender.put_all("x.events", [(0, 5, LINE)])
        log.gate.set()
        await asyncio.gather(*(group.landed for group in kept))
        log.gate.clear()
        kept = [appender.put("x.events", 0, 5, LINE)]
        with pytest.raises(RequestError, match="overloaded"):
            appender.put("x.events", 0, 5, LINE + b" " * 200)
        log.gate.set()
        await kept[0].landed
        await appender.close()

    asyncio.run(run())
    assert _count(log) == 4


def test_one_request_larger_than_all_that_may_wait_is_taken_alone(log: GatedLog) -> None:
    """Or it would be told to come again for ever."""

    async def run() -> None:
        appender = Appender(log, max_waiting=3, max_waiting_bytes=50)
        await appender.put_all("x.events", [(0, 5, LINE)] * 10).landed
        await appender.close()

    asyncio.run(run())
    assert _count(log) == 10


def test_who_gives_up_does_not_take_others_along(log: GatedLog) -> None:
    """A handler cancelled while its group is under way: the record lands, and the others hear of it."""

    async def run() -> None:
        appender = Appender(log)
        log.gate.clear()

        async def report() -> None:
            await appender.put("x.events", 0, 5, LINE).landed

        tasks = [asyncio.create_task(report()) for _ in range(3)]
        await asyncio.sleep(0)
        await _until_reached(log)
        tasks[1].cancel()
        log.gate.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in done] == [type(None), asyncio.CancelledError, type(None)]
        assert appender.waiting == 0
        await appender.close()

    asyncio.run(run())
    assert _count(log) == 3


def test_a_topic_that_has_gone_fails_alone(log: GatedLog) -> None:
    """Its neighbours in the same commit stand."""

    async def run() -> None:
        appender = Appender(log)
        lost, kept = appender.put("gone.events", 0, 5, LINE), appender.put("x.events", 0, 5, LINE)
        with pytest.raises(LogError, match="gone"):
            await lost.landed
        await kept.landed
        assert (appender.counts.failed, appender.counts.records) == (1, 1)
        await appender.close()

    asyncio.run(run())
    assert _count(log) == 1


def test_a_failing_log_is_told_of_once_and_so_is_its_recovery(caplog: pytest.LogCaptureFixture) -> None:
    """Everyone who waits hears the error; the service's log has two lines, not thousands."""
    caplog.set_level("INFO", "foldline.serving")
    log = MemoryLog()

    async def run() -> None:
        appender = Appender(log)
        for _ in range(20):
            groups = [appender.put("x.events", 0, 5, LINE) for _ in range(5)]
            heard = await asyncio.gather(*(group.landed for group in groups), return_exceptions=True)
            assert {type(each) for each in heard} == {LogError}
        log.create(Topic("x.events"))
        for _ in range(5):
            await appender.put("x.events", 0, 5, LINE).landed
        await appender.close()

    asyncio.run(run())
    assert [r.levelname for r in caplog.records if r.name == "foldline.serving"] == ["ERROR", "INFO"]


def test_closing_commits_what_waits(log: GatedLog) -> None:
    """Also what nobody awaits."""

    async def run() -> None:
        appender = Appender(log)
        for _ in range(100):
            appender.put("x.events", 0, 5, LINE)
        await appender.close()

    asyncio.run(run())
    assert _count(log) == 100


def test_an_error_that_is_none_of_ours_is_the_logs(log: GatedLog) -> None:
    """Whatever the log raises, those who wait hear of it as `log.unavailable`."""

    async def run() -> None:
        appender = Appender(log)
        with pytest.raises(LogError) as caught:
            await appender.put("x.events", "zero", 5, LINE).landed  # type: ignore[arg-type]  # a fault of the caller
        assert caught.value.code == "log.unavailable"
        await appender.close()

    asyncio.run(run())
    assert _count(log) == 0
