"""Leases, threads and closing."""

import threading
import time
from collections.abc import Callable

from foldline.errors import FoldlineError
from foldline.log.protocol import Lease, Share, Topic
from foldline.log.shares import LOOK_MS
from foldline.testing.log_checks.subject import (
    WAKE_S,
    LogSubject,
    SetClock,
    appended,
    batch_of,
    equal,
    expect,
    lines_of,
    open_new,
    read_all,
    refused,
    taken,
)


def a_stale_lease_writes_nothing(subject: LogSubject) -> None:
    """Taking a lease raises its epoch; who holds an older one writes nothing."""
    clock = SetClock()
    with open_new(subject, clock) as log:
        log.create(Topic("t"))
        first = taken(log, "role", "one")
        equal(first, Lease("role", "one", 1), "first lease")
        equal(log.acquire("role", "two", 10.0), None, "lease of another while held")
        equal(taken(log, "role", "one"), first, "renewed lease")
        clock.now += 9_999
        equal(log.acquire("role", "two", 10.0), None, "lease of another just before expiry")
        clock.now += 1
        appended(log, [batch_of("t", [b"a"])], first)
        second = taken(log, "role", "two")
        equal(second.epoch, 2, "epoch after expiry")
        stale = batch_of("t", [b"stale"])
        refused(
            "log.lease_lost", lambda: log.append([stale, stale], lease=first), "append with a stale lease"
        )
        refused("log.lease_lost", lambda: log.append([], lease=first), "empty append with a stale lease")
        made_up = Lease("none", "x", 1)
        refused(
            "log.lease_lost", lambda: log.append([stale], lease=made_up), "append with a lease never taken"
        )
        appended(log, [batch_of("t", [b"b"])], second)
        other = taken(log, "elsewhere", "one")
        equal(other.epoch, 1, "epoch of another role")
        both = batch_of("t", [b"c"])
        appended(log, [both], [other, second])
        refused(
            "log.lease_lost", lambda: log.append([both], lease=[other, first]), "append with one stale of two"
        )
        equal(lines_of(read_all(log, "t")), [b"a", b"b", b"c"], "records after the refusals")


def leases_are_released(subject: LogSubject) -> None:
    """Released leases are free at once, with a higher epoch; a stale one releases nothing."""
    with open_new(subject) as log:
        log.create(Topic("t"))
        first = taken(log, "role", "one")
        log.release(first)
        refused(
            "log.lease_lost", lambda: log.append([batch_of("t", [b"a"])], lease=first), "append after release"
        )
        second = taken(log, "role", "two")
        equal(second.epoch, 2, "epoch after release")
        log.release(first)
        equal(log.acquire("role", "one", 10.0), None, "lease after a stale release")
        log.release(second)
        equal(taken(log, "role", "two").epoch, 3, "epoch of the same holder after its release")
        newest, other = taken(log, "role", "two"), taken(log, "elsewhere", "two")
        log.release(first, newest, other)
        freed = [taken(log, name, "three").epoch for name in ("role", "elsewhere")]
        equal(freed, [4, 2], "epochs after a release of two together with a stale one")
        equal(taken(log, "role", "three").epoch, 4, "epoch after renewing")
        log.release()
        for name, holder, ttl_s in (
            ("", "h", 1.0),
            ("n", "", 1.0),
            ("n", "h", 0.0),
            ("n", "h", float("nan")),
        ):
            request = (name, holder, ttl_s)
            refused("input.invalid", lambda request=request: log.acquire(*request), f"lease {request}")  # type: ignore[misc]  # bound per turn


def wait_wakes_on_append(subject: LogSubject) -> None:
    """Waiting ends at an append of another thread, at once where the end is passed already, or at the timeout."""
    with open_new(subject) as log:
        log.create(Topic("t", 2))
        log.append([batch_of("t", [b"a"])])
        equal(log.wait({("t", 0): 0}, 0.0), True, "waiting for what is there")
        equal(log.wait({("t", 0): 1, ("t", 1): 0}, 0.01), False, "waiting for what does not come")
        woken: list[bool] = []
        ready = threading.Event()

        def follow() -> None:
            ready.set()
            woken.append(log.wait({("t", 0): 1, ("t", 1): 0}, WAKE_S))

        thread = threading.Thread(target=follow)
        thread.start()
        ready.wait(WAKE_S)
        log.append([batch_of("t", [b"b"], partition=1)])
        thread.join(WAKE_S)
        equal(woken, [True], "what the waiting thread was told")


