"""Loops over HTTP: define, look at, list."""

import asyncio
import functools
import time
import uuid
from typing import Any

import msgspec

from foldline.engine.defining import define
from foldline.loops.bundle import Bundle
from foldline.loops.catalogue import Catalogue
from foldline.loops.cut import format_cut
from foldline.loops.definition import LoopDefinition
from foldline.loops.estimate import Counts
from foldline.loops.messages import BundleView, EstimateView, LoopLine, LoopList, LoopView, ModelList
from foldline.loops.settings import LoopSettings
from foldline.policies.protocol import WHOLE
from foldline.serving.calls import Answer, Call, answer
from foldline.serving.requests import read_body
from foldline.serving.service import Served, Service

_SETTINGS = msgspec.json.Decoder(LoopSettings)


async def list_loops(service: Service, _call: Call) -> Answer:
    """Every loop, by name."""
    catalogue = service.host.catalogue
    lines = []
    for name in catalogue.names():
        definition = catalogue.one(name)
        kind = definition.policy["kind"]
        lines.append(LoopLine(name, definition.version, len(definition.actions), kind))
    return answer(LoopList(lines))


async def show_loop(service: Service, call: Call) -> Answer:
    """A loop: definition, bundle, estimates and counts."""
    served = service.served(call.name)
    return answer(await _in_thread(functools.partial(view_of, served)))


async def show_models(service: Service, call: Call) -> Answer:
    """How a loop's models do, as of their newest snapshots."""
    models = await service.models_of(service.served(call.name))

    def read() -> ModelList:
        return ModelList([states.report() for states in models.models.values()])

    return answer(await _in_thread(read))


async def put_loop(service: Service, call: Call) -> Answer:
    """Define a loop or its next version; waits a while for the bundle that decides by it."""
    settings = read_body(_SETTINGS, call.body)
    service.refuse_if_closing()
    definition, new = await asyncio.get_running_loop().run_in_executor(
        service.definer, functools.partial(_define, service, call.name, settings)
    )
    served = service.served(call.name)
    deadline = time.monotonic() + service.settings.bundle_timeout_s
    while not _covers(served, definition) and (left := deadline - time.monotonic()) > 0:
        await service.swap(left)
        if service.closing.is_set():
            break
    return answer(await _in_thread(functools.partial(view_of, served)), 201 if new else 200)


def view_of(served: Served) -> LoopView:
    """Reads the log; blocks."""
    definition, decider = served.definition, served.replica.decider
    shares: dict[str, float] = {}
    if decider is not None:
        shares = dict(zip(decider.actions, (decider.compiled.weights / WHOLE).tolist(), strict=True))
    estimates = [
        EstimateView(e.action, e.pulls, e.mean, shares.get(e.action))
        for e in served.learnt.estimates(definition)
    ]
    return LoopView(
        name=definition.name,
        definition=definition,
        bundle=_bundle_view(decider.bundle) if decider is not None else None,
        estimates=estimates,
        counts=counts_view(served.learnt.counts(definition)),
    )


def counts_view(counts: Counts) -> dict[str, float]:
    """The counts as they are answered: an outcome is a decision and a reward."""
    outcomes = counts["outcomes"]
    return counts.values | {
        "decisions": counts["decisions"] + outcomes,
        "rewards": counts["rewards"] + outcomes,
        "reward_sum": counts.reward_sum,
        "waiting": counts.waiting,
        "duplicates": counts.duplicates,
    }


def _define(service: Service, name: str, settings: LoopSettings) -> tuple[LoopDefinition, bool]:
    """The definition that stands, and whether the loop is new. The host's catalogue is its thread's own to change."""
    now, new = service.clock(), False

    def settle(old: LoopDefinition | None) -> LoopDefinition:
        nonlocal new
        new = old is None
        return settings.settle(name, old, salt=uuid.uuid4().hex, now=now)

    definition = define(service.log, Catalogue(), name, settle, holder=service.holder, now=now)
    service.host.add(definition)
    return definition, new


def _covers(served: Served, definition: LoopDefinition) -> bool:
    if not definition.decides:
        return True
    decider = served.replica.decider
    return decider is not None and decider.bundle.definition >= definition.version


def _bundle_view(bundle: Bundle) -> BundleView:
    return BundleView(bundle.hash, format_cut(bundle.cut), bundle.definition, bundle.time, bundle.stream_time)


async def _in_thread(work: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work)
