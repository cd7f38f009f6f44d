"""`foldline experiments token`, `tokens`, `revoke`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import foldline as fl
from foldline.log.open import open_log
from foldline.serving.keys import Keyring
from tests.cli.conftest import Ran

Run = Callable[..., Ran]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A log with an experiment that is still a draft."""
    url = f"sqlite:///{tmp_path}/news.db"
    with fl.open(url) as app:
        app.loop("news", actions=["a", "b"]).experiment(
            "ctr",
            control=fl.Fixed("a"),
            challenger=fl.Fixed("b"),
            goal=fl.Proportion("click", baseline=0.07, effect=0.04),
            max_days=7,
            start=False,
        )
    return url


def test_a_token_is_made_listed_and_taken_back(run: Run, url: str) -> None:
    """Shown once; its hash and secret are in no list; another experiment's id is not taken."""
    assert run("keys", "add", "ops", "--role", "admin", "--log", url).status == 0
    made = json.loads(
        run("experiments", "token", "ctr", "--name", "shop", "--days", "2", "--log", url, "--json").out
    )
    assert (made["experiment"], made["version"], made["loop"]) == ("ctr", 1, "news")
    assert made["expires"] - made["created"] == 2 * 86_400_000
    plain = run("experiments", "token", "ctr", "--log", url).out.strip()
    with open_log(url) as log:
        keyring = Keyring(log)
        keyring.read()
        key = keyring.find(plain)
    assert key is not None
    assert (key.experiment, key.version, key.roles) == ("ctr", 1, ("decide", "reward"))
    listed = run("experiments", "tokens", "ctr", "--log", url)
    assert "shop" in listed.out
    assert made["token"].split("_", 2)[2] not in listed.out
    revoked = run("experiments", "revoke", "ctr", made["id"], "--log", url)
    assert f"revoked shop ({made['id']})" in revoked.out
    states = {
        one["id"]: one["state"]
        for one in json.loads(run("experiments", "tokens", "ctr", "--log", url, "--json").out)
    }
    assert states == {made["id"]: "revoked", key.id: "valid"}
    wrong = run("experiments", "revoke", "ctr", "000000000000", "--log", url)
    assert (wrong.status, "no token of experiment 'ctr'" in wrong.err) == (2, True)


def test_an_open_log_is_not_closed_by_a_token(run: Run, url: str) -> None:
    """Nobody would be left who may do anything else."""
    refused = run("experiments", "token", "ctr", "--log", url)
    assert (refused.status, "make a key first" in refused.err) == (2, True)
    assert run("experiments", "token", "none", "--log", url).status == 2
