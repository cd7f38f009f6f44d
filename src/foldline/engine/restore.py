"""Restoring a fold's state from the roots topic: highest n among equal identities whose bytes are whole."""

import heapq
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import msgspec

from foldline.engine.identity import Identity
from foldline.engine.reading import columns_of
from foldline.engine.root import Page, Root, decode_root, page_hash
from foldline.errors import FoldError
from foldline.fold.protocol import Dump, Fold
from foldline.log.protocol import Log, Row

State = TypeVar("State")

_logger = logging.getLogger("foldline.engine")

CANDIDATES: Final = 8
"""Roots kept in memory while restoring; an older one is restored from only where all newer ones are damaged."""


class _Reach(msgspec.Struct, gc=False):
    """How far a root reaches; the rest of it is not decoded."""

    n: int
    m: int


_REACH = msgspec.json.Decoder(_Reach)


def rows_from(log: Log, topic: str, partition: int, offset: int, end: int | None = None) -> Iterator[Row]:
    """Every row from an offset to the end, or to `end`."""
    stop = log.offsets(topic, partition)[1] if end is None else end
    while offset < stop:
        rows = log.read(topic, partition, offset, max_records=10_000, end=end)
        if not rows:
            return
        yield from rows
        offset = rows[-1].end


def rows_here(log: Log, topic: str, partition: int, offset: int) -> Iterator[Row]:
    """Every row from an offset on that has come to this process, without asking for the end: for who looks often.

    Rows this log object appended are among them; the newest of others may be missing for a moment, see `Log.read`.
    """
    while rows := log.read(topic, partition, offset, max_records=10_000):
        yield from rows
        offset = rows[-1].end


@dataclass(slots=True)
class Standing:
    """What stands on a partition of a roots topic for one identity.

    Attributes:
        roots: the best whole roots, highest n first; damaged ones were logged and left out.
        pages: the newest bytes of every page by key.
        end: offset up to which was read.
    """

    roots: list[Root] = field(default_factory=list)
    pages: dict[str, bytes] = field(default_factory=dict)
    end: int = 0


def read_standing(log: Log, topic: str, identity: Identity) -> Standing:
    """Read a roots topic once: every key of the identity, and of its roots the best `CANDIDATES`.

    On a log whose offsets leave compacted rows out, in whatever order they were left, only n decides.
    """
    standing, key = Standing(), identity.key().encode()
    best: list[tuple[int, int, int, bytes]] = []
    for row in rows_from(log, topic, identity.partition, 0):
        standing.end = row.end
        name = row.key or b""
        if name == key and row.payload:
            try:
                reach = _REACH.decode(row.payload)
            except msgspec.MsgspecError as error:
                _logger.warning("skipping the root at %s offset %d: %s", topic, row.offset, error)
                continue
            heapq.heappush(best, (reach.n, reach.m, row.offset, row.payload))
            if len(best) > CANDIDATES:
                heapq.heappop(best)
        elif name.startswith(key + b"/"):
            if row.payload:
                standing.pages[name.decode()] = row.payload
            else:
                standing.pages.pop(name.decode(), None)
    for _, _, offset, payload in sorted(best, reverse=True):
        try:
            standing.roots.append(decode_root(payload))
        except FoldError as error:
            _logger.warning("skipping the root at %s offset %d: %s", topic, offset, error)
    return standing


def load_dump(log: Log, topic: str, root: Root, standing: Standing | None = None) -> Dump:
    """Both halves of a root, every page checked against its hash.

    Raises:
        FoldError: `fold.damaged_page`.
    """
    if standing is None and (root.known_pages or root.pending_pages):
        standing = read_standing(log, topic, root.identity)
    pages = standing.pages if standing is not None else {}
    known = root.known
    if known is None:
        known = b"".join(_page(pages, page, root) for page in root.known_pages)
    return Dump(known, [_page(pages, page, root) for page in root.pending_pages])


def _page(pages: Mapping[str, bytes], page: Page, root: Root) -> bytes:
    data = pages.get(page.key)
    if data is None or page_hash(data) != page.hash:
        found = "is not there" if data is None else f"has hash {page_hash(data)}"
        raise FoldError(
            "fold.damaged_page",
            f"page {page.key} of the root of {root.identity.text()} at n={root.n} {found}, "
            f"expected {page.hash}",
        )
    return data


@dataclass(slots=True)
class Restored(Generic[State]):
    """A state ready to go on from offset n.

    Attributes:
        state: both halves as of n.
        n: the offset covered.
        root: where it came from; None when it starts from nothing.
        end: offset of the roots topic up to which was read.
        orphans: keys of pages that no root restored names: left over from roots before, or never finished.
    """

    state: State
    n: int
    root: Root | None
    end: int
    orphans: set[str] = field(default_factory=set)


def restore(log: Log, roots_topic: str, fold: Fold[State], identity: Identity) -> Restored[State]:
    """The newest whole state of this identity, or the empty one.

    The pending half may be older than the known: the records between are read again with learning muted.

    Raises:
        FoldError: `fold.retention_overtook` if the log no longer holds the records needed.
    """
    standing = read_standing(log, roots_topic, identity)
    for root in standing.roots:
        try:
            state = fold.load(load_dump(log, roots_topic, root, standing))
        except FoldError as error:
            _logger.warning("skipping the root at n=%d: %s", root.n, error)
            continue
        _catch_up(log, fold, identity, state, root.m, root.n)
        named = {page.key for page in (*root.known_pages, *root.pending_pages)}
        return Restored(state, root.n, root, standing.end, set(standing.pages) - named)
    _need(log, identity, identity.start)
    return Restored(fold.empty(), identity.start, None, standing.end, set(standing.pages))


def _catch_up(log: Log, fold: Fold[State], identity: Identity, state: State, m: int, n: int) -> None:
    _need(log, identity, m)
    for row in rows_from(log, identity.topic, identity.partition, m, n):
        fold.apply(state, columns_of([row]), muted=True)


def _need(log: Log, identity: Identity, offset: int) -> None:
    first, end = log.offsets(identity.topic, identity.partition)
    if first > offset:
        raise FoldError(
            "fold.retention_overtook",
            f"{identity.text()} needs the log from offset {offset}, which now starts at {first}; "
            "restore the log's beginning or define a new loop",
        )
    if end < offset:
        raise FoldError(
            "fold.topic_replaced",
            f"{identity.text()} has a state up to offset {offset}, but the log ends at {end}",
        )


def dump_bytes(fold: Fold[Any], state: Any) -> bytes:
    """Both halves in one byte string, for comparing states."""
    dump = fold.dump(state)
    return b"\n".join([dump.known, *dump.pending])
