"""Every path of the service: who may ask, what is read, what is answered.

Requests are routed, admitted and documented (`openapi`) from this one table.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from foldline.loops.bundle import Bundle
from foldline.loops.edge_bundle import EdgeBundle
from foldline.loops.messages import (
    ActivationAnswer,
    ActivationRequest,
    DecisionAnswer,
    DecisionRequest,
    EventsAnswer,
    EventsRequest,
    ExampleAnswer,
    ExampleRequest,
    LabelAnswer,
    LabelRequest,
    LoopList,
    LoopView,
    ModelList,
    ObservationAnswer,
    ObservationRequest,
    OutcomeAnswer,
    OutcomeRequest,
    RewardAnswer,
    RewardRequest,
)
from foldline.loops.settings import LoopSettings
from foldline.serving.bundles import newest_bundle, newest_edge_bundle
from foldline.serving.calls import Answer, Call, Stream
from foldline.serving.definitions import list_loops, put_loop, show_loop, show_models
from foldline.serving.events import take_events
from foldline.serving.experiments import (
    ExperimentList,
    ExperimentRequest,
    ExperimentView,
    PromotionRequest,
    RampRequest,
    ResultsAnswer,
    ReweightRequest,
    TokenAnswer,
    TokenList,
    TokenRequest,
    list_experiments,
    list_tokens,
    make_token,
    pause_experiment,
    promote_variant,
    put_experiment,
    ramp_experiment,
    revoke_token,
    reweight_experiment,
    roll_back_promotion,
    show_experiment,
    show_results,
    start_experiment,
    stop_experiment,
    validate_experiment,
)
from foldline.serving.flags import FlagAnswer, FlagList, FlagRequest, evaluate_flag, evaluate_flags
from foldline.serving.health import show_health, show_readiness
from foldline.serving.keys import Role
from foldline.serving.reporting import (
    Accept,
    accept_activation,
    accept_decision,
    accept_label,
    accept_observation,
    accept_outcome,
    accept_reward,
    answer_example,
    answering,
)
from foldline.serving.seldon import (
    FeedbackAnswer,
    FeedbackRequest,
    PredictionAnswer,
    PredictionRequest,
    seldon_feedback,
    seldon_predict,
)
from foldline.serving.service import Service

Handler = Callable[[Service, Call], Awaitable[Answer | Stream]]

LOOP: Final = "/v1/loops/{loop}"
EXPERIMENT: Final = "/v1/experiments/{experiment}"
FLAG: Final = "/ofrep/v1/evaluate/flags/{flag}"


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path.

    Attributes:
        method: in capitals.
        path: with `{loop}`, `{experiment}` or `{flag}` where a name stands.
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
        fault: type of its errors' bodies, where it has one of its own besides the common one.
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
    fault: Any = None


_DURABILITY = ("durability", {"type": "string", "enum": ["durable", "fast"]})
_LOOP = ("loop", {"type": "string"})
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
        "POST", f"{LOOP}/observations", answering(accept_observation), "reward", "observe",
        "Report a unit's value without a decision, such as revenue",
        ObservationRequest, True, ((200, ObservationAnswer),), _TAKES, (_DURABILITY,), accept=accept_observation,
    ),
    Route(
        "POST", f"{LOOP}/examples", answer_example, "decide", "predict",
        "Predict examples with the loop's models, which then learn them",
        ExampleRequest, True, ((200, ExampleAnswer),), _TAKES, (_DURABILITY,),
    ),
    Route(
        "POST", f"{LOOP}/labels", answering(accept_label), "reward", "label",
        "Report what examples turned out to be",
        LabelRequest, True, ((200, LabelAnswer),), _TAKES, (_DURABILITY,), accept=accept_label,
    ),
    Route(
        "GET", f"{LOOP}/models", show_models, None, "show_models", "How a loop's models do, by partition",
        answers=((200, ModelList),), errors=(404, 503),
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
        "GET", f"{LOOP}/edge", newest_edge_bundle, "decide", "edge_bundle",
        "The newest bundle with the experiments before it, for edge clients; likewise",
        answers=((200, EdgeBundle), (304, None)), errors=(400, 404, 503), query=(_WAIT,), waits=True,
    ),
    Route(
        "GET", LOOP, show_loop, None, "show_loop", "A loop: definition, bundle, estimates, counts",
        answers=((200, LoopView),), errors=(404, 503),
    ),
    Route(
        "PUT", LOOP, put_loop, "admin", "put_loop", "Define a loop or its next version",
        LoopSettings, False, ((200, LoopView), (201, LoopView)), (*_TAKES, 409, 501),
    ),
    Route(
        "GET", "/v1/loops", list_loops, None, "list_loops", "Every loop",
        answers=((200, LoopList),), errors=(503,),
    ),
    Route(
        "GET", "/v1/experiments", list_experiments, None, "list_experiments", "Every experiment",
        answers=((200, ExperimentList),), errors=(503,),
    ),
    Route(
        "GET", EXPERIMENT, show_experiment, None, "show_experiment", "An experiment's definition",
        answers=((200, ExperimentView),), errors=(404, 503),
    ),
    Route(
        "PUT", EXPERIMENT, put_experiment, "admin", "put_experiment", "Define an experiment as a draft",
        ExperimentRequest, False, ((200, ExperimentView), (201, ExperimentView)), (*_TAKES, 409),
    ),
    Route(
        "POST", f"{EXPERIMENT}/validate", validate_experiment, "admin", "validate_experiment",
        "What the settings would define, or why not; nothing is written",
        ExperimentRequest, False, ((200, ExperimentView),), _TAKES,
    ),
    Route(
        "POST", f"{EXPERIMENT}/start", start_experiment, "admin", "start_experiment",
        "Start, or go on after a pause", answers=((200, ExperimentView),), errors=(400, 404, 409, 503),
    ),
    Route(
        "POST", f"{EXPERIMENT}/pause", pause_experiment, "admin", "pause_experiment", "Assign nobody for now",
        answers=((200, ExperimentView),), errors=(404, 409, 503),
    ),
    Route(
        "POST", f"{EXPERIMENT}/stop", stop_experiment, "admin", "stop_experiment", "End it by hand",
        answers=((200, ExperimentView),), errors=(404, 409, 503),
    ),
    Route(
        "POST", f"{EXPERIMENT}/ramp", ramp_experiment, "admin", "ramp_experiment", "Enrol a larger share",
        RampRequest, False, ((200, ExperimentView),), (*_TAKES, 409),
    ),
    Route(
        "POST", f"{EXPERIMENT}/reweight", reweight_experiment, "admin", "reweight_experiment",
        "Give units enrolled from now on other weights",
        ReweightRequest, False, ((200, ExperimentView),), (*_TAKES, 409),
    ),
    Route(
        "POST", f"{EXPERIMENT}/promote", promote_variant, "admin", "promote",
        "Give the winner to a share of the units, or make its policy the loop's",
        PromotionRequest, False, ((200, ExperimentView),), (*_TAKES, 409),
    ),
    Route(
        "POST", f"{EXPERIMENT}/rollback", roll_back_promotion, "admin", "rollback", "Take a promotion back",
        answers=((200, ExperimentView),), errors=(404, 409, 503),
    ),
    Route(
        "GET", f"{EXPERIMENT}/results", show_results, None, "show_results",
        "What is known, now or at a cut or time", answers=((200, ResultsAnswer),), errors=(400, 404, 503),
        query=(("at", {"type": "string"}),),
    ),
    Route(
        "GET", f"{EXPERIMENT}/tokens", list_tokens, "admin", "list_tokens", "Its tokens",
        answers=((200, TokenList),), errors=(404, 503),
    ),
    Route(
        "POST", f"{EXPERIMENT}/tokens", make_token, "admin", "make_token",
        "Make a token to decide and report in it; shown this once",
        TokenRequest, False, ((201, TokenAnswer),), _TAKES,
    ),
    Route(
        "DELETE", f"{EXPERIMENT}/tokens", revoke_token, "admin", "revoke_token", "Take a token back",
        answers=((200, TokenList),), errors=(400, 404, 503), query=(("id", {"type": "string"}),),
    ),
    Route(
        "POST", FLAG, evaluate_flag, "decide", "evaluate_flag",
        "Decide for a unit, as OpenFeature SDKs ask (OFREP)",
        FlagRequest, False, ((200, FlagAnswer),), (400, 404, 408, 413, 503), fault=FlagAnswer,
    ),
    Route(
        "POST", "/ofrep/v1/evaluate/flags", evaluate_flags, "decide", "evaluate_flags",
        "Look at every loop for a unit, logging nothing (OFREP)",
        FlagRequest, False, ((200, FlagList), (304, None)), (400, 408, 413, 503), fault=FlagAnswer,
    ),
    Route(
        "POST", "/api/v1.0/predictions", seldon_predict, "decide", "seldon_predict",
        "Decide for a unit, in the shape of Seldon's protocol",
        PredictionRequest, False, ((200, PredictionAnswer),), _TAKES, (_LOOP, _DURABILITY),
    ),
    Route(
        "POST", "/api/v1.0/feedback", seldon_feedback, "reward", "seldon_feedback",
        "Report how a prediction went, in the shape of Seldon's protocol",
        FeedbackRequest, False, ((200, FeedbackAnswer),), _TAKES, (_LOOP, _DURABILITY),
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
