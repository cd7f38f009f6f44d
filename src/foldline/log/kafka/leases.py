"""Leases on Kafka: who may write in a role, held against all others by the cluster itself.

A lease is a record on a compacted topic: holder, epoch, expiry, and its **guard**, the transactional id under which
alone it may be changed. The guard of a lease that is held is of the log object that holds it, for leases of that role
(`fold`, of `fold/news`); free leases share one. Everything under leases, changing one or appending under one, is a
transaction of the guard; so who takes a lease that has expired begins transactions as its holder's guard, which fences
the holder for good: its commits fail from then on, also those under way. Having begun, the taker reads the topic to
its end, knows what it finds cannot change any more, and writes itself down. One transaction checks any number of
leases, since a log object that was not fenced knows all of its own. A holder fenced for another lease's sake begins
again, reads what it still holds, and goes on.

A log object has one guard a role, and not one for all: who commits under an id before all partitions have heard of
its last transaction is told to try again later. An append under leases of two roles brings them under one guard, and
there they stay.

Renewing only moves the expiry, which no safety rests on: it is sent without a transaction and without waiting.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from foldline.errors import LeaseLost, LogError
from foldline.log.clock import Clock
from foldline.log.kafka.clients import Clients
from foldline.log.kafka.reader import Reader
from foldline.log.kafka.transactions import Fenced, Outgoing, Transactor
from foldline.log.kafka.writer import Writer
from foldline.log.protocol import Lease
from foldline.log.validation import lease_lost

LEASES: Final = "__foldline.leases"
"""The topic; `topics` leaves it out, as it does Kafka's own."""

SETTINGS: Final = {"segment.bytes": str(4 << 20), "min.cleanable.dirty.ratio": "0.1"}
"""Renewals are many and small; who opens the log reads them all."""

SETTLE_S: Final = 3.0
"""How long a taker waits for other takers' transactions."""

