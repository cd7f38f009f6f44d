"""Bundles: published when something changed, recomputable from their cut, following definitions."""

import msgspec

from foldline.engine.known import KnownStates
from foldline.engine.learner import Learner, Pace
from foldline.engine.publisher import Publisher, newest_bundle
from foldline.engine.replay import replay
from foldline.engine.replica import Replica
from foldline.log.protocol import Log
from foldline.loops.bundle import compile_bundle, content_hash
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from tests.engine.conftest import Define
from tests.engine.traffic import START, append, definition

NOW = START + 10
PACE = Pace(max_records=300, root_every_ms=0, publish_every_ms=0)


def _run(log: Log, catalogue: Catalogue, loop: LoopDefinition) -> tuple[Learner, Publisher]:
    learner = Learner(log, loop, "one", PACE)
    publisher = Publisher(log, catalogue, loop, "one")
    for turn in range(1000):
        folded = learner.step(now=NOW + turn)
        publisher.step(now=NOW + turn, every_ms=0)
        if not folded:
            break
    return learner, publisher


def test_bundle_is_recomputed_from_its_cut(log: Log, defined: Define) -> None:
    """Folding the log again to a bundle's cut and compiling gives the bundle's hash."""
    loop = definition(3)
    catalogue = defined(loop)
    append(log, loop, 1, 700)
    _run(log, catalogue, loop)
    headers = log.read(topics_of(loop).bundles, 0, 0)
    assert len(headers) > 1
    bundle = newest_bundle(log, topics_of(loop).policy)
    assert bundle is not None
    assert content_hash(bundle) == bundle.hash
    again = replay(log, loop, bundle.cut, batch=17)
    parts = [state.known for state in again.states]
    assert compile_bundle(loop, bundle.cut, parts, time=0).hash == bundle.hash
    assert [c.agrees for c in again.comparisons] == [True] * 3


def test_a_bundle_is_appended_with_the_roots_it_is_made_of(log: Log, defined: Define) -> None:
    """In one append: each cut is that of the roots before it, and is recomputed; nothing is left to publish."""
    loop = definition(3)
    catalogue = defined(loop)
    append(log, loop, 1, 700)
    learner, publisher = Learner(log, loop, "one", PACE), Publisher(log, catalogue, loop, "one")
    cuts = []
    for turn in range(1000):
        folded = learner.step(now=NOW + turn, publisher=publisher)
        states = KnownStates(log, loop)
        states.read()
        bundle = newest_bundle(log, topics_of(loop).policy)
        assert bundle is not None
        assert bundle.cut == states.cut
        assert publisher.step(now=NOW + turn, every_ms=0) is None
        cuts.append(bundle.cut)
        if not folded:
            break
    assert len(log.read(topics_of(loop).bundles, 0, 0)) == len(set(cuts)) > 1
    last = newest_bundle(log, topics_of(loop).policy)
    assert last is not None
    parts = [state.known for state in replay(log, loop, last.cut, batch=17).states]
    assert compile_bundle(loop, last.cut, parts, time=0).hash == last.hash


def test_a_lost_publishing_lease_keeps_no_root_back(log: Log, defined: Define) -> None:
    """Another publishes: the roots are appended for themselves, and it takes them up."""
    loop = definition(2)
    catalogue = defined(loop)
    append(log, loop, 1, 300)
    learner, publisher = Learner(log, loop, "one", PACE), Publisher(log, catalogue, loop, "one")
    learner.step(now=NOW, publisher=publisher)
    assert publisher._lease is not None
    log.release(publisher._lease)
    other = Publisher(log, catalogue, loop, "two")
    assert other.step(now=NOW, every_ms=0) is None
    headers = log.offsets(topics_of(loop).bundles, 0)
    append(log, loop, 2, 300)
    while learner.step(now=NOW + 1, publisher=publisher):
        continue
    assert publisher.step(now=NOW + 1, every_ms=0) is None
    assert log.offsets(topics_of(loop).bundles, 0) == headers
    assert not publisher.publishes
    bundle = other.step(now=NOW + 2, every_ms=0)
    assert bundle is not None
    assert bundle.cut == tuple(log.offsets(topics_of(loop).events, p)[1] for p in range(2))


