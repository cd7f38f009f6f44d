"""A loop's handle: decide, reward, see what was learnt."""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from foldline.app.appending import Appending, Position
from foldline.app.experiment import Experiment, settings_given
from foldline.app.models import Models
from foldline.engine.host import Host
from foldline.engine.learnt import Learnt
from foldline.engine.output_reader import OutputReader
from foldline.engine.replica import Replica
from foldline.errors import FoldError, InputError
from foldline.experiments.definition import Learns
from foldline.experiments.goals import Mean, Proportion, Ratio
from foldline.experiments.measure import Goal
from foldline.log.protocol import Log
from foldline.loops.bundle import Bundle
from foldline.loops.definition import LoopDefinition
from foldline.loops.estimate import Counts, Estimate
from foldline.loops.followed import followed
from foldline.loops.made import Made
from foldline.loops.reports import Reports
from foldline.loops.topics import topics_of
from foldline.loops.trying import Chooser
from foldline.models.inference import Prediction
from foldline.models.report import ModelReport
from foldline.models.signing import Secret, no_secret
from foldline.policies.protocol import Policy
from foldline.records.ids import parse_decision_id
from foldline.records.types import Decision, Value

BUNDLE_TIMEOUT_S = 30.0
"""Generous: the first fold on a new machine compiles its kernels."""