_TRIES: Final = 5


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A lease as it stands on the topic.

    Attributes:
        name: of the lease; the key.
        holder: empty where it was given up.
        epoch: raised by every taking.
        turn: raised by every change but a renewal; of two records with one epoch and turn the later expiry holds.
        expires: milliseconds.
        guard: transactional id under which it is changed; empty for the shared one of free leases.
    """

    name: str
    holder: str
    epoch: int
    turn: int
    expires: int
    guard: str


_DECODER = msgspec.json.Decoder(Held)


class Leases:
    """The leases of one log object. Thread-safe: one thread at a time appends under leases.

    Args:
        clients: makes producers.
        reader: reads the topic.
        writer: sends renewals.
        create: creates the topic where it is not there.
        id: of this log object; begins its guards.
        clock: the log's.
    """

    def __init__(
        self,
        clients: Clients,
        reader: Reader,
        writer: Writer,
        create: Callable[[], None],
        id: str,
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._reader = reader
        self._writer = writer
        self._create = create
        self._clock = clock
        self._topic = clients.address.on_cluster(LEASES)
        self._lock = threading.RLock()
        self._id = id
        self._own: dict[str, Transactor] = {}
        self._free = Transactor(clients, clients.address.on_cluster("foldline.free-leases"))
        self._position = 0
        self._table: dict[str, Held] = {}
        self._stands = False

    def acquire(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        """See `Log.acquire`."""
        with self._lock:
            self._ensure()
            self._catch_up()
            held = self._table.get(name)
            if held is not None and held.holder == holder and held.guard in self._own:
                return self._renew(held, ttl_ms)
            self._refresh()
            return self._take(name, holder, ttl_ms)

    def release(self, leases: Sequence[Lease]) -> None:
        """See `Log.release`. One transaction for each guard."""
        with self._lock:
            self._ensure()
            for _ in range(_TRIES):
                self._refresh()  # after a change it waits until others can see it
                names = [lease.name for lease in leases if _is_of(self._table.get(lease.name), lease)]
                if not names:
                    return
                held = [self._table[name] for name in names]
                for guard in {each.guard for each in held}:
                    self._change([(each, _free(each)) for each in held if each.guard == guard])

    def append(self, messages: list[Outgoing], leases: Sequence[Lease]) -> list[int]:
        """All messages or none, while every lease is the newest of its name.

        Raises:
            LeaseLost: one is not; nothing was written.
            LogError: `log.unavailable`.
        """
        with self._lock:
            self._ensure()
            guard = self._guard_for(leases)
            for _ in range(_TRIES):
                self._settle(guard)
                for lease in leases:
                    self._check(lease, guard)
                if guard.is_fresh:
                    continue
                if not messages:
                    return []
                try:
                    return guard.commit(messages)
                except Fenced:
                    continue
            raise LogError("log.unavailable", f"appending under {leases!r}: others take leases all the time")

    def close(self) -> None:
        """Let the producers go."""
        with self._lock:
            for guard in (*self._own.values(), self._free):
                guard.stop()

    def _check(self, lease: Lease, guard: Transactor) -> None:
        """Refuse a lease that is not the newest; one held under another guard is taken over from it."""
        for _ in range(_TRIES):
            held = self._table.get(lease.name)
            if not _is_of(held, lease):
                self._refresh()
                held = self._table.get(lease.name)
            if held is None or not _is_of(held, lease):
                newest, holder = (0, "") if held is None else (held.epoch, held.holder)
                raise LeaseLost(lease_lost(lease, newest, holder))
            moved = msgspec.structs.replace(held, guard=guard.id, turn=held.turn + 1)
            if held.guard == guard.id or self._change([(held, moved)]):
                return
        raise LogError("log.unavailable", f"lease {lease.name!r} goes to and fro between log objects")

    def _renew(self, held: Held, ttl_ms: int) -> Lease:
        renewed = msgspec.structs.replace(held, expires=self._clock() + ttl_ms)
        self._table[held.name] = renewed
        self._writer.send(self._topic, _message(renewed))
        return Lease(held.name, held.holder, held.epoch)

    def _take(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        for _ in range(_TRIES):
            held = self._table.get(name)
            now = self._clock()
            if held is None:
                held = Held(name=name, holder="", epoch=0, turn=0, expires=0, guard="")
            elif held.holder not in ("", holder) and held.expires > now:
                return None
            mine = msgspec.structs.replace(
                held,
                holder=holder,
                epoch=held.epoch + (held.holder != holder),
                turn=held.turn + 1,
                expires=now + ttl_ms,
                guard=self._guard_of(name).id,
            )
            if self._change([(held, mine)]):
                return Lease(name, holder, mine.epoch)
        return None

    def _change(self, changes: Sequence[tuple[Held, Held]]) -> bool:
        """Write the next records of leases under the present guard of all; False where one is another by now."""
        transactor = self._guard(changes[0][0])
        try:
            if not self._settle(transactor):
                return False
            if not all(_may_follow(self._table.get(held.name), held, after) for held, after in changes):
                return False
            offsets = transactor.commit([(self._topic, _message(after)) for _, after in changes])
        except Fenced:
            self._refresh()
            return False
        finally:
            if transactor is not self._free and transactor.id not in self._own:
                transactor.stop()
        self._table.update((after.name, after) for _, after in changes)
        self._reader.appended(self._topic, 0, max(offsets))
        return True

    def _guard(self, held: Held) -> Transactor:
        if not held.guard:
            return self._free
        return self._own.get(held.guard) or Transactor(self._clients, held.guard, compresses=False)

    def _guard_of(self, name: str) -> Transactor:
        """Of this log object, for the lease of that name."""
        id = f"{self._id}.{name.partition('/')[0]}"
        if id not in self._own:
            # Most of what is written under leases is ids of states, of which compressing makes nothing less.
            self._own[id] = Transactor(self._clients, id, compresses=False)
        return self._own[id]

    def _guard_for(self, leases: Sequence[Lease]) -> Transactor:
        """For appending under all of these: the one that all have, where they have one of this log object."""
        found = {held.guard for lease in leases if (held := self._table.get(lease.name)) is not None}
        shared = self._own.get(found.pop()) if len(found) == 1 else None
        return shared or self._guard_of(leases[0].name)

    def _settle(self, transactor: Transactor) -> bool:
        """Begin as a guard and know all leases that it guards; False where others' transactions do not end."""
        transactor.start()
        if transactor.is_fresh:
            target = self._reader.written(self._topic, 0)
            deadline = time.monotonic() + SETTLE_S
            while self._reader.ends(self._topic, 0)[1] < target:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.005)
            self._refresh()
            transactor.settled()
        return True

    def _refresh(self) -> None:
        """Read the topic to its end, as the cluster says it."""
        self._reader.ends(self._topic, 0)
        self._catch_up()

    def _catch_up(self) -> None:
        """Read what has come of the topic."""
        while found := self._reader.read(self._topic, 0, self._position, 10_000, None, gaps=True):
            for row in found.rows():
                self._note(row.payload)
            self._position = found.end

    def _note(self, payload: bytes) -> None:
        found = _DECODER.decode(payload)
        known = self._table.get(found.name)
        if known is None or _order(found) > _order(known):
            self._table[found.name] = found

    def _ensure(self) -> None:
        if not self._stands:
            self._create()
            self._stands = True


def _message(held: Held) -> dict[str, object]:
    return {"value": msgspec.json.encode(held), "key": held.name.encode(), "partition": 0}


def _free(held: Held) -> Held:
    return msgspec.structs.replace(held, holder="", expires=0, guard="", turn=held.turn + 1)


def _may_follow(now: Held | None, held: Held, after: Held) -> bool:
    """Whether a lease that is `now` so may become `after`, which was made of `held`."""
    if now is None:
        return True
    # Its holder may have renewed it while it was being taken.
    renewed = now.expires > held.expires and after.epoch > held.epoch
    return (now.epoch, now.turn) == (held.epoch, held.turn) and not renewed


def _is_of(held: Held | None, lease: Lease) -> bool:
    return held is not None and (held.epoch, held.holder) == (lease.epoch, lease.holder)


def _order(held: Held) -> tuple[int, int, int]:
    """The greatest of a lease's records holds."""
    return held.epoch, held.turn, held.expires