def test_a_known_half_in_pages_is_published_once_they_stand(log: Log, defined: Define) -> None:
    """Pages about to be appended cannot be read: the bundle follows its roots."""
    names = tuple(f"action-{n:06d}" for n in range(20_000))
    loop = msgspec.structs.replace(definition(1), actions=("a", "b", *names))
    catalogue = defined(loop)
    append(log, loop, 1, 100)
    learner, publisher = Learner(log, loop, "one", PACE), Publisher(log, catalogue, loop, "one")
    learner.step(now=NOW, publisher=publisher)
    states = KnownStates(log, loop)
    states.read()
    assert states.roots[0] is not None
    assert states.roots[0].known_pages
    assert newest_bundle(log, topics_of(loop).policy) is None
    bundle = publisher.step(now=NOW, every_ms=0)
    assert bundle is not None
    assert bundle.cut == states.cut


def test_nothing_is_published_when_nothing_changed(log: Log, defined: Define) -> None:
    """Idle rounds append no bundle; a restarted publisher repeats none."""
    loop = definition(2)
    catalogue = defined(loop)
    append(log, loop, 2, 300)
    learner, publisher = _run(log, catalogue, loop)
    end = log.offsets(topics_of(loop).bundles, 0)
    for turn in range(20):
        learner.step(now=NOW + 100 + turn)
        assert publisher.step(now=NOW + 100 + turn, every_ms=0) is None
    publisher.close()
    another = Publisher(log, catalogue, loop, "two")
    assert another.step(now=NOW + 999, every_ms=0) is None
    assert log.offsets(topics_of(loop).bundles, 0) == end


def test_redefinition_reaches_bundles(log: Log, defined: Define) -> None:
    """New actions come by marker; a new policy kind is a new fold over the whole log."""
    loop = definition(2)
    catalogue = defined(loop)
    append(log, loop, 3, 300)
    learner, publisher = _run(log, catalogue, loop)
    wider = msgspec.structs.replace(loop, version=2, actions=("b", "c", "d"))
    catalogue = defined(wider)
    publisher = Publisher(log, catalogue, wider, "one")
    learner.redefine(wider, now=NOW)
    for turn in range(20):
        learner.step(now=NOW + 500 + turn)
        publisher.step(now=NOW + 500 + turn, every_ms=0)
    replica = Replica(log, topics_of(loop).policy)
    assert replica.step()
    assert replica.decider is not None
    assert replica.decider.bundle.actions == ("b", "c", "d")
    assert replica.decider.bundle.definition == 2
    thompson = msgspec.structs.replace(wider, version=3, policy={"kind": "thompson"})
    catalogue = defined(thompson)
    learner.redefine(thompson, now=NOW)
    publisher = Publisher(log, catalogue, thompson, "one")
    for turn in range(50):
        learner.step(now=NOW + 900 + turn)
        publisher.step(now=NOW + 900 + turn, every_ms=0)
    bundle = newest_bundle(log, topics_of(loop).policy)
    assert bundle is not None
    assert (bundle.kind, bundle.definition) == ("thompson", 3)
    assert bundle.cut == tuple(log.offsets(topics_of(loop).events, p)[1] for p in range(2))


def test_two_learners_share_partitions(log: Log, defined: Define) -> None:
    """Each partition has one owner; what one gives up the other takes."""
    loop = definition(4)
    defined(loop)
    append(log, loop, 4, 200)
    first, second = Learner(log, loop, "one", PACE), Learner(log, loop, "two", PACE)
    first.step(now=NOW)
    second.step(now=NOW)
    assert sorted(first.workers) == [0, 1, 2, 3]
    assert not second.workers
    first.close(now=NOW)
    second.step(now=NOW + 60_000)
    assert sorted(second.workers) == [0, 1, 2, 3]
    assert [c.agrees for c in replay(log, loop).comparisons] == [True] * 4
