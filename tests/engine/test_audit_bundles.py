"""Auditing bundles: published ones are what their cuts give; planted ones are found, and nothing else is."""

from typing import Any

import msgspec
import pytest

from foldline.log.protocol import Batch, Log, Topic
from foldline.loops.bundle import content_hash, encode_bundle, header_of
from foldline.loops.deciding import Decider
from foldline.loops.topics import topics_of
from tests.engine.deciding import Honest, audited, found, rewrite
from tests.engine.traffic import START, definition


def test_repeated_bundles_agree(honest: Honest) -> None:
    """A stale publisher that repeats old bundles, and one published twice, change nothing."""
    topic = topics_of(honest.loop).bundles
    for decider in (honest.deciders[1], honest.deciders[0], honest.deciders[-1], honest.deciders[-1]):
        honest.append_bundle(topic, header_of(decider.bundle))
    result = audited(honest.log)
    assert result.agree
    assert result.bundles == len(honest.deciders) + 4


HEADERS: dict[str, dict[str, Any]] = {
    "another hash": {"hash": "0123456789abcdef"},
    "another stream time": {"stream_time": 5},
    "other actions": {"actions": ("a", "c", "b")},
    "another salt": {"salt": "pepper"},
    "another loop": {"loop": "olds"},
    "beyond the log": {"hash": "0123456789abcdef", "cut": (1, 2, 10**9)},
    "before the first marker": {"hash": "0123456789abcdef", "cut": (0, 0, 0)},
    "no such partition": {"hash": "0123456789abcdef", "cut": (1, 2)},
    "no such definition": {"hash": "0123456789abcdef", "definition": 9},
    "another cut": {"cut": (20, 11, 30)},
    "a cut that cannot be ordered": {"hash": "0123456789abcdef", "cut": (1, 1, 60)},
}


@pytest.mark.parametrize("changes", HEADERS.values(), ids=HEADERS)
def test_a_planted_header_isfound(honest: Honest, changes: dict[str, Any]) -> None:
    """A header that its cut does not give is found; decisions that name honest bundles are not touched by it."""
    topic = topics_of(honest.loop).bundles
    offset = honest.append_bundle(topic, msgspec.structs.replace(header_of(honest.newest), **changes))
    honest.run(1)
    result = audited(honest.log)
    assert found(result) == [("bundle_differs", topic, 0, offset)]
    assert result.bundles_agree == result.bundles - 1 == len(honest.deciders)
    assert found(audited(honest.log, batch=1)) == found(result)


def test_a_rewritten_header_is_found_at_its_place(honest: Honest) -> None:
    """Where a header's hash was changed, the decisions that name the true one are still recomputed."""
    topic = topics_of(honest.loop).bundles
    named = next(record.bundle for _, _, record in honest.placed if record.bundle != "fallback")
    offset = next(i for i, decider in enumerate(honest.deciders) if decider.bundle.hash == named)
    bundle = header_of(honest.deciders[offset].bundle)
    changed = msgspec.structs.replace(bundle, hash="0123456789abcdef")
    rewrite(honest.log, topic, 0, offset, encode_bundle(changed))
    [finding] = audited(honest.log).findings
    assert (finding.kind, finding.topic, finding.offset) == ("bundle_differs", topic, offset)
    assert (finding.logged, finding.recomputed) == ({"hash": "0123456789abcdef"}, {"hash": named})


def test_decisions_of_a_forged_bundle_are_checked_against_its_cut(honest: Honest) -> None:
    """A bundle with parameters of its own is found, and so is what was decided with it."""
    one_sided = msgspec.structs.replace(
        honest.newest, kind="fixed", parameters={"action": "b"}, actions=honest.newest.actions
    )
    forged = msgspec.structs.replace(one_sided, hash=content_hash(one_sided))
    honest.append_bundle(topics_of(honest.loop).bundles, header_of(forged))
    decider = Decider(forged)
    honest.append([decider.decide(f"u{i}", f"x{i}", honest.now) for i in range(40)])
    counts = audited(honest.log).counts
    assert counts["bundle_differs"] == 1
    assert counts["propensity_differs"] == 40
    assert 0 < counts["action_differs"] < 40
    assert counts["unknown_bundle"] == 0


def test_decisions_of_an_impossible_bundle_are_counted_as_unchecked(honest: Honest) -> None:
    """What cannot be recomputed is not guessed: the bundle is found, its decisions are counted apart."""
    impossible = msgspec.structs.replace(header_of(honest.newest), hash="0123456789abcdef", definition=9)
    honest.append_bundle(topics_of(honest.loop).bundles, impossible)
    fields = {"bundle": impossible.hash, "definition": 9, "propensity": 0.123}
    honest.append([msgspec.structs.replace(honest.decide(), **fields) for _ in range(3)])
    result = audited(honest.log)
    assert [f.kind for f in result.findings] == ["bundle_differs"]
    assert result.unchecked == 3


def test_what_is_no_bundle_isfound(honest: Honest) -> None:
    """A record of the bundles topic that does not decode is found at its place."""
    topic = topics_of(honest.loop).bundles
    [offset] = honest.log.append([Batch(topic, 0, b"{nonsense", 1, START, START)])
    assert found(audited(honest.log)) == [("bundle_differs", topic, 0, offset)]


@pytest.mark.parametrize("consistent", [True, False])
def test_parameters_of_the_newest_bundle_are_compared(honest: Honest, consistent: bool) -> None:
    """A whole bundle with other parameters is found, whether or not its hash was made to fit them."""
    topic = topics_of(honest.loop).policy
    parameters = dict(honest.newest.parameters or {})
    name = next(name for name, value in parameters.items() if isinstance(value, list))
    parameters[name] = [*parameters[name][1:], parameters[name][0]]
    forged = msgspec.structs.replace(honest.newest, parameters=parameters)
    if consistent:
        forged = msgspec.structs.replace(forged, hash=content_hash(forged))
    offset = honest.append_bundle(topic, forged)
    [finding] = audited(honest.log).findings
    assert (finding.kind, finding.topic, finding.offset) == ("bundle_differs", topic, offset)
    assert finding.logged["content"] != finding.recomputed["content"] == honest.newest.hash


def test_a_log_without_its_beginning_is_uncomputable(log: Log) -> None:
    """Retention that took the first events is said once a partition; what depends on them is not guessed."""
    loop = definition(2)
    events = topics_of(loop).events
    log.create(Topic(events, 2, retention_ms=1_000))
    made = Honest(log, loop)
    made.run(4)
    log.clean()
    starts = [log.offsets(events, p)[0] for p in range(2)]
    assert min(starts) > 0
    result = audited(log)
    assert found(result) == [("uncomputable", events, p, starts[p]) for p in range(2)]
    assert result.bundles == 0


def test_lost_headers_are_uncomputable(log: Log) -> None:
    """Where headers are gone by age, a bundle not found is not called unknown."""
    loop = definition(1)
    topic = topics_of(loop).bundles
    log.create(Topic(topic, 1, retention_ms=1_000))
    made = Honest(log, loop)
    made.run(4)
    log.clean()
    result = audited(log)
    assert found(result) == [("uncomputable", topic, 0, log.offsets(topic, 0)[0])]
    assert result.unchecked > 0
