"""Decayed sums: accurate weights, exact shifts of the landmark, merging at different landmarks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.stats.half_life import OLDEST, add_decayed, decay_at, learn_decayed, weight_tables

START = 1_700_000_000_000


def decayed(times: list[int], rewards: list[int], half_life: int) -> tuple[float, float, int]:
    """Count, sum and landmark of one action after these rewards."""
    m = len(times)
    count, total, landmark = np.zeros(1), np.zeros(1), np.zeros(1, np.int64)
    learn_decayed(
        count,
        total,
        landmark,
        np.full(m, 3, np.int8),
        np.zeros(m, np.int32),
        np.zeros(m, np.int64),
        np.array(rewards, np.int64),
        np.array(times, np.int64),
        half_life,
    )
    return float(count[0]), float(total[0]), int(landmark[0])


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.integers(1, 10**12), st.data())
def test_weights_are_powers_of_two(half_life: int, data: st.DataObject) -> None:
    """A product of constants is 2^(r/H) to a few units in the last place."""
    rest = data.draw(st.integers(0, half_life - 1))
    tables = weight_tables(half_life)
    product = 1.0
    for g in range(len(tables)):
        product *= tables[g, (rest >> 8 * g) & 255]
    assert product == pytest.approx(2.0 ** (rest / half_life), rel=1e-14)


def test_a_table_is_the_product_of_one_constant_per_bit() -> None:
    """From the lowest bit up: what a reader in another language computes."""
    tables = weight_tables(1000)
    constants = [tables[0, 1 << j] for j in range(8)]
    for value in range(256):
        product = 1.0
        for j in range(8):
            if value >> j & 1:
                product *= constants[j]
        assert tables[0, value] == product


def test_shifts_by_whole_half_lives_change_no_bit() -> None:
    """The same rewards, later by whole half-lives, give the same sums at a later landmark."""
    times, rewards = [START + 37 * i for i in range(200)], [i * 12345 % 99991 for i in range(200)]
    near = decayed(times, rewards, 500)
    far = decayed([t + 500 * 1234 for t in times], rewards, 500)
    assert near[:2] == far[:2]
    assert far[2] - near[2] == 1234


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-(2**40), 2**40)), min_size=1, max_size=40))
def test_sums_are_those_of_the_formula(entries: list[tuple[int, int]]) -> None:
    """In whatever order the times come, each entry weighs 2^(-age / H)."""
    times, rewards = [START + t for t, _ in entries], [r for _, r in entries]
    count, total, landmark = decayed(times, rewards, 20_000)
    now = max(times)
    scale = decay_at(np.array([landmark]), now, 20_000)[0]
    weights = [2.0 ** ((t - now) / 20_000) for t in times]
    assert count * scale == pytest.approx(sum(weights), rel=1e-12)
    expected = sum(w * r for w, r in zip(weights, rewards, strict=True))
    size = sum(w * abs(r) for w, r in zip(weights, rewards, strict=True))
    assert total * scale == pytest.approx(expected, abs=1e-12 * size + 1e-300)


def test_sums_of_different_landmarks_add() -> None:
    """The older is scaled; beyond a thousand half-lives it is nothing; an empty one scales nothing."""

    def one(count: float, landmark: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.array([count]), np.array([count * 3]), np.array([landmark])

    assert [a.tolist() for a in add_decayed(one(1.0, 10), one(1.0, 13))] == [[1.125], [3.375], [13]]
    assert add_decayed(one(1.0, 10), one(1.0, 10 + OLDEST))[0].tolist() == [1.0]
    assert add_decayed(one(0.0, 0), one(1.0, 10**9))[0].tolist() == [1.0]
