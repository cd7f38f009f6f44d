"""Zeros: the same arrays, whatever they are made of."""

import gc

import numpy as np
import pytest

from foldline.fold.zeros import LARGE_BYTES, zeros

ROWS = LARGE_BYTES // 8


@pytest.mark.parametrize("shape", [(0,), (64,), (64, 3), (ROWS,), (ROWS + 1,), (ROWS, 3)])
def test_zeros_are_as_numpys(shape: tuple[int, ...]) -> None:
    """Of any size: of its shape, zero, writable, in order."""
    array = zeros(*shape)
    assert array.dtype == np.int64
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert np.array_equal(array, np.zeros(shape, np.int64))


def test_no_two_share_memory_and_views_keep_it() -> None:
    """Written to one, nothing shows in another; a view outlives its array."""
    first, second = zeros(ROWS, 2), zeros(ROWS, 2)
    first[:] = 7
    assert not second.any()
    view = first[-1]
    del first
    gc.collect()
    assert view.tolist() == [7, 7]
