"""Attribution: joins decisions with their rewards, in stream time."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError
from foldline.fold.counters import Counter
from foldline.fold.emits import Emits
from foldline.fold.layout import Batch, Held, Int64s, Mark, Reason, Status, Term
from foldline.fold.pages import dump_pages, lasting_pages, load_pages
from foldline.fold.room import empty, narrowed, widened
from foldline.fold.rule import AGGREGATIONS, RewardRule
from foldline.records.columns import Columns, Dead


class Attribution:
    """The joins in progress of one partition: what a reward rule makes of a sequence of records.

    A decision is announced (DECIDED) at once and learnt (LEARNT) when stream time reaches its deadline: stream
    time at the decision + wait; with a wait of zero within its own record. It leaves at its expiry: deadline +
    correction window. A reward before the deadline is aggregated; from the deadline on it is late and corrects
    (CORRECTED, even where the aggregate stays the same); from the expiry on it is unmatched. A reward that names
    a decision not there waits for it as long as a decision waits for its reward. A reward naming no decision goes
    to its unit's last one, by the order in which decisions first stood on the log. Under a rule with activation,
    what is not activated is not learnt at its deadline but at its activation, and UNDECIDED at its expiry.

    Results depend on the sequence of records alone, not on where batches are cut. The order of what happens at one
    record is stated in `foldline.fold.kernel`. Memory: about 120 bytes a decision remembered and 60 an id in the
    duplicate filter (rewards and outcomes), for wait + correction of stream time.

    Attributes:
        rule: the reward rule.
    """

    def __init__(self, rule: RewardRule) -> None:
        self.rule = rule
        self._state = empty(len(Counter))
        self._terms = _terms(rule)
        self._scale = 2.0**rule.unit_bits

    @property
    def stream_time(self) -> int:
        """Running maximum of the records' times, milliseconds; 0 before the first."""
        return int(self._state.marks[Mark.TIME])

    @property
    def waiting(self) -> int:
        """Decisions not yet mature."""
        marks = self._state.marks
        return int(marks[Mark.DECISION_TAIL] - marks[Mark.MATURE])

    def due(self) -> int | None:
        """The least stream time at which a decision matures, or None where none waits."""
        if not self.waiting:
            return None
        decisions = self._state.decisions
        return self.rule.wait_ms + _time(decisions, int(self._state.marks[Mark.MATURE]))

    def apply(
        self,
        columns: Columns,
        start: int,
        stop: int,
        remap: npt.NDArray[np.int32],
        low: float,
        high: float,
    ) -> tuple[Emits, Int64s, list[Dead]]:
        """Fold rows `start` to `stop` in; definition markers among them only move stream time.

        Amortised O(1) a record.

        Args:
            columns: the batch; not changed.
            start: first row.
            stop: one more than the last row.
            remap: (len(columns.actions),) int32, the fold's index of each action of the batch, -1 unknown.
            low: least reward allowed.
            high: greatest reward allowed.

        Returns:
            What the policy is to learn, in record order; what is to be added to the counters (see `Counter`);
            the rows to dead-letter.

        Raises:
            FoldError: `fold.overflow` where an exact sum leaves 64 bits. The state is spent then.
        """
        name = columns.names.index(self.rule.name) if self.rule.name in columns.names else -2
        told, dead = self._pass(_batch(columns, remap), start, stop, float(low), float(high), name)
        counts, marks = self._state.counts.copy(), self._state.marks
        self._state = narrowed(self._state)
        kind, action, old, new, time, row = told[:, : marks[Mark.EMITS]]
        return (
            Emits(kind.astype(np.int8), action.astype(np.int32), old, new, time, row),
            counts,
            [_dead(columns, at, reason, low, high) for at, reason in dead[:, : marks[Mark.DEAD]].T.tolist()],
        )

    def dump(self, standing: Collection[str] = ()) -> list[bytes]:
        """The state as pages, a function of the records folded alone; most stay equal from dump to dump.

        Lasting ones that are `standing` are empty.
        """
        return dump_pages(self.rule, self._state, standing)

    def lasting(self) -> dict[int, str]:
        """Names of the pages that will never change, by place in `dump`."""
        return lasting_pages(self._state)

    @classmethod
    def load(cls, rule: RewardRule, pages: Sequence[bytes]) -> "Attribution":
        """The state dumped; going on from it equals going on from the original, bit for bit.

        Raises:
            FoldError: `fold.damaged_page` or `fold.damaged_root` where the pages are not a dump under this rule.
        """
        loaded = cls(rule)
        loaded._state = load_pages(rule, pages, len(Counter))
        return loaded

    def _pass(
        self, batch: Batch, start: int, stop: int, low: float, high: float, name: int
    ) -> tuple[Int64s, Int64s]:
        """One pass of the kernel, given more room wherever it stops for want of it; emits and dead rows."""
        from foldline.fold.kernel import join

        emits = np.empty((6, 2 * (stop - start) + 2), np.int64)
        dead = np.empty((2, stop - start), np.int64)
        self._state.counts[:] = 0
        self._state.marks[Mark.EMITS : Mark.STATUS] = 0
        row = start
        while True:
            row = join(batch, self._state, emits, dead, self._terms, self._scale, low, high, name, row, stop)
            status = int(self._state.marks[Mark.STATUS])
            if status == Status.READY:
                return emits, dead
            if status == Status.OVERFLOW:
                raise self._overflow(row)
            if status == Status.OUTPUT_FULL:
                emits = np.concatenate((emits, np.empty_like(emits)), axis=1)
            else:
                self._state = widened(self._state, Status(status))

    def _overflow(self, row: int) -> FoldError:
        return FoldError(
            "fold.overflow",
            f"row {row}: with it a sum of rewards in units of 2^-{self.rule.unit_bits} leaves 64 bits; "
            f"define a loop with fewer unit_bits",
        )


def _terms(rule: RewardRule) -> Int64s:
    terms = np.zeros(Term.SIZE, np.int64)
    terms[Term.WAIT], terms[Term.SPAN] = rule.wait_ms, rule.span_ms
    terms[Term.DEFAULT] = rule.units(rule.default)
    terms[Term.AGGREGATION] = AGGREGATIONS.index(rule.aggregation)
    terms[Term.MEAN] = rule.aggregation == "mean"
    terms[Term.ACTIVATION] = rule.activation
    return terms


def _time(decisions: Int64s, sequence: int) -> int:
    return int(decisions[sequence & (len(decisions) - 1), Held.TIME])


def _batch(columns: Columns, remap: npt.NDArray[np.int32]) -> Batch:
    return Batch(
        _plain(columns.kind),
        _plain(columns.time),
        _plain(columns.id).view(np.int64),
        _plain(columns.unit).view(np.int64),
        _plain(columns.reward_id).view(np.int64),
        _plain(columns.action),
        _plain(columns.name),
        _plain(columns.value),
        _plain(remap),
    )


def _plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array in the one form the kernel is compiled for."""
    flags = array.flags
    return array if flags.c_contiguous and flags.writeable else array.copy()


def _dead(columns: Columns, row: int, reason: int, low: float, high: float) -> Dead:
    if reason == Reason.UNKNOWN_ACTION:
        action = columns.actions[columns.action[row]] if columns.action[row] >= 0 else None
        return Dead(
            row,
            "record.unknown_action",
            f"action {action!r}: expected one of the loop's at this record; add it to the definition",
        )
    return Dead(
        row,
        "record.out_of_range",
        f"value {float(columns.value[row])!r}: expected {low!r} to {high!r}; correct it or declare a wider range",
    )
