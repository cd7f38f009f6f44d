"""What a fold is: a pure function from (state, batch of records) to state, over one partition of one topic.

A state has two halves. What is known merges across partitions. What is pending (joins in progress, duplicate
filters) does not. Both dump to bytes that are a function of the prefix alone: not of batch sizes, restarts or
the log beneath. A fold reads its columns and nothing else: no clock, no randomness, no second topic. Beside its
state it may return output records, a function of the prefix as well; the engine appends them.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from foldline.fold.outputs import Outputs
from foldline.records.columns import Columns, Dead

State = TypeVar("State")


@dataclass(slots=True)
class Applied:
    """What a batch did to the state.

    Attributes:
        changed: the known half differs from before.
        dead: rows the fold could not use, besides those the codec found.
        outputs: records that follow from the batch; None for none, and with learning muted.
    """

    changed: bool = False
    dead: list[Dead] = field(default_factory=list)
    outputs: Outputs | None = None


@dataclass(frozen=True, slots=True)
class Dump:
    """A state as bytes.

    Attributes:
        known: the half that merges.
        pending: the half that does not, as pages; most stay byte-equal from one dump to the next.
        lasting: names of pages that will have the same bytes in every dump of this state that has them, by place.
    """

    known: bytes
    pending: list[bytes]
    lasting: dict[int, str] = field(default_factory=dict)


class Fold(Protocol[State]):
    """A fold over one partition.

    Attributes:
        name: names the fold within its loop.
        version: raised whenever some prefix could fold differently, outputs included.
        has_outputs: whether it ever returns output records; they then have a topic of their own.

    Example:
        >>> import foldline as fl
        >>> with fl.open("memory://") as app:
        ...     fold = app.loop("news", actions=["a", "b"]).definition.fold()
        >>> fold.name, fold.version, fold.parameters()["policy"]
        ('policy', 3, {'kind': 'epsilon_greedy'})
    """

    name: str
    version: int
    has_outputs: bool

    def parameters(self) -> dict[str, Any]:
        """The learning parameters, as JSON values: part of the fold's identity."""
        ...

    def empty(self) -> State:
        """The state of the empty prefix."""
        ...

    def apply(self, state: State, columns: Columns, *, muted: bool = False) -> Applied:
        """Fold the batch into `state`, in place.

        With `muted`, only the pending half moves: a restart re-reads what the known half already covers.
        """
        ...

    def due(self, state: State) -> int | None:
        """The least stream time at which something pending comes due, or None."""
        ...

    def dump(self, state: State, *, pending: bool = True, standing: Collection[str] = ()) -> Dump:
        """The state as bytes.

        Args:
            state: to dump.
            pending: both halves; without it only the known one, and no pages.
            standing: names of lasting pages that need not be made once more; they are given as b"".
        """
        ...

    def load(self, dump: Dump) -> State:
        """The state dumped. Going on from it equals going on from the original."""
        ...
