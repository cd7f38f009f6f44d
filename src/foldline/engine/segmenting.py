"""Reads an experiment's results by segment: from the events, since the tally knows no context."""

from collections.abc import Callable

from foldline.engine.reading import columns_of, records_of
from foldline.engine.replay import check_cut
from foldline.errors import InputError
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.segments import Segmented, label_of, segment_results
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.unit_table import unit_table
from foldline.log.protocol import Log, Row
from foldline.loops.cut import Cut
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.records.types import Decision


class SegmentReader:
    """Follows the events of a loop for one experiment and one attribute; each read costs only what is new.

    The first reads the loop's whole log, a second for some 300,000 records; units and their segments stay in memory.

    Args:
        log: only read.
        loop: any version of the experiment's loop.
        experiment: any version from its start on.
        attribute: one of its declared segments.

    Raises:
        InputError: the attribute was not declared.
    """

    def __init__(
        self, log: Log, loop: LoopDefinition, experiment: ExperimentDefinition, attribute: str
    ) -> None:
        if attribute not in experiment.segments:
            declared = ", ".join(map(repr, experiment.segments)) or "(it declares none)"
            raise InputError(
                "input.invalid",
                f"experiment {experiment.name!r} has no segment {attribute!r}; expected one of {declared}, "
                "which are declared with its settings before it starts",
                field="segment",
                value=attribute,
            )
        self._log, self._experiment, self._attribute = log, experiment, attribute
        self._topic = topics_of(loop).events
        self._fold = TallyFold(experiment)
        self._states = [self._fold.empty() for _ in range(loop.partitions)]
        self._labels: dict[tuple[int, int], str] = {}
        self._offsets = [0] * loop.partitions

    @property
    def ends(self) -> Cut:
        """Where the log ends now."""
        return tuple(self._log.offsets(self._topic, p)[1] for p in range(len(self._offsets)))

    def read(self, at: Cut | None = None, *, progress: Callable[[int], None] = lambda _: None) -> Segmented:
        """Go on to a cut, at or after the last one, or to the end.

        Args:
            at: one offset for each partition.
            progress: called with the number of records read so far.

        Raises:
            InputError: the cut lies beyond the log.
        """
        cut, seen = self.ends if at is None else at, 0
        check_cut(cut, self.ends)
        for partition, stop in enumerate(cut):
            while self._offsets[partition] < stop:
                begin = self._offsets[partition]
                rows = self._log.read(self._topic, partition, begin, max_records=10_000, end=stop)
                if not rows:
                    break
                seen += self._take(partition, rows)
                progress(seen)
        tables = [unit_table(self._fold, state) for state in self._states]
        return segment_results(self._experiment, self._attribute, tables, self._labels, self._offsets)

    def _take(self, partition: int, rows: list[Row]) -> int:
        columns, records = columns_of(rows), records_of(rows)
        for unit, record in zip(columns.unit.tolist(), records, strict=True):
            # The first exposure that counts, as the tally takes it: by chance, in a variant it knows.
            if (
                isinstance(record, Decision)
                and record.experiment == self._experiment.name
                and record.probability is not None
                and record.variant in self._experiment.keys
            ):
                self._labels.setdefault((unit[0], unit[1]), label_of(record.context, self._attribute))
        self._fold.apply(self._states[partition], columns)
        self._offsets[partition] = rows[-1].end
        return len(columns)
