"""Bodies that are wrong at any place: refused with 400 and the place named, never answered with 5xx."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foldline.loops.messages import (
    ActivationEvent,
    ActivationRequest,
    Body,
    DecisionEvent,
    DecisionRequest,
    EventsRequest,
    ExampleRequest,
    LabelRequest,
    ObservationRequest,
    OutcomeEvent,
    OutcomeRequest,
    RewardEvent,
    RewardRequest,
)
from foldline.loops.settings import LoopSettings
from foldline.serving.experiments import (
    ExperimentRequest,
    PromotionRequest,
    RampRequest,
    ReweightRequest,
    TokenRequest,
)
from foldline.serving.flags import FlagRequest
from foldline.serving.routes import ROUTES
from foldline.serving.seldon import FeedbackRequest, PredictionRequest
from foldline.serving.settings import ServiceSettings
from tests.serving.conftest import CARDS, NEWS
from tests.serving.direct import Direct, direct

MADE: dict[str, Any] = {"unit": "u", "action": "a", "propensity": 1.0, "decision": "d"}
EVENT = {**MADE, "bundle": "fallback", "definition": 0}


@dataclass(frozen=True)
class Form:
    """A body's type, where it goes, and one that is right."""

    kind: type[msgspec.Struct]
    method: str
    path: str
    right: dict[str, Any]

    @property
    def is_event(self) -> bool:
        """Whether it goes within the events of an outbox."""
        return "type" in self.right


FORMS = [
    Form(DecisionRequest, "POST", "/v1/loops/news/decisions", {"unit": "u"}),
    Form(RewardRequest, "POST", "/v1/loops/news/rewards", {"unit": "u", "value": 1}),
    Form(ActivationRequest, "POST", "/v1/loops/news/activations", {"unit": "u", "decision": "d"}),
    Form(OutcomeRequest, "POST", "/v1/loops/news/outcomes", {**MADE, "reward": 1}),
    Form(EventsRequest, "POST", "/v1/loops/news/events", {"outbox": "box", "first": 0, "events": []}),
    Form(LoopSettings, "PUT", "/v1/loops/news", {"actions": ["a", "b"]}),
    Form(ObservationRequest, "POST", "/v1/loops/news/observations", {"unit": "u", "name": "revenue", "value": 1}),
    Form(ExampleRequest, "POST", "/v1/loops/cards/examples", {"unit": "u", "x": {"a": 1}}),
    Form(LabelRequest, "POST", "/v1/loops/cards/labels", {"example": "e", "unit": "u", "y": True}),
    Form(DecisionEvent, "POST", "/v1/loops/news/events", {"type": "decision", **EVENT}),
    Form(OutcomeEvent, "POST", "/v1/loops/news/events", {"type": "outcome", **EVENT, "reward": 1}),
    Form(RewardEvent, "POST", "/v1/loops/news/events", {"type": "reward", "unit": "u", "value": 1, "reward_id": "r"}),
    Form(ActivationEvent, "POST", "/v1/loops/news/events", {"type": "activation", "unit": "u", "decision": "d"}),
]  # fmt: skip

ELSEWHERE = {
    ExperimentRequest,
    RampRequest,
    PromotionRequest,
    ReweightRequest,
    TokenRequest,
    FlagRequest,
    PredictionRequest,
    FeedbackRequest,
}
"""Bodies that change the service for others, are nested, or have errors of their own: tried where their paths are."""

VALUES: dict[type, list[Any]] = {
    NoneType: [None],
    bool: [True, False],
    int: [0, 1, -1, 1 << 53, 1 << 64, -(1 << 70)],
    float: [0.5, -1e308, 1e-320],
    str: ["", "x", "\x00", "x" * 5_000, "NaN", "0.0.d"],
    list: [[], [None], [[]]],
    dict: [{}, {"a": {}}],
}
FITS: dict[type, tuple[type, ...]] = {float: (int, float), tuple: (list,), dict: (dict,)}


