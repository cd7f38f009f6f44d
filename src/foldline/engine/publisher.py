"""The publisher: at a cut, merge what the partitions know, compile, append a bundle. One a loop, under a lease.

It reads roots from the log, or takes those about to be appended and is appended with them, all or none; never a
worker's memory. So a bundle covers only what a restart would find again. Nothing is written while no root is.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from foldline.engine.known import KnownStates
from foldline.engine.pacing import paced
from foldline.engine.restore import rows_from
from foldline.log.protocol import Batch, Lease, Log
from foldline.loops.bundle import Bundle, compile_bundle, decode_bundle, encode_bundle, header_of
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.loops.variants import Definitions

PUBLISHING_SHARE = 1 / 3
"""Of the time, for compiling and appending bundles: the more there is to publish, the less often."""


@dataclass(frozen=True, slots=True)
class Edition:
    """A bundle ready to be appended.

    Attributes:
        bundle: it.
        batches: what to append.
        lease: under which.
        least_ms: the pace at which it was due.
        took_ms: how long its making took.
    """

    bundle: Bundle
    batches: list[Batch]
    lease: Lease
    least_ms: float
    took_ms: float


class Publisher:
    """Publishes one loop's bundles while it holds the loop's publishing lease."""

    def __init__(
        self,
        log: Log,
        catalogue: Definitions,
        definition: LoopDefinition,
        holder: str,
        *,
        lease_s: float = 5.0,
    ) -> None:
        self._log = log
        self._catalogue = catalogue
        self._definition = definition
        self._topics = topics_of(definition)
        self._holder = holder
        self._lease_s = lease_s
        self._lease: Lease | None = None
        self._asked_at = 0
        self._published_at = 0
        self._took_ms = 0.0
        self._cut: tuple[int, ...] | None = None
        self.known = KnownStates(log, definition)

    @property
    def publishes(self) -> bool:
        """Whether this process holds the publishing lease."""
        return self._lease is not None

    @property
    def held_back(self) -> bool:
        """Whether roots were newer than the last bundle when last looked, and the pace held it back."""
        return self._lease is not None and any(self.known.cut) and self.known.cut != self._cut

    def redefine(self, definition: LoopDefinition) -> None:
        """Follow a new version; the roots of another fold are read anew."""
        if definition.fold().parameters() != self.known.fold.parameters():
            self.known = KnownStates(self._log, definition)
            self._cut = None
        self._definition = definition

    def step(self, *, now: int, every_ms: int = 20) -> Bundle | None:
        """Publish if a root is newer than the last bundle; the bundle, or None.

        Args:
            now: milliseconds.
            every_ms: time between two bundles, see `paced`; more where one takes long, save for 0.

        Raises:
            LeaseLost: another process publishes by now.
        """
        edition = self.edition((), now=now, every_ms=every_ms)
        if edition is None:
            return None
        began = time.perf_counter()
        self._log.append(edition.batches, lease=edition.lease)
        self.published(edition, 1e3 * (time.perf_counter() - began))
        return edition.bundle

    def edition(self, ahead: Sequence[Batch], *, now: int, every_ms: int) -> Edition | None:
        """The bundle that is due, for the caller to append and call `published`, or None.

        Args:
            ahead: roots that are appended with it, in one; they count as if they stood.
            now: milliseconds.
            every_ms: as of `step`.
        """
        lease = self._owned(now)
        if lease is None:
            return None
        self.known.follow()
        known = self.known.with_roots(ahead) if ahead else self.known
        least_ms = max(every_ms, self._took_ms / PUBLISHING_SHARE) if every_ms else 0
        if not any(known.cut) or known.cut == self._cut or now - self._published_at < least_ms:
            return None
        began = time.perf_counter()
        bundle = self._compile(known, now)
        if bundle is None:
            return None
        batches = self._batches(bundle, now)
        took_ms = 1e3 * (time.perf_counter() - began)
        return Edition(bundle, batches, lease, least_ms, took_ms)

    def published(self, edition: Edition, appending_ms: float = 0.0) -> None:
        """What `edition` gave stands on the log; how long appending it took, where that was for its sake alone."""
        self._cut = edition.bundle.cut
        self._published_at = paced(self._published_at, edition.bundle.time, round(edition.least_ms))
        self._took_ms = edition.took_ms + appending_ms

    def doubt(self) -> None:
        """The lease may be another's by now: ask before the next bundle."""
        self._asked_at = 0

    def close(self) -> None:
        """Give the lease up."""
        if self._lease is not None:
            self._log.release(self._lease)
            self._lease = None

    def _owned(self, now: int) -> Lease | None:
        if not self._asked_at or now - self._asked_at >= self._lease_s * 1000 / 3:
            held = self._lease
            self._lease = self._log.acquire(f"publish/{self._topics.policy}", self._holder, self._lease_s)
            self._asked_at = now
            if self._lease is not None and self._lease != held:
                self._cut = self._last_cut()
        return self._lease

    def _last_cut(self) -> tuple[int, ...] | None:
        """The cut of the newest bundle on the log, if it is of the newest definition."""
        last = newest_bundle(self._log, self._topics.policy)
        if last is None or last.definition != self._definition.version:
            return None
        return last.cut

    def _compile(self, known: KnownStates, now: int) -> Bundle | None:
        parts = known.parts()
        version = max(part.vocabulary.version for part in parts)
        newest = self._catalogue.get(self._definition.name)
        if version == 0 or newest is None or newest.version < version:
            # Nothing is defined yet, or a marker was folded whose definition this catalogue has still to read.
            return None
        definition = self._catalogue.at(self._definition.name, version)
        if definition != self._definition and definition.fold().parameters() != known.fold.parameters():
            # The new fold has only reached an older version's marker; its own is on its way.
            return None
        return compile_bundle(definition, known.cut, parts, time=now)

    def _batches(self, bundle: Bundle, now: int) -> list[Batch]:
        header, whole = encode_bundle(header_of(bundle)), encode_bundle(bundle)
        return [
            Batch(self._topics.bundles, 0, header, 1, now, now),
            Batch(self._topics.policy, 0, whole, 1, now, now, bundle.loop.encode()),
        ]


def newest_bundle(log: Log, topic: str) -> Bundle | None:
    """The newest bundle whole, or None before the first."""
    newest: bytes | None = None
    for row in rows_from(log, topic, 0, 0):
        newest = row.payload
    return decode_bundle(newest) if newest is not None else None
