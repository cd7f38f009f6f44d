"""Probability tables: integers over `WHOLE` that sum to it exactly.

Every rule of rounding stands here, so that readers in other languages can repeat it: shares are rounded down and
what remains, less than one unit an action, goes to a named place.
"""

import numpy as np
import numpy.typing as npt

from foldline.policies.protocol import WHOLE

Weights = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def everything(allowed: Mask | None, actions: int) -> Mask:
    """The mask, or all of the actions where there is none."""
    return np.ones(actions, np.bool_) if allowed is None else allowed


def equal_shares(mass: int, among: Mask) -> Weights:
    """`mass` shared equally among the marked actions; the first marked ones take one unit more of what remains.

    Example:
        >>> import numpy as np
        >>> equal_shares(10, np.array([True, False, True, True])).tolist()
        [4, 0, 3, 3]
    """
    share, rest = divmod(mass, int(among.sum()))
    weights = np.where(among, share, 0).astype(np.int64)
    weights[np.flatnonzero(among)[:rest]] += 1
    return weights


def proportional(shares: npt.NDArray[np.float64], allowed: Mask) -> Weights:
    """`WHOLE` in proportion to the shares of the allowed actions, equally where all their shares are zero.

    Each share, divided by their sum added in order, is rounded down to a unit; what remains, a few units, goes to
    the first of the greatest.

    Args:
        shares: (n,) not negative, finite.
        allowed: (n,) at least one True.

    Example:
        >>> import numpy as np
        >>> (proportional(np.array([3.0, 9.0, 1.0]), np.array([True, False, True])) / 2**53).tolist()
        [0.75, 0.0, 0.25]
    """
    kept = np.where(allowed, shares, 0.0)
    # cumsum adds in order; sum adds in pairs, by blocks whose size is numpy's own affair.
    total = float(np.cumsum(kept)[-1])
    if total <= 0.0:
        return equal_shares(WHOLE, allowed)
    weights = np.floor(kept / total * float(WHOLE)).astype(np.int64)
    weights[int(weights.argmax())] += WHOLE - int(weights.sum())
    return weights


def best_of(values: npt.NDArray[np.float64], allowed: Mask, ties: str) -> Mask:
    """The allowed actions of the greatest value: all of them, or with ties `first` the first alone."""
    best: Mask = allowed & (values == values[allowed].max())
    if ties == "first":
        first = np.zeros_like(best)
        first[int(best.argmax())] = True
        return first
    return best


def greedy(values: npt.NDArray[np.float64], allowed: Mask, epsilon: float, ties: str) -> Weights:
    """Epsilon-greedy: every allowed action gets epsilon/n rounded down, the best share all the rest equally.

    Sutton and Barto 2018, section 2.4: explore with probability epsilon among all actions, the best included.

    Args:
        values: (n,) finite estimates.
        allowed: (n,) at least one True.
        epsilon: 0 to 1.
        ties: `random`: the best share equally; `first`: the first of them takes it all.
    """
    count = int(allowed.sum())
    share = int(epsilon * WHOLE) // count
    weights = equal_shares(WHOLE - share * count, best_of(values, allowed, ties))
    weights[allowed] += share
    return weights


def mixed(weights: Weights, share: float, allowed: Mask) -> Weights:
    """A table mixed with even choice: every allowed action gets share/n rounded down, the table the rest in proportion.

    Each of its weights is scaled and rounded down; what remains goes to the first of the greatest.

    Args:
        weights: (n,) over `WHOLE`, zero where not allowed.
        share: 0 to 1.
        allowed: (n,) at least one True.

    Example:
        >>> (mixed(np.array([WHOLE, 0, 0]), 0.25, np.array([True, True, False])) / WHOLE).tolist()
        [0.875, 0.125, 0.0]
    """
    count = int(allowed.sum())
    even = int(share * WHOLE) // count
    rest = WHOLE - even * count
    found: Weights = np.floor(weights / float(WHOLE) * float(rest)).astype(np.int64)
    found[int(found.argmax())] += rest - int(found.sum())
    found[allowed] += even
    return found


def quotient(
    total: npt.NDArray[np.int64], count: npt.NDArray[np.int64], unit_bits: int
) -> npt.NDArray[np.float64]:
    """(n,) total / count in units of 2^-unit_bits, correctly rounded; NaN where count is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(count > 0, total / count, np.nan) * 2.0**-unit_bits
    # Beyond 2^53 an int64 is rounded once on conversion; Python's integer division rounds only the quotient.
    for i in np.flatnonzero((np.abs(total) > WHOLE) & (count > 0)):
        means[i] = (int(total[i]) / int(count[i])) * 2.0**-unit_bits
    return means