def _kinds(annotation: Any) -> set[type]:
    """The JSON types that an annotation takes."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return set().union(*map(_kinds, get_args(annotation)))
    if origin is Literal:
        return {str}
    kind = origin or annotation
    return set(FITS.get(kind, (kind,)))


def _wrong(form: Form) -> Iterator[tuple[str, Any]]:
    """Every field with a value of each JSON type that it does not take."""
    hints = get_type_hints(form.kind, include_extras=True)
    for field in form.kind.__struct_fields__:
        takes = _kinds(hints[field])
        for kind, values in VALUES.items():
            if kind not in takes:
                for value in values:
                    yield field, value


def _ask(asked: Direct, form: Form, body: Any) -> tuple[int, Any]:
    """Status and error of a body; an event's is the one of its place."""
    if form.is_event:
        number = asked.service.outboxes.expected("news", "typed")
        sent = {"outbox": "typed", "first": number, "events": [body]}
        answered = asked.ask(form.method, form.path, sent)
        errors = answered.json()["errors"] if answered.status == 200 else [answered.json()]
        return (400, errors[0]["error"]) if errors else (200, None)
    answered = asked.ask(form.method, form.path, body)
    return answered.status, answered.json().get("error") if answered.status != 200 else None


def test_every_body_is_tried() -> None:
    """Each route that reads has its type among the forms, and each event."""
    read = {route.reads for route in ROUTES if route.reads is not None}
    assert read - ELSEWHERE <= {form.kind for form in FORMS}
    assert set(Body.__subclasses__()) <= {form.kind for form in FORMS}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind.__name__)
def test_a_wrong_type_at_any_field_names_it(asked: Direct, form: Form) -> None:
    """Every field with every JSON type it does not take: 400, the field, the value; nothing is written."""
    assert _ask(asked, form, form.right)[0] in (200, 201)
    ends = {topic.name: asked.log.offsets(topic.name, 0)[1] for topic in asked.log.topics()}
    tried = list(_wrong(form))
    for field, value in tried:
        status, fault = _ask(asked, form, form.right | {field: value})
        assert (status, fault["code"]) == (400, "input.invalid"), (field, value, fault)
        assert fault["field"] == field, (field, value, fault)
        assert fault["expected"], (field, value, fault)
        if isinstance(value, str):
            assert fault["value"] == (value if len(value) <= 200 else value[:200] + "…")
        elif isinstance(value, bool | int | float):
            assert fault["value"] == value
        if field == "reason" and isinstance(value, str):
            assert fault["expected"].startswith("one of SPLIT")
    assert len(tried) >= 10
    for name, end in ends.items():
        if name != "foldline.outboxes":
            assert asked.log.offsets(name, 0)[1] == end, name


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind.__name__)
def test_a_missing_or_unknown_field_is_named(asked: Direct, form: Form) -> None:
    """A required field left out, and one that is none."""
    hints = msgspec.structs.fields(form.kind)
    for name in (info.name for info in hints if info.required):
        status, fault = _ask(asked, form, {k: v for k, v in form.right.items() if k != name})
        assert (status, fault["code"], fault["field"]) == (400, "input.invalid", name)
    status, fault = _ask(asked, form, form.right | {"colour": "red"})
    assert (status, fault["code"], fault["field"]) == (400, "input.invalid", "colour")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"unit": "u"',
        b'{"unit": "u"}}',
        b'{"unit": "u"} x',
        b"nonsense",
        b"[1, 2",
        b'{"unit": "\xff"}',
        b'\xef\xbb\xbf{"unit": "u"}',
        '{"unit": "u"}'.encode("utf-16"),
        b'{"unit": "\\ud800"}',
        b'{"unit": NaN}',
        b"{'unit': 'u'}",
        b'{"unit": "u", "context": ' + b"[" * 100_000,
        b'{"unit": "u", "context": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
        b"[" * 200_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"\x00",
    ],
    ids=lambda body: repr(body[:24]),
)  # fmt: skip
@pytest.mark.parametrize("form", FORMS[:6], ids=lambda form: form.kind.__name__)
def test_what_is_no_json_is_said_to_be_none(asked: Direct, form: Form, body: bytes) -> None:
    """Truncated, mis-encoded, nested without end: 400."""
    replied = asked.ask(form.method, form.path, body)
    if body[:1] == b"[" and form.method == "POST" and replied.status == 200:
        assert all("error" in item for item in replied.json())
        return
    assert replied.status == 400
    assert replied.error["code"] in ("http.bad_json", "input.invalid")


@pytest.mark.parametrize("body", [b"5", b'"text"', b"null", b"true"])
@pytest.mark.parametrize("form", FORMS[:6], ids=lambda form: form.kind.__name__)
def test_json_of_another_form_is_refused(asked: Direct, form: Form, body: bytes) -> None:
    """An object was expected, and the error says so."""
    replied = asked.ask(form.method, form.path, body)
    assert (replied.status, replied.error["code"]) == (400, "input.invalid")
    assert "object" in replied.error["expected"]