class Loop:
    """One place where decisions are made. Made by `Foldline.loop`; thread-safe.

    Example:
        >>> import foldline as fl
        >>> with fl.open("memory://") as app:
        ...     news = app.loop("news", actions=["a", "b"])
        ...     for unit in ("u1", "u2", "u3"):
        ...         news.reward(news.decide(unit), 1)
        ...     news.catch_up()
        ...     sum(estimate.pulls for estimate in news.estimates())
        3
    """

    def __init__(
        self,
        log: Log,
        host: Host,
        definition: LoopDefinition,
        replica: Replica,
        clock: Callable[[], int],
        secret: Secret = no_secret,
    ) -> None:
        self._log = log
        self._host = host
        self._name = definition.name
        self._replica = replica
        self._clock = clock
        self._made = Reports(definition)
        self._appending = Appending(log, topics_of(definition).events)
        self._learnt = Learnt(log)
        self._models = Models(log, host, definition.name, secret)

    @property
    def name(self) -> str:
        """The loop's name."""
        return self._name

    @property
    def definition(self) -> LoopDefinition:
        """The newest version of the definition."""
        return self._host.catalogue.one(self._name)

    @property
    def bundle(self) -> Bundle:
        """The bundle decided with now.

        Raises:
            FoldError: `fold.no_bundle` before the first one.
        """
        return self._decider().bundle

    def decide(
        self,
        unit: str,
        *,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        id: str | None = None,
        log: bool = True,
        anonymous: str | None = None,
    ) -> Decision:
        """Choose an action for a unit; durable on the log when this returns.

        Args:
            unit: who or what is decided for; 1 to 400 characters.
            context: features, logged by value; finite numbers, strings, lists, dicts.
            available: the actions allowed now, where fewer than the loop's.
            id: the caller's own id, for retries: the same id and unit count once. Random by default.
            log: False leaves the decision off the log; report it later with `outcome`.
            anonymous: the id that the unit had before it logged in: its variant stays, and it stays one unit.

        Returns:
            The decision, with `action`, `propensity` and `id`.

        Raises:
            InputError: unit, id or available are not usable.
            FoldError: `fold.no_bundle` before the first bundle.
        """
        local = uuid.uuid4().hex if id is None else id
        reports = self._reports()
        choose = reports.decide if log else reports.choose
        placed = choose(
            self._decider(),
            unit,
            local,
            self._clock(),
            context=context,
            available=available,
            anonymous=anonymous,
        )
        if log:
            self._appending.append(placed)
        return placed.record  # type: ignore[return-value]  # a decision, by either way

    def reward(
        self,
        decision: Decision | str | None,
        value: float,
        *,
        unit: str | None = None,
        name: str | None = None,
        id: str | None = None,
        anonymous: str | None = None,
    ) -> None:
        """Report how a decision went; durable when this returns.

        Args:
            decision: the decision, its id, or the caller's own id together with `unit`; None credits the last
                decision of `unit`.
            value: within the loop's range.
            unit: see `decision`.
            name: which reward this is; the loop's by default.
            id: for retries: the same id counts once. Random by default.
            anonymous: the id that `unit` had before it logged in; see `decide`.

        Raises:
            InputError: `input.out_of_range`, `input.not_finite`, `input.unknown_decision`.
        """
        if isinstance(decision, Decision):
            decision, unit = decision.id, None
        placed = self._reports().reward(
            decision,
            value,
            id=uuid.uuid4().hex if id is None else id,
            time=self._clock(),
            unit=unit if unit is None else followed(unit, anonymous),
            name=name,
        )
        self._appending.append(placed)

    def outcome(self, decision: Decision, reward: float) -> None:
        """Report a decision made with `log=False` together with its reward; durable when this returns.

        Raises:
            InputError: the reward is out of range or not finite.
        """
        made = Made(
            local=parse_decision_id(decision.id).local,
            unit=decision.unit,
            action=decision.action,
            propensity=decision.propensity,
            bundle=decision.bundle,
            definition=decision.definition,
            available=decision.available,
            context=decision.context,
            occurred=decision.occurred,
        )
        self._appending.append(self._reports().outcome(made, reward, time=self._clock()))

    def activate(self, decision: Decision | str) -> None:
        """Report that a decision was shown; needed where the loop asks for activations."""
        id = decision.id if isinstance(decision, Decision) else decision
        self._appending.append(self._reports().activation(id, time=self._clock()))

    @contextmanager
    def batch(self) -> Iterator[list[Position]]:
        """Append what this thread reports inside the block at once, when it ends; durable from then on.

        One commit for many records: what an app that serves several readers at a time wants. If the block
        raises, nothing of it is appended.

        Yields:
            A list that afterwards says where each record stands, in the order of the calls.

        Example:
            >>> import foldline as fl
            >>> with fl.open("memory://") as app:
            ...     news = app.loop("news", actions=["a", "b"])
            ...     with news.batch() as written:
            ...         choices = [news.decide(unit) for unit in ("u1", "u2", "u3")]
            ...     len(written)
            3
        """
        with self._appending.batch() as positions:
            yield positions

    def estimates(self) -> list[Estimate]:
        """What was learnt about each action, as the newest roots on the log say. Reads the log."""
        self._raise_failure()
        return self._learnt.estimates(self.definition)

    def counts(self) -> Counts:
        """How many decisions and rewards were folded, and what became of them. Reads the log."""
        self._raise_failure()
        return self._learnt.counts(self.definition)

    def predict(
        self, x: Mapping[str, Value | None], *, unit: str, id: str | None = None, y: Value | None = None
    ) -> Prediction:
        """What the loop's first model says of an example now; the example is durable on the log when this returns.

        The models predict it once more where they learn, in the order of the log: that inference is the one of record.

        Args:
            x: features by name: numbers, texts, booleans; None for an absent one.
            unit: whose it is; a unit always meets the same model.
            id: the caller's own id, for retries: the same id and unit count once. Random by default.
            y: the label, where it is known already.

        Returns:
            The prediction, with `value`, and the `example` to label.

        Raises:
            InputError: the loop has no models; unit, id or a feature are not usable.
        """
        local = uuid.uuid4().hex if id is None else id
        placed = self._reports().example(unit, x, local, self._clock(), y=y)
        prediction = self._models.predict(unit, x, placed.record.id)  # type: ignore[union-attr]  # an example
        self._appending.append(placed)
        return prediction

    def example(
        self, x: Mapping[str, Value | None], *, unit: str, id: str | None = None, y: Value | None = None
    ) -> str:
        """Put an example before the loop's models without asking what they say now; durable when this returns.

        Args and errors as `predict`.

        Returns:
            The example's id.
        """
        local = uuid.uuid4().hex if id is None else id
        placed = self._reports().example(unit, x, local, self._clock(), y=y)
        self._appending.append(placed)
        return placed.record.id  # type: ignore[union-attr]  # an example

    def label(self, example: Prediction | str, y: Value, *, unit: str | None = None) -> None:
        """Report what an example turned out to be; durable when this returns.

        Args:
            example: the prediction of it, its id, or the caller's own id together with `unit`.
            y: a class, or the number that was to be predicted.
            unit: see `example`.
        """
        named = example.example if isinstance(example, Prediction) else example
        self._appending.append(self._reports().label(named, y, time=self._clock(), unit=unit))

    def models(self, partitions: Collection[int] | None = None) -> dict[str, ModelReport]:
        """How the loop's models do, by name, as of their newest snapshots. Reads the log.

        Args:
            partitions: those to look at; all by default.
        """
        self._raise_failure()
        return self._models.reports(partitions)

    def courses(self, model: str) -> list[npt.NDArray[np.float64]]:
        """How a model's sliding window went, by partition.

        Rows of time, labelled examples, and of the window accuracy (or mean absolute error), F1, recall and ROC AUC;
        NaN where there is no number.
        """
        return self._models.courses(model)

    def outputs(self, fold: str) -> OutputReader:
        """Reads what a fold of the loop puts out, such as a model's inferences: each once, from the first kept."""
        return OutputReader(self._log, topics_of(self.definition).outputs(fold))

    def experiment(
        self,
        name: str,
        *,
        control: Policy | None = None,
        challenger: Policy | None = None,
        challengers: Mapping[str, Policy] | None = None,
        goal: Proportion | Mean | Ratio | Goal | None = None,
        max_days: float | None = None,
        learns: Learns | Mapping[str, Learns] = "own",
        start: bool = True,
        **settings: Any,
    ) -> Experiment:
        """An experiment on this loop: define it and start it, or attach to one that stands on the log.

        While it runs, `decide` draws a unit's variant by its hash, then the action by the variant's policy.

        Args:
            name: letters, digits, `-` and `_`. With nothing else, attaches.
            control: the policy that stands, of the variant `control`.
            challenger: the policy compared with it, of the variant `challenger`.
            challengers: where there are several, by key.
            goal: what decides, with its design.
            max_days: the verdict comes at latest so many days after the start.
            learns: from which decisions the variants' policies learn: `own`, `shared` or `frozen`; or by variant.
            start: whether to start it at once.
            **settings: others of `foldline.experiments.settings.ExperimentSettings`, such as power, alpha,
                sample_size, rule, window_s, guardrails, coverage, condition.

        Raises:
            InputError: `input.unknown_experiment` to attach to; a value is not well formed.
            DefinitionError: the design contradicts itself, or an experiment of this name is another.

        Example:
            >>> import foldline as fl
            >>> with fl.open("memory://") as app:
            ...     news = app.loop("news", actions=["a", "b"])
            ...     test = news.experiment(
            ...         "b-or-a", control=fl.Fixed("a"), challenger=fl.Fixed("b"),
            ...         goal=fl.Proportion("reward", baseline=0.07, effect=0.04), power=0.9, max_days=28)
            ...     choice = news.decide(unit="u1")
            ...     test.definition.sample_sizes, choice.variant in ("control", "challenger")
            ((1124, 1124), True)
        """
        experiment = Experiment(self._log, self._host, self._name, name, self._clock)
        policies = {"control": control, "challenger": challenger, **(challengers or {})}
        given = {key: policy for key, policy in policies.items() if policy is not None}
        if not given and goal is None:
            experiment.attach()
            return experiment
        experiment.define(settings_given(name, given, goal, max_days, learns, settings))
        if start:
            experiment.start()
        return experiment

    def catch_up(self, timeout_s: float = BUNDLE_TIMEOUT_S) -> None:
        """Wait until the bundle, and every model, cover everything this handle has appended.

        Raises:
            FoldError: `fold.no_bundle` if they do not within the time.
        """
        self._models.await_cut(self._appending.examined, timeout_s)
        if not self.definition.decides:
            return
        self._await(lambda b: all(b.cut[p] >= end for p, end in self._appending.ends.items()), timeout_s)

    def await_definition(self, version: int, timeout_s: float = BUNDLE_TIMEOUT_S) -> None:
        """Wait for a bundle of at least this definition version; a loop that only has models needs none."""
        if not self._host.catalogue.at(self._name, version).decides:
            return
        self._await(lambda b: b.definition >= version, timeout_s)

    def _await(self, holds: Callable[[Bundle], bool], timeout_s: float) -> None:
        def ready() -> bool:
            decider = self._replica.decider
            return decider is not None and holds(decider.bundle)

        if not self._host.await_bundle(ready, timeout_s):
            self._raise_failure()
            raise FoldError(
                "fold.no_bundle",
                f"loop {self._name!r}: no bundle covering what was asked came within {timeout_s:g} s; "
                "is a learner running on this log?",
            )

    def _raise_failure(self) -> None:
        if self._host.failure is not None:
            raise self._host.failure
        learner = self._host.learner(self._name)
        for error in learner.failed.values() if learner is not None else ():
            raise error

    def _decider(self) -> Chooser:
        decider = self._replica.chooser
        if decider is None and not self.definition.decides:
            raise InputError("input.no_action", f"loop {self._name!r} has no actions; it only has models")
        if decider is None:
            raise FoldError("fold.no_bundle", f"loop {self._name!r} has no bundle yet; is a learner running?")
        return decider

    def _reports(self) -> Reports:
        definition = self.definition
        if self._made.definition is not definition:
            self._made = Reports(definition, self._host.catalogue.actions(self._name))
        return self._made
