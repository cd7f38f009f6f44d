"""The policy fold passes the conformance suite of folds, whatever it learns."""

import pytest

from foldline.fold.rule import RewardRule
from foldline.policies.fold import PolicyFold, PolicyState
from foldline.policies.registry import parse_policy
from foldline.records.codec import decode, encode, encode_lines
from foldline.records.columns import Columns
from foldline.records.types import Definition
from foldline.testing.check_fold import FOLD_CHECKS, check_fold
from tests.engine.traffic import START, records

KINDS = ["epsilon_greedy", "constant_step", "discounted", "thompson", "gaussian_thompson", "ucb1", "random"]


def _columns(complete: bool = False) -> Columns:
    """500 records, with markers that add an action and widen the range, and a line that is none."""
    made = records(3, 500, 0)
    first = Definition(time=START, loop="news", version=1, actions=["a", "b"])
    second = Definition(time=START, loop="news", version=2, actions=["c", "b"], low=-1.0, high=2.0)
    parts = [encode(first), encode_lines(made[:200]), encode(second), b"{nonsense", encode_lines(made[200:])]
    return decode(b"\n".join(parts))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wait_ms", [0, 5_000])
def test_conformance(kind: str, wait_ms: int) -> None:
    """Batches, restarts and a lagging pending half change no byte."""
    fold = PolicyFold(parse_policy(kind), RewardRule(wait_ms=wait_ms, correction_ms=30_000))
    assert check_fold(fold, _columns()) == list(FOLD_CHECKS)


def test_complete_outcomes_conform() -> None:
    """So does the fold that takes complete outcomes only, and buries the rest."""
    fold = PolicyFold(parse_policy("constant_step"), RewardRule(), complete=True)
    columns = _columns()
    check_fold(fold, columns)
    state: PolicyState = fold.empty()
    applied = fold.apply(state, columns)
    assert {dead.code for dead in applied.dead} == {"record.not_complete", "record.unknown_action"}


def test_the_suite_finds_a_fold_that_counts_batches() -> None:
    """A fold whose state depends on its batches fails."""

    class Batched(PolicyFold):
        def apply(self, state: PolicyState, columns: Columns, *, muted: bool = False):  # type: ignore[no-untyped-def]  # as above
            state.known.counts[0] += not muted
            return super().apply(state, columns, muted=muted)

    with pytest.raises(AssertionError, match="batches of 1 differ"):
        check_fold(Batched(parse_policy("random"), RewardRule()), _columns())
