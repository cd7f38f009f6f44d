"""The state of policies that forget: counts and sums whose entries halve in weight every half-life."""

from collections.abc import Mapping, Sequence
from typing import Annotated, cast

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from foldline.fold.arrays import Arrays
from foldline.fold.emits import Emits
from foldline.stats.half_life import add_decayed, decay_at, learn_decayed

Floats = npt.NDArray[np.float64]

HalfLife = Annotated[
    float,
    Meta(
        ge=0.001,
        le=3.2e9,
        description="stream time after which a reward counts half",
        extra={"unit": "s"},
    ),
]


def milliseconds(seconds: float) -> int:
    """A duration as whole milliseconds, at least one."""
    return max(1, round(seconds * 1000))


def empty_decayed(actions: int) -> Arrays:
    """`count` and `sum` (n,) float64 at `landmark` (n,) int64, whole half-lives since 1970."""
    return {
        "count": np.zeros(actions),
        "sum": np.zeros(actions),
        "landmark": np.zeros(actions, np.int64),
    }


def learn_into(state: Arrays, emits: Emits, half_life_s: float) -> bool:
    """Learn the emits in order, by the time of their decisions; True if the state changed."""
    count, total, landmark = _parts(state)
    return learn_decayed(
        count,
        total,
        landmark,
        emits.kind,
        emits.action,
        emits.old,
        emits.new,
        emits.time,
        milliseconds(half_life_s),
    )


def merge_decayed(left: Arrays, right: Arrays) -> Arrays:
    """The sums of both, at the later landmark of each action."""
    count, total, landmark = add_decayed(_parts(left), _parts(right))
    return {"count": count, "sum": total, "landmark": landmark}


def decayed_at(
    state: Arrays, columns: Sequence[int], as_of: int, unit_bits: int, half_life_s: float
) -> tuple[Floats, Floats]:
    """(k,) effective counts and sums of rewards, as they weigh at `as_of`, milliseconds."""
    count, total, landmark = _parts(state)
    decay = decay_at(landmark[columns], as_of, milliseconds(half_life_s))
    return count[columns] * decay, total[columns] * decay * 2.0**-unit_bits


def estimates_at(count: Floats, total: Floats) -> Mapping[str, Floats]:
    """`pulls`, the effective counts, and `mean`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"pulls": count, "mean": np.where(count > 0, total / count, np.nan)}


def _parts(state: Arrays) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    return (
        cast(Floats, state["count"]),
        cast(Floats, state["sum"]),
        cast(npt.NDArray[np.int64], state["landmark"]),
    )
