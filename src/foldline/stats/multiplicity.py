"""Adjusted p-values when several hypotheses are tested at once: reject those at most alpha."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError


def bonferroni(p_values: Sequence[float]) -> list[float]:
    """m p: the chance of any false rejection is at most alpha."""
    return np.minimum(_checked(p_values) * len(p_values), 1.0).tolist()  # type: ignore[no-any-return]  # of floats


def holm(p_values: Sequence[float]) -> list[float]:
    """Stepping down from the smallest (Holm 1979): as Bonferroni, and never less powerful.

    Example:
        >>> [round(p, 4) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return _back(stepped, order)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Stepping up (Benjamini and Hochberg 1995): the expected share of false ones among rejections is at most alpha.

    For independent tests, or positively dependent ones.

    Example:
        >>> [round(p, 4) for p in benjamini_hochberg([0.01, 0.04, 0.03])]
        [0.03, 0.04, 0.04]
    """
    p = _checked(p_values)
    return _step_up(p, len(p) / np.arange(1, len(p) + 1))


def benjamini_yekutieli(p_values: Sequence[float]) -> list[float]:
    """As Benjamini and Hochberg, under any dependence (Benjamini and Yekutieli 2001)."""
    p = _checked(p_values)
    ranks = np.arange(1, len(p) + 1)
    return _step_up(p, len(p) / ranks * (1.0 / ranks).sum())


def _step_up(p: npt.NDArray[np.float64], factors: npt.NDArray[np.float64]) -> list[float]:
    order = np.argsort(p, kind="stable")
    return _back(np.minimum.accumulate((p[order] * factors)[::-1])[::-1], order)


def _back(stepped: npt.NDArray[np.float64], order: npt.NDArray[np.intp]) -> list[float]:
    adjusted = np.empty_like(stepped)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()  # type: ignore[no-any-return]  # of floats


def _checked(p_values: Sequence[float]) -> npt.NDArray[np.float64]:
    p = np.asarray(p_values, np.float64)
    if not ((p >= 0.0) & (p <= 1.0)).all():
        raise InputError("input.invalid", f"p-values {list(p_values)!r}; expected each from 0 to 1")
    return p
