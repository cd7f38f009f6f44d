"""Buffers: what nobody looks at any more is written over, and nothing else."""

import gc

import numpy as np
import pytest

from foldline.log.kafka import buffers as module
from foldline.log.kafka.buffers import Buffers

LARGE = module.SMALL_BYTES + 1


def _place(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_is_used_again_once_the_last_view_is_gone() -> None:
    """A view of a part, or an array made of one, keeps the memory as the array itself does."""
    buffers = Buffers()
    array = buffers.array(LARGE + 10)
    array[:] = 7
    place, part = _place(array), np.frombuffer(array[10:20], np.uint8)
    del array
    other = buffers.array(LARGE + 10)
    other[:] = 8
    assert part.tolist() == [7] * 10
    assert _place(other) != place
    del part
    gc.collect()
    assert _place(buffers.array(LARGE)) == place


def test_a_larger_array_has_memory_of_its_own() -> None:
    """Idle memory that is too small is left for others."""
    buffers = Buffers()
    place = _place(buffers.array(LARGE))
    large = buffers.array(module.ROUND_BYTES + 1)
    assert len(large) == module.ROUND_BYTES + 1
    assert _place(buffers.array(module.ROUND_BYTES)) == place


def test_no_more_lies_idle_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a peak the memory goes back to the system."""
    monkeypatch.setattr(module, "IDLE_BYTES", 2 * module.ROUND_BYTES)
    buffers = Buffers()
    arrays = [buffers.array(module.ROUND_BYTES) for _ in range(5)]
    assert len({_place(array) for array in arrays}) == 5
    arrays.clear()
    kept = [buffers.array(LARGE)]
    assert len(buffers._idle) == 1
    del kept
