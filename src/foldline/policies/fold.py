"""The policy fold: attribution joins decisions with rewards, the policy learns what comes out of it.

Known: the policy's arrays, the counters and the vocabulary (actions and range, as the last marker set them).
Pending: attribution's joins and filters, with the vocabulary as of their own offset, since a restart re-reads
older records with learning muted and must judge them as they were judged the first time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError
from foldline.fold.arrays import Arrays, dump_arrays, load_arrays
from foldline.fold.attribution import Attribution
from foldline.fold.counters import Counter
from foldline.fold.protocol import Applied, Dump
from foldline.fold.rule import RewardRule
from foldline.policies.protocol import Policy
from foldline.records.columns import Columns, Dead, Kind
from foldline.records.types import Definition


class Vocabulary(msgspec.Struct, frozen=True):
    """What the markers up to some offset have said.

    Attributes:
        version: the newest definition version seen, 0 before the first marker.
        actions: every action ever allowed, by first appearance; an action's index never changes.
        active: the actions of the newest version, in its order.
        low: least reward allowed.
        high: greatest reward allowed.
    """

    version: int = 0
    actions: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0

    def after(self, marker: Definition) -> "Vocabulary":
        """The vocabulary from this marker on; a version not newer than the last changes nothing."""
        if marker.version <= self.version:
            return self
        known = set(self.actions)
        added = tuple(a for a in dict.fromkeys(marker.actions) if a not in known)
        return Vocabulary(
            marker.version, self.actions + added, tuple(marker.actions), marker.low, marker.high
        )


@dataclass(slots=True)
class Known:
    """The half of the state that merges.

    Attributes:
        arrays: the policy's state, one entry per action of the vocabulary.
        counts: (len(Counter),) int64.
        vocabulary: actions and range.
        stream_time: running maximum of record times, milliseconds; 0 before the first record.
    """

    arrays: Arrays
    counts: npt.NDArray[np.int64]
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    stream_time: int = 0


@dataclass(slots=True)
class PolicyState:
    """Known and pending halves; `vocabulary` is that of the pending half."""

    known: Known
    attribution: Attribution
    vocabulary: Vocabulary = field(default_factory=Vocabulary)


class PolicyFold:
    """Folds an event topic's partition into a policy's state."""

    name = "policy"
    version = 1

    def __init__(self, policy: Policy, rule: RewardRule, *, complete: bool = False) -> None:
        self.policy = policy
        self.rule = rule
        self.complete = complete

    def parameters(self) -> dict[str, Any]:
        """The learning parameters: the policy without its dials, and the reward rule."""
        fields = msgspec.to_builtins(self.policy)
        learning = {name: value for name, value in fields.items() if name not in self.policy.dials}
        return {"policy": learning, "reward": msgspec.to_builtins(self.rule), "complete": self.complete}

    def empty(self) -> PolicyState:
        """Nothing known, nothing pending."""
        return PolicyState(self.nothing(), Attribution(self.rule))

    def nothing(self) -> Known:
        """The identity of `merge`."""
        return Known(self.policy.empty(0), np.zeros(len(Counter), np.int64))

    def apply(self, state: PolicyState, columns: Columns, *, muted: bool = False) -> Applied:
        """Fold the batch in, split at its definition markers. See `Fold.apply`."""
        applied = Applied()
        refused: list[Dead] = []
        if self.complete:
            columns, refused = _only_outcomes(columns)
        start = 0
        for row in sorted(columns.markers):
            self._run(state, columns, start, row, muted, applied)
            vocabulary = state.vocabulary.after(columns.markers[row])
            if vocabulary is not state.vocabulary:
                self._adopt(state, vocabulary, muted)
                applied.changed |= not muted
            start = row
        self._run(state, columns, start, len(columns), muted, applied)
        if not muted:
            state.known.stream_time = state.attribution.stream_time
            applied.dead += refused
            unusable = len(columns.dead) + len(refused)
            if unusable:
                state.known.counts[Counter.DEAD] += unusable
                applied.changed = True
        return applied

    def due(self, state: PolicyState) -> int | None:
        """The stream time at which the next decision matures."""
        return state.attribution.due()

    def merge(self, left: Known, right: Known) -> Known:
        """One known half that has seen what both have. Actions are aligned by name."""
        vocabulary = max(left.vocabulary, right.vocabulary, key=lambda v: v.version)
        aligned = [self._aligned(known, vocabulary) for known in (left, right)]
        return Known(
            self.policy.merge(*aligned),
            _summed(left.counts, right.counts),
            vocabulary,
            max(left.stream_time, right.stream_time),
        )

    def merge_all(self, parts: Sequence[Known]) -> Known:
        """The merge of a cut, in partition order."""
        merged = parts[0]
        for part in parts[1:]:
            merged = self.merge(merged, part)
        return merged

    def dump_known(self, known: Known) -> bytes:
        """The known half as bytes."""
        head = msgspec.json.encode((known.vocabulary, known.stream_time))
        arrays: Arrays = {f"policy.{name}": array for name, array in known.arrays.items()}
        arrays["counts"] = known.counts
        arrays["vocabulary"] = np.frombuffer(head, np.uint8)
        return dump_arrays(arrays)

    def load_known(self, data: bytes) -> Known:
        """The known half dumped."""
        arrays = load_arrays(data)
        try:
            head = arrays.pop("vocabulary").tobytes()
            counts = arrays.pop("counts").astype(np.int64, copy=False)
            vocabulary, stream_time = msgspec.json.decode(head, type=tuple[Vocabulary, int])
        except (KeyError, msgspec.DecodeError) as error:
            raise FoldError("fold.damaged_root", f"loading a policy's known half: {error}") from error
        policy = {name.removeprefix("policy."): array for name, array in arrays.items()}
        return Known(policy, counts, vocabulary, stream_time)

    def dump(self, state: PolicyState, *, pending: bool = True) -> Dump:
        """Both halves as bytes."""
        pages = [msgspec.json.encode(state.vocabulary), *state.attribution.dump()] if pending else []
        return Dump(self.dump_known(state.known), pages)

    def load(self, dump: Dump) -> PolicyState:
        """The state dumped; the pending half may be of an earlier offset than the known."""
        known = self.load_known(dump.known)
        if not dump.pending:
            return replace(self.empty(), known=known)
        vocabulary = msgspec.json.decode(dump.pending[0], type=Vocabulary)
        return PolicyState(known, Attribution.load(self.rule, dump.pending[1:]), vocabulary)

    def _run(
        self, state: PolicyState, columns: Columns, start: int, stop: int, muted: bool, applied: Applied
    ) -> None:
        if start == stop:
            return
        vocabulary = state.vocabulary
        index = {name: i for i, name in enumerate(vocabulary.actions)}
        remap = np.array([index.get(name, -1) for name in columns.actions], np.int32)
        emits, counts, dead = state.attribution.apply(
            columns, start, stop, remap, vocabulary.low, vocabulary.high
        )
        if muted:
            return
        applied.dead += dead
        known = state.known
        if len(emits):
            applied.changed |= self.policy.learn(known.arrays, emits, unit_bits=self.rule.unit_bits)
        if counts.any():
            known.counts += counts
            applied.changed = True

    def _adopt(self, state: PolicyState, vocabulary: Vocabulary, muted: bool) -> None:
        state.vocabulary = vocabulary
        if not muted:
            state.known.arrays = self.policy.grow(state.known.arrays, len(vocabulary.actions))
            state.known.vocabulary = vocabulary

    def _aligned(self, known: Known, vocabulary: Vocabulary) -> Arrays:
        """Markers reach every partition in version order, so a shorter list of actions is a prefix."""
        actions = known.vocabulary.actions
        if vocabulary.actions[: len(actions)] != actions:
            raise FoldError(
                "fold.not_mergeable",
                f"partitions name their actions in different orders: {actions!r} against "
                f"{vocabulary.actions!r}; definition markers must reach every partition in the same order",
            )
        if len(actions) == len(vocabulary.actions):
            return known.arrays
        return self.policy.grow(known.arrays, len(vocabulary.actions))


def _summed(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    total: npt.NDArray[np.int64] = left + right
    # Only a sum of two of one sign can leave 64 bits, and it then has the other sign.
    if (((left ^ total) & (right ^ total)) < 0).any():
        raise FoldError(
            "fold.overflow",
            "merging the counts of two partitions leaves 64 bits; declare a coarser reward unit in a new loop",
        )
    return total


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
