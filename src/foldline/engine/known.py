"""What the partitions of a loop know, as their newest roots on the log say."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any, Generic, Protocol, Self, TypeVar

from foldline.engine.identity import Identity, identity_of
from foldline.engine.restore import load_dump, rows_from, rows_here
from foldline.engine.root import Root, decode_root
from foldline.fold.protocol import Fold
from foldline.log.protocol import Batch, Log, Row
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.policies.fold import Known, PolicyFold

Half = TypeVar("Half")


class MergingFold(Fold[Any], Protocol[Half]):
    """A fold whose known half can be read from a root and merged by itself."""

    def nothing(self) -> Half:
        """The identity of the merge."""

    def load_known(self, data: bytes) -> Half:
        """The known half dumped."""

    def merge_all(self, parts: Sequence[Half]) -> Half:
        """The merge of a cut, in partition order."""


class FoldStates(Generic[Half]):
    """Follows the roots of one fold of a loop; each `read` costs only what is new."""

    def __init__(self, log: Log, definition: LoopDefinition, fold: MergingFold[Half]) -> None:
        self._log = log
        self._topic = topics_of(definition).roots
        self._fold = fold
        events = log.topic(topics_of(definition).events)
        self.identities: list[Identity] = [identity_of(fold, events, p) for p in range(definition.partitions)]
        self._keys = [identity.key().encode() for identity in self.identities]
        self.offsets = [0] * definition.partitions
        self.roots: list[Root | None] = [None] * definition.partitions

    def read(self) -> None:
        """Read the roots topic to its end; highest n wins."""
        self._read(rows_from)

    def follow(self) -> None:
        """Read what has come of the roots topic; see `rows_here`."""
        self._read(rows_here)

    def _read(self, rows: Callable[[Log, str, int, int], Iterator[Row]]) -> None:
        for partition, key in enumerate(self._keys):
            for row in rows(self._log, self._topic, partition, self.offsets[partition]):
                self.offsets[partition] = row.end
                if row.key == key and row.payload:
                    self.roots[partition] = _newer(self.roots[partition], decode_root(row.payload))

    def with_roots(self, ahead: Sequence[Batch]) -> Self:
        """The states as they will be once these are appended; a known half in pages is not to be had before."""
        states = copy(self)
        states.roots = list(self.roots)
        for batch in ahead:
            if batch.topic == self._topic and batch.key == self._keys[batch.partition] and batch.payload:
                root = decode_root(batch.payload)
                if root.known is not None:
                    states.roots[batch.partition] = _newer(states.roots[batch.partition], root)
        return states

    @property
    def cut(self) -> tuple[int, ...]:
        """The offset covered of each partition; 0 where there is no root yet."""
        return tuple(root.n if root is not None else 0 for root in self.roots)

    def parts(self) -> list[Half]:
        """The known half of each partition."""
        return [self.part(partition) for partition in range(len(self.roots))]

    def part(self, partition: int) -> Half:
        """The known half of one partition."""
        return self._known(self.roots[partition])

    def merged(self) -> Half:
        """The merge at the present cut."""
        return self._fold.merge_all(self.parts())

    def _known(self, root: Root | None) -> Half:
        if root is None:
            return self._fold.nothing()
        known = root.known if root.known is not None else load_dump(self._log, self._topic, root).known
        return self._fold.load_known(known)


def _newer(best: Root | None, root: Root) -> Root:
    return root if best is None or (root.n, root.m) >= (best.n, best.m) else best


class KnownStates(FoldStates[Known]):
    """Follows the roots of one loop's policy fold."""

    def __init__(self, log: Log, definition: LoopDefinition) -> None:
        self.fold: PolicyFold = definition.fold()
        super().__init__(log, definition, self.fold)
