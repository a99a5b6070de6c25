"""The jobs' state as metrics. Every service shows the same numbers: take the largest, no sum."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from geofix.jobs.census import Census
from geofix.observability.registry import REGISTRY


class JobMetrics(Collector):
    """Shows the last census; nothing where there is no Redis."""

    def __init__(self) -> None:
        self._up: bool | None = None
        self._census: Census | None = None

    def show(self, census: Census | None, *, up: bool | None) -> None:
        """Take another census. ``up``: whether Redis answers; None where none is set."""
        self._census, self._up = census, up

    def collect(self) -> Iterator[Metric]:
        if self._up is not None:
            said = "1 where Redis answers, 0 where it does not."
            yield GaugeMetricFamily("geofix_redis_up", said, float(self._up))
        if self._census is not None:
            yield from _gauges(self._census)
            yield from _totals(self._census)


def _gauges(census: Census) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("geofix_jobs", "Jobs that have not ended.", labels=["state"])
    for state, number in census.states.items():
        jobs.add_metric([state], number)
    yield jobs
    queued = GaugeMetricFamily(
        "geofix_jobs_messages_queued", "Messages that wait for a worker.", labels=["queue"]
    )
    for queue, number in census.messages.items():
        queued.add_metric([queue], number)
    yield queued
    oldest = GaugeMetricFamily(
        "geofix_jobs_oldest_message_seconds",
        "How long ago the oldest message was sent that waits for a worker; 0 where none waits.",
        labels=["queue"],
    )
    for queue, seconds in census.oldest_message_s.items():
        oldest.add_metric([queue], seconds)
    yield oldest
    for name, said, value in (
        ("photos_open", "Photos of jobs without an outcome.", census.photos_open),
        ("chunks_in_flight", "Chunks that a worker holds.", census.chunks_leased),
        ("chunks_lost", "Chunks whose worker was lost and that no sweep saw.", census.chunks_lost),
        (
            "oldest_chunk_seconds",
            "How long ago the oldest chunk was sent that is not done.",
            census.oldest_chunk_s,
        ),
        (
            "last_settled_timestamp_seconds",
            "When a worker last finished a chunk; 0: never.",
            census.totals.get("settled_at", 0.0),
        ),
        (
            "last_sweep_timestamp_seconds",
            "When a sweep last came to its end; 0: never.",
            census.totals.get("swept_at", 0.0),
        ),
    ):
        yield GaugeMetricFamily(f"geofix_jobs_{name}", said, value)


def _totals(census: Census) -> Iterator[Metric]:
    photos = CounterMetricFamily(
        "geofix_jobs_photos", "Photos of jobs that are done, by outcome.", labels=["outcome"]
    )
    for outcome in ("completed", "failed"):
        photos.add_metric([outcome], census.totals.get(outcome, 0.0))
    yield photos
    yield CounterMetricFamily(
        "geofix_jobs_chunks_redelivered",
        "Chunks that were taken up again after a worker was lost.",
        census.totals.get("redelivered", 0.0),
    )


METRICS = JobMetrics()
REGISTRY.register(METRICS)
