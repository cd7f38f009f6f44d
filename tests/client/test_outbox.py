"""The outbox against a model: whatever fails, each event is taken in once and in order."""

import contextlib
import json
import tempfile
import threading
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.client.courier import Courier
from foldline.client.outbox import PLACEHOLDER, Outbox
from foldline.errors import FoldlineError, RequestError


class Receiver:
    """The service's rule for numbered events, as docs/http-api.md states it."""

    def __init__(self) -> None:
        self.next: dict[str, int] = {}
        self.taken: list[int] = []

    def take(self, body: bytes) -> int | None:
        """The next number expected, or None for a gap."""
        request = json.loads(body)
        name, first, events = request["outbox"], request["first"], request["events"]
        expected = self.next.get(name, 0)
        if first > expected:
            return None
        self.taken += [event["n"] for event in events[expected - first :]]
        self.next[name] = max(expected, first + len(events))
        return self.next[name]


step = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 5)),
    st.tuples(st.just("deliver"), st.just(0)),
    st.tuples(st.just("lose the answer"), st.just(0)),
    st.tuples(st.just("reopen"), st.just(0)),
    st.tuples(st.just("replace the log"), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(step, max_size=40), durability=st.sampled_from(["durable", "fast"]))
def test_every_event_once_and_in_order(steps: list[tuple[str, int]], durability: str) -> None:
    """Random appends, deliveries, lost answers, restarts; a log replaced loses only what had been answered."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "app.db")
        receiver = Receiver()
        answered: list[int] = []
        appended = 0

        def open_outbox() -> Outbox:
            return Outbox(path, "news", durability="fast" if durability == "fast" else "durable")

        def deliver(*, lost: bool) -> None:
            held = outbox.next_batch()
            if held is None:
                return
            expects = receiver.take(held.body())
            if lost:
                unanswered.append(held)
            elif expects is None or expects != held.number + len(held.lines):
                assert replaced or unanswered
                outbox.begin_again(held)
            else:
                answered.extend(json.loads(line)["n"] for line in held.lines)
                assert outbox.settle(held, time=0)
                unanswered.clear()

        outbox = open_outbox()
        replaced = False
        unanswered: list[object] = []
        for what, count in steps:
            if what == "append":
                for _ in range(count):
                    outbox.append(b'{"n":%d}' % appended)
                    appended += 1
            elif what == "reopen":
                outbox.close()
                outbox = open_outbox()
            elif what == "replace the log":
                receiver.next.clear()
                receiver.taken = list(answered)
                replaced = True
                unanswered.clear()
            else:
                deliver(lost=what == "lose the answer")
        for _ in range(3):
            deliver(lost=False)
        counts = outbox.counts()
        outbox.close()
        assert counts.waiting == 0
        assert receiver.taken == list(range(appended))
        assert counts.delivered == appended


def test_appends_of_threads_are_each_kept_once(tmp_path: Path) -> None:
    """Group commit: every call that returned is in the file, each line whole."""
    outbox = Outbox(str(tmp_path / "app.db"), "news")
    started = threading.Barrier(8)

    def work(thread: int) -> None:
        started.wait()
        for i in range(25):
            outbox.append(b'{"n":%d}' % (thread * 25 + i))

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = outbox.next_batch()
    assert held is not None
    numbers = [json.loads(line)["n"] for line in held.lines]
    assert sorted(numbers) == list(range(200))
    for number in range(8):
        own = [n for n in numbers if n // 25 == number]
        assert own == sorted(own)
    outbox.close()


def test_two_share_a_file_and_one_delivers(tmp_path: Path) -> None:
    """Both append, in one numbering; the right to deliver is one's until it gives it up."""
    path = str(tmp_path / "app.db")
    first, second = Outbox(path, "news"), Outbox(path, "news")
    for n in range(6):
        (first, second)[n % 2].append(b'{"n":%d}' % n)
    held = second.next_batch()
    assert held is not None
    assert [json.loads(line)["n"] for line in held.lines] == list(range(6))
    one, other = Courier(path), Courier(path)
    assert one.take()
    assert one.take()
    assert not other.take()
    one.give_up()
    assert other.take()
    assert first.settle(held, time=0)
    assert not second.settle(held, time=0)
    assert second.counts().delivered == 6
    other.give_up()
    first.close()
    second.close()