def concurrent_appends_lose_nothing(subject: LogSubject) -> None:
    """Threads that append at once lose nothing; each thread's own records keep their order and get their offsets."""
    threads, appends = 6, 40
    failures: list[BaseException] = []
    with open_new(subject) as log:
        log.create(Topic("t", 2))
        got: dict[bytes, tuple[int, int]] = {}

        def append(writer: int) -> None:
            try:
                for number in range(appends):
                    line = b"%d %d" % (writer, number)
                    got[line] = (number % 2, log.append([batch_of("t", [line], partition=number % 2)])[0])
            except BaseException as error:  # noqa: BLE001 - reported by the checking thread
                failures.append(error)

        workers = [threading.Thread(target=append, args=(n,)) for n in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(WAKE_S)
        equal(failures, [], "errors of the appending threads")
        for partition in (0, 1):
            rows = read_all(log, "t", partition)
            expected = {line: offset for line, (place, offset) in got.items() if place == partition}
            equal({row.payload: row.offset for row in rows}, expected, "offsets answered and found")
            for writer in range(threads):
                own = [row.payload for row in rows if row.payload.startswith(b"%d " % writer)]
                numbers = [int(line.split()[1]) for line in own]
                equal(numbers, list(range(partition, appends, 2)), f"order of thread {writer}")


def a_refused_append_spares_its_neighbours(subject: LogSubject) -> None:
    """Appends that are refused do not fail those that other threads make at the same moment."""
    with open_new(subject) as log:
        log.create(Topic("t"))
        stale = Lease("role", "nobody", 7)
        codes: list[str] = []
        good: list[int] = []

        def refused(call: Callable[[], object]) -> None:
            for _ in range(30):
                try:
                    call()
                except FoldlineError as error:
                    codes.append(error.code)

        def accepted() -> None:
            good.extend(log.append([batch_of("t", [b"good"])])[0] for _ in range(30))

        workers = [
            threading.Thread(
                target=refused, args=(lambda: log.append([batch_of("t", [b"x"])], lease=stale),)
            ),
            threading.Thread(target=refused, args=(lambda: log.append([batch_of("none", [b"x"])]),)),
            threading.Thread(target=accepted),
            threading.Thread(target=accepted),
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(WAKE_S)
        equal(sorted(good), list(range(60)), "offsets of the appends that were right")
        equal(sorted(codes), ["log.lease_lost"] * 30 + ["log.topic_missing"] * 30, "codes of the refused")
        equal(log.offsets("t", 0), (0, 60), "offsets after all")


def a_closed_log_refuses(subject: LogSubject) -> None:
    """After close every call says so, and closing again does nothing."""
    log = open_new(subject)
    log.create(Topic("t"))
    log.close()
    log.close()
    calls: dict[str, Callable[[], object]] = {
        "create": lambda: log.create(Topic("u")),
        "delete": lambda: log.delete("t"),
        "topics": log.topics,
        "topic": lambda: log.topic("t"),
        "append": lambda: log.append([batch_of("t", [b"a"])]),
        "read": lambda: log.read("t", 0, 0),
        "offsets": lambda: log.offsets("t", 0),
        "wait": lambda: log.wait({("t", 0): 0}, 0.0),
        "acquire": lambda: log.acquire("role", "one", 1.0),
        "release": lambda: log.release(Lease("role", "one", 1)),
        "clean": log.clean,
    }
    for name, call in calls.items():
        refused("log.closed", call, f"{name} on a closed log")


def members_share_evenly(subject: LogSubject) -> None:
    """Who is alone has every partition, two have half each, and who leaves gives all back."""
    clock = SetClock()
    with open_new(subject, clock) as log:
        log.create(Topic("t", 4))

        def dealt(shares: list[Share], sizes: list[int]) -> None:
            deadline = time.monotonic() + WAKE_S
            while True:
                clock.now += LOOK_MS
                found = [share.partitions() for share in shares]
                mine = [part for part in found if part is not None]
                if len(mine) == len(shares) and [len(part) for part in mine] == sizes:
                    break
                expect(time.monotonic() < deadline, f"shares of sizes {sizes}, found {found!r}")
                time.sleep(0.01)
            equal(frozenset().union(*mine), frozenset(range(4)), "partitions that are somebody's")

        one = log.share("t", "group", "one")
        dealt([one], [4])
        two = log.share("t", "group", "two")
        dealt([one, two], [2, 2])
        one.reached({0: 1})
        apart = log.share("t", "another group", "three")
        dealt([apart], [4])
        one.close()
        one.close()
        dealt([two], [4])
        two.close()
        apart.close()