@pytest.mark.parametrize(
    ("context", "status"),
    [
        ({"x": 1 << 60}, 200),
        ({"x": 1 << 200}, 200),
        ({"x": 1e308}, 200),
        ({"\u0000": "\u0000\u2028\U0001f600"}, 200),
        ({"x": [[[[[[]]]]]]}, 200),
        ({str(i): i for i in range(2_000)}, 200),
    ],
    ids=["int64", "huge", "float", "characters", "nested", "wide"],
)
def test_contexts_are_kept_by_value(asked: Direct, context: dict[str, Any], status: int) -> None:
    """Whatever JSON holds; the fold reads it."""
    replied = asked.ask("POST", "/v1/loops/news/decisions", {"unit": "u", "context": context})
    assert replied.status == status
    row = asked.log.read("news.events", 0, asked.log.offsets("news.events", 0)[1] - 1)[-1]
    assert json.loads(row.payload)["context"] == context
    asked.host.round()
    assert asked.ask("GET", "/v1/loops/news").json()["counts"]["dead"] == 0


def test_numbers_and_nesting_have_their_limits(asked: Direct) -> None:
    """1e400 is no number, 64 levels are enough, a key given twice counts once."""
    decide = "/v1/loops/news/decisions"
    assert (
        asked.ask("POST", decide, b'{"unit": "u", "context": {"x": 1e400}}').error["code"] == "input.invalid"
    )
    reward = asked.ask("POST", "/v1/loops/news/rewards", b'{"unit": "u", "value": 1e400}')
    assert (reward.status, reward.error["field"]) == (400, "value")
    huge = asked.ask("POST", "/v1/loops/news/rewards", b'{"unit": "u", "value": 1' + b"0" * 300 + b"}")
    assert (huge.status, huge.error["code"]) == (400, "input.out_of_range")
    for depth, status in ((62, 200), (64, 400), (900, 400)):
        body = b'{"unit": "u", "context": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
        assert asked.ask("POST", decide, body).status == status, depth
    twice = asked.ask("POST", decide, b'{"unit": "u", "unit": "w", "decision": "twice"}')
    assert twice.status == 200
    asked.host.round()
    assert asked.ask("GET", "/v1/loops/news").json()["counts"]["dead"] == 0


def _json() -> st.SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    return st.recursive(
        scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
    )


def _near(form: Form) -> st.SearchStrategy[Any]:
    """The right body with fields left out, added and replaced."""
    names = [*form.kind.__struct_fields__, "type"]
    changes = st.dictionaries(
        st.sampled_from(names) | st.text(max_size=5), _json() | st.sampled_from([1, "a", ["a"]])
    )
    return st.builds(lambda change: form.right | change, changes)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Direct]:
    """An application that tests may define loops on."""
    with direct({"news": NEWS, "cards": CARDS}, settings=ServiceSettings(port=0, bundle_timeout_s=0)) as made:
        yield made


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind.__name__)
def test_no_body_makes_the_service_fail(fuzzed: Direct, form: Form) -> None:
    """Bytes, JSON of any form, and bodies nearly right: never 5xx, and what is accepted can be folded."""

    @settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.binary()
        | st.builds(lambda v: json.dumps(v).encode(), _json() | _near(form) | st.lists(_near(form)))
    )
    def ask(body: bytes) -> None:
        if form.is_event:
            number = fuzzed.service.outboxes.expected("news", "fuzzed")
            body = b'{"outbox": "fuzzed", "first": %d, "events": [%s]}' % (number, body)
        path = form.path if form.method == "POST" else "/v1/loops/fuzzed"
        replied = fuzzed.ask(form.method, path, body)
        assert replied.status in (200, 201, 400, 409), (body, replied.body)
        if replied.status >= 400:
            assert list(replied.error) == ["code", "message", "field", "value", "expected"]

    ask()
    while fuzzed.host.round():
        pass
    assert fuzzed.host.learner("news") is not None
    assert fuzzed.host._hosted["news"].learner.failed == {}  # type: ignore[union-attr]  # it learns
    counts = fuzzed.ask("GET", "/v1/loops/news").json()["counts"]
    assert counts["dead"] == 0