def test_full_is_refused_not_dropped(tmp_path: Path) -> None:
    """A full outbox refuses; what was delivered makes room."""
    outbox = Outbox(str(tmp_path / "app.db"), "news", max_events=3)
    for n in range(3):
        outbox.append(b'{"n":%d}' % n)
    with pytest.raises(RequestError) as raised:
        outbox.append(b"{}")
    assert (raised.value.code, raised.value.value) == ("edge.full", 3)
    held = outbox.next_batch(2)
    assert held is not None
    outbox.settle(held, time=0)
    outbox.append(b'{"n":3}')
    assert outbox.counts().waiting == 2
    outbox.close()


def test_refused_events_are_kept_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals stand beside the outbox, the newest of them."""
    monkeypatch.setattr("foldline.client.outbox.MOST_REFUSED", 2)
    outbox = Outbox(str(tmp_path / "app.db"), "news")
    for n in range(4):
        outbox.append(b'{"n":%d}' % n)
    held = outbox.next_batch()
    assert held is not None
    outbox.settle(held, [(i, "input.invalid", f"no {i}") for i in (0, 1, 3)], time=7)
    assert [(r.message, r.event) for r in outbox.refused()] == [("no 1", b'{"n":1}'), ("no 3", b'{"n":3}')]
    assert outbox.counts() == (0, 1, 3, 0)
    outbox.close()


def test_an_event_no_request_carries_keeps_its_number(tmp_path: Path) -> None:
    """It is given up and a placeholder is sent in its place."""
    outbox = Outbox(str(tmp_path / "app.db"), "news")
    outbox.append(b'{"n":0}')
    outbox.append(b'{"n":1}')
    held = outbox.next_batch(1)
    assert held is not None
    outbox.blank(held, "http.too_large", "too large", time=7)
    after = outbox.next_batch()
    assert after is not None
    assert after.lines == [PLACEHOLDER, b'{"n":1}']
    assert outbox.refused()[0].event == b'{"n":0}'
    outbox.close()


def test_a_batch_fits_a_request(tmp_path: Path) -> None:
    """At most 500 events and 800 kB go at once, one event always does."""
    outbox = Outbox(str(tmp_path / "app.db"), "news", durability="fast")
    for _ in range(3):
        outbox.append(b'"' + b"x" * 390_000 + b'"')
    held = outbox.next_batch()
    assert held is not None
    assert len(held.lines) == 2
    assert len(held.body()) < 1_000_000
    outbox.close()


def test_fast_has_on_disk_what_it_sends(tmp_path: Path) -> None:
    """Before a number is sent it is synced, so that a machine's crash cannot give it to another event."""
    path = str(tmp_path / "app.db")
    outbox = Outbox(path, "news", durability="fast")
    outbox.append(b"{}")
    assert outbox.next_batch() is not None
    connection = apsw.Connection(path)
    assert connection.execute("SELECT sent FROM outbox").fetchall() == [(1,)]
    connection.close()
    outbox.close()


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A file of something else, of another loop, or in no folder is not written to."""
    text = tmp_path / "notes.txt"
    text.write_text("my notes, which are longer than nothing\n" * 50)
    other = tmp_path / "other.db"
    with contextlib.closing(apsw.Connection(str(other))) as connection:
        connection.execute("CREATE TABLE mine (x)")
    mine = str(tmp_path / "app.db")
    Outbox(mine, "news").close()
    for path, loop, code in (
        (str(text), "news", "edge.not_an_outbox"),
        (str(other), "news", "edge.not_an_outbox"),
        (mine, "posts", "edge.not_an_outbox"),
        (str(tmp_path / "nowhere" / "app.db"), "news", "edge.unavailable"),
    ):
        with pytest.raises(FoldlineError) as raised:
            Outbox(path, loop)
        assert raised.value.code == code
    assert text.read_text().startswith("my notes")


def test_closed_is_closed() -> None:
    """An outbox in memory goes with its closing; afterwards it refuses."""
    outbox = Outbox(None, "news")
    outbox.append(b"{}")
    assert outbox.counts().waiting == 1
    outbox.close()
    outbox.close()
    with pytest.raises(RequestError) as raised:
        outbox.append(b"{}")
    assert raised.value.code == "edge.closed"
