"""What was published about a loop: the header of every bundle, and the newest bundle whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from foldline.engine.findings import Finding
from foldline.engine.restore import rows_from
from foldline.log.protocol import Log, Row
from foldline.loops.bundle import Bundle
from foldline.loops.cut import Cut
from foldline.loops.topics import LoopTopics

_DECODER = msgspec.json.Decoder(Bundle)


@dataclass(frozen=True, slots=True)
class Published:
    """Where a bundle stands, and the prefix it names: all that is kept of a header while bundles are put in order.

    The newest bundle whole is kept as it is, since compaction may drop it meanwhile.
    """

    topic: str
    offset: int
    cut: Cut
    definition: int
    whole: Bundle | None = None


def read_published(log: Log, topics: LoopTopics) -> tuple[list[Published], list[Finding]]:
    """Every header, then the newest bundle whole; and a finding for each record that is no bundle."""
    published: list[Published] = []
    unreadable: list[Finding] = []
    for topic, row in _rows(log, topics):
        try:
            bundle = _DECODER.decode(row.payload)
        except msgspec.MsgspecError as error:
            unreadable.append(_unreadable(topic, row.offset, f"not a bundle: {error}"))
        else:
            whole = bundle if topic == topics.policy else None
            published.append(Published(topic, row.offset, bundle.cut, bundle.definition, whole))
    return published, unreadable


def _rows(log: Log, topics: LoopTopics) -> Iterator[tuple[str, Row]]:
    for row in rows_from(log, topics.bundles, 0, log.offsets(topics.bundles, 0)[0]):
        yield topics.bundles, row
    newest: Row | None = None
    for row in rows_from(log, topics.policy, 0, 0):
        newest = row
    if newest is not None:
        yield topics.policy, newest


def read_again(log: Log, published: Published) -> Bundle:
    """The bundle as published; its hash is not checked."""
    if published.whole is not None:
        return published.whole
    [row] = log.read(published.topic, 0, published.offset, max_records=1)
    return _DECODER.decode(row.payload)


def _unreadable(topic: str, offset: int, note: str) -> Finding:
    return Finding(
        kind="bundle_differs",
        topic=topic,
        partition=0,
        offset=offset,
        subject="",
        logged=None,
        recomputed=None,
        note=note,
    )


def chains(published: Sequence[Published]) -> list[list[Published]]:
    """The bundles in chains along which every partition's offset rises or stays, by first fit.

    One publisher at a time, under a lease, publishes cuts that only rise: one chain, also where it repeats itself or
    another took over. Only cuts that no such publisher made need a second.
    """
    made: list[list[Published]] = []
    for one in sorted(published, key=lambda one: (sum(one.cut), one.cut, one.definition)):
        for chain in made:
            if all(low <= high for low, high in zip(chain[-1].cut, one.cut, strict=True)):
                chain.append(one)
                break
        else:
            made.append([one])
    return made
