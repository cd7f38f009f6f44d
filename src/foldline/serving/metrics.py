"""What the service counts, in Prometheus's text form. On the path of a request only integers are added up."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from foldline.errors import FoldlineError
from foldline.log.outbox.log import OutboxLog
from foldline.log.outbox.status import OutboxStatus
from foldline.serving.calls import Answer
from foldline.serving.definitions import counts_view
from foldline.serving.service import Service

BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 10.0)


class RequestCounts:
    """Requests by route and status, with the time they took."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def add(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        key = (route, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        buckets = self._buckets.get(route)
        if buckets is None:
            buckets = self._buckets[route] = [0] * (len(BUCKETS_S) + 1)
            self._seconds[route] = 0.0
        buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self._seconds[route] += seconds

    def metrics(self) -> Iterator[Metric]:
        """As Prometheus wants them."""
        requests = CounterMetricFamily(
            "foldline_requests", "requests answered, by route and status", labels=["route", "status"]
        )
        for (route, status), count in tuple(self._counts.items()):
            requests.add_metric([route, str(status)], count)
        yield requests
        seconds = HistogramMetricFamily(
            "foldline_request_seconds", "time from a request's head to its answer", labels=["route"]
        )
        for route, buckets in tuple(self._buckets.items()):
            running, rows = 0, []
            for limit, count in zip((*map(str, BUCKETS_S), "+Inf"), buckets, strict=True):
                running += count
                rows.append((limit, running))
            seconds.add_metric([route], rows, self._seconds[route])
        yield seconds


class _ServiceCollector(Collector):
    def __init__(self, service: Service, requests: RequestCounts) -> None:
        self._service = service
        self._requests = requests

    def collect(self) -> Iterator[Metric]:
        yield from self._requests.metrics()
        yield from self._service.counts.metrics()
        yield self._service.guard.metrics()
        yield from _appends(self._service)
        yield from _loops(self._service)
        host = self._service.host
        experiments = [host.experiments.one(name) for name in host.experiments.names()]
        yield from self._service.experiment_gauges.metrics(host.catalogue, experiments)
        if isinstance(self._service.log, OutboxLog):
            yield from _outbox(self._service.log.status())
        yield GaugeMetricFamily(
            "foldline_ingests_failed",
            "ingests of this process that have stopped",
            value=len(self._service.failures),
        )
        yield GaugeMetricFamily(
            "foldline_host_failed",
            "1 where the thread that learns and follows has stopped",
            value=self._service.host.failure is not None,
        )


def _appends(service: Service) -> Iterator[Metric]:
    appender = service.appender
    counts = appender.counts
    yield CounterMetricFamily("foldline_appended_records", "records put on the log", value=counts.records)
    yield CounterMetricFamily(
        "foldline_append_failed_records", "records the log refused", value=counts.failed
    )
    yield CounterMetricFamily("foldline_append_commits", "commits they shared", value=counts.commits)
    yield CounterMetricFamily("foldline_append_seconds", "time spent in commits", value=counts.seconds)
    yield GaugeMetricFamily(
        "foldline_append_waiting_records", "records not yet on the log", value=appender.waiting
    )


def _outbox(status: OutboxStatus) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "foldline_cluster_away", "1 while the cluster does not answer", value=status.away_since is not None
    )
    yield GaugeMetricFamily(
        "foldline_outbox_waiting_records",
        "records kept here until the cluster takes them",
        value=status.waiting,
    )
    yield CounterMetricFamily(
        "foldline_outbox_sent_records", "records sent from the outbox", value=status.sent
    )
    yield CounterMetricFamily(
        "foldline_outbox_refused_records",
        "records of the outbox the cluster refused for good",
        value=status.refused,
    )


def _loops(service: Service) -> Iterator[Metric]:
    age = GaugeMetricFamily(
        "foldline_bundle_age_seconds", "since the newest bundle was published", labels=["loop"]
    )
    lag = GaugeMetricFamily(
        "foldline_bundle_lag_records", "events the newest bundle does not cover", labels=["loop"]
    )
    records = CounterMetricFamily("foldline_loop_records", "events folded, by kind", labels=["loop", "kind"])
    rewards = GaugeMetricFamily("foldline_loop_reward_sum", "sum of the rewards folded", labels=["loop"])
    for name in service.host.catalogue.names():
        try:
            served = service.served(name)
            counts = counts_view(served.learnt.counts(served.definition))
            decider = served.replica.decider
            cut = decider.bundle.cut if decider is not None else ()
            ends = [service.log.offsets(served.topic, p)[1] for p in range(len(cut))]
        except FoldlineError:
            # A loop whose topics are being made or have gone: the others are still worth telling of.
            continue
        rewards.add_metric([name], counts.pop("reward_sum"))
        for kind, count in counts.items():
            records.add_metric([name, kind], count)
        if decider is not None:
            age.add_metric([name], max(0.0, time.time() - decider.bundle.time / 1000))
            lag.add_metric([name], sum(ends) - sum(cut))
    yield from (age, lag, records, rewards)


async def show_metrics(service: Service, requests: RequestCounts) -> Answer:
    """Everything counted, as text."""
    registry = CollectorRegistry()
    registry.register(_ServiceCollector(service, requests))
    text = await asyncio.get_running_loop().run_in_executor(None, generate_latest, registry)
    return Answer(200, text, (), CONTENT_TYPE_LATEST.encode())
