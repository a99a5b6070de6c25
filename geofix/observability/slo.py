"""What operators and users may expect of the service, as numbers: the service level objectives.

They are metrics themselves, so that the rules that watch them and the dashboards that show them
hold no copies.
"""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import Gauge

from geofix.observability.registry import REGISTRY


@dataclass(frozen=True, slots=True)
class Objective:
    """A share of something that must be good, over 30 days."""

    name: str
    target: float
    """0 to 1."""
    says: str
    seconds: float | None = None
    """For times: what is still quick. It must be one of the histogram's buckets."""


AVAILABILITY = Objective(
    "availability", 0.995, "Requests under /v1 that do not fail on our side (status 5xx)."
)
LATENCY = Objective("latency", 0.95, "Photos sent alone that are answered in time.", 2.0)
COVERAGE = Objective(
    "coverage", 0.90, "Answers whose 90 % radius holds the place that was told to be true."
)
OBJECTIVES = (AVAILABILITY, LATENCY, COVERAGE)

TARGET = Gauge(
    "geofix_slo_target_ratio",
    "The share that must be good, by objective.",
    ["slo"],
    registry=REGISTRY,
)
THRESHOLD = Gauge(
    "geofix_slo_threshold_seconds",
    "What is still quick, by objective.",
    ["slo"],
    registry=REGISTRY,
)


def announce() -> None:
    """Let the targets be scraped."""
    for objective in OBJECTIVES:
        TARGET.labels(objective.name).set(objective.target)
        if objective.seconds is not None:
            THRESHOLD.labels(objective.name).set(objective.seconds)
