"""Experiments over HTTP: define, validate, start, pause, stop, ramp; their results; their tokens."""

import asyncio
import functools
import uuid
from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from foldline.engine.announcer import Announcement, read_announcements
from foldline.engine.cuts import cut_of
from foldline.engine.defining import read_catalogue
from foldline.engine.examining import read_results
from foldline.engine.experimenting import (
    Change,
    change_experiment,
    check_in_loop,
    drafted,
    ended,
    paused,
    ramped,
    read_experiments,
    started,
    there,
)
from foldline.engine.promoting import promote, roll_back
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.results import Results
from foldline.experiments.settings import ExperimentSettings
from foldline.experiments.succession import reweighted
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopName
from foldline.serving.calls import Answer, Call, answer
from foldline.serving.requests import read_body
from foldline.serving.service import Service
from foldline.serving.tokens import add_token, tokens_of
from foldline.serving.tokens import revoke_token as take_back

Result = TypeVar("Result")


class ExperimentRequest(ExperimentSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An experiment to define: its settings, and the loop whose decisions it takes part in."""

    loop: LoopName


class RampRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Enrol another share of the eligible units."""

    coverage: Annotated[float, Meta(ge=0, le=1)]


class ReweightRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give units enrolled from now on other weights, in the variants' order, and enrol another share with them."""

    weights: Annotated[list[Annotated[int, Meta(ge=1, le=1_000_000)]], Meta(min_length=2)]
    coverage: Annotated[float, Meta(ge=0, le=1)] | None = None


class PromotionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give a variant to a share of the units; without one the verdict's winner."""

    variant: str | None = None
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token for whoever decides and reports in an experiment."""

    name: Annotated[str, Meta(min_length=1, max_length=100)] = "token"
    days: Annotated[float, Meta(gt=0, le=4000)] | None = None


class TokenAnswer(msgspec.Struct, frozen=True):
    """A token; it is shown this once. `expires` is in milliseconds."""

    id: str
    token: str
    experiment: str
    version: int
    loop: str
    expires: int | None


class TokenLine(msgspec.Struct, frozen=True):
    """A token in a list, without what makes it one."""

    id: str
    name: str
    version: int | None
    created: int
    expires: int | None
    revoked: bool


class TokenList(msgspec.Struct, frozen=True):
    """The tokens of an experiment, the oldest first."""

    tokens: list[TokenLine]


class ExperimentView(msgspec.Struct, frozen=True):
    """An experiment: what it is, and whether this service decides with it."""

    definition: ExperimentDefinition
    decides: bool


class ExperimentLine(msgspec.Struct, frozen=True):
    """An experiment in a list."""

    name: str
    loop: str
    version: int
    state: str
    rule: str
    variants: list[str]


class ExperimentList(msgspec.Struct, frozen=True):
    """Every experiment, by name."""

    experiments: list[ExperimentLine]


class ResultsAnswer(msgspec.Struct, frozen=True):
    """What is known of an experiment, and what was announced of it."""

    results: Results
    announced: list[Announcement]


_REQUEST = msgspec.json.Decoder(ExperimentRequest)
_RAMP = msgspec.json.Decoder(RampRequest)
_REWEIGHT = msgspec.json.Decoder(ReweightRequest)
_PROMOTION = msgspec.json.Decoder(PromotionRequest)
_TOKEN = msgspec.json.Decoder(TokenRequest)
_SETTINGS = tuple(ExperimentSettings.__struct_fields__)


async def list_experiments(service: Service, _call: Call) -> Answer:
    """Every experiment, by name."""
    experiments = service.host.experiments
    return answer(ExperimentList([_line(experiments.one(name)) for name in experiments.names()]))


async def show_experiment(service: Service, call: Call) -> Answer:
    """One, as it is defined now."""
    return answer(_view(service, service.host.experiments.one(call.name)))


async def put_experiment(service: Service, call: Call) -> Answer:
    """Define one as a draft; the same again changes nothing."""
    request = read_body(_REQUEST, call.body)
    change = _drafted(service, call.name, request)
    new = service.host.experiments.get(call.name) is None
    definition = await _changed(service, call.name, change)
    return answer(_view(service, definition), 201 if new else 200)


async def validate_experiment(service: Service, call: Call) -> Answer:
    """What the settings would define; refused as `put_experiment` would, and nothing is written."""
    request = read_body(_REQUEST, call.body)

    def validated() -> ExperimentDefinition:
        definition = _drafted(service, call.name, request)(None)
        loops = Catalogue()
        read_catalogue(service.log, loops)
        check_in_loop(definition, loops.one(definition.loop))
        return definition

    return answer(ExperimentView(await _in_thread(validated), False))


async def start_experiment(service: Service, call: Call) -> Answer:
    """Start, or go on after a pause; waits a while for the bundles of its variants."""
    now = service.clock()
    definition = await _changed(service, call.name, lambda old: started(there(old, call.name), now))
    loop = asyncio.get_running_loop()
    deadline = loop.time() + service.settings.bundle_timeout_s
    while not _decides(service, definition) and (left := deadline - loop.time()) > 0:
        await service.swap(min(left, 0.2))
        if service.closing.is_set():
            break
    return answer(_view(service, definition))


async def pause_experiment(service: Service, call: Call) -> Answer:
    """Assign nobody for now."""
    return answer(
        _view(service, await _changed(service, call.name, lambda old: paused(there(old, call.name))))
    )


async def stop_experiment(service: Service, call: Call) -> Answer:
    """End it by hand."""
    now = service.clock()
    change: Change = lambda old: ended(there(old, call.name), now)  # noqa: E731 - one expression, typed
    return answer(_view(service, await _changed(service, call.name, change)))


async def ramp_experiment(service: Service, call: Call) -> Answer:
    """Enrol a larger share."""
    coverage = read_body(_RAMP, call.body).coverage
    change: Change = lambda old: ramped(there(old, call.name), coverage)  # noqa: E731 - one expression, typed
    return answer(_view(service, await _changed(service, call.name, change)))


async def reweight_experiment(service: Service, call: Call) -> Answer:
    """Give those enrolled from now on other weights."""
    wanted = read_body(_REWEIGHT, call.body)

    def change(old: ExperimentDefinition | None) -> ExperimentDefinition:
        return reweighted(there(old, call.name), wanted.weights, wanted.coverage)

    return answer(_view(service, await _changed(service, call.name, change)))


async def promote_variant(service: Service, call: Call) -> Answer:
    """Give the winner to a share, or to all."""
    request = read_body(_PROMOTION, call.body)
    act = functools.partial(
        promote,
        service.log,
        call.name,
        variant=request.variant,
        share=request.share,
        holder=service.holder,
        now=service.clock(),
    )
    return answer(_view(service, await _done(service, act)))


async def roll_back_promotion(service: Service, call: Call) -> Answer:
    """Take a promotion back."""
    act = functools.partial(roll_back, service.log, call.name, holder=service.holder, now=service.clock())
    return answer(_view(service, await _done(service, act)))


async def show_results(service: Service, call: Call) -> Answer:
    """What is known now, from the state that is followed; or was at a cut or time, from the log."""
    at = call.parameters().get("at")

    def found() -> ResultsAnswer:
        if at is None:
            one = service.host.experiments.one(call.name)
            loop = service.host.catalogue.one(one.loop)
            return ResultsAnswer(*service.experiment_results.with_announced(loop, one))
        experiments, loops = ExperimentCatalogue(), Catalogue()
        read_experiments(service.log, experiments)
        read_catalogue(service.log, loops)
        one = experiments.one(call.name)
        loop = loops.one(one.loop)
        known = read_results(service.log, loop, one, at=cut_of(service.log, loop, at))
        return ResultsAnswer(known, read_announcements(service.log, loop, one.name))

    return answer(await _in_thread(found))


async def make_token(service: Service, call: Call) -> Answer:
    """A token for its loop's decisions and rewards, until it has ended; shown this once."""
    request = read_body(_TOKEN, call.body)
    one = service.host.experiments.one(call.name)
    add = functools.partial(add_token, service.keyring, one, request.name, request.days, now=service.clock())
    key, token = await asyncio.get_running_loop().run_in_executor(service.definer, add)
    return answer(TokenAnswer(key.id, token, one.name, one.version, one.loop, key.expires), 201)


async def list_tokens(service: Service, call: Call) -> Answer:
    """Its tokens, those taken back too."""
    name = service.host.experiments.one(call.name).name
    lines = [
        TokenLine(key.id, key.name, key.version, key.created, key.expires, key.revoked)
        for key in tokens_of(service.keyring, name)
    ]
    return answer(TokenList(lines))


async def revoke_token(service: Service, call: Call) -> Answer:
    """Take one back, by `?id=`."""
    id = call.parameters().get("id", "")
    revoke = functools.partial(take_back, service.keyring, call.name, id, now=service.clock())
    await asyncio.get_running_loop().run_in_executor(service.definer, revoke)
    return await list_tokens(service, call)


def _drafted(service: Service, name: str, request: ExperimentRequest) -> Change:
    settings = ExperimentSettings(**{field: getattr(request, field) for field in _SETTINGS})
    return drafted(settings, name, request.loop, salt=uuid.uuid4().hex, now=service.clock())


async def _changed(service: Service, name: str, change: Change) -> ExperimentDefinition:
    def act() -> ExperimentDefinition:
        loops = Catalogue()
        read_catalogue(service.log, loops)
        return change_experiment(
            service.log,
            ExperimentCatalogue(),
            loops,
            name,
            change,
            holder=service.holder,
            now=service.clock(),
        )

    return await _done(service, act)


async def _done(service: Service, act: Callable[[], ExperimentDefinition]) -> ExperimentDefinition:
    """Done in the one thread that defines: two at a time would share this process's lease."""
    service.refuse_if_closing()
    definition = await asyncio.get_running_loop().run_in_executor(service.definer, act)
    await _in_thread(service.host.round)
    return definition


def _view(service: Service, definition: ExperimentDefinition) -> ExperimentView:
    return ExperimentView(definition, _decides(service, definition))


def _decides(service: Service, definition: ExperimentDefinition) -> bool:
    replica = service.host.replica(definition.loop)
    return definition.state == "running" and replica is not None and replica.tries(definition.name)


def _line(one: ExperimentDefinition) -> ExperimentLine:
    return ExperimentLine(one.name, one.loop, one.version, one.state, one.rule, list(one.keys))


async def _in_thread(work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(None, work)
