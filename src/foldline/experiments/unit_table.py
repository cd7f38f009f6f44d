"""The units of an experiment, one row each: what the tally's sums are made of."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foldline.experiments.tally_fold import TallyFold, TallyState
from foldline.experiments.tally_layout import Flag, Int64s, Mark, Unit


@dataclass(frozen=True, slots=True)
class UnitTable:
    """n units that met a variant, in order of their first exposure.

    Attributes:
        hashes: (n, 2) uint64, hash of each unit's id (`records.hashing.hash128`).
        variant: (n,) index of the variant met first.
        exposed: (n,) stream time of the first exposure, milliseconds.
        matured: (n,) whether its window has closed.
        mixed: (n,) whether it was found in another variant too, and is left out.
        values: (n, v) as they are counted: capped, or 0 and 1, in units of 2^-unit_bits.
        stream_time: up to which this is known, milliseconds.
    """

    hashes: npt.NDArray[np.uint64]
    variant: Int64s
    exposed: Int64s
    matured: npt.NDArray[np.bool_]
    mixed: npt.NDArray[np.bool_]
    values: Int64s
    stream_time: int

    def __len__(self) -> int:
        return len(self.variant)


def unit_table(fold: TallyFold, state: TallyState) -> UnitTable:
    """The units of one partition's state. O(units).

    A unit's values are those of now: what came late is in them, where the tally counts it in the minute it came.
    """
    rows = state.rows
    units = rows.units[: rows.marks[Mark.UNITS]]
    units = units[units[:, Unit.VARIANT] >= 0]
    units = units[np.argsort(units[:, Unit.TIME], kind="stable")]
    flags, terms = units[:, Unit.FLAGS], fold.terms
    values = units[:, Unit.VALUES :]
    values = np.where(terms.indicator != 0, (values > 0).astype(np.int64), values)
    return UnitTable(
        hashes=np.ascontiguousarray(units[:, :2]).view(np.uint64),
        variant=units[:, Unit.VARIANT].copy(),
        exposed=units[:, Unit.TIME].copy(),
        matured=(flags & Flag.MATURED != 0) & (flags & Flag.MIXED == 0),
        mixed=flags & Flag.MIXED != 0,
        values=np.clip(values, terms.low, terms.high),
        stream_time=int(rows.marks[Mark.TIME]),
    )
