"""A replica goes on with what it has where a bundle is damaged."""

import logging

import msgspec
import pytest

import foldline as fl
from foldline.app.foldline import wall_clock
from foldline.engine.learner import Pace
from foldline.engine.replica import Replica
from foldline.log.protocol import Batch


def test_a_damaged_bundle_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """Bytes that are no bundle, and one whose content is not its hash's, leave the decider before in place."""
    with fl.open("memory://", pace=Pace(root_every_ms=0, publish_every_ms=0)) as app:
        news = app.loop("news", actions=["a", "b"])
        replica = Replica(app.log, "news.policy")
        assert replica.step()
        before = replica.decider
        forged = msgspec.json.encode(msgspec.structs.replace(news.bundle, salt="another"))
        now = wall_clock()
        with caplog.at_level(logging.ERROR):
            for payload in (b"nonsense", forged):
                app.log.append([Batch("news.policy", 0, payload, 1, now, now, b"news")])
                assert not replica.step()
        assert replica.decider is before
        assert len([record for record in caplog.records if "passing over" in record.message]) >= 2
        news.reward(news.decide("u"), 1)
        news.catch_up()
        assert replica.step()
        assert replica.decider is not before
