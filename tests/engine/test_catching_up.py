"""A learner that is behind reads rather than writes roots, and takes up its pace as soon as it has caught up."""

from foldline.engine.learner import CATCHING_UP, Learner, Pace
from foldline.log.protocol import Log
from foldline.loops.topics import topics_of
from tests.engine.conftest import Define
from tests.engine.traffic import START, append, definition

NOW = START + 10


def test_roots_are_rarer_while_whole_micro_batches_are_there(log: Log, defined: Define) -> None:
    """After a round of a whole micro-batch a root waits ten times as long; the next smaller round writes it."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 1, 1000)
    learner = Learner(log, loop, "one", Pace(max_records=200, root_every_ms=20))
    roots = topics_of(loop).roots

    def written(after_ms: int) -> int:
        before = log.offsets(roots, 0)[1]
        learner.step(now=NOW + after_ms)
        return log.offsets(roots, 0)[1] - before

    assert written(0) == written(30) == written(60) == 0
    assert written(20 * CATCHING_UP) > 0
    assert written(20 * CATCHING_UP + 30) == 0
    assert written(20 * CATCHING_UP + 31) > 0
    assert not learner.workers[0].behind


def test_a_fold_that_follows_keeps_its_pace(log: Log, defined: Define) -> None:
    """It takes whole micro-batches of the leading fold's whenever there is much to do."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 1, 1000)
    learner = Learner(log, loop, "one", Pace(max_records=200, root_every_ms=20), leads=False)
    roots = topics_of(loop).roots
    ends = []
    for after_ms in (0, 20, 40):
        learner.step(now=NOW + after_ms)
        learner.workers[0].dump_s = 0.0  # by this machine's clock, on which the pace would depend
        ends.append(log.offsets(roots, 0)[1])
    assert ends[0] < ends[1] < ends[2]
