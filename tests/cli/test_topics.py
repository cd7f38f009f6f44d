"""`foldline topics`, on an SQLite log."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import foldline as fl
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Topic
from foldline.records.codec import encode
from foldline.records.dead_letter import DeadLetter
from foldline.records.types import Outcome
from tests.cli.conftest import Ran

Run = Callable[..., Ran]
NOON = 1_767_268_800_000  # 2026-01-01T12:00Z


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A log with events in two partitions, a compacted topic of bytes, and dead letters."""
    url = f"sqlite:///{tmp_path}/test.db"
    with open_log(url) as log:
        log.create(Topic("news.events", partitions=2))
        log.create(Topic("news.roots", cleanup="compact"))
        log.create(Topic("news.events.dlq"))
        log.append(
            [_events(0, [NOON, NOON + 1, NOON + 2]), _events(1, [NOON + 60_000])]
            + [Batch("news.roots", 0, b"\x00\xff", 1, NOON, NOON, key=b"root")]
            + [_dead(offset) for offset in (4, 4, 9)]
        )
    return url


def _events(partition: int, times: list[int]) -> Batch:
    lines = [json.dumps({"type": "tick", "time": time}).encode() for time in times]
    return Batch("news.events", partition, b"\n".join(lines), len(times), times[0], times[-1])


def _dead(offset: int) -> Batch:
    letter = DeadLetter(
        time=NOON,
        fold="policy",
        topic="news.events",
        partition=1,
        offset=offset,
        code="record.undecodable",
        error="expected JSON",
        payload=b"\xffoops",
    )
    return Batch("news.events.dlq", 0, msgspec.json.encode(letter), 1, NOON, NOON)


def test_list_counts_offsets(run: Run, url: str) -> None:
    """Each topic has its partitions, cleanup, first and end offset, and the bytes that stand there."""
    rows = [line.split() for line in run("topics", "list", "--log", url).out.splitlines()]
    sizes = {row[0]: row[6] for row in rows[1:]}
    with open_log(url) as log:
        held = sum(len(row.payload) for p in range(2) for row in log.read("news.events", p, 0))
    assert ["news.events", "2", "delete", "0", "4", "4", str(held)] in rows
    assert ["news.roots", "1", "compact", "0", "1", "1", sizes["news.roots"]] in rows


def test_list_as_json_has_offsets_by_partition(run: Run, url: str) -> None:
    """JSON keeps the partitions apart."""
    listed = {
        topic["topic"]: topic for topic in json.loads(run("topics", "list", "--log", url, "--json").out)
    }
    assert listed["news.events"]["offsets"] == [[0, 3], [0, 1]]


def test_read_prints_every_record(run: Run, url: str) -> None:
    """Records come partition by partition, with their offset."""
    lines = run("topics", "read", "news.events", "--log", url).out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["0:0", "0:1", "0:2", "1:0"]


@pytest.mark.parametrize(
    ("arguments", "places"),
    [
        (["--partition", "0", "--offset", "1"], [(0, 1), (0, 2)]),
        (["--offset", "-1"], [(0, 2), (1, 0)]),
        (["--offset", "-9", "--limit", "2"], [(0, 0), (0, 1)]),
        (["--since", str(NOON + 2)], [(0, 2), (1, 0)]),
        (["--since", "2026-01-01T12:01"], [(1, 0)]),
        (["--offset", "2"], [(0, 2)]),
        (["--offset", "1", "--follow", "--limit", "2"], [(0, 1), (0, 2)]),
        (["--since", "2026-01-01T12:00", "--offset", "-1"], [(0, 2), (1, 0)]),
        (["--since", "2027-01-01"], []),
    ],
)
def test_read_from_a_point(run: Run, url: str, arguments: list[str], places: list[tuple[int, int]]) -> None:
    """Reading starts at an offset, counted from the end where negative, or at a time, and stops at a limit."""
    lines = run("topics", "read", "news.events", "--log", url, "--json", *arguments).out.splitlines()
    assert [(shown["partition"], shown["offset"]) for shown in map(json.loads, lines)] == places


def test_read_shows_bytes_that_are_not_json(run: Run, url: str) -> None:
    """States are shown by key and size, and whole as base64 in JSON."""
    assert run("topics", "read", "news.roots", "--log", url).out == "0:0\troot\t(2 bytes)\n"
    shown = json.loads(run("topics", "read", "news.roots", "--log", url, "--json").out)
    assert (shown["key"], shown["bytes"]) == ("root", "AP8=")


def test_follow_goes_on_until_the_limit(run: Run, url: str) -> None:
    """Following reads what is there first, and keeps its limit."""
    assert (
        len(run("topics", "read", "news.events", "--log", url, "--follow", "--limit", "4").out.splitlines())
        == 4
    )


def test_dead_shows_each_letter_once(run: Run, url: str) -> None:
    """A letter written twice by a worker that was killed is one letter."""
    letters = [json.loads(line) for line in run("topics", "dead", "--log", url, "--json").out.splitlines()]
    assert [letter["offset"] for letter in letters] == [4, 9]
    assert letters[0]["payload"] == "\\xffoops"


