"""What the engine does, counted: stages, runs of the encoder, the language model, feedback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import Counter, Gauge, Histogram

from geofix.engine.batching import PhotoQueue
from geofix.engine.generators.lmm.breaker import State
from geofix.engine.generators.lmm.outcome import Outcome
from geofix.engine.generators.lmm.reading import Rejection
from geofix.engine.types import (
    LEVELS_KM,
    Channel,
    Degradation,
    Lane,
    LmmCall,
    LocateOptions,
    Prediction,
    StageEvent,
)
from geofix.engine.watching import Watcher
from geofix.observability import answers, tracing
from geofix.observability.registry import REGISTRY, SECONDS, known

SWAPS = ("activated", "rolled-back", "refused")
QUEUE = "queue"
STAGES = (
    *("decode", "enlarge", QUEUE, "encode", "search"),
    *("text", "attributes", "lmm", "verify", "posterior"),
)
CAUSES = ("timeout", "failed", "unavailable", "over-budget", "photo-not-kept")
RADII = ("50", "90")

STAGE_SECONDS = Histogram(
    "geofix_stage_duration_seconds",
    "Time of one stage of an answer. The waits for a decoder and for the model, which belong to "
    "decode and encode, are shown as queue, too.",
    ["stage"],
    buckets=SECONDS,
    registry=REGISTRY,
)
DEGRADED = Counter(
    "geofix_degraded_total",
    "Channels that answers lack, by cause.",
    ["channel", "cause"],
    registry=REGISTRY,
)
BATCH_PHOTOS = Histogram(
    "geofix_batch_photos",
    "Photos that the encoder ran over at once.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=REGISTRY,
)
RUN_SECONDS = Histogram(
    "geofix_encoder_run_duration_seconds",
    "Time of one run of the encoder.",
    buckets=SECONDS,
    registry=REGISTRY,
)
QUEUE_PHOTOS = Gauge(
    "geofix_queue_photos",
    "Photos waiting for their embedding or being worked on.",
    ["lane"],
    registry=REGISTRY,
)
QUEUE_AGE = Gauge(
    "geofix_queue_oldest_seconds",
    "How long the oldest of them has been here.",
    ["lane"],
    registry=REGISTRY,
)
REFUSED = Counter(
    "geofix_photos_refused_total",
    "Photos refused because they would have waited too long.",
    ["lane"],
    registry=REGISTRY,
)
LMM_CALLS = Counter(
    "geofix_lmm_calls_total",
    "Calls of the language model by outcome, those among them that were not made.",
    ["outcome"],
    registry=REGISTRY,
)
LMM_SECONDS = Histogram(
    "geofix_lmm_call_duration_seconds",
    "Time of one call that was made.",
    buckets=SECONDS,
    registry=REGISTRY,
)
LMM_TOKENS = Counter(
    "geofix_lmm_tokens_total",
    "Tokens of the language model; our upper bound where the server does not tell.",
    ["direction"],
    registry=REGISTRY,
)
LMM_COST = Counter(
    "geofix_lmm_cost_usd_total",
    "What the language model cost in US dollars, at the configured prices.",
    registry=REGISTRY,
)
LMM_REJECTED = Counter(
    "geofix_lmm_rejected_generations_total",
    "Generations that were no candidate, by cause.",
    ["cause"],
    registry=REGISTRY,
)
LMM_BREAKER = Gauge(
    "geofix_lmm_breaker_state",
    "1 for the state in which the circuit breaker is; no state without a language model.",
    ["state"],
    registry=REGISTRY,
)
FEEDBACK_RADIUS = Counter(
    "geofix_feedback_radius_total",
    "Answers whose truth became known, by whether it lies within the promised radius.",
    ["radius", "held"],
    registry=REGISTRY,
)
FEEDBACK_KM = Histogram(
    "geofix_feedback_distance_km",
    "How far answers were off whose truth became known.",
    buckets=LEVELS_KM,
    registry=REGISTRY,
)

GALLERY_SWAPS = Counter(
    "geofix_gallery_swaps_total",
    "Versions of galleries that were to take another's place, by what became of it.",
    ["outcome"],
    registry=REGISTRY,
)


class EngineMetrics(Watcher):
    """Counts what the engine tells, and traces its stages."""

    def stage(self, event: StageEvent) -> None:
        stage, seconds = known(event.stage, STAGES), event.ms / 1000.0
        STAGE_SECONDS.labels(stage).observe(seconds, tracing.exemplar())
        tracing.ended(stage, seconds, {}, failed="degraded" in event.detail)

    def call(self, call: LmmCall) -> None:
        LMM_CALLS.labels(known(call.outcome, Outcome)).inc()
        if call.latency_ms > 0.0:
            LMM_SECONDS.observe(call.latency_ms / 1000.0)
        LMM_TOKENS.labels("in").inc(call.tokens_in)
        LMM_TOKENS.labels("out").inc(call.tokens_out)
        LMM_COST.inc(call.cost_usd)

    def rejected(self, generations: Mapping[str, int]) -> None:
        for cause, count in generations.items():
            LMM_REJECTED.labels(known(cause, Rejection)).inc(count)

    def degraded(self, degradation: Degradation) -> None:
        channel = known(degradation.channel, Channel)
        DEGRADED.labels(channel, known(degradation.cause, CAUSES)).inc()

    def answered(self, prediction: Prediction, options: LocateOptions) -> None:
        answers.answered(prediction, options)

    def run(self, photos: int, seconds: float) -> None:
        BATCH_PHOTOS.observe(photos)
        RUN_SECONDS.observe(seconds)

    def waited(self, seconds: float) -> None:
        STAGE_SECONDS.labels(QUEUE).observe(seconds)

    def refused(self, lane: Lane) -> None:
        REFUSED.labels(lane).inc()


def set_queues(queues: Sequence[PhotoQueue]) -> None:
    """Show what is waiting now, before all encoders together."""
    for lane in Lane:
        QUEUE_PHOTOS.labels(lane).set(sum(queue.depth(lane) for queue in queues))
        QUEUE_AGE.labels(lane).set(max((queue.age_s(lane) for queue in queues), default=0.0))


def set_breaker(state: State | None) -> None:
    """Show the state of the circuit breaker; None where there is no language model."""
    LMM_BREAKER.clear()
    if state is not None:
        for one in State:
            LMM_BREAKER.labels(one).set(one is state)


def measured(distance_km: float, radii_km: Mapping[str, float]) -> None:
    """Count an answer whose truth became known; ``radii_km`` by the names in ``RADII``."""
    FEEDBACK_KM.observe(distance_km)
    for name in RADII:
        FEEDBACK_RADIUS.labels(name, str(distance_km <= radii_km[name]).lower()).inc()


def swapped(outcome: str) -> None:
    """Count what became of a version that was to be activated; one of ``SWAPS``."""
    GALLERY_SWAPS.labels(known(outcome, SWAPS)).inc()


def _begin() -> None:
    """Have the series that alerts look at, before anything happens."""
    for outcome in Outcome:
        LMM_CALLS.labels(outcome)
    for direction in ("in", "out"):
        LMM_TOKENS.labels(direction)
    for rejection in Rejection:
        LMM_REJECTED.labels(rejection)
    for channel in Channel:
        for cause in CAUSES:
            DEGRADED.labels(channel, cause)
    for lane in Lane:
        REFUSED.labels(lane)
    for stage in STAGES:
        STAGE_SECONDS.labels(stage)
    for swap in SWAPS:
        GALLERY_SWAPS.labels(swap)
    for radius in RADII:
        for held in ("true", "false"):
            FEEDBACK_RADIUS.labels(radius, held)


_begin()
