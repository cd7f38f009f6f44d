"""The three hashes against published vectors and their plain statements."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import InputError
from foldline.records.hashing import DRAWS, draw, hash128, hash_spans, murmur2, partition_of

_VECTORS = Path(__file__).resolve().parents[2] / "vectors"
_DRAWS = _VECTORS / "draws.json"
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.fixture(scope="module")
def vectors(shared_data: Path) -> dict[str, Any]:
    """Published hash vectors."""
    loaded: dict[str, Any] = json.loads((shared_data / "hashes" / "vectors.json").read_text())
    return loaded


def _spans(texts: list[str]) -> list[tuple[int, int]]:
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded])
    out = np.empty((len(texts), 2), np.uint64)
    buffer = np.frombuffer(b"".join(encoded), np.uint8)
    hash_spans(buffer, ends - [len(text) for text in encoded], ends, out)
    return [(int(h1), int(h2)) for h1, h2 in out]


def test_murmur3_equals_the_published_vectors(vectors: dict[str, Any]) -> None:
    """Statement and kernel give the reference implementation's 128 bits."""
    texts = [vector["text"] for vector in vectors["vectors"]]
    published = [bytes.fromhex(vector["murmur3_x64_128_seed0_hex"]) for vector in vectors["vectors"]]
    expected = [(int.from_bytes(h[:8], "little"), int.from_bytes(h[8:], "little")) for h in published]
    assert [hash128(text) for text in texts] == expected
    assert _spans(texts) == expected


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(_TEXTS, min_size=1, max_size=20))
def test_the_kernel_hashes_spans_anywhere_in_a_buffer(texts: list[str]) -> None:
    """Every span of a joined buffer hashes as its text alone; an empty one to zeros."""
    assert _spans(texts) == [hash128(text) for text in texts]
    assert hash128("") == (0, 0)


def test_partitions_equal_the_java_clients(vectors: dict[str, Any]) -> None:
    """Murmur2 and the partition of the Kafka client's own test cases and the published vectors."""
    for text, signed in vectors["kafka_test_vectors"].items():
        assert murmur2(text.encode()) == signed % (1 << 32)
    for vector in vectors["vectors"]:
        assert murmur2(vector["text"].encode()) == vector["murmur2_kafka_signed"] % (1 << 32)
        assert partition_of(vector["text"], 6) == vector["kafka_partition_of_6"]
        assert partition_of(vector["text"], 12) == vector["kafka_partition_of_12"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(_TEXTS, st.integers(1, 100_000))
def test_the_partition_is_the_statements(key: str, partitions: int) -> None:
    """The compiled partitioner equals the plain murmur2 with toPositive and the remainder."""
    assert partition_of(key, partitions) == (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


@pytest.mark.parametrize("partitions", [0, -1])
def test_no_partitions_is_refused(partitions: int) -> None:
    """There is no partition among none."""
    with pytest.raises(InputError, match="at least 1"):
        partition_of("u", partitions)


def test_draws_equal_the_golden_vectors() -> None:
    """The draws of `vectors/draws.json`, which other languages read, never change."""
    cases = json.loads(_DRAWS.read_text())["vectors"]
    assert len(cases) >= 50
    for case in cases:
        assert draw(case["salt"], case["purpose"], case["id"]) == case["draw"]
        assert 0 <= case["draw"] < DRAWS


def test_draws_are_spread_evenly() -> None:
    """Of 20,000 draws a tenth falls into each tenth of the range, within five standard errors."""
    tenths = np.array([draw("salt", "action", f"0.0.{i}") * 10 // DRAWS for i in range(20_000)])
    assert np.abs(np.bincount(tenths, minlength=10) - 2000).max() < 5 * np.sqrt(1800)


def test_partitions_are_those_of_the_java_client() -> None:
    """As org.apache.kafka.common.utils.Utils of a real client answered, written down once."""
    golden = json.loads((_VECTORS / "partitions.json").read_text(encoding="utf-8"))
    for vector in golden["vectors"]:
        key = vector["key"]
        assert murmur2(key.encode()) == vector["murmur2"] & 0xFFFFFFFF
        assert [partition_of(key, count) for count in golden["counts"]] == vector["partitions"]
    assert len(golden["vectors"]) > 20
