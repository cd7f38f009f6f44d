"""An open Foldline: a log, its loops, and the thread that learns."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Literal, Self

import msgspec

from foldline.app.loop import Loop
from foldline.app.secret import DeploymentSecret
from foldline.engine.defining import create_catalogue, define, read_catalogue
from foldline.engine.host import Host
from foldline.engine.learner import Pace
from foldline.log.open import open_log
from foldline.log.protocol import Log
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.folds import attached_folds
from foldline.loops.settings import LoopSettings
from foldline.models.definition import ModelDefinition, model_values_of
from foldline.models.signing import Secret, no_secret
from foldline.policies.protocol import Policy

Clock = Callable[[], int]


def wall_clock() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def open_foldline(
    url: str = "sqlite:///foldline.db",
    *,
    learn: bool = True,
    clock: Clock | None = None,
    pace: Pace | None = None,
    timeline: bool = True,
) -> "Foldline":
    """Open a log and, unless told otherwise, learn from it in a thread of this process.

    Several processes may open one SQLite file: leases share the learning out among those that learn.

    Args:
        url: `sqlite:///relative/path.db`, `sqlite:////absolute/path.db` or `memory://`.
        learn: whether this process takes part in learning and publishing.
        clock: milliseconds since 1970-01-01 UTC, stamps the records of this process; the wall clock by default.
        pace: micro-batches, roots, bundles, leases.
        timeline: whether learning keeps the loops' timelines too, which the dashboard plots.

    Returns:
        An open Foldline, to be closed; use it in a `with` statement.

    Raises:
        LogError: the log cannot be opened.

    Example:
        >>> import foldline as fl
        >>> with fl.open("memory://") as app:
        ...     news = app.loop("news", actions=["a", "b"])
        ...     choice = news.decide(unit="u1")
        ...     news.reward(choice, 1)
        ...     choice.action in {"a", "b"}
        True
    """
    log = open_log(url)
    try:
        return Foldline(
            log,
            learn=learn,
            clock=clock or wall_clock,
            pace=pace,
            timeline=timeline,
            secret=DeploymentSecret(url),
        )
    except BaseException:
        log.close()
        raise


class Foldline:
    """A log with its loops. Thread-safe.

    Example:
        >>> import foldline as fl
        >>> with fl.open("memory://") as app:
        ...     app.loop("news", actions=["a", "b"]).definition.version
        1
    """

    def __init__(
        self,
        log: Log,
        *,
        learn: bool,
        clock: Clock,
        pace: Pace | None = None,
        timeline: bool = True,
        secret: Secret = no_secret,
    ) -> None:
        self.log = log
        self._clock = clock
        self._secret = secret
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        create_catalogue(log)
        self._host = Host(
            log,
            holder=self._holder,
            learn=learn,
            clock=wall_clock,
            pace=pace,
            timeline=timeline,
            stamp=clock,
            folds=partial(attached_folds, secret=secret),
        )
        self._loops: dict[str, Loop] = {}
        self._closed = False
        self._defining = threading.Lock()
        read_catalogue(log, self._host.catalogue)
        self._host.start()

    def loop(
        self,
        name: str,
        actions: Sequence[str] | None = None,
        *,
        policy: Policy | None = None,
        reward: str | None = None,
        reward_wait_s: float | None = None,
        correction_s: float | None = None,
        default_reward: float | None = None,
        aggregation: Literal["sum", "first", "last", "max", "mean"] | None = None,
        activation: bool | None = None,
        complete: bool | None = None,
        low: float | None = None,
        high: float | None = None,
        unit_bits: int | None = None,
        partitions: int | None = None,
        salt: str | None = None,
        models: Sequence[ModelDefinition] | None = None,
    ) -> Loop:
        """A loop: attach to it, define it, or define its next version.

        What is left out keeps its present value, or has the default shown for a new loop. A call that changes
        nothing attaches. Changing a learning parameter (policy kind, wait, correction, aggregation …) starts
        a new fold that re-reads the log from its beginning.

        Args:
            name: letters, digits, `-` and `_`; at most 64.
            actions: what may be decided; required for a new loop, unless it has models.
            policy: how (default `EpsilonGreedy(0.1)`).
            reward: name of the reward learnt (default "reward").
            reward_wait_s: seconds of stream time a decision waits for its rewards (default 0: learnt at once
                with the default reward, corrected when the truth comes).
            correction_s: seconds after the wait in which a late reward still corrects (default 3600).
            default_reward: what a decision without reward is worth (default 0).
            aggregation: how several rewards of a decision become one (default "sum").
            activation: whether a decision counts only once shown (default False).
            complete: whether outcomes arrive complete, without separate rewards (default False).
            low: least reward allowed (default 0).
            high: greatest reward allowed (default 1).
            unit_bits: rewards are summed exactly in units of 2^-unit_bits (default 32).
            partitions: of the event topic (default 1); fixed once defined.
            salt: of the draws (default random); fixed once defined.
            models: online models that predict the loop's examples, and learn them.

        Raises:
            InputError: a value is not well formed, or the loop is unknown and no actions were given.
            DefinitionError: settings contradict each other or the loop's past.

        Example:
            >>> import foldline as fl
            >>> with fl.open("memory://") as app:
            ...     news = app.loop("news", actions=["a", "b"], policy=fl.Thompson())
            ...     news.definition.policy["kind"]
            'thompson'
        """
        settings = LoopSettings(
            actions=tuple(actions) if actions is not None else None,
            policy=msgspec.to_builtins(policy) if policy is not None else None,
            reward=reward,
            reward_wait_s=reward_wait_s,
            correction_s=correction_s,
            default_reward=default_reward,
            aggregation=aggregation,
            activation=activation,
            complete=complete,
            low=low,
            high=high,
            unit_bits=unit_bits,
            partitions=partitions,
            salt=salt,
            folds=tuple(map(model_values_of, models)) if models is not None else None,
        )
        now = self._clock()

        def settle(old: LoopDefinition | None) -> LoopDefinition:
            if old is None and settings == LoopSettings():
                return catalogue.one(name)
            return settings.settle(name, old, salt=uuid.uuid4().hex, now=now)

        # The catalogue of its own: the host's is read by its thread. One at a time: the lease is this process's.
        catalogue = Catalogue()
        with self._defining:
            definition = define(self.log, catalogue, name, settle, holder=self._holder, now=now)
        replica = self._host.add(definition)
        if name not in self._loops:
            self._loops[name] = Loop(self.log, self._host, definition, replica, self._clock, self._secret)
        loop = self._loops[name]
        loop.await_definition(definition.version)
        return loop

    def loops(self) -> list[str]:
        """The names of the loops on this log."""
        catalogue = Catalogue()
        read_catalogue(self.log, catalogue)
        return catalogue.names()

    def partitions(self, loop: str) -> list[int]:
        """The partitions of a loop that this process learns now; they change as others come and go."""
        learner = self._host.learner(loop)
        return sorted(learner.workers) if learner is not None else []

    def close(self) -> None:
        """Stop learning, write what is known, close the log. Idempotent."""
        if not self._closed:
            self._closed = True
            try:
                self._host.close()
            finally:
                self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
