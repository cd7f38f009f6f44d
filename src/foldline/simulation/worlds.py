"""Worlds to decide in: the news front page with known click probabilities, stationary or drifting.

A world draws nothing from a generator. Whether a decision earns a click is a function of a salt, the decision's
id, the step and the action, so that a run in memory and one through a log see the same world, and two policies
given the same ids meet the same visitors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.records.hashing import draw

REWARD = "reward"
"""The purpose of a world's draws."""

_WHOLE = 1 << 53


class _Article(msgspec.Struct):
    article_id: int | str
    click_probability: float
    headline: str = ""


class _File(msgspec.Struct):
    articles: list[_Article]


@dataclass(frozen=True)
class NewsWorld:
    """Articles, each clicked with its own probability.

    Attributes:
        actions: the articles' names, n of them, each once.
        probabilities: click probability of each, between 0 and 1.
        headlines: a text for people, one each or none at all.
        drift_at: the first step of the changed world, or None. From it on every probability is a fifth of what
            it was, but that of one article, which is 0.15.
        jumps: index of that article; the middle one by default.

    Example:
        >>> world = NewsWorld.evenly_spaced()
        >>> world.actions[world.best_at(0)], round(world.uniform_reward(11_000), 3)
        ('article-20', 0.031)
        >>> world.drifting(at=8_000).best_at(8_000)
        10
    """

    actions: tuple[str, ...]
    probabilities: tuple[float, ...]
    headlines: tuple[str, ...] = ()
    drift_at: int | None = None
    jumps: int | None = None

    def __post_init__(self) -> None:
        _check_actions(self.actions, self.headlines)
        _check_probabilities(self.actions, self.probabilities)
        if self.drift_at is not None and self.drift_at < 0:
            raise InputError(
                "input.invalid", f"drift_at is {self.drift_at!r}; expected a step from 0 on", field="drift_at"
            )

    @classmethod
    def evenly_spaced(cls, articles: int = 20, low: float = 0.012, high: float = 0.05) -> "NewsWorld":
        """The published setting: probabilities evenly spaced from `low` to `high`, in rising order.

        The order tells a policy nothing as long as its ties are broken at random.
        """
        if articles < 1:
            raise InputError(
                "input.invalid", f"articles is {articles!r}; expected at least 1", field="articles"
            )
        names = tuple(f"article-{i + 1:02d}" for i in range(articles))
        return cls(names, tuple(np.linspace(low, high, articles).tolist()))

    @classmethod
    def from_file(cls, path: str | Path) -> "NewsWorld":
        """The world of a JSON file `{"articles": [{"article_id", "click_probability", "headline"}, …]}`.

        Raises:
            InputError: `input.unreadable` where the file is missing or of another shape.
        """
        try:
            file = msgspec.json.decode(Path(path).read_bytes(), type=_File)
        except (OSError, msgspec.DecodeError) as error:
            raise InputError(
                "input.unreadable",
                f"world file {str(path)!r}: {error}; expected JSON "
                '{"articles": [{"article_id": …, "click_probability": …, "headline": …}, …]}',
            ) from error
        return cls(
            tuple(str(a.article_id) for a in file.articles),
            tuple(a.click_probability for a in file.articles),
            tuple(a.headline for a in file.articles),
        )

    def drifting(self, at: int = 8000, jumps: int | None = None) -> "NewsWorld":
        """The same world, changed from step `at` on; the article `jumps` (an index) becomes the best."""
        if jumps is not None and not 0 <= jumps < len(self.actions):
            raise InputError(
                "input.invalid", f"jumps is {jumps!r}; expected 0 to {len(self.actions) - 1}", field="jumps"
            )
        return replace(self, drift_at=at, jumps=jumps)

    @property
    def middle(self) -> int:
        """The article that jumps by default: the one at place n // 2 (from 0) of the articles in rising probability."""
        return int(np.argsort(np.array(self.probabilities), kind="stable")[len(self.actions) // 2])

    def probabilities_at(self, step: int) -> npt.NDArray[np.float64]:
        """(n,) float64 click probability of each action at a step, from 0 on; shared, not writable."""
        return self._phases[self._phase(step)]

    def best_at(self, step: int) -> int:
        """Index of the action with the highest click probability at a step."""
        return self._best[self._phase(step)]

    def reward(self, salt: str, id: str, step: int, action: int) -> int:
        """1 if the decision `id`, taken at `step` for `action` (an index), is clicked, else 0.

        The draw does not depend on the action: one visitor clicks on every article that is likely enough.
        """
        return int(draw(salt, REWARD, id) < self._thresholds[self._phase(step)][action])

    def uniform_reward(self, steps: int) -> float:
        """The mean reward that choosing at random earns over `steps` steps, in expectation."""
        changed = 0 if self.drift_at is None else max(0, steps - self.drift_at)
        means = [float(phase.mean()) for phase in self._phases]
        return ((steps - changed) * means[0] + changed * means[1]) / steps

    def _phase(self, step: int) -> int:
        return int(self.drift_at is not None and step >= self.drift_at)

    @cached_property
    def _phases(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        before = np.array(self.probabilities)
        after = before / 5
        after[self.middle if self.jumps is None else self.jumps] = 0.15
        before.flags.writeable = after.flags.writeable = False
        return before, after

    @cached_property
    def _best(self) -> tuple[int, int]:
        before, after = self._phases
        return int(before.argmax()), int(after.argmax())

    @cached_property
    def _thresholds(self) -> tuple[list[int], list[int]]:
        before, after = self._phases
        return [int(p * _WHOLE) for p in before], [int(p * _WHOLE) for p in after]


def _check_actions(actions: Sequence[str], headlines: Sequence[str]) -> None:
    if not actions:
        raise InputError("input.no_action", "a world has no articles; give at least one", field="actions")
    if len(set(actions)) < len(actions):
        twice = sorted({a for a in actions if actions.count(a) > 1})
        raise InputError("input.invalid", f"a world names {twice!r} more than once", field="actions")
    if headlines and len(headlines) != len(actions):
        raise InputError(
            "input.invalid",
            f"a world has {len(actions)} articles and {len(headlines)} headlines; give one each or none",
            field="headlines",
        )


def _check_probabilities(actions: Sequence[str], probabilities: Sequence[float]) -> None:
    if len(probabilities) != len(actions):
        raise InputError(
            "input.invalid",
            f"a world has {len(actions)} articles and {len(probabilities)} click probabilities; give one each",
            field="probabilities",
        )
    for action, p in zip(actions, probabilities, strict=True):
        if not 0.0 <= p <= 1.0:
            raise InputError(
                "input.invalid",
                f"click probability of article {action!r} is {p!r}; expected a number from 0 to 1",
                field="probabilities",
            )
