"""The service: the loops it decides for, and what its handlers share."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from foldline.engine.followed_results import FollowedResults
from foldline.engine.host import Host
from foldline.engine.learnt import Learnt
from foldline.engine.model_replica import LOOK_S, ModelReplica
from foldline.engine.replica import Replica
from foldline.errors import FoldError, FoldlineError, InputError, RequestError
from foldline.log.outbox.log import OutboxLog
from foldline.log.protocol import Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.reports import Reports
from foldline.loops.topics import topics_of
from foldline.loops.trying import Chooser
from foldline.models.signing import Secret, no_secret
from foldline.serving.appender import Appender
from foldline.serving.calls import Call
from foldline.serving.decision_counts import DecisionCounts
from foldline.serving.experiment_metrics import ExperimentGauges
from foldline.serving.guard import Guard
from foldline.serving.keys import Keyring
from foldline.serving.outboxes import Outboxes
from foldline.serving.settings import ServiceSettings

_logger = logging.getLogger("foldline.serving")

KEYS_EVERY_S = 1.0
"""How long a key made or revoked by another process may go unnoticed."""


def wall_clock() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True, eq=False)
class Served:
    """A loop as it is served.

    Attributes:
        definition: the version in force.
        topic: its event topic.
        reports: makes its records.
        replica: holds its newest bundle.
        learnt: reads its estimates and counts.
        models: what its models say; None until it is first asked for, see `Service.models_of`.
        counts: of the service's decisions.
    """

    definition: LoopDefinition
    topic: str
    reports: Reports
    replica: Replica
    learnt: Learnt
    counts: DecisionCounts
    models: ModelReplica | None = None

    def decider(self) -> Chooser:
        """What decides now.

        Raises:
            FoldError: `fold.no_bundle` before the first bundle.
        """
        decider = self.replica.chooser
        if decider is None and not self.definition.decides:
            raise InputError(
                "input.no_action", f"loop {self.definition.name!r} has no actions: it only has models"
            )
        if decider is None:
            raise FoldError(
                "fold.no_bundle",
                f"loop {self.definition.name!r} has no bundle yet; see that a learner runs on this log",
            )
        return decider


class Service:
    """What the handlers of requests share. Made by `open` within a running event loop.

    Attributes:
        log: where everything stands.
        host: follows every loop of the log.
        settings: limits and defaults.
        definer: the one thread that defines loops: two at a time would share this process's lease, and waiting for
            another process's must not take a thread from those who read.
        failures: of work beside the service that has stopped, by the name of its ingest; may grow.
        secret: gives the deployment's, with which River's states are signed.
        closing: set when the service is about to stop; long answers then end.
    """

    def __init__(
        self,
        log: Log,
        host: Host,
        settings: ServiceSettings,
        clock: Callable[[], int] = wall_clock,
        *,
        failures: Mapping[str, FoldlineError] | None = None,
        secret: Secret = no_secret,
    ) -> None:
        self.failures = {} if failures is None else failures
        self.secret = secret
        self.log = log
        self.host = host
        self.settings = settings
        self.clock = clock
        self.holder = f"service:{uuid.uuid4().hex[:8]}"
        self.keyring = Keyring(log)
        self.guard = Guard(self.keyring, host.experiments.versions)
        self.outboxes = Outboxes(log)
        self.counts = DecisionCounts()
        self.experiment_results = FollowedResults(log)
        self.experiment_gauges = ExperimentGauges(self.experiment_results)
        self.keyring.read()
        self._served: dict[str, Served] = {}
        self._swapped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._opening = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self.closing = asyncio.Event()
        self.definer = ThreadPoolExecutor(1, "foldline-define")
        self.appender = Appender(
            log, max_waiting=settings.max_waiting, max_waiting_bytes=settings.max_waiting_bytes
        )
        host.listeners.append(self._on_swap)

    def start(self) -> None:
        """Follow the keys, and the snapshots of the models that are asked for."""
        self._tasks = [self._loop.create_task(each) for each in (self._follow_keys(), self._follow_models())]

    async def close(self) -> None:
        """Commit what was accepted; the host and the log stay open."""
        self.closing.set()
        self.wake()
        for task in self._tasks:
            task.cancel()
        self.host.listeners.remove(self._on_swap)
        self.definer.shutdown(wait=False)
        await self.appender.close()

    def served(self, name: str) -> Served:
        """A loop by its name.

        Raises:
            InputError: `input.unknown_loop`.
        """
        catalogue = self.host.catalogue
        definition = catalogue.get(name)
        served = self._served.get(name)
        if served is not None and served.definition is definition:
            return served
        if definition is None:
            definition = catalogue.one(name)
        replica = self.host.replica(name)
        if replica is None:
            raise FoldError("fold.no_bundle", f"loop {name!r} was defined just now; try again")
        reports = Reports(definition, catalogue.actions(name))
        learnt = served.learnt if served is not None else Learnt(self.log)
        served = Served(definition, topics_of(definition).events, reports, replica, learnt, self.counts)
        self._served[name] = served
        return served

    async def models_of(self, served: Served) -> ModelReplica:
        """What a loop's models say; from then on a thread follows their snapshots, and no request waits for one."""
        if served.models is None:
            async with self._opening:
                if served.models is None:
                    served.models = await self._loop.run_in_executor(
                        None, _followed, self.log, served.definition, self.secret
                    )
        return served.models

    @property
    def is_stale(self) -> bool:
        """Whether it decides with what it last heard of, because the log's cluster is away."""
        return isinstance(self.log, OutboxLog) and self.log.away

    def durable(self, call: Call) -> bool:
        """Whether the answer waits for the disk."""
        if not call.query:
            return self.settings.durability == "durable"
        wanted = call.parameters().get("durability", self.settings.durability)
        if wanted not in ("durable", "fast"):
            raise InputError(
                "input.invalid",
                f"durability is {wanted!r}, expected durable or fast",
                field="durability",
                value=wanted,
                expected="durable or fast",
            )
        return wanted == "durable"

    async def swap(self, timeout_s: float) -> None:
        """Wait until some loop has a newer bundle, the service closes, or the time is over."""
        if self.closing.is_set():
            return
        event = self._swapped
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return

    def refuse_if_closing(self) -> None:
        """Refuse what would be accepted after the last commit."""
        if self.closing.is_set():
            raise RequestError(
                "http.overloaded", "the service is closing; send again shortly", retry_after_s=1
            )

    def wake(self) -> None:
        """Let those who wait for a bundle look again."""
        self._swapped.set()

    def _on_swap(self) -> None:
        """Called by the host's thread."""
        self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        event, self._swapped = self._swapped, asyncio.Event()
        event.set()

    async def _follow_keys(self) -> None:
        while True:
            await asyncio.sleep(KEYS_EVERY_S)
            try:
                await self._loop.run_in_executor(None, self.keyring.read)
            except (FoldlineError, msgspec.MsgspecError) as error:
                _logger.warning("reading the keys, trying again in %s s: %s", KEYS_EVERY_S, error)

    async def _follow_models(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for served in list(self._served.values()):
                if served.models is not None:
                    try:
                        await self._loop.run_in_executor(None, served.models.follow)
                    except Exception:
                        # Whoever asks is told what is wrong with a snapshot; this must go on, whatever else is.
                        _logger.exception("following the models of loop %s", served.definition.name)


def _followed(log: Log, definition: LoopDefinition, secret: Secret) -> ModelReplica:
    made = ModelReplica(log, definition, secret)
    made.follow()
    return made
