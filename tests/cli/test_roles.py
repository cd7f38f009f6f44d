"""`foldline up`, `serve` and `learn`: what they say, what they take from where, and what they refuse."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from foldline.cli.log_lines import JsonLines
from foldline.log.open import open_log
from foldline.serving.keys import Keyring
from foldline.serving.server import listen
from foldline.serving.settings import ServiceSettings
from tests.cli.conftest import Ran
from tests.serving.processes import Process

Run = Callable[..., Ran]
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only with a key, which is what is tested


@pytest.fixture(autouse=True)
def _log_lines() -> Iterator[None]:
    """A role takes the process's log lines over; this process wants them back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A log's URL."""
    return f"sqlite:///{tmp_path}/roles.db"


def test_up_takes_its_configuration_and_options_before_it(tmp_path: Path, url: str) -> None:
    """The log and the loop are the file's, the port is the command line's; the loop learns."""
    config = tmp_path / "foldline.toml"
    config.write_text(f'log = "{url}"\n[service]\nport = 1\n[loops.news]\nactions = ["a"]\n')
    with Process("up", "--config", str(config), "--port", "0") as up:
        ready = up.ready()
        assert (ready["log"], ready["learns"]) == (url, True)
        with httpx.Client(base_url=ready["url"], timeout=30) as client:
            assert client.get("/v1/loops").json()["loops"][0]["name"] == "news"
            assert client.get("/v1/loops/news/bundle", params={"wait": 30}).status_code == 200
            assert client.post("/v1/loops/news/decisions", json={"unit": "u"}).status_code == 200
        assert up.stop() == 0
    assert up.messages()[-1] == "stopped; everything accepted is on the log"
    with Process("up", "--config", str(config), "--port", "0") as again:
        assert httpx.get(again.ready()["url"] + "/v1/loops").json()["loops"][0]["version"] == 1
        assert again.stop(signal.SIGINT) == 0


def test_serve_and_learn_share_a_log(url: str) -> None:
    """One answers, the other learns; both stop with status 0 and say so."""
    with Process("serve", "--log", url, "--port", "0") as serve, Process("learn", "--log", url) as learn:
        ready = serve.ready()
        assert (ready["learns"], learn.ready()) == (False, {"log": url, "learns": True})
        with httpx.Client(base_url=ready["url"], timeout=60) as client:
            made = client.put("/v1/loops/news", json={"actions": ["a"]})
            assert (made.status_code, made.json()["bundle"] is not None) == (201, True)
            assert client.post("/v1/loops/news/decisions", json={"unit": "u"}).json()["action"] == "a"
        assert (serve.stop(), learn.stop()) == (0, 0)
    assert serve.messages()[-1] == "stopped; everything accepted is on the log"
    assert learn.messages()[-1] == "stopped; what was learnt is on the log"


def test_a_second_signal_does_not_cut_the_draining_short(url: str) -> None:
    """Whoever presses Ctrl-C twice loses nothing either."""
    with Process("up", "--log", url, "--port", "0") as up:
        address = httpx.URL(up.ready()["url"])
        with httpx.Client(base_url=address, timeout=60) as client:
            client.put("/v1/loops/news", json={"actions": ["a"]})
            client.post(
                "/v1/loops/news/decisions?durability=fast", json=[{"unit": f"u{i}"} for i in range(500)]
            )
        up.popen.send_signal(signal.SIGINT)
        assert up.stop(signal.SIGINT) == 0
    with open_log(url) as log:
        lines = [
            line
            for row in log.read("news.events", 0, 0, max_records=10_000)
            for line in row.payload.split(b"\n")
        ]
    assert sum(b'"type":"decision"' in line for line in lines) == 500


def test_an_open_address_needs_a_key(run: Run, url: str) -> None:
    """Status 2 and what to do; with a key on the log it listens."""
    ran = run("up", "--log", url, "--host", EVERYWHERE, "--port", "0", "--json")
    assert (ran.status, json.loads(ran.err.splitlines()[-1])["code"]) == (2, "http.not_open")
    assert "foldline keys add" in ran.err
    with open_log(url) as log:
        _, token = Keyring(log).add("ops", ("admin",), now=1)
    with Process("up", "--log", url, "--host", EVERYWHERE, "--port", "0") as up:
        port = httpx.URL(up.ready()["url"]).port
        base = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{base}/v1/loops").status_code == 401
        assert httpx.get(f"{base}/v1/loops", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert up.stop() == 0


def test_an_address_in_use_is_named(run: Run, url: str) -> None:
    """Status 2; no other process is disturbed."""
    with listen(ServiceSettings(port=0)) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        ran = run("serve", "--log", url, "--port", str(port), "--json")
    assert (ran.status, json.loads(ran.err.splitlines()[-1])["code"]) == (2, "http.address")


@pytest.mark.parametrize("command", ["up", "serve", "learn"])
def test_bad_settings_stop_the_start(run: Run, tmp_path: Path, url: str, command: str) -> None:
    """A wrong file, a wrong form of log lines, a log that is none, a loop that cannot be: one line each."""
    wrong, incoherent = tmp_path / "wrong.toml", tmp_path / "incoherent.toml"
    wrong.write_text("[service]\nprot = 1")
    incoherent.write_text('[loops.news]\nactions = ["a"]\npolicy = {kind = "constant_step"}\n')
    (tmp_path / "text.db").write_text("dear diary, " * 500)
    asks = [
        (["--config", str(wrong)], 2, "input.invalid"),
        (["--config", str(tmp_path / "none.toml")], 2, "input.unreadable"),
        (["--config", str(incoherent), "--log", url], 2, "definition.incoherent"),
        (["--log-format", "xml"], 2, "input.invalid"),
        (["--log", "redis://x"], 1, "log.url"),
        (["--log", f"sqlite:///{tmp_path}/text.db"], 1, "log.not_a_log"),
    ]
    for arguments, status, code in asks:
        ran = run(command, *arguments, "--json")
        assert (ran.status, json.loads(ran.err.splitlines()[-1])["code"], ran.out) == (status, code, "")


def test_log_lines_are_json_with_their_error() -> None:
    """One object a line: time, level, logger, message, and the traceback where there is one."""
    try:
        raise ValueError("odd \u2028 characters\n")
    except ValueError:
        record = logging.LogRecord(
            "foldline.x", logging.ERROR, "x.py", 1, "failed %s", ("so",), sys.exc_info()
        )
    text = JsonLines().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert (line["level"], line["logger"], line["message"]) == ("error", "foldline.x", "failed so")
    assert "ValueError: odd" in line["error"]
    assert line["time"].endswith("Z")


def test_for_people_the_address_is_printed(url: str) -> None:
    """Without `--json` one line of text, and log lines as text."""
    code = "from foldline.cli import main; main()"
    up = subprocess.Popen(
        [sys.executable, "-c", code, "up", "--log", url, "--port", "0", "--log-format", "text"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert up.stdout is not None
    line = up.stdout.readline()
    up.send_signal(signal.SIGTERM)
    _, written = up.communicate(timeout=60)
    assert line.startswith("serving http://127.0.0.1:")
    assert line.endswith("learning; stop with Ctrl-C\n")
    assert "INFO foldline.cli: stopped; everything accepted is on the log" in written
