"""What must hold when all is over, named after the anomalies that Jepsen looks for in Kafka."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from foldline.engine.known import KnownStates
from foldline.engine.replay import replay
from foldline.engine.restore import rows_from
from foldline.engine.root import decode_root
from foldline.errors import FoldError
from foldline.fold.counters import Counter as Counters
from foldline.log.protocol import Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from tools.chaos.senders import Sent

_ROOT = b'{"type":"root"'


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check found.

    Attributes:
        check: its name.
        looked_at: how many things.
        found: how many were wrong, and the first of them in words.
    """

    check: str
    looked_at: int
    found: tuple[str, ...]


class _Id(msgspec.Struct):
    id: str = ""


_DECODER = msgspec.json.Decoder(_Id)


def check_all(log: Log, loop: LoopDefinition, sent: Sequence[Sent]) -> list[Verdict]:
    """Every check; each should have found nothing."""
    topic = topics_of(loop).events
    seen: Counter[str] = Counter()
    lost, moved = [], []
    for partition, acknowledged in enumerate(sent):
        at = {row.offset: row.payload for row in rows_from(log, topic, partition, 0)}
        for payload in at.values():
            seen.update(_ids(payload))
        for of, offset, first, count in acknowledged.places:
            wanted = [f"0.{of}.{n:08x}" for n in range(first, first + count)]
            lost += [id for id in wanted if not seen[id]]
            if _ids(at.get(offset, b"")) != wanted:
                moved.append(f"partition {of} offset {offset}")
    events = sum(each.events for each in sent)
    return [
        Verdict("lost write", events, tuple(lost)),
        Verdict("inconsistent offsets", sum(len(each.places) for each in sent), tuple(moved)),
        _duplicates(log, loop, seen),
        _monotonic(log, loop),
        *_same_states(log, loop),
    ]


def _duplicates(log: Log, loop: LoopDefinition, seen: Counter[str]) -> Verdict:
    """Each event counts once, however often it was sent."""
    known = KnownStates(log, loop)
    known.read()
    counted = int(known.merged().counts[Counters.OUTCOMES])
    wrong = [] if counted == len(seen) else [f"{counted} outcomes were counted, {len(seen)} were sent"]
    return Verdict("duplicate", len(seen), tuple(wrong))


def _monotonic(log: Log, loop: LoopDefinition) -> Verdict:
    """No root covers less than an earlier one of its partition and fold."""
    topic, count = topics_of(loop).roots, 0
    newest: dict[str, int] = {}
    wrong = []
    for partition in range(log.topic(topic).partitions):
        for row in rows_from(log, topic, partition, log.offsets(topic, partition)[0]):
            if row.payload.startswith(_ROOT):
                root = decode_root(row.payload)
                key, count = root.identity.key(), count + 1
                if root.n < newest.get(key, 0):
                    wrong.append(f"{key}: {root.n} after {newest[key]}")
                newest[key] = root.n
    return Verdict("non-monotonic state", count, tuple(wrong))


def _same_states(log: Log, loop: LoopDefinition) -> list[Verdict]:
    """Every newest root, and their merge, hold the bytes of one process that folds the same log alone."""
    try:
        alone = replay(log, loop, batch=1_000)
    except FoldError as error:
        return [Verdict("state differs", 0, (str(error),))]
    wrong = tuple(str(each) for each in alone.comparisons if not each.agrees)
    missing = (
        () if len(alone.comparisons) == loop.partitions else (f"only {len(alone.comparisons)} have a root",)
    )
    known, fold = KnownStates(log, loop), loop.fold()
    known.read()
    learnt = fold.dump_known(known.merged())
    merged = fold.dump_known(alone.known)
    differs = () if learnt == merged else (f"{len(learnt)} bytes, alone {len(merged)}",)
    return [
        Verdict("state differs", len(alone.comparisons), (*wrong, *missing)),
        Verdict("merged state differs", 1, differs),
    ]


def _ids(payload: bytes) -> list[str]:
    return [id for id in (_DECODER.decode(line).id for line in _lines(payload)) if id]


def _lines(payload: bytes) -> Iterable[bytes]:
    return filter(None, payload.split(b"\n"))
