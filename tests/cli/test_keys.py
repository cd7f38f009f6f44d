"""`foldline keys`: made, listed, taken back."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from foldline.log.open import open_log
from foldline.serving.keys import Keyring
from tests.cli.conftest import Ran

Run = Callable[..., Ran]
NOW = 1_900_000_000_000


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A log's URL; the log is made by the first key."""
    return f"sqlite:///{tmp_path}/keys.db"


def test_a_key_is_shown_once_and_works(run: Run, url: str) -> None:
    """The token printed is the key; the list has all but it and its hash."""
    made = run(
        "keys", "add", "shop", "--role", "decide", "--role", "reward", "--role", "decide", "--log", url
    )
    token = made.out.strip()
    with open_log(url) as log:
        keyring = Keyring(log)
        keyring.read()
        key = keyring.find(token)
    assert key is not None
    assert (key.name, key.roles) == ("shop", ("decide", "reward"))
    listed = run("keys", "list", "--log", url, "--json")
    assert [(line["id"], line["state"]) for line in json.loads(listed.out)] == [(key.id, "valid")]
    for text in (listed.out, run("keys", "list", "--log", url).out):
        assert "shop" in text
        assert token.split("_", 2)[2] not in text
        assert key.hash not in text


def test_a_key_as_json(run: Run, url: str) -> None:
    """Id, name, roles and token."""
    made = json.loads(
        run("keys", "add", "ops", "--role", "admin", "--rate", "5", "--days", "2", "--log", url, "--json").out
    )
    assert made["token"].startswith(f"fl_{made['id']}_")
    listed = json.loads(run("keys", "list", "--log", url, "--json").out)[0]
    assert (listed["rate"], listed["expires"] - listed["created"]) == (5.0, 2 * 86_400_000)


def test_a_key_taken_back_stays_listed(run: Run, url: str) -> None:
    """As revoked; it works no more."""
    made = json.loads(run("keys", "add", "shop", "--role", "decide", "--log", url, "--json").out)
    assert made["id"] in run("keys", "revoke", made["id"], "--log", url).out
    assert json.loads(run("keys", "revoke", made["id"], "--log", url, "--json").out)["state"] == "revoked"
    assert "revoked" in run("keys", "list", "--log", url).out
    with open_log(url) as log:
        keyring = Keyring(log)
        keyring.read()
        found = keyring.find(made["token"])
        assert found is not None
        assert found.is_over(NOW)


def test_an_expired_key_is_listed_as_such(run: Run, url: str) -> None:
    """Its time is over."""
    with open_log(url) as log:
        Keyring(log).add("old", ("decide",), now=1_000, expires=2_000)
    assert "expired" in run("keys", "list", "--log", url).out


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["add", "x", "--role", "owner"], "role"),
        (["add", "x", "--role", "decide", "--rate", "0"], "rate"),
        (["add", "x", "--role", "decide", "--rate", "nan"], "rate"),
        (["add", "x", "--role", "decide", "--rate", "inf"], "rate"),
        (["add", "x", "--role", "decide", "--days", "-1"], "days"),
        (["add", "x", "--role", "decide", "--days", "0"], "days"),
        (["add", "x", "--role", "decide", "--days", "1e300"], "days"),
        (["add", "", "--role", "decide"], "name"),
        (["add", "a\nb", "--role", "decide"], "name"),
        (["revoke", "nonsense"], "id"),
    ],
)
def test_what_makes_no_key_is_named(run: Run, url: str, arguments: list[str], field: str) -> None:
    """Status 2, the field, and no key."""
    with open_log(url):
        pass
    ran = run("keys", *arguments, "--log", url, "--json")
    assert (ran.status, json.loads(ran.err)["field"], ran.out) == (2, field, "")
    assert json.loads(run("keys", "list", "--log", url, "--json").out) == []


def test_listing_makes_no_log(run: Run, tmp_path: Path) -> None:
    """A wrong path is an error."""
    missing = tmp_path / "missing.db"
    assert run("keys", "list", "--log", f"sqlite:///{missing}").status == 2
    assert not missing.exists()
