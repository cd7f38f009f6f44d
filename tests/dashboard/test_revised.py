"""The page of an experiment whose verdict was revised by what came late."""

import re
from collections.abc import Iterator
from itertools import count

import foldline as fl
from foldline.dashboard.asgi import dashboard
from foldline.engine.learner import Pace
from foldline.log.protocol import Batch
from foldline.records.codec import encode
from foldline.records.types import Reward, Tick
from tests.dashboard.site import Client

START = 1_700_000_000_000
MINUTE = 60_000


def test_a_revision_stands_beside_the_verdict() -> None:
    """What the verdict was and would be now, figure by figure: on the page, in its JSON, among the announcements."""
    times: Iterator[int] = count(START, 100)
    pace = Pace(root_every_ms=0, publish_every_ms=0, timeline_every_ms=0)
    with fl.open("memory://", pace=pace, clock=lambda: next(times)) as app:
        shop = app.loop("shop", actions=["a", "b"])
        test = shop.experiment(
            "ctr", control=fl.Fixed("a"), challenger=fl.Fixed("b"), max_days=28, window_s=60, salt="s",
            goal=fl.Proportion("click", baseline=0.1, effect=0.3), power=0.8,
        )  # fmt: skip
        with shop.batch():
            made = [shop.decide(f"u{n}") for n in range(300)]
            for n, choice in enumerate(one for one in made if one.action == "b"):
                if n % 2:
                    shop.reward(choice, 1, name="click")
        time = START + 10 * MINUTE

        def append(record: Reward | Tick) -> None:
            app.log.append([Batch("shop.events", 0, encode(record), 1, time, time)])

        append(Tick(time=time))
        for choice in [one for one in made if one.action == "a"][:40]:
            append(Reward(time=choice.time, id=f"r{choice.id}", decision=choice.id, name="click", value=1.0))
        append(Tick(time=time + MINUTE))
        for _ in range(400):
            if len(test.announcements()) > 1:
                break
            app._host.round()
        client = Client(dashboard(app.log))
        text = re.sub(r"<[^>]*>|\s+", " ", client.get("/experiments/ctr").text)
        content = client.get("/experiments/ctr/results.json").json()
    assert re.search(r"The challenger wins: challenger\. .*Revised at .* by records that came late: ", text)
    assert re.search(r"control\.challenger 0 → 0\.\d+;", text)
    assert re.search(r"verdict: challenger wins.*revision: ", text)
    assert len(content["results"]["revisions"]) == 1
    assert [one["kind"] for one in content["announced"]] == ["verdict", "revision"]
