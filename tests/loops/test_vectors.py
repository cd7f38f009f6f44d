"""The golden vectors that every language answers alike: vectors/decisions.json."""

import json
from functools import cache
from typing import Any

import msgspec
import pytest
from xxhash import xxh3_64_hexdigest

from foldline.loops.bundle import decode_bundle
from foldline.loops.deciding import Decider
from foldline.policies.protocol import WHOLE
from foldline.policies.registry import POLICIES
from foldline.records.hashing import partition_of
from tools import vectors


@cache
def _file() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(vectors.PATH.read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("entry", _file()["bundles"], ids=lambda entry: str(entry["name"]))
def test_every_table_and_choice_is_recomputed(entry: dict[str, Any]) -> None:
    """If this fails, propensities on logs are wrong: another answer to an old case is a fault, not a new golden."""
    bundle = decode_bundle(msgspec.json.encode(entry["bundle"]))
    decider = Decider(bundle)
    for table in entry["tables"]:
        available = table["available"]
        weights = dict.fromkeys(bundle.actions, 0) | dict(
            zip(available or bundle.actions, table["weights"], strict=True)
        )
        assert decider.compiled.weights_among(available).tolist() == list(weights.values())
        assert sum(weights.values()) == WHOLE
        for (unit, local), partition, choice in zip(
            _file()["ids"], entry["partitions"], table["choices"], strict=True
        ):
            decision = decider.decide(unit, local, 0, available=available)
            action = bundle.actions[choice]
            assert decision.id == f"{bundle.generation}.{partition}.{local}"
            assert (decision.action, decision.propensity) == (action, weights[action] / WHOLE)


def test_hashes_and_partitions_are_recomputed() -> None:
    """Texts of every length class of XXH3; partitions as Kafka's."""
    for text, digest in _file()["hashes"]:
        assert xxh3_64_hexdigest(text.encode()) == digest
    for unit, partitions in _file()["partitions"]:
        assert [partition_of(unit, n) for n in vectors.PARTITIONS] == partitions


def test_the_vectors_cover_every_policy_and_length() -> None:
    """A new policy needs a case."""
    assert {entry["bundle"]["kind"] for entry in _file()["bundles"]} == {
        policy.__struct_config__.tag for policy in POLICIES
    }
    sizes = {len(text.encode()) for text, _ in _file()["hashes"]}
    assert sizes >= set(vectors.LENGTHS)


def test_the_file_is_what_the_tool_writes() -> None:
    """`make vectors` writes it."""
    assert vectors.PATH.read_text(encoding="utf-8") == vectors.text()
