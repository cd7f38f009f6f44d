"""The command line on a real Apache Kafka."""

import json
import threading
from collections.abc import Callable

from confluent_kafka import Consumer, Message, Producer, TopicPartition

import foldline as fl
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Topic
from tests.cli.conftest import Ran
from tests.cli.test_topics import NOON, outcome
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
    assert ["news.events", "2", "delete", "0", "2", "2", "~22"] in listed
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


def _unlearnable(url: str) -> None:
    """A loop that has met a record of an action it did not know, and knows it by now."""
    with fl.open(url) as app:
        app.loop("news", actions=["a"])
        app.log.append([outcome("u", "b")])
        news = app.loop("news", actions=["a", "b"])
        news.outcome(news.decide(unit="x"), 0.0)
        news.catch_up()
        assert news.counts()["dead"] == 1


def test_letters_are_listed_and_sent_again(run: Run, kafka_url: str) -> None:
    """Each once, with its key; then it counts."""
    _unlearnable(kafka_url)
    [letter] = map(json.loads, run("topics", "dead", "--json", "--log", kafka_url).out.splitlines())
    assert (letter["topic"], letter["code"], letter["resent"]) == (
        "news.events",
        "record.unknown_action",
        False,
    )
    for sent in (1, 0):
        said = json.loads(run("topics", "resend", "news.events", "--json", "--log", kafka_url).out)
        assert (said["letters"], said["sent"]) == (1, sent)
    assert "(sent again)" in run("topics", "dead", "news.events", "--log", kafka_url).out
    with fl.open(kafka_url) as app:
        news = app.loop("news")
        news.outcome(news.decide(unit="y"), 0.0)
        news.catch_up()
        assert (news.counts()["outcomes"], news.counts()["dead"]) == (3, 1)


def test_letters_keep_what_stood_beside_them(run: Run, kafka_url: str) -> None:
    """Sent again, a message has its raw bytes, key and headers; the attributes of CloudEvents are its own."""
    servers, namespace = kafka_url.partition("://")[2].split("/")
    name = f"{namespace}.news.events"
    own: list[tuple[str, str | bytes | None]] = [("trace", b"\xfe"), ("ce_id", b"7"), ("trace", b"2")]
    with fl.open(kafka_url) as app:
        news = app.loop("news", actions=["a"])
        producer = Producer({"bootstrap.servers": servers})
        producer.produce(name, b"\xffraw", b"its key", partition=0, headers=own)
        producer.produce(name, b"no record", partition=0)
        assert producer.flush(30) == 0
        news.outcome(news.decide(unit="x"), 0.0)
        news.catch_up()
        assert news.counts()["dead"] == 2
    said = json.loads(run("topics", "resend", "news.events", "--json", "--log", kafka_url).out)
    assert said["sent"] == 2
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "other", "enable.auto.commit": False})
    consumer.assign([TopicPartition(name, 0, 0)])
    found: list[Message] = []
    while len(found) < 4:
        found += [each for each in consumer.consume(20, 1.0) if each.value() in (b"\xffraw", b"no record")]
    consumer.close()
    assert [(each.value(), each.key(), each.headers()) for each in found] == [
        (b"\xffraw", b"its key", own), (b"no record", None, None),
    ] * 2  # fmt: skip


def test_namespaces_are_told_apart(run: Run, kafka_url: str) -> None:
    """A log that sees topics of another namespace shows its folds and letters under full names, and sends none."""
    inner = f"{kafka_url}.shop"
    for url in (kafka_url, inner):
        _unlearnable(url)
    topics = {
        each["topic"]: each for each in json.loads(run("topics", "list", "--json", "--log", kafka_url).out)
    }
    for name in ("news.events", "shop.news.events"):
        assert {(each["fold"], each["lag"]) for each in topics[name]["folds"]} == {
            ("policy", 0),
            ("timeline", 0),
        }
    letters = map(json.loads, run("topics", "dead", "--json", "--log", kafka_url).out.splitlines())
    assert sorted(letter["topic"] for letter in letters) == ["news.events", "shop.news.events"]
    refused = run("topics", "resend", "shop.news.events", "--log", kafka_url)
    assert (refused.status, "--log kafka://host:port/shop" in refused.err) == (2, True), refused.err
    assert json.loads(run("topics", "resend", "news.events", "--json", "--log", inner).out)["sent"] == 1


def test_topics_are_read_from_a_time_and_followed(run: Run, kafka_url: str) -> None:
    """What is older is left to the brokers; what comes meanwhile is printed, until the limit."""
    hour = 3_600_000
    noon, came = NOON + 12 * hour, threading.Event()
    with open_log(kafka_url) as log:
        log.create(Topic("t", 2))
        for p, hours in ((0, 0), (0, 5), (0, 9), (1, 3)):
            time = NOON + hours * hour
            log.append([Batch("t", p, b'{"time":%d}' % time, 1, time, time)])
        assert (log.since("t", 0, NOON + 4 * hour), log.since("t", 1, NOON + 4 * hour)) == (1, 1)
        read = run("topics", "read", "t", "--since", str(NOON + 4 * hour), "--log", kafka_url).out
        assert [line.split("\t")[0] for line in read.splitlines()] == ["0:1", "0:2"]

        def append() -> None:
            while not came.wait(0.05):
                log.append([Batch("t", 1, b'{"time":%d}' % noon, 1, noon, noon)])

        appending = threading.Thread(target=append)
        appending.start()
        arguments = ("--since", str(noon), "--follow", "--limit", "2")
        followed = run("topics", "read", "t", *arguments, "--log", kafka_url).out.splitlines()
        came.set()
        appending.join()
    assert [line.split("\t")[1] for line in followed] == [f'{{"time":{noon}}}'] * 2
