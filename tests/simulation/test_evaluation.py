"""Replay evaluation of policies on logged events."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from foldline.errors import InputError
from foldline.policies.registry import parse_policy
from foldline.simulation.evaluation import Evaluation, evaluate_by_replay
from foldline.simulation.readers.logged import Row, Vocabulary
from foldline.simulation.readers.source import LoggedSource, open_logged
from foldline.stats.not_estimable import NotEstimable

_FEATURES = "2:0.1 3:0.2 4:0.3 5:0.3 6:0.1 1:1.0"


def _log(tmp_path: Path, *events: tuple[str, int, str]) -> LoggedSource:
    """A log of events (shown, click, pool), one a second."""
    lines = []
    for time, (shown, click, pool) in enumerate(events):
        articles = "".join(f" |{name} {_FEATURES}" for name in pool.split())
        lines.append(f"{time} {shown} {click} |user {_FEATURES}{articles}\n")
    (tmp_path / "log").write_text("".join(lines))
    return open_logged(tmp_path / "log")


def _value(source: LoggedSource, policy: str, seed: int = 0) -> Evaluation:
    result = evaluate_by_replay(source, parse_policy(policy), seed=seed)
    assert isinstance(result, Evaluation)
    return result


@pytest.mark.parametrize(
    ("policy", "reference"),
    [("epsilon_greedy:epsilon=0,q0=2,ties=first", "greedy"), ("ucb1:ties=first", "ucb1")],
)
def test_published_replay_of_deterministic_policies(shared_data: Path, policy: str, reference: str) -> None:
    """Matches and clicks equal those published, event for event, while articles come and go."""
    folder = shared_data / "news20"
    expected = json.loads((folder / "r6a_format_log.reference.json").read_text())["replay"][reference]
    result = _value(open_logged(folder / "r6a_format_log.txt.gz"), policy)
    assert (result.events, result.matched, result.reward) == (
        100_000,
        expected["matched"],
        expected["clicks"],
    )
    assert result.mean_reward == pytest.approx(expected["ctr"], abs=1e-15)
    assert (result.interval, result.warning) == ("wilson", None)
    assert result.low < result.mean_reward < result.high


def test_published_replay_of_a_fixed_article(shared_data: Path) -> None:
    """A fixed article that is always available matches exactly where it was shown."""
    folder = shared_data / "news20"
    expected = json.loads((folder / "r6a_format_log.reference.json").read_text())["articles"]["109402"]
    result = _value(open_logged(folder / "r6a_format_log.txt.gz"), "fixed:action=109402")
    assert (result.matched, result.reward) == (expected["shown"], expected["clicks"])


def test_random_policy_matches_as_often_as_it_should(shared_data: Path) -> None:
    """One in twenty, with the log's click rate; 4 sigma, a false alarm in 16,000 seeds (the seed is fixed)."""
    result = _value(open_logged(shared_data / "news20" / "r6a_format_log.txt.gz"), "random")
    assert abs(result.matched - 5000) < 4 * math.sqrt(100_000 * 0.05 * 0.95)
    assert abs(result.mean_reward - 0.03093) < 4 * math.sqrt(0.03093 * 0.96907 / result.matched)


def test_published_open_bandit_log(shared_data: Path) -> None:
    """A fixed item retains exactly the rows in which it was shown, and the log is known to be random."""
    path = shared_data / "obd_men" / "random.csv.gz"
    results = [_value(open_logged(path), f"fixed:action={item}") for item in range(8)]
    expected = json.loads((path.parent / "reference.json").read_text())["log_random"]
    assert [result.matched for result in results] == expected["rounds_by_item"][:8]
    assert [result.reward for result in results] == expected["clicks_by_item"][:8]
    assert {result.warning for result in results} == {None}


def test_logs_that_are_not_uniform_are_warned_of(shared_data: Path) -> None:
    """The production policy's log says so by its propensities."""
    result = _value(open_logged(shared_data / "obd_men" / "bts.csv.gz"), "random")
    assert result.warning is not None
    assert "0.000165 to 0.72529" in result.warning


def test_the_policy_learns_from_retained_events_only(tmp_path: Path) -> None:
    """Greedy with ties to the first takes `a` until a retained event teaches it otherwise."""
    events = [("b", 1, "a b")] * 5 + [("a", 1, "a b"), ("b", 1, "a b"), ("a", 0, "a b")]
    result = _value(_log(tmp_path, *events), "epsilon_greedy:epsilon=0,ties=first")
    assert (result.events, result.matched, result.reward) == (8, 2, 1.0)


