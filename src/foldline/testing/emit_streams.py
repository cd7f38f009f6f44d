"""Emits as attribution makes them, for tests of policies: coherent, in order, with rewards such as 0.1 and 1/3."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foldline.fold.emits import Emit, Emits

UNIT_BITS = 32
"""Rewards are in units of 2^-32."""

START = 1_700_000_000_000
"""Stream time of the first decision, milliseconds."""

_REWARDS = (0.0, 1.0, 0.1, 1 / 3, 0.7)
_STEP_MS = 900


@dataclass(frozen=True, slots=True)
class EmitStream:
    """Emits, and the partition each decision belongs to.

    Attributes:
        emits: m events.
        partition: (m,) int64, 0 to 2.
        actions: number of actions.
        as_of: stream time at the end, milliseconds.
    """

    emits: Emits
    partition: npt.NDArray[np.int64]
    actions: int
    as_of: int

    def part(self, partition: int) -> Emits:
        """The emits of one partition, in order."""
        return pick(self.emits, np.flatnonzero(self.partition == partition))


def emit_stream(seed: int, actions: int = 6, decisions: int = 400, *, corrected: bool = True) -> EmitStream:
    """Decisions at irregular times, each learnt some decisions later.

    One in ten is replaced before it is learnt; one in six is corrected after, if `corrected`.
    """
    rng = np.random.default_rng(seed)
    times = START + np.cumsum(rng.integers(0, 2 * _STEP_MS, decisions))
    rows: list[tuple[float, int, int, int, int, int, int]] = []
    for d in range(decisions):
        action, time, partition = int(rng.integers(actions)), int(times[d]), int(rng.integers(3))
        reward, truth = (round(float(rng.choice(_REWARDS)) * 2**UNIT_BITS) for _ in range(2))
        rows.append((d, Emit.DECIDED, action, 0, 0, time, partition))
        due = d + float(rng.random()) * 20
        if rng.random() < 0.1:
            rows.append((due, Emit.UNDECIDED, action, 0, 0, time, partition))
            continue
        rows.append((due, Emit.LEARNT, action, 0, reward, time, partition))
        if corrected and rng.random() < 1 / 6:
            rows.append((due + 5, Emit.CORRECTED, action, reward, truth, time, partition))
    rows.sort(key=lambda row: row[0])
    return EmitStream(
        emits_of([row[1:6] for row in rows]), np.array([row[6] for row in rows]), actions, int(times[-1])
    )


def emits_of(rows: list[tuple[int, int, int, int, int]]) -> Emits:
    """Emits of rows (kind, action, old, new, time)."""
    kind, action, old, new, time = zip(*rows, strict=True)
    return Emits(
        np.array(kind, np.int8),
        np.array(action, np.int32),
        np.array(old, np.int64),
        np.array(new, np.int64),
        np.array(time, np.int64),
        np.arange(len(rows), dtype=np.int64),
    )


def pick(emits: Emits, rows: npt.NDArray[np.int64]) -> Emits:
    """The emits at these rows, as copies."""
    return Emits(
        emits.kind[rows],
        emits.action[rows],
        emits.old[rows],
        emits.new[rows],
        emits.time[rows],
        emits.row[rows],
    )
