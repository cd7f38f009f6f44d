"""Every path of the service: who may ask, what is read, what is answered.

Requests are routed, admitted and documented (`openapi`) from this one table.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from foldline.loops.bundle import Bundle
from foldline.loops.messages import (
    ActivationAnswer,
    ActivationRequest,
    DecisionAnswer,
    DecisionRequest,
    EventsAnswer,
    EventsRequest,
    LoopList,
    LoopView,
    OutcomeAnswer,
    OutcomeRequest,
    RewardAnswer,
    RewardRequest,
)
from foldline.loops.settings import LoopSettings
from foldline.serving.bundles import newest_bundle
from foldline.serving.calls import Answer, Call, Stream
from foldline.serving.definitions import list_loops, put_loop, show_loop
from foldline.serving.events import take_events
from foldline.serving.health import show_health, show_readiness
from foldline.serving.keys import Role
from foldline.serving.reporting import (
    Accept,
    accept_activation,
    accept_decision,
    accept_outcome,
    accept_reward,
    answering,
)
from foldline.serving.service import Service

Handler = Callable[[Service, Call], Awaitable[Answer | Stream]]

LOOP: Final = "/v1/loops/{loop}"


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path.

    Attributes:
        method: in capitals.
        path: with `{loop}` where a loop's name stands.
        handler: answers.
        role: needed for it; None: any key will do.
        name: in metrics and as operation id.
        summary: one line.
        reads: type of the body, None for none.
        many: whether an array of bodies is taken, and answered with an array.
        answers: type of the answer by status.
        errors: statuses besides those every route may answer.
        query: parameters, name to schema.
        public: whether it is answered without a key.
        waits: whether the answer may take long.
        accept: what the handler does before it waits for the log, where that is all it waits for.
    """

    method: str
    path: str
    handler: Handler
    role: Role | None
    name: str
    summary: str
    reads: Any = None
    many: bool = False
    answers: tuple[tuple[int, Any], ...] = ((200, None),)
    errors: tuple[int, ...] = ()
    query: tuple[tuple[str, dict[str, Any]], ...] = ()
    public: bool = False
    waits: bool = False
    accept: Accept | None = None


_DURABILITY = ("durability", {"type": "string", "enum": ["durable", "fast"]})
_WAIT = ("wait", {"type": "number", "minimum": 0, "maximum": 60})
_TAKES = (400, 404, 408, 413, 503)

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "POST", f"{LOOP}/decisions", answering(accept_decision), "decide", "decide",
        "Choose an action for a unit, or for several",
        DecisionRequest, True, ((200, DecisionAnswer),), _TAKES, (_DURABILITY,), accept=accept_decision,
    ),
    Route(
        "POST", f"{LOOP}/rewards", answering(accept_reward), "reward", "reward", "Report how decisions went",
        RewardRequest, True, ((200, RewardAnswer),), _TAKES, (_DURABILITY,), accept=accept_reward,
    ),
    Route(
        "POST", f"{LOOP}/activations", answering(accept_activation), "reward", "activate",
        "Report which decisions were shown",
        ActivationRequest, True, ((200, ActivationAnswer),), _TAKES, (_DURABILITY,), accept=accept_activation,
    ),
    Route(
        "POST", f"{LOOP}/outcomes", answering(accept_outcome), "reward", "outcome",
        "Report decisions made elsewhere together with their rewards",
        OutcomeRequest, True, ((200, OutcomeAnswer),), _TAKES, (_DURABILITY,), accept=accept_outcome,
    ),
    Route(
        "POST", f"{LOOP}/events", take_events, "reward", "events", "Deliver what stands in an edge client's outbox",
        EventsRequest, False, ((200, EventsAnswer),), (*_TAKES, 409),
    ),
    Route(
        "GET", f"{LOOP}/bundle", newest_bundle, "decide", "bundle", "The newest bundle, at once, changed, or streamed",
        answers=((200, Bundle), (304, None)), errors=(400, 404, 503), query=(_WAIT,), waits=True,
    ),
    Route(
        "GET", LOOP, show_loop, None, "show_loop", "A loop: definition, bundle, estimates, counts",
        answers=((200, LoopView),), errors=(404, 503),
    ),
    Route(
        "PUT", LOOP, put_loop, "admin", "put_loop", "Define a loop or its next version",
        LoopSettings, False, ((200, LoopView), (201, LoopView)), (*_TAKES, 409),
    ),
    Route(
        "GET", "/v1/loops", list_loops, None, "list_loops", "Every loop",
        answers=((200, LoopList),), errors=(503,),
    ),
    Route(
        "GET", "/healthz", show_health, None, "health", "Whether the process answers", public=True,
        answers=((200, dict[str, str]),),
    ),
    Route(
        "GET", "/readyz", show_readiness, None, "readiness", "Whether the service can do its work", public=True,
        answers=((200, dict[str, Any]),), errors=(503,),
    ),
)  # fmt: skip
"""Besides these: `/metrics` and `/openapi.json`, which look at the service itself."""
