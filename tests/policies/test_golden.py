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
    "epsilon_greedy": "f8bc2af25c6d8fea",
    "constant_step": "ee731c9ab78dda5f",
    "discounted": "b7587063f4ae5ce7",
    "thompson": "f8bc2af25c6d8fea",
    "gaussian_thompson": "7a67e88253470340",
    "ucb1": "dfedba93f17ba607",
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_recorded_traffic_folds_to_the_recorded_bytes(kind: str) -> None:
    """If this fails on purpose, raise `PolicyFold.version` and record the new hash."""
    fold = PolicyFold(parse_policy(kind), RewardRule(wait_ms=5_000, correction_ms=30_000))
    state = fold.empty()
    payload = encode(MARKER) + b"\n" + encode_lines(records(1, 500, 0))
    fold.apply(state, decode(payload))
    dump = fold.dump(state)
    assert fold.version == 2
    assert hashlib.sha256(b"".join([dump.known, *dump.pending])).hexdigest()[:16] == GOLDEN[kind]
