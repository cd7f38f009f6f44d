"""Memory that batches share: whatever came before and comes after, a batch has its own columns."""

import numpy as np
import pytest

from foldline.kernels import is_ready
from foldline.records.codec import decode, encode_lines
from foldline.records.columns import Columns
from foldline.records.scanner import scan
from foldline.records.scratch import EXPECTED, SHARED_ROWS, Scratch
from foldline.records.types import Decision, Observation, Outcome, Record, Reward, Tick
from tests.records.oracle import assert_equal, columns_of


@pytest.fixture(scope="module", autouse=True)
def _scanner_ready() -> None:
    decode(b"\n".join([b'{"type":"tick","time":5}'] * 2000))
    assert is_ready(scan), "a payload of 50 kB did not ready the scanner"


def _outcome(n: int) -> Outcome:
    return Outcome(
        time=n,
        id=f"o{n}",
        unit="u",
        action=f"a{n % 7}",
        propensity=0.5,
        reward=n / 8,
        bundle="b",
        definition=1,
    )


def _in_experiment(n: int) -> Decision:
    return Decision(
        time=n, id=f"d{n}", unit="u", action="a", propensity=0.5, bundle="b", definition=1, experiment="e",
        variant="v", probability=0.25,
    )  # fmt: skip


BATCHES: dict[str, list[Record]] = {
    "outcomes": [_outcome(n) for n in range(300)],
    "rewards": [Reward(time=n, id=f"r{n}", unit="u", name=f"n{n % 3}", value=1.0) for n in range(40)],
    "decisions": [_in_experiment(n) for n in range(50)],
    "observations": [Observation(time=n, id=f"x{n}", unit="u", name="n", value=2.0) for n in range(9)],
    "mixed": [_outcome(1), Tick(time=2), _in_experiment(3), Reward(time=4, id="r", unit="u", value=1.0)],
}


def test_batches_of_any_kind_one_after_another() -> None:
    """Each is as its records say, also once all others were read; a bad line among outcomes changes nothing else."""
    names = [*BATCHES, "outcomes", *reversed(BATCHES), *["outcomes"] * (EXPECTED + 2), *BATCHES, "mixed"]
    found: list[tuple[Columns, Columns]] = []
    for number, name in enumerate(names):
        records = BATCHES[name]
        expected = columns_of(records)
        found.append((decode(encode_lines(records)), expected))
        if number % 5 == 0:
            data = b"\n".join([encode_lines(records[:2]), b"nonsense", encode_lines(records[2:])])
            assert len(decode(data).dead) == 1
    for columns, expected in found:
        assert_equal(columns, expected)


def test_what_is_blank_is_shared_and_what_is_written_is_not() -> None:
    """Outcomes have one memory for what they leave out; rewards have their own, until none came for some batches."""
    scratch = Scratch()
    assert not len(scratch.room(5).name), "nothing rare is expected at first"
    assert np.shares_memory(scratch.nothing(5).hashes, scratch.nothing(4).hashes)
    assert not np.shares_memory(scratch.nothing(SHARED_ROWS + 1).name, scratch.nothing(SHARED_ROWS + 1).name)
    made = scratch.made(5)
    assert not np.shares_memory(made.hashes, scratch.room(5).hashes)
    for _ in range(EXPECTED):
        assert len(scratch.room(5).name) == 5
        scratch.missed()
    assert not len(scratch.room(5).name)


def test_tables_come_back() -> None:
    """A table serves batches up to its size, and only one at a time; very large ones are let go."""
    scratch = Scratch()
    first, second = scratch.tables(1_000), scratch.tables(1_000)
    assert not np.shares_memory(first, second)
    scratch.give_back(first)
    assert scratch.tables(3) is first
    scratch.give_back(second)
    larger = scratch.tables(5_000)
    assert larger.shape == (2, 16_384)
    assert not larger.any()
    huge = scratch.tables(1_000_000)
    scratch.give_back(huge)
    assert scratch.tables(10) is not huge
