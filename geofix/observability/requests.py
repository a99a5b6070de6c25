"""Requests and what became of them, by the route that answered: never by a path as it was sent."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from geofix.errors import GeofixError
from geofix.observability import tracing
from geofix.observability.registry import OTHER, REGISTRY, known

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

REQUESTS = Counter(
    "geofix_http_requests_total",
    "Requests by route, method and status; 499: the client went away before the answer.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
DURATION = Histogram(
    "geofix_http_request_duration_seconds",
    "From the first byte of a request to the last one of its response.",
    ["route", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
    registry=REGISTRY,
)
IN_FLIGHT = Gauge(
    "geofix_http_requests_in_flight",
    "Requests that are being answered.",
    registry=REGISTRY,
)
PROBLEMS = Counter(
    "geofix_http_problems_total",
    "Requests and photos that were refused or failed, by the kind of problem.",
    ["problem"],
    registry=REGISTRY,
)


def answered(route: str, method: str, status: int, seconds: float) -> None:
    """Count a request; ``route`` is a template, and empty where none matched."""
    route, method = route or OTHER, known(method, METHODS)
    REQUESTS.labels(route, method, str(status)).inc()
    DURATION.labels(route, method).observe(seconds, tracing.exemplar())


def refused(problem: str) -> None:
    """Count a problem by the last part of its type."""
    PROBLEMS.labels(known(problem, _SLUGS)).inc()


def _slugs(kind: type[GeofixError]) -> set[str]:
    return {kind.slug}.union(*(_slugs(below) for below in kind.__subclasses__()))


_SLUGS = tuple(sorted(_slugs(GeofixError) | {"method-not-allowed"}))
for _slug in _SLUGS:
    PROBLEMS.labels(_slug)
