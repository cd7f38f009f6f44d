"""Followed results are those that the log gives to whoever folds it to the same cut."""

from collections.abc import Iterator
from itertools import count

import foldline as fl
from foldline.engine.announcer import read_announcements
from foldline.engine.examining import read_results
from foldline.engine.followed_results import FollowedResults
from foldline.engine.learner import Pace
from foldline.log.protocol import Batch
from foldline.records.codec import encode
from foldline.records.types import Reward, Tick

START = 1_700_000_000_000
MINUTE = 60_000


def test_followed_results_are_those_of_their_cut() -> None:
    """A draft, then running, a verdict, a revision: at every step, of one experiment beside another."""
    times: Iterator[int] = count(START, 250)
    pace = Pace(root_every_ms=0, publish_every_ms=0, timeline_every_ms=0)
    with fl.open("memory://", pace=pace, clock=lambda: next(times)) as app:
        shop = app.loop("shop", actions=["a", "b"], partitions=2)
        tests = [
            shop.experiment(
                name, control=fl.Fixed("a"), challenger=fl.Fixed("b"), max_days=28, window_s=60, salt=name,
                goal=fl.Proportion("reward", baseline=0.2, effect=0.4), power=0.8, coverage=coverage, start=False,
            )
            for name, coverage in (("first", 0.5), ("second", 1.0))
        ]  # fmt: skip
        followed = FollowedResults(app.log)

        def agree() -> list[str]:
            kinds: list[str] = []
            for test in tests:
                found, said = followed.with_announced(shop.definition, test.definition)
                assert found == read_results(app.log, shop.definition, test.definition, at=found.cut)
                assert said == read_announcements(app.log, shop.definition, test.name)[: len(said)]
                kinds += [one.kind for one in said]
            return kinds

        assert agree() == []
        for test in tests:
            test.start()
        made = []
        for step in range(6):
            with shop.batch():
                for i in range(50):
                    choice = shop.decide(f"u{step}.{i}")
                    made.append(choice)
                    if i % {"a": 5, "b": 2}[choice.action] == 0:
                        shop.reward(choice, 1)
            app._host.round()
            agree()
        for minute in (3, 4, 5):
            time = START + minute * MINUTE
            late = [c for c in made if c.action == "a"][minute : minute + 1] if minute > 3 else []
            for partition in range(2):
                app.log.append([Batch("shop.events", partition, encode(Tick(time=time)), 1, time, time)])
            for choice in late:
                reward = Reward(
                    time=choice.time, id=f"r{minute}", decision=choice.id, name="reward", value=1.0
                )
                at = int(choice.id.split(".")[1])
                app.log.append([Batch("shop.events", at, encode(reward), 1, time, time)])
            app._host.round()
            agree()
        for _ in range(400):
            kinds = agree()
            if kinds.count("verdict") == 2 and "revision" in kinds:
                return
            app._host.round()
        raise AssertionError(kinds)
