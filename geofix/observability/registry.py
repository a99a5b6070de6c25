"""Where the metrics of this process are registered, and how they are read.

Names follow Prometheus: a prefix, the base unit, ``_total`` for what only grows. A label takes
values from a fixed list only, so that nobody's input makes new series; each series is there from
the start, so that a rate over it is never missing.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

FORMATS = ("text/plain", "application/openmetrics-text")
OTHER = "other"
"""In place of a value that no list holds."""
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
"""Buckets of times."""


def known(value: str, values: Iterable[str]) -> str:
    """``value`` where the list holds it, ``other`` where not."""
    return next((str(one) for one in values if one == value), OTHER)


def exposition(accept: str = "") -> tuple[bytes, str]:
    """Every metric as text, with its content type, in the format that ``Accept`` prefers."""
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type
