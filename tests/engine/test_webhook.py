"""Webhooks: signed as Standard Webhooks says, sent until taken, never forgotten and told apart by their id."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import standardwebhooks

from foldline.app.telling import Telling
from foldline.config import read_config
from foldline.engine.announcer import Announcement
from foldline.engine.defining import create_catalogue, define
from foldline.engine.experimenting import change_experiment, create_experiments, drafted
from foldline.engine.webhook import (
    LEAST_WAIT_MS,
    MOST_WAIT_MS,
    PATIENCE_MS,
    Request,
    Webhook,
    WebhookSettings,
    check_webhook,
    post,
    secret_of,
)
from foldline.errors import InputError
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.experiments.settings import read_settings
from foldline.experiments.verdict import Verdict
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Batch, Log
from foldline.loops.catalogue import Catalogue
from tests.engine.traffic import START, definition

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
NOW = 1_800_000_000_000
VARIABLE = "S"
TOPIC = "news.ctr.verdicts"
SETTINGS = b"""
max_days = 28
variants = [{key = "control", policy = {kind = "fixed", action = "a"}},
            {key = "challenger", policy = {kind = "fixed", action = "b"}}]
[goal]
name = "reward"
baseline = 0.07
effect = 0.04
"""
VERDICT = Verdict(
    experiment="ctr", version=2, result="inconclusive", reason="stopped by hand", time=0, rule="fixed", alpha=0.05,
    units={}, enrolled={}, mixed=0, effects=(), sample_ratio_p=1.0,
)  # fmt: skip


@dataclass
class Receiver:
    """A real HTTP server that answers with these statuses in turn, then with 204.

    Attributes:
        url: of it.
        statuses: of the next answers.
        taken: headers and body of every request.
        came: set at each.
    """

    url: str
    statuses: list[int] = field(default_factory=list)
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """On a free port of this machine."""
    made = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(made.statuses.pop(0) if made.statuses else 204)
            self.send_header("content-length", "0")
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            made.came.set()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}/hook?team=ctr"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def log() -> Iterator[Log]:
    """With an experiment, of which nothing was announced yet."""
    with MemoryLog(clock=lambda: NOW + 9 * PATIENCE_MS) as made:
        create_catalogue(made)
        create_experiments(made)
        loops = Catalogue()
        define(made, loops, "news", lambda _: definition(1), holder="test", now=START)
        settings = read_settings(SETTINGS, "toml")
        change = drafted(settings, "ctr", "news", salt="s", now=START)
        change_experiment(made, ExperimentCatalogue(), loops, "ctr", change, holder="test", now=START)
        yield made


def announce(log: Log, *kinds: str, time: int = NOW) -> None:
    """As an announcer appends it."""
    for number, kind in enumerate(kinds):
        verdict = msgspec.structs.replace(VERDICT, time=number)
        said: dict[str, Any] = {"verdict": verdict} if kind != "breach" else {}
        one = Announcement(kind=kind, experiment="ctr", cut=(5,), time=time, **said)  # type: ignore[arg-type]  # one of the three kinds
        log.append([Batch(TOPIC, 0, msgspec.json.encode(one), 1, 1, 1)])


def hook(log: Log, receiver: Receiver, holder: str = "one", **changed: Any) -> Webhook:
    """A hook to it."""
    settings = WebhookSettings(url=receiver.url, secret_env=VARIABLE, **changed)
    return Webhook(log, "ops", settings, secret_of(SECRET), holder)


def test_what_is_sent_verifies(log: Log, receiver: Receiver) -> None:
    """By the standard's own library; the body is the announcement as it stands on the log."""
    announce(log, "verdict", "revision")
    assert hook(log, receiver).step(now=NOW) == 2
    ids = []
    for headers, body in receiver.taken:
        stamp = int(headers["webhook-timestamp"])
        assert stamp == NOW // 1000
        library = standardwebhooks.Webhook(SECRET)
        assert headers["webhook-signature"] == library.sign(
            headers["webhook-id"], datetime.fromtimestamp(stamp, UTC), body.decode()
        )
        ids.append(headers["webhook-id"])
    assert len(set(ids)) == 2
    first = json.loads(receiver.taken[0][1])
    assert (first["type"], first["timestamp"]) == ("experiment.verdict", "2027-01-15T08:00:00.000Z")
    assert msgspec.convert(first["data"], Announcement).experiment == "ctr"


def test_a_restart_neither_forgets_nor_repeats(log: Log, receiver: Receiver) -> None:
    """Progress stands on the log; what was sent before its mark was written is sent again, under the same id."""
    announce(log, "verdict")
    hook(log, receiver).step(now=NOW)
    announce(log, "breach")
    second = hook(log, receiver)
    assert second.step(now=NOW + 1) == 1
    assert second.step(now=NOW + 2) == 0
    second.close()
    announce(log, "revision")
    dying = hook(log, receiver, holder="dying")

    def send_and_die(url: str, request: Request) -> int:
        post(url, request)
        raise KeyboardInterrupt

    dying._send = send_and_die
    with pytest.raises(KeyboardInterrupt):
        dying.step(now=NOW + 3)
    dying.close()
    assert hook(log, receiver, holder="next").step(now=NOW + 4) == 1
    ids = [headers["webhook-id"] for headers, _ in receiver.taken]
    assert ids[2] == ids[3]
    assert len(set(ids)) == 3


