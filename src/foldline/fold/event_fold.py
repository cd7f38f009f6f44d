"""What folds over an event topic share: attribution, markers, the pending half and muted re-reading.

A subclass says what is known and what it makes of what attribution tells. Known is the half that merges;
pending are attribution's joins and filters, with the vocabulary as of their own offset, since a restart re-reads
older records with learning muted and must judge them as they were judged the first time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.fold.attribution import Attribution
from foldline.fold.counters import Counter
from foldline.fold.emits import Emits
from foldline.fold.protocol import Applied, Dump
from foldline.fold.rule import RewardRule
from foldline.fold.vocabulary import Vocabulary
from foldline.records.columns import Columns, Dead, Kind


class HasVocabulary(Protocol):
    """What every known half holds.

    Attributes:
        vocabulary: actions and range.
        stream_time: running maximum of record times, milliseconds; 0 before the first record.
    """

    vocabulary: Vocabulary
    stream_time: int


Known = TypeVar("Known", bound=HasVocabulary)


@dataclass(slots=True)
class EventState(Generic[Known]):
    """Known and pending halves; `vocabulary` is that of the pending half."""

    known: Known
    attribution: Attribution
    vocabulary: Vocabulary = field(default_factory=Vocabulary)


class Told(NamedTuple):
    """What attribution made of some rows, next to each other, of a batch.

    Attributes:
        emits: what happened to decisions, in record order.
        counts: (len(Counter),) int64, to be added; `DEAD` counts every row of these that could not be used.
        rows: how many rows there were.
        time: stream time after the last of them, milliseconds.
    """

    emits: Emits
    counts: npt.NDArray[np.int64]
    rows: int
    time: int


class EventFold(Generic[Known]):
    """Folds an event topic's partition. Subclasses have a `name` and a `version` (see `Fold`).

    Attributes:
        rule: how decisions are joined with rewards.
        complete: whether only complete outcomes are taken; the other records are then dead-lettered.
        has_outputs: see `Fold`.
    """

    name: str
    version: int
    has_outputs: bool = False

    def __init__(self, rule: RewardRule, *, complete: bool = False) -> None:
        self.rule = rule
        self.complete = complete

    def parameters(self) -> dict[str, Any]:
        """See `Fold.parameters`; a subclass adds its own."""
        return {"reward": msgspec.to_builtins(self.rule), "complete": self.complete}

    def nothing(self) -> Known:
        """The identity of `merge`."""
        raise NotImplementedError

    def learn(self, known: Known, told: Told) -> bool:
        """Take in what attribution told; True if `known` changed."""
        raise NotImplementedError

    def adopt(self, known: Known, vocabulary: Vocabulary) -> None:
        """Make room for the vocabulary's actions and keep it."""
        raise NotImplementedError

    def stops(self, known: Known, times: npt.NDArray[np.int64], clock: int) -> Sequence[int]:
        """Where to cut rows into pieces that are told apart: row numbers, rising, none at either end.

        Args:
            known: may be given room for the rows.
            times: (n,) the rows' times, of which the running maximum, from `clock` on, is stream time.
            clock: stream time before the first of them, milliseconds.
        """
        return ()

    def merge(self, left: Known, right: Known) -> Known:
        """One known half that has seen what both have. Actions are aligned by name."""
        raise NotImplementedError

    def dump_known(self, known: Known) -> bytes:
        """The known half as bytes."""
        raise NotImplementedError

    def load_known(self, data: bytes) -> Known:
        """The known half dumped; `fold.damaged_root` where the bytes are not a dump."""
        raise NotImplementedError

    def empty(self) -> EventState[Known]:
        """Nothing known, nothing pending."""
        return EventState(self.nothing(), Attribution(self.rule))

    def apply(self, state: EventState[Known], columns: Columns, *, muted: bool = False) -> Applied:
        """Fold the batch in, split at its definition markers. See `Fold.apply`."""
        applied = Applied()
        columns, refused = _only_outcomes(columns) if self.complete else (columns, [])
        unusable = [dead.row for dead in (*columns.dead, *refused)]
        start = 0
        for row in sorted(columns.markers):
            self._run(state, columns, start, row, unusable, muted, applied)
            vocabulary = state.vocabulary.after(columns.markers[row])
            if vocabulary is not state.vocabulary:
                state.vocabulary = vocabulary
                if not muted:
                    self.adopt(state.known, vocabulary)
                    applied.changed = True
            start = row
        self._run(state, columns, start, len(columns), unusable, muted, applied)
        if not muted:
            state.known.stream_time = state.attribution.stream_time
            applied.dead += refused
        return applied

    def due(self, state: EventState[Known]) -> int | None:
        """The stream time at which the next decision matures."""
        return state.attribution.due()

    def merge_all(self, parts: Sequence[Known]) -> Known:
        """The merge of a cut, in partition order."""
        merged = parts[0]
        for part in parts[1:]:
            merged = self.merge(merged, part)
        return merged

    def dump(self, state: EventState[Known], *, pending: bool = True, standing: Collection[str] = ()) -> Dump:
        """See `Fold.dump`."""
        known = self.dump_known(state.known)
        if not pending:
            return Dump(known, [])
        pages = [msgspec.json.encode(state.vocabulary), *state.attribution.dump(standing)]
        return Dump(known, pages, {place + 1: name for place, name in state.attribution.lasting().items()})

    def load(self, dump: Dump) -> EventState[Known]:
        """The state dumped; the pending half may be of an earlier offset than the known."""
        known = self.load_known(dump.known)
        if not dump.pending:
            return replace(self.empty(), known=known)
        vocabulary = msgspec.json.decode(dump.pending[0], type=Vocabulary)
        return EventState(known, Attribution.load(self.rule, dump.pending[1:]), vocabulary)

    def _run(
        self,
        state: EventState[Known],
        columns: Columns,
        start: int,
        stop: int,
        unusable: Sequence[int],
        muted: bool,
        applied: Applied,
    ) -> None:
        """Fold rows without a marker that changes anything, or one at their beginning that was adopted."""
        if start == stop:
            return
        attribution, vocabulary = state.attribution, state.vocabulary
        index = {name: i for i, name in enumerate(vocabulary.actions)}
        remap = np.array([index.get(name, -1) for name in columns.actions], np.int32)
        ends = [stop]
        if not muted:
            cuts = self.stops(state.known, columns.time[start:stop], attribution.stream_time)
            ends = [*(start + cut for cut in cuts), stop]
        for end in ends:
            emits, counts, dead = attribution.apply(
                columns, start, end, remap, vocabulary.low, vocabulary.high
            )
            if not muted:
                counts[Counter.DEAD] += sum(start <= row < end for row in unusable)
                applied.dead += dead
                told = Told(emits, counts, end - start, attribution.stream_time)
                applied.changed |= self.learn(state.known, told)
            start = end


_PARTS = (Kind.DECISION, Kind.REWARD, Kind.ACTIVATION)


def _only_outcomes(columns: Columns) -> tuple[Columns, list[Dead]]:
    """Decisions, rewards and activations on their own are refused; they still move time, as ticks do."""
    partial = np.isin(columns.kind, _PARTS)
    if not partial.any():
        return columns, []
    kind = columns.kind.copy()
    kind[partial] = Kind.TICK
    message = "expected a complete outcome, as the loop's definition says, got a record of another type"
    dead = [Dead(row, "record.not_complete", message) for row in np.flatnonzero(partial).tolist()]
    return replace(columns, kind=kind), dead
