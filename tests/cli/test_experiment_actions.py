"""`foldline experiments actions`, run as a user runs it."""

import json
import subprocess
import sys

import pytest

import foldline as fl
from foldline.policies.mixture import Mixture


def _foldline(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from foldline.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A loop whose bandit has half of 800 decisions, an experiment with a mixture the other; and a loop of Thompson."""
    url = f"sqlite:///{tmp_path_factory.mktemp('log')}/shop.db"
    with fl.open(url) as app:
        goal = fl.Proportion("reward", baseline=0.2, effect=0.2)
        for name, policy in (("shop", fl.EpsilonGreedy(0.5)), ("other", fl.Thompson())):
            loop = app.loop(name, actions=["blue", "red", "green"], policy=policy, salt="s")
            if name == "shop":
                bandit = Mixture({"kind": "thompson"}, share=0.3)
                loop.experiment("ctr", control=fl.Fixed("blue"), challenger=bandit, goal=goal, max_days=28,
                                salt="s", coverage=0.5)  # fmt: skip
            with loop.batch():
                for i in range(800):
                    choice = loop.decide(f"u{i}", id=str(i))
                    if i % {"blue": 5, "red": 3, "green": 5}[choice.action] == 0:
                        loop.reward(choice, 1)
    return url


def test_a_loops_own_actions(log: str) -> None:
    """Against the first or a named one, of the decisions that no experiment made; for programs and for people."""
    asked = ("experiments", "actions", "shop", "--log", log)
    found = json.loads(_foldline(*asked, "--json").stdout)
    assert 300 < found["decisions"] < 500
    assert [(one["action"], one["control"]) for one in found["effects"]] == [
        ("red", "blue"),
        ("green", "blue"),
    ]
    assert all(one["low"] < one["estimate"] < one["high"] for one in found["effects"])
    assert found["effects"][0]["least_propensity"] >= 0.5 / 3 - 1e-9
    shown = _foldline(*asked, "--control", "green").stdout
    assert "decisions of epsilon_greedy, against 'green'; limits hold at every moment" in shown
    assert _foldline(*asked, "--control", "pink").returncode == 2


def test_the_actions_of_a_variant_that_learns(log: str) -> None:
    """The only one by default; a fixed one has no floor."""
    found = json.loads(_foldline("experiments", "actions", "ctr", "--log", log, "--json").stdout)
    assert (found["loop"], found["variant"]) == ("shop", "challenger")
    assert 150 < found["decisions"] < 250
    fixed = _foldline("experiments", "actions", "ctr", "--variant", "control", "--log", log)
    assert (fixed.returncode, "gives no action a least probability" in fixed.stderr) == (2, True)


def test_a_bandit_without_a_floor_is_refused(log: str) -> None:
    """With what to do instead."""
    ran = _foldline("experiments", "actions", "other", "--log", log)
    assert (ran.returncode, "mix it with even choice" in ran.stderr) == (2, True)
    assert "input.not_estimable" in ran.stderr
