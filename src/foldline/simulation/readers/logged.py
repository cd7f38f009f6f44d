"""What a published log of decisions gives, whatever its format: events as columns, actions and pools by index."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(slots=True, eq=False)
class LoggedEvents:
    """m events, in the order of the file.

    Attributes:
        time: (m,) int64 milliseconds since 1970-01-01 UTC.
        action: (m,) int32, what was shown: index into the vocabulary's `actions`.
        reward: (m,) float64.
        pool: (m,) int32, what could have been shown: index into the vocabulary's `pools`.
        propensity: (m,) float64, probability with which it was shown, NaN where not logged.
        position: (m,) int32, place on the page from 1, or 0 where the format has none.
    """

    time: npt.NDArray[np.int64]
    action: npt.NDArray[np.int32]
    reward: npt.NDArray[np.float64]
    pool: npt.NDArray[np.int32]
    propensity: npt.NDArray[np.float64]
    position: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.time)


Row = tuple[int, int, float, int, float, int]
"""One event, its fields in the order of `LoggedEvents`."""


def as_columns(rows: list[Row]) -> LoggedEvents:
    """The rows as columns."""
    time, action, reward, pool, propensity, position = zip(*rows, strict=True) if rows else [()] * 6
    return LoggedEvents(
        np.array(time, np.int64),
        np.array(action, np.int32),
        np.array(reward, np.float64),
        np.array(pool, np.int32),
        np.array(propensity, np.float64),
        np.array(position, np.int32),
    )


@dataclass(slots=True)
class Vocabulary:
    """Actions and pools by first appearance; both only grow while a file is read.

    Attributes:
        actions: names.
        pools: what could be shown together, as indexes into `actions`, in the order of the line.
    """

    actions: list[str] = field(default_factory=list)
    pools: list[tuple[int, ...]] = field(default_factory=list)
    _action: dict[str, int] = field(default_factory=dict)
    _pool: dict[tuple[int, ...], int] = field(default_factory=dict)

    def action(self, name: str) -> int:
        """The action's index, a new one if the name is new."""
        index = self._action.setdefault(name, len(self.actions))
        if index == len(self.actions):
            self.actions.append(name)
        return index

    def pool(self, members: tuple[int, ...]) -> int:
        """The pool's index, a new one if the pool is new."""
        index = self._pool.setdefault(members, len(self.pools))
        if index == len(self.pools):
            self.pools.append(members)
        return index


class Parser(Protocol):
    """One format, made for one pass over one file.

    Attributes:
        format: the format's name.
        vocabulary: actions and pools met so far.
    """

    format: str
    vocabulary: Vocabulary

    def parse(self, line: bytes) -> Row:
        """The event of one line, without its line end.

        Raises:
            ValueError: the line is not an event; the text says why.
        """
        ...


def quoted(text: bytes) -> str:
    """The beginning of a piece of a line, for messages."""
    return repr(text[:60].decode("utf-8", "replace"))