def test_one_process_sends(log: Log, receiver: Receiver) -> None:
    """The other waits for the lease."""
    announce(log, "verdict")
    one, two = hook(log, receiver, "one"), hook(log, receiver, "two")
    assert (one.step(now=NOW), two.step(now=NOW)) == (1, 0)
    announce(log, "revision")
    one.close()
    assert two.step(now=NOW + 60_000) == 1
    assert len(receiver.taken) == 2


def test_it_is_sent_until_it_is_taken(log: Log, receiver: Receiver) -> None:
    """At first after a second, then after twice as long each time; in order, and no other before it."""
    announce(log, "verdict", "revision")
    receiver.statuses = [500, 429, 503]
    sender, now, waits = hook(log, receiver), NOW, []
    while sender.step(now=now) == 0:
        tried, began = len(receiver.taken), now
        while len(receiver.taken) == tried and now - began <= MOST_WAIT_MS:
            now += 250
            if sender.step(now=now):
                break
        waits.append(now - began)
        if len(receiver.taken) > 4:
            break
    assert waits[:3] == [LEAST_WAIT_MS, 2 * LEAST_WAIT_MS, 4 * LEAST_WAIT_MS]
    ids = [headers["webhook-id"] for headers, _ in receiver.taken]
    assert ids == [ids[0]] * 4 + [ids[4]]


@pytest.mark.parametrize(("status", "sent"), [(400, 1), (410, 1), (302, 1), (408, 2)])
def test_refusals_that_will_not_pass_are_given_up(
    log: Log, receiver: Receiver, status: int, sent: int
) -> None:
    """Counted in the mark, and what comes after is sent; a redirection is not followed."""
    announce(log, "verdict")
    receiver.statuses = [status]
    sender = hook(log, receiver)
    sender.step(now=NOW)
    sender.step(now=NOW + 2_000)
    assert len(receiver.taken) == sent
    marks = [json.loads(row.payload) for row in log.read("foldline.webhooks", 0, 0)]
    assert (marks[-1]["next"], marks[-1]["given_up"]) == (1, 2 - sent)


def test_nobody_there_is_tried_for_days(log: Log, receiver: Receiver) -> None:
    """Then it is given up, and said."""
    announce(log, "verdict")
    gone = Receiver("http://127.0.0.1:1/")
    sender = hook(log, gone)
    assert sender.step(now=NOW) == 0
    assert sender.step(now=NOW + PATIENCE_MS - 1) == 0
    assert sender.step(now=NOW + 2 * PATIENCE_MS) == 1


def test_only_what_is_wanted_is_sent(log: Log, receiver: Receiver) -> None:
    """The others are passed over."""
    announce(log, "verdict", "breach", "revision")
    assert hook(log, receiver, events=("breach",)).step(now=NOW) == 3
    assert [json.loads(body)["type"] for _, body in receiver.taken] == ["experiment.breach"]


@pytest.mark.parametrize(
    ("url", "insecure", "fine"),
    [
        ("https://ops.example/hook", False, True),
        ("http://127.0.0.1:80/", False, True),
        ("http://localhost/", False, True),
        ("http://[::1]/", False, True),
        ("http://ops.example/", False, False),
        ("http://10.0.0.1/", False, False),
        ("http://ops.example/", True, True),
        ("ftp://ops.example/", True, False),
        ("https:///hook", False, False),
    ],
)
def test_where_it_may_be_sent(url: str, insecure: bool, fine: bool) -> None:
    """In the clear to this machine alone."""
    settings = WebhookSettings(url=url, secret_env=VARIABLE, insecure=insecure)
    if fine:
        check_webhook(settings)
    else:
        with pytest.raises(InputError, match="expected https"):
            check_webhook(settings)


def test_secrets_are_long_and_never_repeated() -> None:
    """Of what is no secret nothing is shown."""
    for bad in ("", "whsec_c2hvcnQ=", "whsec_!!!!", "plain words, not base64"):
        with pytest.raises(InputError) as raised:
            secret_of(bad)
        assert not bad or bad not in str(raised.value)


def test_a_learner_tells(
    log: Log, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the configuration has it; without its secret nothing starts."""
    file = tmp_path / "foldline.toml"
    file.write_text(f'[webhooks.ops]\nurl = "{receiver.url}"\nsecret_env = "OPS_SECRET"\n')
    settings = read_config(file).webhooks
    with pytest.raises(InputError, match="no OPS_SECRET"):
        Telling(log, settings, "one")
    monkeypatch.setenv("OPS_SECRET", SECRET)
    announce(log, "verdict")
    with Telling(log, settings, "one"):
        assert receiver.came.wait(30)
    file.write_text('[webhooks.ops]\nurl = "http://ops.example/"\nsecret_env = "S"\n')
    with pytest.raises(InputError, match=r"webhooks\.ops\.url"):
        read_config(file)
