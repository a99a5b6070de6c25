"""What a worker's parent process tells Prometheus, on a port of its own.

The children that do the work come and go, and would take their counters with them. So the parent
counts the tasks that it hands out, and reads what became of them in the job store.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version

from celery import signals
from celery.worker import state as celery_state
from celery.worker.request import Request
from prometheus_client import (
    CollectorRegistry,
    Metric,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from geofix.errors import InvalidOption, Unavailable
from geofix.jobs.census import Census, census
from geofix.jobs.connection import open_redis
from geofix.jobs.metrics import JobMetrics
from geofix.jobs.tasks import COLLECT, LOCATE_CHUNK, REINDEX, SWEEP, WEBHOOK
from geofix.observability import state
from geofix.observability.registry import OTHER, known
from geofix.settings import Settings
from workers.health import PROBE, Pulse

TASKS = (LOCATE_CHUNK, REINDEX, SWEEP, COLLECT, WEBHOOK, PROBE)
_PATIENCE_S = 1.0
"""A Redis that takes longer is down: Prometheus must not wait for it and think the worker down."""


def install(config: Settings, pulse: Pulse) -> None:
    """Answer ``/metrics`` on the configured port from now on. Raises InvalidOption."""
    state.set_build(version("geofix"), encoder="none")
    watched = _Watched(config.redis_url, pulse)
    host, port = config.host, config.worker_metrics_port
    try:
        server, _thread = start_http_server(port, host, _registry(watched))
    except OSError as error:
        raise InvalidOption(
            f"Cannot listen on {host} port {port}: {error.strerror}. "
            "Choose another GEOFIX_WORKER_METRICS_PORT."
        ) from error

    def leave(**_: object) -> None:
        server.socket.close()  # a child's copy would hold the port after its parent's end

    signals.task_received.connect(watched.received, weak=False)
    signals.worker_process_init.connect(leave, weak=False)


def _registry(watched: Collector) -> CollectorRegistry:
    """One of the worker's own: engine and requests are the service's."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(state.BUILD)
    registry.register(watched)
    return registry


class _Watched(Collector):
    """The worker as its parent process sees it, and the job store at the moment of a scrape."""

    def __init__(self, redis_url: str, pulse: Pulse) -> None:
        self._redis_url = redis_url
        self._pulse = pulse
        self._jobs = JobMetrics()
        self._received = Counter(
            {(task, again): 0 for task in TASKS for again in ("false", "true")}
        )

    def received(self, request: Request, **_: object) -> None:
        """The broker has delivered a task."""
        again = str(bool(request.delivery_info.get("redelivered"))).lower()
        self._received[known(request.name, TASKS), again] += 1

    def collect(self) -> Iterator[Metric]:
        received = CounterMetricFamily(
            "geofix_worker_tasks",
            "Tasks that this worker was given, and whether another one had been given them before.",
            labels=["task", "redelivered"],
        )
        for (task, again), number in sorted(self._received.items()):
            received.add_metric([task, again], number)
        yield received
        working = GaugeMetricFamily(
            "geofix_worker_tasks_in_flight", "Tasks that its processes work on.", labels=["task"]
        )
        active = Counter(known(one.name, TASKS) for one in list(celery_state.active_requests))
        for task in (*TASKS, OTHER):
            working.add_metric([task], active[task])
        yield working
        yield GaugeMetricFamily(
            "geofix_worker_last_beat_timestamp_seconds",
            "When one of its processes last proved that it consumes tasks; 0: never.",
            self._pulse.last(),
        )
        found = asyncio.run(_census(self._redis_url))
        self._jobs.show(found, up=found is not None)
        yield from self._jobs.collect()


async def _census(redis_url: str) -> Census | None:
    """How the jobs stand; None where Redis does not tell in time."""
    try:
        async with asyncio.timeout(_PATIENCE_S), open_redis(redis_url) as redis:
            return await census(redis)
    except (Unavailable, TimeoutError):
        return None
