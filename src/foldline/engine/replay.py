"""Replay: fold a log again to any cut, and say whether the roots on the log agree."""

from collections.abc import Callable
from dataclasses import dataclass

from foldline.engine.known import KnownStates
from foldline.engine.reading import columns_of
from foldline.engine.restore import load_dump, rows_from
from foldline.engine.root import Root
from foldline.errors import InputError
from foldline.log.protocol import Log
from foldline.loops.cut import Cut
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.policies.fold import Known, PolicyFold, PolicyState


@dataclass(frozen=True, slots=True)
class Comparison:
    """A root against the state folded again.

    Attributes:
        partition: which partition.
        n: the root's offset.
        known: whether the known halves are byte-equal.
        pending: whether the pending halves are, where the root has one as of n; None otherwise.
    """

    partition: int
    n: int
    known: bool
    pending: bool | None

    @property
    def agrees(self) -> bool:
        """No half differs."""
        return self.known and self.pending is not False


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    Attributes:
        cut: the offsets folded to.
        known: the merge at the cut.
        states: each partition's state at the cut.
        comparisons: each root at or below the cut against the state folded again.
    """

    cut: Cut
    known: Known
    states: list[PolicyState]
    comparisons: list[Comparison]


def replay(
    log: Log,
    definition: LoopDefinition,
    cut: Cut | None = None,
    *,
    batch: int = 10_000,
    progress: Callable[[int], None] = lambda _: None,
) -> Replay:
    """Fold every partition from offset 0 to the cut (the log's ends by default).

    Args:
        log: only read.
        definition: the version whose policy and reward rule fold; any version may be replayed over any log.
        cut: one offset for each partition.
        batch: records a micro-batch; the result does not depend on it.
        progress: called with the number of records folded since the last call.

    Raises:
        InputError: the cut lies beyond the log.
    """
    states = KnownStates(log, definition)
    states.read()
    topic = topics_of(definition).events
    ends = tuple(log.offsets(topic, p)[1] for p in range(definition.partitions))
    target = ends if cut is None else cut
    check_cut(target, ends)
    results, comparisons = [], []
    for partition, end in enumerate(target):
        state, n = states.fold.empty(), 0
        root = states.roots[partition]
        if root is not None and root.n <= end:
            _fold(log, states.fold, state, topic, partition, n, root.n, batch, progress)
            comparisons.append(_compare(log, topics_of(definition).roots, states.fold, state, root))
            n = root.n
        _fold(log, states.fold, state, topic, partition, n, end, batch, progress)
        results.append(state)
    known = states.fold.merge_all([state.known for state in results])
    return Replay(target, known, results, comparisons)


def cut_at(log: Log, definition: LoopDefinition, time: int) -> Cut:
    """The cut before each partition's first record after a time, milliseconds; before all records at its offset."""
    topic = topics_of(definition).events
    cut = []
    for partition in range(definition.partitions):
        offset = 0
        for row in rows_from(log, topic, partition, 0):
            columns = columns_of([row])
            late = [i for i, t in enumerate(columns.time.tolist()) if t > time]
            offset = row.place(late[0])[0] if late else row.end
            if late:
                break
        cut.append(offset)
    return tuple(cut)


def check_cut(cut: Cut, ends: Cut) -> None:
    """Refuse a cut beyond the ends of the log's partitions.

    Raises:
        InputError: `input.invalid`.
    """
    for partition, (wanted, end) in enumerate(zip(cut, ends, strict=True)):
        if not 0 <= wanted <= end:
            raise InputError(
                "input.invalid",
                f"cut at offset {wanted} of partition {partition}: the log ends at {end}",
                field="at",
            )


def _fold(
    log: Log,
    fold: PolicyFold,
    state: PolicyState,
    topic: str,
    partition: int,
    start: int,
    end: int,
    batch: int,
    progress: Callable[[int], None],
) -> None:
    while start < end:
        rows = log.read(topic, partition, start, max_records=batch, end=end)
        if not rows:
            return
        columns = columns_of(rows)
        for low in range(0, len(columns), batch):
            fold.apply(state, columns.slice(low, low + batch))
        progress(len(columns))
        start = rows[-1].end


def _compare(log: Log, roots: str, fold: PolicyFold, state: PolicyState, root: Root) -> Comparison:
    stored = load_dump(log, roots, root)
    ours = fold.dump(state)
    pending = ours.pending == stored.pending if root.m == root.n else None
    return Comparison(root.identity.partition, root.n, ours.known == stored.known, pending)
