"""What a scrape looks at: the state of the engine, its galleries and the jobs, as they are now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from fastapi import FastAPI

from geofix.engine.gallery import progress
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.versions import VersionCard, VersionState
from geofix.engine.types import GalleryInfo
from geofix.errors import GeofixError, StorageFull, Unavailable
from geofix.jobs.metrics import METRICS
from geofix.observability import metrics, reindexing, state
from service import running
from service.jobs.running import Jobs, attached

_PATIENCE_S = 2.0
"""A dependency that takes longer is down: Prometheus waits for 10 seconds in all."""
_NOTHING = "health"
"""An object that is not there: to be told so is to be answered."""


async def look(app: FastAPI) -> None:
    """Bring every gauge up to date. What does not answer is shown as such, and never raised."""
    locator = running.opened(app)
    state.set_ready(ready=locator is not None and locator.ready)
    metrics.set_breaker(None if locator is None else locator.lmm_circuit)
    dependencies = [_look_at_jobs(attached(app)), _look_at_objects(attached(app))]
    if locator is not None:
        metrics.set_queues([eye.batcher.queue for eye in locator.eyes.all()])
        await asyncio.to_thread(_look_at_reindexing, locator.galleries)
        dependencies.append(_look_at_galleries(locator.galleries))
    await asyncio.gather(*dependencies)


async def _look_at_galleries(galleries: Galleries) -> None:
    opened = galleries.opened()
    found = await asyncio.gather(*(_info(gallery) for gallery in opened.values()))
    silent = [name for name, info in zip(opened, found, strict=True) if info is None]
    answering = [info for info in found if info is not None]
    state.set_galleries(answering, silent, await asyncio.to_thread(_created, galleries, answering))


def _created(galleries: Galleries, infos: Sequence[GalleryInfo]) -> dict[str, float]:
    """When the versions in use were made, by gallery; none for those older than their cards."""
    created: dict[str, float] = {}
    for info in infos:
        with suppress(GeofixError, OSError):
            for card in galleries.versions(info.name):
                if card.version == info.version and card.created_at:
                    at = datetime.fromisoformat(card.created_at)
                    created[info.name] = at.timestamp()
    return created


def _look_at_reindexing(galleries: Galleries) -> None:
    found: dict[str, list[VersionCard]] = {}
    built: dict[str, float] = {}
    for name in galleries.names():
        with suppress(GeofixError, OSError):
            found[name] = galleries.versions(name)
            for card in found[name]:
                if card.state is VersionState.BUILDING:
                    noted = progress.read(galleries.folder(name), card.version)
                    built[name] = noted.done / max(1, noted.total) if noted else 0.0
    reindexing.show(found, built)


async def _info(gallery: RecordedGallery) -> GalleryInfo | None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await gallery.info()
    except (GeofixError, OSError):
        return None


async def _look_at_jobs(jobs: Jobs | None) -> None:
    if jobs is None:
        METRICS.show(None, up=None)
        return
    try:
        async with asyncio.timeout(_PATIENCE_S):
            METRICS.show(await jobs.store.census(), up=True)
    except (Unavailable, TimeoutError):
        METRICS.show(None, up=False)


async def _look_at_objects(jobs: Jobs | None) -> None:
    if jobs is None:
        state.set_object_store(up=None)
        return
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await jobs.store.records.objects.size(_NOTHING)
            state.set_object_store(up=True)
    except (Unavailable, StorageFull, TimeoutError):
        state.set_object_store(up=False)
