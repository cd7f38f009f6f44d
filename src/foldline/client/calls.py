"""The calls of the HTTP interface: each makes a request and knows how to read its answer. No network here.

What the sync and the async client offer of a loop is written once, as methods of `LoopCalls`; the two differ only in
how they send. Ids are made here, before the first try, so that a request sent again counts once.
"""

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec

from foldline.client import bodies
from foldline.client.answers import read_many, read_value
from foldline.client.named import local_of, named
from foldline.client.together import together
from foldline.errors import FoldlineError, InputError
from foldline.loops import messages
from foldline.loops.bundle import Bundle, decode_bundle
from foldline.loops.made import EXTERNAL
from foldline.loops.settings import LoopSettings
from foldline.models.definition import ModelDefinition, model_values_of
from foldline.models.report import ModelReport
from foldline.policies.protocol import Policy
from foldline.records.ids import checked_name
from foldline.records.types import Decision, Value

Answered = TypeVar("Answered")
Durability = Literal["durable", "fast"]

DEFINING_S = 30.0
"""A definition is answered once a bundle decides by it, or after 15 s."""

_DECISION = msgspec.json.Decoder(messages.DecisionAnswer)
_REWARD = msgspec.json.Decoder(messages.RewardAnswer)
_OUTCOME = msgspec.json.Decoder(messages.OutcomeAnswer)
_EXAMPLE = msgspec.json.Decoder(messages.ExampleAnswer)
_MODELS = msgspec.json.Decoder(messages.ModelList)
_SHOWN = msgspec.json.Decoder(messages.LoopView)
_LOOPS = msgspec.json.Decoder(messages.LoopList)


@dataclass(frozen=True, slots=True)
class Call(Generic[Answered]):
    """A request, and how to read its answer.

    Attributes:
        method: in capitals.
        path: with its query.
        body: JSON, None for none.
        read: from the body of a successful answer to what the caller gets.
        least_timeout_s: how long one try may take at least.
    """

    method: str
    path: str
    body: bytes | None
    read: Callable[[bytes], Answered]
    least_timeout_s: float = 0.0


def list_loops() -> Call[list[str]]:
    """The names of the loops there are."""
    return Call("GET", "/v1/loops", None, lambda body: [one.name for one in read_value(_LOOPS, body).loops])