def test_dead_in_words(run: Run, url: str) -> None:
    """People see when, where, why and what."""
    out = run("topics", "dead", "news.events", "--log", url).out
    assert (
        "2026-01-01T12:00:00.000Z  news.events/1:4  record.undecodable  expected JSON\n    \\xffoops\n" in out
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["read", "nowhere"], "log.topic_missing"),
        (["dead", "nowhere"], "log.topic_missing"),
        (["read", "news.events", "--offset", "99"], "log.offset_out_of_range"),
        (["read", "news.events", "--offset", "2", "--partition", "1"], "log.offset_out_of_range"),
        (["read", "news.events", "--since", "yesterday"], "input.invalid"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, url: str, arguments: list[str], code: str) -> None:
    """Errors carry their code and nothing is printed as if it were a result."""
    ran = run("topics", *arguments, "--log", url, "--json")
    assert (ran.out, json.loads(ran.err)["code"]) == ("", code)


def test_reading_makes_no_log(run: Run, tmp_path: Path) -> None:
    """A wrong path is an error, not a new empty log."""
    missing = tmp_path / "missing.db"
    ran = run("topics", "list", "--log", f"sqlite:///{missing}")
    assert (ran.status, missing.exists()) == (2, False)
    assert str(missing) in ran.err


def outcome(unit: str, action: str) -> Batch:
    """An outcome in the first partition."""
    record = Outcome(
        time=NOON, id=f"0.0.{unit}", unit=unit, action=action, propensity=0.5, reward=1.0, bundle="b", definition=1
    )  # fmt: skip
    return Batch("news.events", 0, encode(record), 1, NOON, NOON)


def test_letters_are_sent_again_once_what_was_wrong_is_mended(run: Run, tmp_path: Path) -> None:
    """They are judged anew, chosen by error or place, and never sent twice."""
    url = f"sqlite:///{tmp_path}/resend.db"
    with fl.open(url) as app:
        app.loop("news", actions=["a"])
        app.log.append([outcome("u", "b"), outcome("v", "a"), outcome("w", "b")])
        app.log.append([Batch("news.events", 0, b"nonsense", 1, NOON, NOON, b"its own key")])
        news = app.loop("news", actions=["a", "b"])
        news.outcome(news.decide(unit="x"), 0.0)
        news.catch_up()
        assert news.counts()["dead"] == 3
    letters = [json.loads(line) for line in run("topics", "dead", "--log", url, "--json").out.splitlines()]
    assert [(letter["code"], letter["resent"]) for letter in letters] == [
        ("record.unknown_action", False), ("record.unknown_action", False), ("record.undecodable", False),
    ]  # fmt: skip
    first = f"0:{letters[0]['offset']}"

    def resend(*arguments: str) -> dict[str, int]:
        out = run("topics", "resend", "news.events", "--log", url, "--json", *arguments).out
        said: dict[str, int] = json.loads(out)
        return said

    chosen = ("--code", "record.unknown_action")
    assert resend(*chosen, "--dry-run")["sent"] == 0
    said = {"letters": 3, "sent": 1, "dry_run": False}
    assert resend("--place", first) == said | {"chosen": 1, "sent_before": 0}
    assert resend(*chosen) == said | {"chosen": 2, "sent_before": 1}
    assert resend(*chosen)["sent"] == 0
    with fl.open(url) as app:
        news = app.loop("news", actions=["a", "b"])
        news.outcome(news.decide(unit="y"), 0.0)
        news.catch_up()
        assert (news.counts()["outcomes"], news.counts()["dead"]) == (5, 3)
    assert "(sent again)" in run("topics", "dead", "--log", url).out
    assert resend("--code", "record.undecodable")["sent"] == 1
    with open_log(url) as log:
        again = [row for row in log.read("news.events", 0, 0) if row.payload == b"nonsense"]
        assert [row.key for row in again] == [b"its own key"] * 2
    refused = run("topics", "resend", "news.events", "--place", "0:99", "--log", url, "--json")
    assert (refused.out, json.loads(refused.err)["code"]) == ("", "input.invalid")


def test_list_shows_how_far_folds_have_come(run: Run, tmp_path: Path) -> None:
    """Offset, end and lag of each fold and partition, of every topic that is folded."""
    url = f"sqlite:///{tmp_path}/progress.db"
    with fl.open(url) as app:
        news = app.loop("news", actions=["a", "b"], partitions=2)
        for n in range(6):
            news.outcome(news.decide(unit=f"u{n}"), 1.0)
        news.catch_up()
    with open_log(url) as log:
        log.append([outcome("x", "a")])
        ends = [log.offsets("news.events", p)[1] for p in (0, 1)]
    listed = json.loads(run("topics", "list", "--log", url, "--json").out)
    topics = {topic["topic"]: topic for topic in listed}
    folds = {(each["fold"], each["partition"]): each for each in topics["news.events"]["folds"]}
    assert set(folds) == {("policy", 0), ("policy", 1), ("timeline", 0), ("timeline", 1)}
    assert [folds["policy", p]["end"] for p in (0, 1)] == ends
    assert [folds["policy", p]["lag"] for p in (0, 1)] == [1, 0]
    assert topics["foldline.loops"]["folds"] == []
    rows = [line.split()[:6] for line in run("topics", "list", "--log", url).out.splitlines()]
    assert ["policy", "news.events", "0", str(ends[0] - 1), str(ends[0]), "1"] in rows


def test_schemas_are_printed(run: Run) -> None:
    """One type's whole, all of them as one object, or a list; another name is refused with those there are."""
    reward = json.loads(run("topics", "schema", "reward").out)
    assert (reward["title"], reward["properties"]["type"]["enum"]) == ("Reward", ["reward"])
    assert json.loads(run("topics", "schema", "--json").out)["reward"] == reward
    assert any(line.split()[0] == "reward" for line in run("topics", "schema").out.splitlines())
    refused = run("topics", "schema", "click")
    assert (refused.status, "'click', expected one of decision, reward" in refused.err) == (2, True)
