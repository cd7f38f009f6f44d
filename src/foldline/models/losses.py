"""The logarithmic loss as an exact sum, which no order of examples changes."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError
from foldline.kernels import numeric
from foldline.stats.portable import log

UNIT_BITS: Final = 32
"""Losses are summed in units of 2^-32."""

CLIP: Final = 1e-15
"""Probabilities are kept this far from 0 and 1, as River has it."""


def loss_units(likelihood: npt.NDArray[np.float64]) -> int:
    """The sum of -ln p of the probabilities given to what came true, in units of 2^-UNIT_BITS.

    Args:
        likelihood: (n,), none of them NaN; below half of `CLIP` they are taken for that.

    Example:
        >>> loss_units(np.array([0.5, 1.0])) / 2**32
        0.6931471806019545
    """
    return int(_loss_units(np.ascontiguousarray(likelihood, np.float64)))


def add_units(left: int, right: int) -> int:
    """left + right.

    Raises:
        FoldError: `fold.overflow` where it leaves 64 bits, after some 10^8 wrong and sure predictions.
    """
    total = left + right
    if total >= 1 << 63:
        raise FoldError(
            "fold.overflow", "the sum of logarithmic losses would leave its 64 bits; define a new loop"
        )
    return total


@numeric
def _loss_units(likelihood: Any) -> Any:
    total = 0
    for row in range(len(likelihood)):
        total += int(np.rint(-log(max(likelihood[row], CLIP / 2)) * 4294967296.0))
    return total
