"""Golden folds: recorded traffic whose folded bytes must not change while the fold's version stands."""

import hashlib

import pytest

from foldline.fold.rule import RewardRule
from foldline.policies.fold import PolicyFold
from foldline.policies.registry import parse_policy
from foldline.records.codec import decode, encode, encode_lines
from foldline.records.types import Definition
from tests.engine.traffic import START, records

MARKER = Definition(time=START, loop="news", version=1, actions=["a", "b", "c"])

GOLDEN = {
    "epsilon_greedy": "976b8f1eaad732b5",
    "constant_step": "90ed88aa71f4d755",
    "discounted": "4195062306b92d6d",
    "thompson": "976b8f1eaad732b5",
    "gaussian_thompson": "8ad1817e1d274087",
    "ucb1": "3fd675ad94b4b58d",
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_recorded_traffic_folds_to_the_recorded_bytes(kind: str) -> None:
    """If this fails on purpose, raise `PolicyFold.version` and record the new hash."""
    fold = PolicyFold(parse_policy(kind), RewardRule(wait_ms=5_000, correction_ms=30_000))
    state = fold.empty()
    payload = encode(MARKER) + b"\n" + encode_lines(records(1, 500, 0))
    fold.apply(state, decode(payload))
    dump = fold.dump(state)
    assert fold.version == 3
    assert hashlib.sha256(b"".join([dump.known, *dump.pending])).hexdigest()[:16] == GOLDEN[kind]