class LoopCalls:
    """The calls of one loop.

    Args:
        name: of the loop.
        clock: milliseconds, stamps the decisions returned.
        durability: whether an answer waits until the record is on disk.
    """

    def __init__(self, name: str, clock: Callable[[], int], durability: Durability = "durable") -> None:
        if durability not in ("durable", "fast"):
            raise InputError(
                "input.invalid",
                f"durability is {durability!r}, expected 'durable' or 'fast'",
                field="durability",
            )
        self.name = name
        self._clock = clock
        self._path = f"/v1/loops/{quote(checked_name(name, 'loop'), safe='')}"
        self._query = "" if durability == "durable" else "?durability=fast"

    def decide(
        self,
        unit: str,
        *,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        id: str | None = None,
        anonymous: str | None = None,
    ) -> Call[Decision]:
        """Choose an action for a unit; durable on the log when the answer comes.

        Args:
            unit: who or what is decided for; 1 to 400 characters.
            context: features, logged by value; finite numbers, strings, lists, dicts.
            available: the actions allowed now, where fewer than the loop's.
            id: the caller's own id: the same id and unit count once. Random by default.
            anonymous: the id that the unit had before it logged in: its variant stays, and it stays one unit.

        Returns:
            The decision. Its `definition` is 0, as the answer does not name it (the log does), and `time` is this
            machine's.

        Raises:
            InputError: unit, id, context or available are not usable.
            FoldError: `fold.no_bundle` where none came within the deadline.
            RequestError: the service refuses or cannot be reached.
        """
        line, read = self._decide(unit, context, available, id, anonymous)
        return self._post("decisions", line, lambda body: read(read_value(_DECISION, body)))

    def decide_many(
        self,
        units: Iterable[str],
        *,
        contexts: Iterable[dict[str, Any] | None] | None = None,
        available: Collection[str] | None = None,
        ids: Iterable[str] | None = None,
    ) -> Call[list[Decision | FoldlineError]]:
        """Choose an action for each of at most 1,000 units, in one request and one commit.

        Args:
            units: who or what is decided for.
            contexts: one for each unit.
            available: the actions allowed now, for all of them.
            ids: the caller's own, one for each unit.

        Returns:
            A decision for each unit, in order; where one could not be made, the error stands in its place.
        """
        asked = together(units, contexts, ids)
        made = [self._decide(unit, context, available, id) for unit, context, id in asked]

        def read(body: bytes) -> list[Decision | FoldlineError]:
            answers = read_many(_DECISION, body, len(made))
            return [
                answer if isinstance(answer, FoldlineError) else reader(answer)
                for answer, (_, reader) in zip(answers, made, strict=True)
            ]

        return self._post("decisions", _array([line for line, _ in made]), read)

    def reward(
        self,
        decision: Decision | str | None,
        value: float,
        *,
        unit: str | None = None,
        name: str | None = None,
        id: str | None = None,
        anonymous: str | None = None,
    ) -> Call[str]:
        """Report how a decision went; durable on the log when the answer comes.

        Args:
            decision: the decision, its id, or the caller's own id together with `unit`; None credits the last
                decision of `unit`.
            value: within the loop's range.
            unit: see `decision`.
            name: which reward this is; the loop's by default.
            id: the reward's own: the same id counts once. Random by default.
            anonymous: the id that `unit` had before it logged in; see `decide`.

        Returns:
            The reward's id.

        Raises:
            InputError: `input.out_of_range`, `input.not_finite`, `input.unknown_decision`.
            RequestError: the service refuses or cannot be reached.
        """
        line = self._reward(decision, value, unit, name, id, anonymous)
        return self._post("rewards", line, lambda body: read_value(_REWARD, body).reward_id)

    def reward_many(
        self,
        rewards: Iterable[tuple[Decision | str, float]],
        *,
        name: str | None = None,
        ids: Iterable[str] | None = None,
    ) -> Call[list[str | FoldlineError]]:
        """Report how at most 1,000 decisions went, in one request and one commit.

        Args:
            rewards: decisions, or ids as decide returned them, each with its value.
            name: which reward these are; the loop's by default.
            ids: the rewards' own, one for each.

        Returns:
            Each reward's id, or the error in its place.
        """
        lines = [
            self._reward(decision, value, None, name, id)
            for (decision, value), _, id in together(rewards, None, ids)
        ]

        def read(body: bytes) -> list[str | FoldlineError]:
            answers = read_many(_REWARD, body, len(lines))
            return [a if isinstance(a, FoldlineError) else a.reward_id for a in answers]

        return self._post("rewards", _array(lines), read)

    def outcome(self, decision: Decision, reward: float) -> Call[str]:
        """Report a decision made elsewhere together with its reward; durable on the log when the answer comes.

        Returns:
            The decision's id on the log.
        """
        line = self._outcome(decision, reward)
        return self._post("outcomes", line, lambda body: read_value(_OUTCOME, body).decision)

    def outcome_many(self, outcomes: Iterable[tuple[Decision, float]]) -> Call[list[str | FoldlineError]]:
        """Report at most 1,000 decisions made elsewhere with their rewards; ids in order, errors in their place."""
        lines = [self._outcome(decision, reward) for decision, reward in outcomes]

        def read(body: bytes) -> list[str | FoldlineError]:
            answers = read_many(_OUTCOME, body, len(lines))
            return [a if isinstance(a, FoldlineError) else a.decision for a in answers]

        return self._post("outcomes", _array(lines), read)

    def predict(
        self, x: Mapping[str, Value | None], *, unit: str, y: Value | None = None, id: str | None = None
    ) -> Call[messages.ExampleAnswer]:
        """What the loop's models say of an example now, which is durable on the log when the answer comes.

        Args:
            x: features by name: numbers, texts, booleans; None for an absent one.
            unit: whose it is.
            y: the label, where it is known already.
            id: the caller's own id, for retries: the same id and unit count once. Random by default.
        """
        line = bodies.encode_body(messages.ExampleRequest(unit=unit, x=dict(x), y=y, example=id))
        return self._post("examples", line, lambda body: read_value(_EXAMPLE, body))

    def label(self, example: str, y: Value, *, unit: str | None = None) -> Call[None]:
        """Report what an example turned out to be; durable on the log when the answer comes.

        Args:
            example: its id as `predict` answered it, or the caller's own together with `unit`.
            y: a class, or the number that was to be predicted.
            unit: see `example`.
        """
        line = bodies.encode_body(messages.LabelRequest(example=example, y=y, unit=unit))
        return self._post("labels", line, lambda _: None)

    def models(self) -> Call[list[ModelReport]]:
        """How the loop's models do, as of their newest snapshots."""
        return Call("GET", f"{self._path}/models", None, lambda body: read_value(_MODELS, body).models)

    def activate(self, decision: Decision | str, *, unit: str | None = None) -> Call[None]:
        """Report that a decision was shown; needed where the loop asks for activations."""
        id, unit = named(decision, unit)
        line = bodies.encode_body(messages.ActivationRequest(decision=id or "", unit=unit))
        return self._post("activations", line, lambda _: None)

    def define(
        self,
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
    ) -> Call[messages.LoopView]:
        """Define the loop, or its next version; what is left out keeps its present value.

        The settings mean what they mean in `foldline.Foldline.loop`. Needs a key with the role `admin`.

        Raises:
            InputError: a value is not well formed.
            DefinitionError: settings contradict each other or the loop's past.
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
        line = bodies.encode_body(settings)
        return Call("PUT", self._path, line, lambda body: read_value(_SHOWN, body), DEFINING_S)

    def show(self) -> Call[messages.LoopView]:
        """The loop as it is: definition, newest bundle, estimates, counts."""
        return Call("GET", self._path, None, lambda body: read_value(_SHOWN, body))

    def bundle(self) -> Call[Bundle]:
        """The newest bundle, its hash checked."""
        return Call("GET", f"{self._path}/bundle", None, decode_bundle)

    def _post(self, verb: str, body: bytes, read: Callable[[bytes], Answered]) -> Call[Answered]:
        return Call("POST", f"{self._path}/{verb}{self._query}", body, read)

    def _decide(
        self,
        unit: str,
        context: dict[str, Any] | None,
        available: Collection[str] | None,
        id: str | None,
        anonymous: str | None = None,
    ) -> tuple[bytes, Callable[[messages.DecisionAnswer], Decision]]:
        """The body that asks, and what makes the answer a decision."""
        allowed = None if available is None else sorted(available)
        body = messages.DecisionRequest(
            decision=uuid.uuid4().hex if id is None else checked_name(id, "decision"),
            unit=checked_name(unit, "unit"),
            anonymous=None if anonymous is None else checked_name(anonymous, "anonymous"),
            context=context,
            available=allowed,
        )

        def read(answer: messages.DecisionAnswer) -> Decision:
            return Decision(
                time=self._clock(),
                id=answer.decision,
                unit=unit if anonymous is None else anonymous,
                account=None if anonymous in (None, unit) else unit,
                action=answer.action,
                propensity=answer.propensity,
                bundle=answer.bundle,
                reason=answer.reason,
                definition=0,
                experiment=answer.experiment,
                variant=answer.variant,
                probability=answer.probability,
                available=allowed,
                context=context,
            )

        return bodies.encode_body(body, context), read

    def _reward(
        self,
        decision: Decision | str | None,
        value: float,
        unit: str | None,
        name: str | None,
        id: str | None,
        anonymous: str | None = None,
    ) -> bytes:
        target, unit = named(decision, unit)
        return bodies.encode_body(
            messages.RewardRequest(
                decision=target,
                unit=unit,
                anonymous=None if anonymous is None else checked_name(anonymous, "anonymous"),
                value=bodies.checked_value(value),
                name=None if name is None else checked_name(name, "name"),
                reward_id=uuid.uuid4().hex if id is None else checked_name(id, "reward_id"),
            )
        )

    def _outcome(self, decision: Decision, reward: float) -> bytes:
        return bodies.encode_body(
            messages.OutcomeRequest(
                decision=local_of(decision),
                unit=decision.unit,
                action=decision.action,
                propensity=decision.propensity,
                reward=bodies.checked_value(reward, "reward"),
                bundle=decision.bundle or EXTERNAL,
                definition=decision.definition or None,
                available=decision.available,
                context=decision.context,
                occurred=decision.occurred,
            ),
            decision.context,
        )


def _array(lines: list[bytes]) -> bytes:
    return b"[" + b",".join(lines) + b"]"
