"""Output records on the log: each carries where it comes from, so that whoever reads them can drop repeats.

The engine appends two fields to each line that a fold returned, the last two of the record: `time`, when it was
appended, and `source`, its identity: which fold, and the place of the record it follows from. Places are numbered by
the log's offsets: `index` counts the outputs of one offset, whether it holds one record or a packed message of many.
A worker reads messages whole, so the numbers are the same for batches of any size and after any restart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.engine.identity import Identity
from foldline.fold.outputs import Outputs
from foldline.log.block import Block
from foldline.log.protocol import Batch
from foldline.records.newlines import count_newlines
from foldline.records.weaving import integers, same, weave_in_parts
from foldline.records.woven import Woven

BATCH_BYTES: Final = 1 << 20
"""A batch of outputs is closed once it holds so many bytes."""

Int64s = npt.NDArray[np.int64]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where an output comes from: its identity.

    Attributes:
        fold: the fold's name.
        key: the fold's identity, 32 hex digits: another version, other parameters or another partition have
            another. Outputs of one key rise by offset and index.
        topic: topic the fold reads.
        partition: partition it reads; the output stands on the partition of the same number.
        offset: offset of the record it follows from.
        index: which of the outputs of that offset, from 0.
    """

    fold: str
    key: str
    topic: str
    partition: int
    offset: int
    index: int


@dataclass(frozen=True, slots=True)
class Numbered:
    """Outputs of a batch with their numbers, waiting to be appended.

    Attributes:
        outputs: as the fold returned them, at least one.
        offsets: (n,) of the records they follow from.
        indexes: (n,) within their offset.
    """

    outputs: Outputs
    offsets: Int64s
    indexes: Int64s


def number(outputs: Outputs, block: Block) -> Numbered:
    """Number the outputs of a batch that was read as this block. O(rows + outputs).

    Example:
        >>> from foldline.log.block import block_of
        >>> from foldline.log.protocol import Row
        >>> rows = [Row(5, 2, b"a\\nb", 0, 0), Row(9, 2, b"c\\nd", 0, 0, packed=True)]
        >>> made = number(Outputs(b"{}\\n{}\\n{}\\n{}", np.array([0, 1, 2, 3])), block_of(rows))
        >>> made.offsets.tolist(), made.indexes.tolist()
        ([5, 6, 9, 9], [0, 0, 0, 1])
    """
    places = block.places()
    ends = np.cumsum(places.counts)
    at = np.searchsorted(ends, outputs.rows, side="right")
    within = outputs.rows - (ends - places.counts)[at]
    within[places.packed[at]] = 0
    offsets: Int64s = places.offsets[at] + within
    # Outputs of one offset stand together: its index counts from the first of them.
    firsts = np.flatnonzero(np.diff(offsets, prepend=offsets[0] - 1))
    lengths = np.diff(firsts, append=len(offsets))
    indexes: Int64s = np.arange(len(offsets), dtype=np.int64) - np.repeat(firsts, lengths)
    return Numbered(outputs, offsets, indexes)


def output_batches(waiting: Sequence[Numbered], topic: str, identity: Identity, *, time: int) -> list[Batch]:
    """What to append for outputs, in order. O(bytes).

    Args:
        waiting: outputs of batches that were folded one after another, at least one.
        topic: where to.
        identity: of the fold.
        time: milliseconds, stamps them.
    """
    fold, key, name = map(msgspec.json.encode, (identity.fold, identity.key(), identity.topic))
    head = b',"time":%d,"source":{"fold":%b,"key":%b,' % (time, fold, key)
    tail = head + b'"topic":%b,"partition":%d,"offset":' % (name, identity.partition)
    offsets = np.concatenate([part.offsets for part in waiting])
    indexes = np.concatenate([part.indexes for part in waiting])
    first = waiting[0].outputs.lines
    lines = (
        first
        if len(waiting) == 1 and isinstance(first, Woven)
        else Woven.of(b"\n".join([part.outputs.text() for part in waiting]))
    )
    among = {
        place: b'%b%b%d,"index":%d}}' % (line[:-1], tail, offsets[place], indexes[place])
        for place, line in lines.among.items()
    }
    if among:
        places = list(among)
        offsets, indexes = np.delete(offsets, places), np.delete(indexes, places)
    strands = lines.closed(
        [same(tail), integers(offsets), same(b',"index":'), integers(indexes), same(b"}}")],
        among,
    )
    return [
        Batch(topic, identity.partition, payload, count_newlines(payload) + 1, time, time)
        for payload in weave_in_parts(strands, BATCH_BYTES)
    ]


_SOURCE = msgspec.json.Decoder(Source)


class _HasSource(msgspec.Struct):
    source: Source | None = None


_RECORD = msgspec.json.Decoder(_HasSource)


def source_of(line: bytes) -> Source | None:
    """The source of an output record; None for a record that has none, as another program's.

    Example:
        >>> source_of(b'{"type":"seen","id":"a"}') is None
        True
    """
    _, found, last = line.rpartition(b',"source":')
    if found:
        try:
            return _SOURCE.decode(last[:-1])
        except msgspec.MsgspecError:
            pass  # written by another program, with its fields in another order
    try:
        return _RECORD.decode(line).source
    except msgspec.MsgspecError:
        return None
