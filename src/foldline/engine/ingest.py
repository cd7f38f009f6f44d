"""The ingest: copies a source topic's records onto a loop's event topic, keyed by unit, once each.

Several processes may run it for one name; they share the source's partitions, and a lease guards each. `step` is one
deterministic round, so tests drive it by hand; `app` runs it in a thread.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from foldline.engine.copier import Copier, check_same_topic
from foldline.engine.copies import ID_DIGITS
from foldline.engine.defining import read_catalogue
from foldline.engine.ingest_marks import INGESTS, IngestMark, IngestMarks
from foldline.engine.learner import AWAITED_MS
from foldline.errors import LeaseLost, LogError
from foldline.log.protocol import Log, Share, Topic
from foldline.loops.catalogue import Catalogue
from foldline.loops.mapping import RecordMapping
from foldline.loops.reports import Reports
from foldline.loops.topics import topics_of

_logger = logging.getLogger("foldline.engine")

MAX_RECORDS: Final = 5_000
"""Records of one partition copied in one commit."""


@dataclass(frozen=True, slots=True)
class IngestCounts:
    """What an ingest has come to, over the partitions this process owns.

    Attributes:
        partitions: how many those are.
        copied: records copied, since the ingest first began.
        passed: records its condition passed over, and messages without a value.
        dead: records that could not be used.
        left: what is not read yet, in what the source's offsets count.
    """

    partitions: int
    copied: int
    passed: int
    dead: int
    left: int


class Ingest:
    """Copies the partitions of a source that this process owns. Not thread-safe.

    Args:
        log: that takes the copies.
        source: that has the topic; closed by who opened it.
        name: names the ingest on the log.
        mapping: what records become.
        holder: names this process in leases.
        lease_s: a lease lives this long without renewal.
        share: says which partitions to work on; by default those who run this ingest share them evenly.

    Raises:
        LogError: `log.topic_missing`, where the source has no such topic.
        InputError: `input.unknown_loop`.
    """

    def __init__(
        self,
        log: Log,
        source: Log,
        name: str,
        mapping: RecordMapping,
        holder: str,
        *,
        lease_s: float = 5.0,
        share: Share | None = None,
    ) -> None:
        self.name = name
        self.topic: Topic = source.topic(mapping.settings.topic)
        self._log = log
        self._source = source
        self._mapping = mapping
        self._holder = holder
        self._lease_s = lease_s
        self._marks = IngestMarks(log)
        self._catalogue = Catalogue()
        self._reports = self._define()
        log.create(Topic(topics_of(self._reports.definition).dead, self._reports.definition.partitions))
        # Who copies to another log under the same name shares nothing with this one.
        group = f"ingest-{name}-{log.topic(INGESTS).id[:ID_DIGITS]}"
        self._share = share or source.share(self.topic.name, group, holder)
        self._copiers: dict[int, Copier] = {}
        self._renewed = 0

    def step(self, *, now: int, max_records: int = MAX_RECORDS) -> int:
        """One round over the owned partitions; how many records of the source were read.

        Raises:
            FoldError: `fold.retention_overtook`, `fold.topic_replaced`.
            LogError: a log does not answer; call it again.
        """
        mine = self._share.partitions()
        for partition in [each for each in self._copiers if mine is not None and each not in mine]:
            self._copiers.pop(partition).close()
        owned = frozenset(range(self.topic.partitions)) if mine is None else mine
        every = AWAITED_MS if owned - self._copiers.keys() else self._lease_s * 1000 / 3
        if now - self._renewed >= every:
            self._own(owned, now)
        self._reports = self._define()
        read = 0
        for partition, copier in list(self._copiers.items()):
            try:
                read += copier.step(self._reports, now=now, max_records=max_records)
            except LeaseLost:
                _logger.warning("lost %s[%d] to another ingest", self.topic.name, partition)
                del self._copiers[partition]
        self._share.reached({partition: copier.mark.next for partition, copier in self._copiers.items()})
        return read

    def marks(self) -> Mapping[int, IngestMark]:
        """How far the owned partitions were copied."""
        return {partition: copier.mark for partition, copier in self._copiers.items()}

    def counts(self) -> IngestCounts:
        """What was done, and what is left; asks the source for its ends."""
        marks = self.marks()
        ends = {partition: self._source.offsets(self.topic.name, partition)[1] for partition in marks}
        return IngestCounts(
            len(marks),
            sum(mark.copied for mark in marks.values()),
            sum(mark.passed for mark in marks.values()),
            sum(mark.dead for mark in marks.values()),
            sum(max(0, ends[partition] - mark.next) for partition, mark in marks.items()),
        )

    def wait(self, timeout_s: float) -> bool:
        """Until something stands on the source that was not read; False on timeout."""
        ends = {(self.topic.name, partition): mark.next for partition, mark in self.marks().items()}
        return self._source.wait(ends, timeout_s) if ends else False

    def close(self) -> None:
        """Give the leases up and leave the group."""
        for copier in self._copiers.values():
            try:
                copier.close()
            except LogError as error:
                _logger.warning("%s[%d] is free later only: %s", self.topic.name, copier.partition, error)
        self._copiers.clear()
        self._share.close()

    def _define(self) -> Reports:
        read_catalogue(self._log, self._catalogue)
        loop = self._mapping.settings.loop
        return Reports(self._catalogue.one(loop), self._catalogue.actions(loop))

    def _own(self, owned: frozenset[int], now: int) -> None:
        """Renew the leases held and take those that are free; see that the topic is still the same."""
        check_same_topic(self._source, self.topic, self.name)
        for partition in sorted(owned):
            lease = self._log.acquire(f"ingest/{self.name}/{partition}", self._holder, self._lease_s)
            copier = self._copiers.get(partition)
            if lease is None or (copier is not None and copier.lease.epoch != lease.epoch):
                self._copiers.pop(partition, None)
            if lease is not None and partition not in self._copiers:
                self._copiers[partition] = Copier(
                    self._log,
                    self._source,
                    self.topic,
                    self.name,
                    self._mapping,
                    partition,
                    lease,
                    self._marks,
                )
        self._renewed = now
