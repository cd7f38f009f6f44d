"""Worlds to decide in."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from foldline.errors import InputError
from foldline.records.hashing import draw
from foldline.simulation.worlds import NewsWorld


def test_evenly_spaced_world_is_the_published_one() -> None:
    """Twenty articles from 0.012 to 0.05, mean 0.031."""
    world = NewsWorld.evenly_spaced()
    steps = np.diff(world.probabilities)
    assert len(world.actions) == len(set(world.actions)) == 20
    assert (world.probabilities[0], world.probabilities[-1]) == (0.012, 0.05)
    assert np.allclose(steps, 0.002)
    assert world.uniform_reward(11_000) == pytest.approx(0.031)


def test_drift_divides_all_by_five_and_lifts_the_middle() -> None:
    """From the step named on, the article at place n // 2 by probability is clicked with 0.15."""
    world = NewsWorld.evenly_spaced().drifting(at=8000)
    before, after = world.probabilities_at(7999), world.probabilities_at(8000)
    expected = before / 5
    expected[10] = 0.15
    assert np.array_equal(after, expected)
    assert (world.best_at(7999), world.best_at(8000), world.middle) == (19, 10, 10)


def test_middle_goes_by_rank_not_by_place() -> None:
    """The order in which articles are listed does not choose the one that jumps."""
    world = NewsWorld(("a", "b", "c", "d"), (0.4, 0.1, 0.3, 0.2), drift_at=1)
    assert world.actions[world.middle] == "c"
    assert world.probabilities_at(1)[2] == 0.15


def test_uniform_reward_weighs_both_sides_of_the_drift() -> None:
    """Random choice earns the average of the averages, by their numbers of steps."""
    world = NewsWorld(("a", "b"), (0.1, 0.3), drift_at=6)
    assert world.uniform_reward(10) == pytest.approx((6 * 0.2 + 4 * (0.02 + 0.15) / 2) / 10)
    assert world.uniform_reward(5) == pytest.approx(0.2)


def test_reward_is_the_published_hash_draw() -> None:
    """A click is a draw below the probability, in units of 2^-53, for a purpose of its own."""
    world = NewsWorld.evenly_spaced()
    ids = [f"0.0.7-{step}" for step in range(2000)]
    clicks = [world.reward("salt", id, 0, 19) for id in ids]
    assert clicks == [int(draw("salt", "reward", id) < int(0.05 * 2**53)) for id in ids]
    assert 60 < sum(clicks) < 140


def test_world_travels_to_other_processes() -> None:
    """A pickled world, its caches filled or not, is the same world."""
    world = NewsWorld.evenly_spaced().drifting()
    fresh = pickle.loads(pickle.dumps(world))
    assert world.best_at(9000) == fresh.best_at(9000)
    assert pickle.loads(pickle.dumps(world)) == fresh == world


def test_file_of_articles(shared_data: Path) -> None:
    """The published articles, their ids as action names."""
    world = NewsWorld.from_file(shared_data / "news20" / "articles.json")
    assert world.actions[world.best_at(0)] == "109402"
    assert world.uniform_reward(1) == pytest.approx(0.03122685)
    assert world.headlines[2].startswith("A Teacher")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"articles": [{"article_id": 1}]}',
        '{"articles": [{"article_id": 1, "click_probability": "x"}]}',
        '{"articles": [{"article_id": 1, "click_probability": 1.5}]}',
        '{"articles": []}',
        json.dumps({"articles": [{"article_id": 1, "click_probability": 0.1}] * 2}),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str) -> None:
    """A file of another shape, or with an impossible probability, is an error that says so."""
    path = tmp_path / "world.json"
    path.write_text(text)
    with pytest.raises(InputError):
        NewsWorld.from_file(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """The error names the path."""
    with pytest.raises(InputError, match=r"absent\.json"):
        NewsWorld.from_file(tmp_path / "absent.json")


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_impossible_probabilities_are_refused(probability: float) -> None:
    """Below 0, above 1 and NaN."""
    with pytest.raises(InputError, match="expected a number from 0 to 1"):
        NewsWorld(("a",), (probability,))


def test_incoherent_worlds_are_refused() -> None:
    """Lengths that differ, and a drift before the beginning."""
    with pytest.raises(InputError, match="one each"):
        NewsWorld(("a", "b"), (0.1,))
    with pytest.raises(InputError, match="headlines"):
        NewsWorld(("a", "b"), (0.1, 0.2), ("A",))
    with pytest.raises(InputError, match="drift_at"):
        NewsWorld(("a",), (0.1,), drift_at=-1)
    with pytest.raises(InputError, match="at least 1"):
        NewsWorld.evenly_spaced(0)


def test_another_article_may_jump() -> None:
    """The best article after the drift is the one named; an index that no article has is refused."""
    world = NewsWorld.evenly_spaced()
    assert world.drifting(at=5, jumps=3).best_at(5) == 3
    with pytest.raises(InputError, match="0 to 19"):
        world.drifting(jumps=20)