def test_actions_that_come_and_go_keep_what_was_learnt(tmp_path: Path) -> None:
    """`b` leaves and returns with its reward remembered, `c` comes without any."""
    greedy = "epsilon_greedy:epsilon=0,ties=first"
    events = [("b", 1, "b"), ("a", 0, "a"), ("c", 0, "a c"), ("c", 0, "c a"), ("b", 1, "a c b")]
    result = _value(_log(tmp_path, *events), greedy)
    assert (result.matched, result.reward) == (4, 2.0)


def test_an_action_named_is_replaced_where_it_is_absent(tmp_path: Path) -> None:
    """Where the fixed action is not offered the choice falls on the others, and the result says how often."""
    result = _value(_log(tmp_path, ("b", 1, "b"), ("a", 0, "b a"), ("a", 1, "a")), "fixed:action=a")
    assert (result.matched, result.reward) == (3, 2.0)
    assert result.warning is not None
    assert "1 of 3 events" in result.warning


def test_an_action_the_log_never_offers_is_refused(tmp_path: Path) -> None:
    """A misspelt action would silently be a random policy."""
    with pytest.raises(InputError, match=r"\['z'\]") as caught:
        _value(_log(tmp_path, ("a", 1, "a b")), "split:a=1,z=1")
    assert caught.value.code == "input.unknown_action"


def test_nothing_matched_is_not_a_number(tmp_path: Path) -> None:
    """There is no mean of no rewards."""
    result = evaluate_by_replay(_log(tmp_path, ("b", 1, "a b")), parse_policy("fixed:action=a"))
    assert isinstance(result, NotEstimable)
    assert "0 of 1 events" in result.reason


def test_the_seed_decides_all(tmp_path: Path) -> None:
    """Same seed, same result; another seed, other choices."""
    rng = np.random.default_rng(1)
    events = [("ab"[i], int(i == 1), "a b") for i in rng.integers(0, 2, 400)]
    first, again, other = (_value(_log(tmp_path, *events), "random", seed) for seed in (1, 1, 2))
    assert first == again
    assert first.matched != other.matched


def test_replay_is_unbiased_on_a_uniform_log(tmp_path: Path) -> None:
    """A split policy's value is the mix of the actions' click rates; 4 sigma, the seed is fixed."""
    rng = np.random.default_rng(2)
    rates = {"a": 0.2, "b": 0.8}
    events = [(name, int(rng.random() < rates[name]), "a b") for name in rng.choice(["a", "b"], 4000)]
    result = _value(_log(tmp_path, *events), "split:a=1,b=3")
    expected = 0.25 * 0.2 + 0.75 * 0.8
    assert abs(result.mean_reward - expected) < 4 * math.sqrt(expected * (1 - expected) / result.matched)
    assert abs(result.matched - 2000) < 4 * math.sqrt(1000)


def test_progress_is_told_after_each_chunk(tmp_path: Path) -> None:
    """Events and bytes read only grow, up to the whole file."""
    seen: list[tuple[int, int]] = []
    source = _log(tmp_path, *[("a", 1, "a b")] * 5000)
    evaluate_by_replay(source, parse_policy("random"), progress=lambda at, n: seen.append((n, at.read)))
    assert [events for events, _ in seen] == [4096, 5000]
    assert seen == sorted(seen)
    assert source.read == source.size


class _Graded:
    """A format of one number a line: the reward of the only action."""

    format = "graded"

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()

    def parse(self, line: bytes) -> Row:
        action = self.vocabulary.action("a")
        return 0, action, float(line), self.vocabulary.pool((action,)), math.nan, 0


def test_rewards_other_than_0_and_1_get_the_normal_interval(tmp_path: Path) -> None:
    """The mean of any values has the interval of the central limit theorem, and the result says so."""
    path, parser = tmp_path / "log", _Graded()
    values = np.linspace(0.0, 1.0, 50)
    path.write_text("".join(f"{value}\n" for value in values))
    source = LoggedSource(path, "graded", parser.vocabulary, path.stat().st_size, _parser=parser)
    result = _value(source, "random")
    half = 1.959963984540054 * values.std(ddof=1) / math.sqrt(50)
    assert result.interval == "normal"
    assert result.mean_reward == pytest.approx(0.5)
    assert [result.low, result.high] == pytest.approx([0.5 - half, 0.5 + half])
