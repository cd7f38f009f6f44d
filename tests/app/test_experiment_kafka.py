"""An experiment on a real Apache Kafka, from its start to a revision of its verdict: what SQLite gives."""

from pathlib import Path

import msgspec

import foldline as fl
from foldline.engine.learner import Pace
from foldline.experiments.measure import Guardrail
from foldline.experiments.revision import Revision
from foldline.experiments.verdict import Verdict
from foldline.log.protocol import Batch
from foldline.loops.topics import verdicts_of
from foldline.records.codec import encode
from foldline.records.types import Reward, Tick

PACE = Pace(root_every_ms=500, publish_every_ms=5_000)
START = 1_700_000_000_000
MINUTE = 60_000
UNITS = 900


def _told(app: fl.Foldline, test: fl.Experiment, count: int) -> bool:
    """Whether the host's own thread has announced so many things within a minute or so."""
    topic = verdicts_of(app.loop("shop").definition, test.name)
    for _ in range(200):
        if len(test.announcements()) >= count:
            return True
        app.log.wait({(topic, 0): app.log.offsets(topic, 0)[1]}, 0.5)
    return False


def _run(url: str) -> tuple[Verdict, Revision, bytes]:
    """The verdict and revision announced, and the results at the end of the log as another process computes them."""
    now = [START]
    with fl.open(url, pace=PACE, timeline=False, clock=lambda: now[0]) as app:
        shop = app.loop("shop", actions=["a", "b"], partitions=2, salt="s")
        test = shop.experiment(
            "ctr", control=fl.Fixed("a"), challenger=fl.Fixed("b"), max_days=28, window_s=60, salt="s",
            goal=fl.Proportion("click", baseline=0.1, effect=0.12), power=0.8,
            guardrails=(Guardrail(name="spent", kind="ratio", per="click", margin=5.0),),
        )  # fmt: skip
        made: list[fl.Decision] = []
        for begin in range(0, UNITS, 100):
            # The clock stands still in a batch: a learner's tick between must not overtake what is appended at its end.
            now[0] = START + 250 * begin
            with shop.batch():
                for n in range(begin, begin + 100):
                    choice = shop.decide(f"u{n}", id=str(n))
                    made.append(choice)
                    if n % {"a": 10, "b": 4}[choice.action] == 0:
                        shop.reward(choice, 1, name="click", id=f"c{n}")
                        shop.reward(choice, 1 / 3, name="spent", id=f"s{n}")

        def tick(time: int) -> None:
            now[0] = time
            for partition in range(2):
                app.log.append([Batch("shop.events", partition, encode(Tick(time=time)), 1, time, time)])

        tick(made[-1].time + 5 * MINUTE)
        assert _told(app, test, 1)
        for choice in [one for one in made if one.action == "a"][3:23]:
            late = Reward(
                time=choice.time, id=f"late{choice.id}", decision=choice.id, name="click", value=1.0
            )
            partition = int(choice.id.split(".")[1])
            app.log.append([Batch("shop.events", partition, encode(late), 1, now[0], now[0])])
        tick(now[0] + MINUTE)
        assert _told(app, test, 2)
        checked = test.check()
        assert (checked.decisions, checked.agree) == (UNITS, UNITS)
        first, second = test.announcements()
        assert (first.kind, second.kind) == ("verdict", "revision")
        assert first.verdict is not None
        assert second.revision is not None
    with fl.open(url, learn=False) as app:
        test = app.loop("shop").experiment("ctr")
        cut = tuple(app.log.offsets("shop.events", partition)[1] for partition in range(2))
        found = test.results(at=cut)
        assert (found.verdict, found.revisions) == (first.verdict, (second.revision,))
        assert test.announcements() == [first, second]
        # An offset counts records on SQLite and messages on Kafka.
        results = msgspec.json.encode(msgspec.structs.replace(found, cut=()))
    return first.verdict, second.revision, results


def test_verdict_and_revision_are_those_of_the_embedded_log(kafka_url: str, tmp_path: Path) -> None:
    """The same units, rewards and late ones on two partitions: announced, recomputed, and byte for byte the same."""
    embedded, cluster = _run(f"sqlite:///{tmp_path}/shop.db"), _run(kafka_url)
    assert embedded == cluster
    verdict, revision, _ = cluster
    assert verdict.result == "challenger_wins"
    assert revision.changed["control.challenger"][0] != revision.changed["control.challenger"][1]
