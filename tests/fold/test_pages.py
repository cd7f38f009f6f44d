"""Pages of attribution: times as steps, lasting ones by name."""

import numpy as np
import pytest

from foldline.fold.attribution import Attribution
from foldline.fold.pages import SEEN_BLOCK
from foldline.fold.rule import RewardRule
from foldline.policies.epsilon_greedy import EpsilonGreedy
from foldline.policies.fold import PolicyFold
from foldline.records.codec import decode, encode, encode_lines
from foldline.records.columns import Columns
from foldline.records.types import Definition, Outcome
from foldline.testing.check_fold import check_lasting_pages, check_resumption
from tests.engine.traffic import START

WIDTH = {0: 1, 255: 1, 256: 2, 65_535: 2, 65_536: 8, 2**40: 8}
"""Bytes of a step in a page whose greatest step is so many milliseconds."""


def _outcomes(times: list[int]) -> Columns:
    marker = Definition(time=START, loop="news", version=1, actions=["a"])
    made = [
        Outcome(
            time=time, id=f"o{n}", unit="u", action="a", propensity=0.5, reward=1.0, bundle="b", definition=1
        )
        for n, time in enumerate(times)
    ]
    return decode(encode(marker) + b"\n" + encode_lines(made))


@pytest.mark.parametrize("step", WIDTH)
def test_times_stand_as_steps(step: int) -> None:
    """Whatever the steps, the filter is as it was after loading, in as few bytes as the greatest needs."""
    rule = RewardRule(wait_ms=2**45)
    columns = _outcomes([START, START + step, *range(START + step, START + step + 100)])
    whole = Attribution(rule)
    whole.apply(columns, 0, len(columns), np.zeros(1, np.int32), 0.0, 1.0)
    pages = whole.dump()
    assert Attribution.load(rule, pages).dump() == pages
    body = pages[-1].partition(b"\n")[2]
    assert len(body) == 102 * 16 + 8 + 101 * WIDTH[step]


def test_whole_pages_of_the_filter_are_lasting() -> None:
    """They have names while they are whole; the ends of the filter, which move, have none."""
    fold = PolicyFold(EpsilonGreedy(), RewardRule(wait_ms=8_000, correction_ms=2_000))
    columns = _outcomes([START + n // 4 for n in range(5 * SEEN_BLOCK)])
    check_lasting_pages(fold, columns)
    check_resumption(fold, columns)
    state = fold.empty()
    fold.apply(state, columns)
    dump = fold.dump(state)
    assert list(dump.lasting.values()) == [f"seen/{3 * SEEN_BLOCK}", f"seen/{4 * SEEN_BLOCK}"]
    assert [len(dump.pending[place]) > 17 * SEEN_BLOCK for place in dump.lasting] == [True, True]
    assert not fold.dump(state, pending=False).lasting
