"""The tally fold: from decisions, rewards and observations to what each variant's units were worth.

A unit is enrolled at its first decision in the experiment, in the variant of that decision. What is reported of it
within the window counts, by the record's own time; when window and maturity have passed in stream time the unit
matures, and is counted in the minute of its deadline. What comes later, yet within `late_ms`, changes the present
minute, and is kept as late beside that of the deadline. A unit found in a second variant is left out from that minute
on. Each record counts once by its id. Only units drawn by chance count: forced ones do not. Where weights have changed,
all before the marker of the present phase is passed over: P(variant) is then the same for all that are counted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from foldline.errors import FoldError
from foldline.experiments import tally_pages
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.measure import Measure
from foldline.experiments.tally import (
    Changes,
    PhaseSeen,
    Tally,
    check_room,
    dump,
    late_keys,
    late_minutes,
    load,
    merge,
    nothing,
    with_minutes,
)
from foldline.experiments.tally_kernel import as_signed, tally_rows
from foldline.experiments.tally_layout import (
    MINUTE_MS,
    Batch,
    Count,
    Counter,
    Deltas,
    Int64s,
    Mark,
    Rows,
    Source,
    Terms,
)
from foldline.fold.protocol import Applied, Dump
from foldline.records.columns import Columns
from foldline.records.hashing import hash128
from foldline.stats.exact_moments import learn_products

_UNBOUNDED = 2**62
_BEGUN = 2
"""Beside the bit for running: the marker of the phase that is counted has been folded."""


@dataclass(frozen=True, slots=True)
class Value:
    """One number kept of each unit.

    Attributes:
        name: of the rewards and observations that are summed.
        source: within the window, or before the exposure.
        indicator: whether only its being above 0 counts.
        cap: least and greatest value counted, in units of 1.
    """

    name: str
    source: Source = Source.AFTER
    indicator: bool = False
    cap: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class ValuesKept:
    """The numbers kept of each unit, and of which pairs the products.

    Attributes:
        values: in the order of the measures.
        pairs: (a, b) with a <= b.
        of_measure: which values each measure is made of.
    """

    values: tuple[Value, ...]
    pairs: tuple[tuple[int, int], ...]
    of_measure: tuple[tuple[int, ...], ...]


def values_of(measures: Sequence[Measure]) -> ValuesKept:
    """What must be kept of each unit to analyse these."""
    values: list[Value] = []
    pairs: list[tuple[int, int]] = []
    groups: list[tuple[int, ...]] = []
    for measure in measures:
        mine = [Value(measure.name, indicator=measure.kind == "proportion", cap=measure.cap)]
        if measure.per is not None:
            mine.append(Value(measure.per))
        if measure.covariate is not None:
            mine.append(Value(measure.covariate, source=Source.BEFORE))
        group = tuple(range(len(values), len(values) + len(mine)))
        values += mine
        pairs += [(a, b) for a in group for b in group if a <= b]
        groups.append(group)
    return ValuesKept(tuple(values), tuple(pairs), tuple(groups))


@dataclass(slots=True)
class TallyState:
    """Known and pending halves."""

    known: Tally
    rows: Rows


class TallyFold:
    """Folds a loop's event topic into one experiment's tally.

    Args:
        definition: any version: what the fold needs is fixed at the start.
    """

    name = "tally"
    version = 4
    has_outputs = False

    def __init__(self, definition: ExperimentDefinition) -> None:
        self.experiment = definition.name
        self.variants = definition.keys
        self.kept = values_of(definition.measures)
        self._measures = msgspec.to_builtins([_counted(measure) for measure in definition.measures])
        self._times = (definition.window_ms, definition.maturity_ms, definition.late_ms)
        self.unit_bits = definition.unit_bits
        self.salt = definition.salt
        self.phase = definition.phase
        self.terms = self._terms()

    def parameters(self) -> dict[str, Any]:
        """See `Fold.parameters`."""
        window, maturity, late = self._times
        return {
            "experiment": self.experiment,
            "salt": self.salt,
            "variants": list(self.variants),
            "measures": self._measures,
            "window_ms": window,
            "maturity_ms": maturity,
            "late_ms": late,
            "unit_bits": self.unit_bits,
            **({"phase": self.phase} if self.phase else {}),
        }

    def nothing(self) -> Tally:
        """The identity of `merge`."""
        return nothing(len(self.variants), len(self.kept.values), len(self.kept.pairs))

    def empty(self) -> TallyState:
        """Nothing known, nothing pending."""
        return TallyState(self.nothing(), tally_pages.empty(len(self.kept.values)))

    def apply(self, state: TallyState, columns: Columns, *, muted: bool = False) -> Applied:
        """Fold a batch in. See `Fold.apply`."""
        if self.phase and not state.rows.marks[Mark.RUNNING] & _BEGUN:
            begin = self._beginning(columns)
            if begin == len(columns):
                return Applied()
            columns = columns.slice(begin, len(columns))
            state.rows.marks[Mark.RUNNING] |= _BEGUN
        n = len(columns)
        rows = state.rows = tally_pages.with_room(state.rows, n, self.terms.span)
        marks = rows.marks
        pending = int(marks[Mark.TAIL] - marks[Mark.HEAD])
        deltas = Deltas(
            np.empty((5, 3 * n + pending), np.int64),
            np.empty((3 * n + pending, len(self.kept.values)), np.int64),
        )
        exposures, counts = np.zeros(len(self.variants), np.int64), np.zeros(len(Counter), np.int64)
        before = int(marks[Mark.TIME])
        tally_rows(self._batch(columns), rows, self.terms, deltas, exposures, counts)
        # Stamped by another clock, a marker may name a minute that was final before it came: it counts from its place.
        phases = [
            PhaseSeen(phase.version, phase.state, max(before, int(columns.time[: row + 1].max())), phase.by)
            for row, phase in sorted(columns.phases.items())
            if phase.experiment == self.experiment
        ]
        for phase in phases:
            marks[Mark.RUNNING] = marks[Mark.RUNNING] & _BEGUN | (phase.state == "running")
        if muted:
            return Applied()
        return Applied(changed=self._learn(state.known, deltas, exposures, counts, marks, phases))

    def _beginning(self, columns: Columns) -> int:
        """The row of the marker that begins the phase, or their number."""
        rows = [
            row
            for row, phase in columns.phases.items()
            if (phase.experiment, phase.version) == (self.experiment, self.phase)
        ]
        return min(rows, default=len(columns))

    def due(self, state: TallyState) -> int | None:
        """The end of the current minute, while it runs, units wait to mature, or what came late stands in it."""
        marks = state.rows.marks
        minute = int(marks[Mark.TIME] // MINUTE_MS)
        if not marks[Mark.RUNNING] & 1 and marks[Mark.HEAD] == marks[Mark.TAIL]:
            _, came = late_minutes(state.known.late.minutes)
            if not (came >= minute).any():
                return None
        return (minute + 1) * MINUTE_MS

    def merge(self, left: Tally, right: Tally) -> Tally:
        """See `tally.merge`."""
        return merge(left, right)

    def merge_all(self, parts: Sequence[Tally]) -> Tally:
        """The merge of a cut, in partition order."""
        merged = parts[0]
        for part in parts[1:]:
            merged = merge(merged, part)
        return merged

    def dump_known(self, known: Tally) -> bytes:
        """The known half as bytes."""
        return dump(known)

    def load_known(self, data: bytes) -> Tally:
        """The known half dumped; `fold.damaged_root` where the bytes are not a dump."""
        tally = load(data)
        if tally.sums.shape[1:] != (len(self.variants), len(self.kept.values)):
            raise FoldError(
                "fold.damaged_root", f"loading a tally of {tally.sums.shape} sums: of another experiment"
            )
        return tally

    def dump(self, state: TallyState, *, pending: bool = True, standing: Collection[str] = ()) -> Dump:
        """See `Fold.dump`; no page is lasting."""
        pages = tally_pages.dump_pages(state.rows, self.terms.span) if pending else []
        return Dump(self.dump_known(state.known), pages)

    def load(self, dumped: Dump) -> TallyState:
        """The state dumped; the pending half may be of an earlier offset than the known."""
        known = self.load_known(dumped.known)
        if not dumped.pending:
            return TallyState(known, self.empty().rows)
        return TallyState(
            known, tally_pages.load_pages(dumped.pending, len(self.kept.values), self.terms.wait)
        )

    def count(
        self, known: Changes, minute: Int64s, variant: Int64s, what: Int64s, sign: Int64s, values: Int64s
    ) -> None:
        """Count m changes of units.

        Args:
            known: changed.
            minute: (m,) of the change; of late changes their key.
            variant: (m,) of the unit.
            what: (m,) a `Count`.
            sign: (m,) 1, or -1 to take a unit off again.
            values: (m, v) of the unit as they are counted, for `Count.MATURED`.

        Raises:
            FoldError: `fold.overflow`.
        """
        touched = np.unique(minute)
        with_minutes(known, touched)
        cell = np.searchsorted(known.minutes, minute) * len(self.variants) + variant
        np.add.at(known.counts.reshape(-1), cell * len(Count) + what, sign)
        chosen = what == Count.MATURED
        cell, sign, values = cell[chosen], sign[chosen], values[chosen]
        if not len(cell):
            return
        sums = known.sums.reshape(-1, values.shape[1])
        added = np.zeros_like(sums)
        room = np.zeros(sums.shape)
        np.add.at(room, cell, np.abs(values.astype(np.float64)))
        np.add.at(added, cell, values * sign[:, None])
        check_room(sums, np.where(room < _UNBOUNDED, 0, np.iinfo(np.int64).max))
        check_room(sums, added)
        sums += added
        pairs = len(self.kept.pairs)
        low, high, signs = known.low.reshape(-1), known.high.reshape(-1), sign.astype(np.int8)
        for p, (a, b) in enumerate(self.kept.pairs):
            group = (cell * pairs + p).astype(np.int32)
            learn_products(low, high, group, values[:, a].copy(), values[:, b].copy(), signs)

    def _learn(
        self,
        known: Tally,
        deltas: Deltas,
        exposures: Int64s,
        counts: Int64s,
        marks: Int64s,
        phases: Sequence[PhaseSeen],
    ) -> bool:
        count = int(marks[Mark.DELTAS])
        before = known.stream_time
        known.stream_time = int(marks[Mark.TIME])
        known.exposures += exposures
        known.counters += counts
        versions = {phase.version for phase in known.phases}
        added = tuple(phase for phase in phases if phase.version not in versions)
        known.phases += added
        if count:
            minute, variant, what, sign, own = deltas.head[:, :count]
            values = deltas.values[:count]
            self.count(known, minute, variant, what, sign, values)
            if (late := own < minute).any():
                keys = late_keys(own, minute)[late]
                self.count(known.late, keys, variant[late], what[late], sign[late], values[late])
        left_a_minute = before // MINUTE_MS != known.stream_time // MINUTE_MS
        return bool(count or exposures.any() or counts.any() or added or left_a_minute)

    def _batch(self, columns: Columns) -> Batch:
        wanted = np.zeros((max(1, len(columns.names)), len(self.kept.values)), np.int8)
        for i, name in enumerate(columns.names):
            wanted[i] = [name == value.name for value in self.kept.values]
        return Batch(
            columns.kind,
            columns.time,
            as_signed(columns.id),
            as_signed(columns.unit),
            as_signed(columns.reward_id),
            columns.name,
            columns.value,
            as_signed(columns.experiment),
            as_signed(columns.variant),
            columns.probability,
            wanted,
        )

    def _terms(self) -> Terms:
        window, maturity, late = self._times
        scale = float(1 << self.unit_bits)
        caps = [value.cap for value in self.kept.values]
        keys = [self.experiment, *self.variants]
        hashes = np.array([hash128(key) for key in keys], np.uint64).view(np.int64)
        return Terms(
            hashes[0],
            hashes[1:].copy(),
            window,
            window + maturity,
            window + maturity + late,
            scale,
            np.array([value.source for value in self.kept.values], np.int64),
            np.array([value.indicator for value in self.kept.values], np.int64),
            np.array([-_UNBOUNDED if cap is None else round(cap[0] * scale) for cap in caps], np.int64),
            np.array([_UNBOUNDED if cap is None else round(cap[1] * scale) for cap in caps], np.int64),
        )


def _counted(measure: Measure) -> Measure:
    """What of a measure the fold depends on."""
    return Measure(
        name=measure.name, kind=measure.kind, per=measure.per, cap=measure.cap, covariate=measure.covariate
    )
