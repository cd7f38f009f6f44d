"""The command line on a real Apache Kafka."""

import json
from collections.abc import Callable

import foldline as fl
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Topic
from tests.cli.conftest import Ran
from tests.log.kafka.altering import alter
from tools.kafka.sharing import Shared

Run = Callable[..., Ran]


def test_topics_are_listed_and_read(run: Run, kafka_url: str) -> None:
    """A packed message's records are told apart by their index; a plain one's place is its offset."""
    with open_log(kafka_url) as log:
        log.create(Topic("news.events", 2))
        log.create(Topic("news.roots", cleanup="compact"))
        log.append([Batch("news.events", 0, b'{"n":0}', 1, 5, 5)])
        log.append([Batch("news.events", 0, b'{"n":1}\n{"n":2}', 2, 5, 6)])
        log.append([Batch("news.roots", 0, b"\xff", 1, 5, 5, b"root")])
    listed = [line.split() for line in run("topics", "list", "--log", kafka_url).out.splitlines()]
    assert ["news.events", "2", "delete", "0", "2", "2", "-"] in listed
    assert ["news.roots", "1", "compact", "0", "1", "1", "-"] in listed
    read = run("topics", "read", "news.events", "--log", kafka_url).out.splitlines()
    assert read == ['0:0\t{"n":0}', '0:1.0\t{"n":1}', '0:1.1\t{"n":2}']
    shown = run(
        "topics", "read", "news.events", "--offset", "-1", "--json", "--log", kafka_url
    ).out.splitlines()
    assert json.loads(shown[1]) == {"partition": 0, "offset": 1, "index": 1, "record": {"n": 2}}
    assert run("topics", "read", "none", "--log", kafka_url).status == 1


def test_the_news_demo_runs_and_its_log_agrees(run: Run, kafka_url: str) -> None:
    """Apps in processes of their own decide over the cluster; roots, bundles and decisions are recomputed."""
    steps = ("--steps", "300", "--apps", "2")
    ran = run("demo", "news", "--headless", "--json", *steps, "--log", kafka_url)
    assert ran.status == 0, ran.err
    result = json.loads(ran.out)
    assert result["steps"] == 300
    assert result["policy_age_ms"]["p50"] > 0
    assert run("replay", "news", "--log", kafka_url).status == 0
    audited = run("replay", "news", "--audit", "--json", "--log", kafka_url)
    assert audited.status == 0
    assert json.loads(audited.out)["decisions"] == 300


def test_a_cluster_that_is_away_is_said_in_one_line(run: Run) -> None:
    """Commands end with the reason."""
    ran = run("topics", "list", "--log", "kafka://127.0.0.1:1")
    assert ran.status == 1
    assert "refused" in ran.err
    assert "Traceback" not in ran.err


def test_topics_changed_by_others_are_found_at_start(run: Run, broker: Shared, kafka_url: str) -> None:
    """`check` names what is amiss and what only costs; a learner that could not keep its promises does not start."""
    with fl.open(kafka_url) as app:
        app.loop("news", actions=["a", "b"])
    clean = run("check", "--log", kafka_url)
    assert (clean.status, "ok   topics: 7 of loops, as they should be" in clean.out) == (0, True), clean.out
    events, roots = (f"{kafka_url.rpartition('/')[2]}.news.{name}" for name in ("events", "roots"))
    alter(broker.bootstrap, events, {"retention.ms": "604800000"})
    alter(broker.bootstrap, roots, {"cleanup.policy": "compact,delete"})
    found = run("check", "--log", kafka_url)
    assert found.status == 1
    assert "see  topic: topic 'news.events' stands with settings of others: retention.ms is" in found.out
    assert "BAD  topic: topic 'news.roots' stands with settings of others: cleanup.policy is" in found.out
    learner = run("learn", "--log", kafka_url)
    assert learner.status == 1
    assert "cleanup.policy is compact,delete, expected compact" in learner.err
    assert "log.topic_conflict" in learner.err
