"""What is so at the moment of a scrape: the build, the galleries, the job store."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

from prometheus_client import Gauge

from geofix.engine.types import GalleryInfo
from geofix.observability.registry import REGISTRY

BUILD = Gauge(
    "geofix_build_info",
    "Always 1; what is running.",
    ["version", "python", "encoder"],
    registry=REGISTRY,
)
READY = Gauge(
    "geofix_ready",
    "1 while photos can be located: the model works and the galleries are open.",
    registry=REGISTRY,
)
OBJECT_STORE_UP = Gauge(
    "geofix_object_store_up",
    "1 where the jobs' object store answers, 0 where it does not; nothing without jobs.",
    ["store"],
    registry=REGISTRY,
)
GALLERY_UP = Gauge(
    "geofix_gallery_up",
    "1 for a gallery that answers, 0 for one that was opened and does not.",
    ["gallery"],
    registry=REGISTRY,
)
GALLERY_PHOTOS = Gauge(
    "geofix_gallery_photos",
    "Photos in a gallery.",
    ["gallery"],
    registry=REGISTRY,
)
GALLERY_VERSION = Gauge(
    "geofix_gallery_version",
    "The version of a gallery that is searched.",
    ["gallery"],
    registry=REGISTRY,
)
GALLERY_CREATED = Gauge(
    "geofix_gallery_version_created_timestamp_seconds",
    "When the version of a gallery that is searched was made.",
    ["gallery"],
    registry=REGISTRY,
)


def set_build(version: str, encoder: str) -> None:
    """Say what is running."""
    BUILD.clear()
    BUILD.labels(version, platform.python_version(), encoder).set(1)


def set_ready(*, ready: bool) -> None:
    """Say whether photos can be located."""
    READY.set(ready)


def set_object_store(*, up: bool | None) -> None:
    """Say whether the jobs' object store answers; None where there are no jobs."""
    OBJECT_STORE_UP.clear()
    if up is not None:
        OBJECT_STORE_UP.labels("jobs").set(up)


def set_galleries(
    answering: Sequence[GalleryInfo], silent: Sequence[str], created_at: Mapping[str, float]
) -> None:
    """Show the galleries that are open, and those among them that do not answer.

    ``created_at`` tells when the version in use was made, in Unix seconds, where it is known.
    """
    for gauge in (GALLERY_UP, GALLERY_PHOTOS, GALLERY_VERSION, GALLERY_CREATED):
        gauge.clear()
    for info in answering:
        GALLERY_UP.labels(info.name).set(1)
        GALLERY_PHOTOS.labels(info.name).set(info.count)
        GALLERY_VERSION.labels(info.name).set(info.version)
    for name in silent:
        GALLERY_UP.labels(name).set(0)
    for name, at in created_at.items():
        GALLERY_CREATED.labels(name).set(at)
