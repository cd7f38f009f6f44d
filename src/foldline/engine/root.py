"""The root: a fold's state together with the offset it covers, in one record.

Restoring is: read the newest root, seek to its offset, go on. Highest n wins among equal identities; another
identity is another key. A known half too large for one record, and the pending half always, stand in pages with
unique keys, named with their hashes in the root and appended before it (here in the same atomic append). Pages
whose bytes are those of an earlier page keep that page's key. Replaced pages are tombstoned only several roots
later, so that a reader of an older root still finds them.
"""

import hashlib
from collections import deque
from collections.abc import Collection
from typing import Any

import msgspec

from foldline.engine.identity import Identity
from foldline.errors import FoldError
from foldline.fold.protocol import Dump
from foldline.log.protocol import Batch, Log

INLINE_BYTES = 256 * 1024
"""A known half up to this size stands in the root itself."""

KEPT_ROOTS = 4
"""Pages are tombstoned once this many later roots no longer name them."""


class Page(msgspec.Struct, frozen=True):
    """A page named by a root: its key on the roots topic and the hash of its bytes."""

    key: str
    hash: str


class Root(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="root"):
    """A fold's state at an offset.

    Attributes:
        identity: which fold, over which partition, with which learning parameters.
        n: offset covered by the known half.
        m: offset covered by the pending half, at most n.
        time: when it was written, milliseconds; outside what is compared.
        epoch: lease epoch of its writer; outside what is compared.
        checksum: over identity, n, m and both halves' hashes.
        known: the known half, unless it stands in pages.
        known_pages: pages of the known half, in order.
        pending_pages: pages of the pending half, in order.
    """

    identity: Identity
    n: int
    m: int
    time: int
    epoch: int
    checksum: str
    known: bytes | None = None
    known_pages: list[Page] = []
    pending_pages: list[Page] = []


def page_hash(data: bytes) -> str:
    """32 hex digits of the SHA-256 of a page."""
    return hashlib.sha256(data).hexdigest()[:32]


def root_checksum(root: Root) -> str:
    """32 hex digits over everything compared in a root."""
    content: list[Any] = [
        root.identity,
        root.n,
        root.m,
        page_hash(root.known) if root.known is not None else None,
        [page.hash for page in root.known_pages],
        [page.hash for page in root.pending_pages],
    ]
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:32]


_DECODER = msgspec.json.Decoder(Root)


def decode_root(payload: bytes) -> Root:
    """The root of one line.

    Raises:
        FoldError: `fold.damaged_root` where it does not decode or its checksum differs.
    """
    try:
        root = _DECODER.decode(payload)
    except msgspec.MsgspecError as error:
        raise FoldError("fold.damaged_root", f"decoding a root of {len(payload)} bytes: {error}") from error
    if root_checksum(root) != root.checksum:
        raise FoldError(
            "fold.damaged_root",
            f"the root of {root.identity.text()} at n={root.n} has checksum {root_checksum(root)}, "
            f"its record says {root.checksum}",
        )
    return root


class RootWriter:
    """Writes one fold's roots; remembers its pages so that only changed ones are written."""

    def __init__(self, log: Log, topic: str, identity: Identity, epoch: int) -> None:
        self._log = log
        self._topic = topic
        self._identity = identity
        self._epoch = epoch
        self._pages: dict[str, str] = {}
        self._lasting: dict[str, tuple[Page, int]] = {}
        self._named: deque[set[str]] = deque()
        self._pending: list[Page] = []
        self._m = 0
        self.pending_bytes = 0

    @property
    def standing(self) -> Collection[str]:
        """Names of the lasting pages that stand: a dump need not have them."""
        return self._lasting.keys()

    def resume(self, root: Root | None, orphans: set[str]) -> None:
        """Go on after a restored root: its pages stand already, and orphans go with the pages it replaces."""
        self._named.append(orphans)
        if root is None:
            return
        for page in (*root.known_pages, *root.pending_pages):
            self._pages[page.hash] = page.key
        self._pending, self._m = list(root.pending_pages), root.m
        self._named.append({page.key for page in (*root.known_pages, *root.pending_pages)})

    def batches(self, dump: Dump, n: int, *, time: int, pending: bool) -> list[Batch]:
        """What to append for a root at n: new pages, the root, tombstones of pages long replaced.

        Args:
            dump: the state; its pages are used only with `pending`. Made with `standing`.
            n: offset covered.
            time: milliseconds, for the record's time.
            pending: whether the pending half is written anew, as of n.
        """
        pages: list[tuple[str, bytes]] = []
        known_pages: list[Page] = []
        known: bytes | None = dump.known
        if len(dump.known) > INLINE_BYTES:
            known = None
            parts = [dump.known[i : i + INLINE_BYTES] for i in range(0, len(dump.known), INLINE_BYTES)]
            known_pages = [self._page(part, n, pages) for part in parts]
        if pending:
            sized = [
                self._named_page(dump.lasting.get(place, ""), part, n, pages)
                for place, part in enumerate(dump.pending)
            ]
            self._pending, self._m = [page for page, _ in sized], n
            self.pending_bytes = sum(size for _, size in sized)
        root = Root(
            identity=self._identity,
            n=n,
            m=self._m,
            time=time,
            epoch=self._epoch,
            checksum="",
            known=known,
            known_pages=known_pages,
            pending_pages=self._pending,
        )
        root = msgspec.structs.replace(root, checksum=root_checksum(root))
        batches = [self._batch(key, data, time) for key, data in pages]
        batches.append(self._batch(self._identity.key(), msgspec.json.encode(root), time))
        named = {page.key for page in (*known_pages, *self._pending)}
        batches += [self._batch(key, b"", time) for key in self._replaced(named)]
        return batches

    def _page(self, data: bytes, n: int, pages: list[tuple[str, bytes]]) -> Page:
        digest = page_hash(data)
        key = self._pages.get(digest)
        if key is None:
            # Unique by epoch and offset: a zombie's page can never stand under a key of ours.
            key = f"{self._identity.key()}/{digest}/{self._epoch}-{n}"
            self._pages[digest] = key
            pages.append((key, data))
        return Page(key, digest)

    def _named_page(self, name: str, data: bytes, n: int, pages: list[tuple[str, bytes]]) -> tuple[Page, int]:
        """The page and its size; one that stands already by its name."""
        found = self._lasting.get(name)
        if found is None:
            found = self._page(data, n, pages), len(data)
            if name:
                self._lasting[name] = found
        return found

    def _replaced(self, named: set[str]) -> list[str]:
        if self._named and self._named[-1] == named:
            return []
        self._named.append(named)
        if len(self._named) <= KEPT_ROOTS:
            return []
        gone = self._named.popleft() - set().union(*self._named)
        for digest in [digest for digest, key in self._pages.items() if key in gone]:
            del self._pages[digest]
        for name in [name for name, (page, _) in self._lasting.items() if page.key in gone]:
            del self._lasting[name]
        return sorted(gone)

    def _batch(self, key: str, payload: bytes, time: int) -> Batch:
        return Batch(self._topic, self._identity.partition, payload, 1, time, time, key.encode())
