"""The bridges of a data directory's galleries: read when needed, fitted beside the answers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.port import Gallery
from geofix.engine.location import bridge
from geofix.engine.location.bridge import FEWEST_POINTS, GROWTH, Bridge, Check
from geofix.engine.location.location_map import LocationMap
from geofix.engine.types import Float32Array, Float64Array, GalleryInfo, Point
from geofix.errors import GeofixError, InvalidOption, ModelUnavailable

log = logging.getLogger(__name__)

_MOST_POINTS = 20_000
"""Of a larger gallery so many are taken: those of the first ids, which are random."""
_PAGE = 64
"""Points read at once: searches wait for that long."""


class Bridges:
    """Bridges of one encoder. The process must own the data directory."""

    def __init__(
        self, galleries: Galleries, encoder: str, around: Callable[[], LocationMap]
    ) -> None:
        """``around`` gives the location map, whose making takes seconds."""
        self._galleries = galleries
        self._encoder = encoder
        self._around = around
        self._held: dict[Path, Bridge | None] = {}
        self._tried: dict[Path, int] = {}
        """How many photos a gallery held when its bridge was last renewed here, or could not be."""
        self._renewing: dict[Path, asyncio.Task[None]] = {}
        self._stopping = threading.Event()

    def lead_from(self, gallery: str, version: int) -> bool:
        """Whether a version of a gallery has a bridge."""
        return self._file(gallery, version).exists()

    async def of(self, galleries: Sequence[GalleryInfo]) -> Bridge | None:
        """The bridge of the largest of the galleries; None where it has none."""
        largest = max(galleries, key=lambda gallery: gallery.count, default=None)
        if largest is None or largest.count < FEWEST_POINTS:
            return None
        return await self._read(largest)

    async def renew(self, gallery: Gallery) -> Bridge | None:
        """Fit the gallery's bridge where it has none or has outgrown it; what then is its bridge.

        None for a gallery of fewer than 500 photos or of a single contributor.
        """
        info = await gallery.info()
        held = await self._read(info)
        if info.count < FEWEST_POINTS or (held is not None and not held.outgrown_by(info.count)):
            return held
        points = await sample(gallery)
        try:
            fitted = await asyncio.to_thread(self._fit, points, info.count)
        except InvalidOption as error:
            log.info("gallery %s has no bridge: %s", info.name, error)
            return None
        file = self._file(info.name, info.version)
        await asyncio.to_thread(bridge.save, fitted, file)
        self._held[file] = fitted
        return fitted

    def keep_up(self, info: GalleryInfo) -> None:
        """Renew the bridge in the background, where that is due and not being done."""
        file = self._file(info.name, info.version)
        tried = self._tried.get(file)
        due = tried is None or abs(info.count - tried) >= GROWTH * tried
        if due and info.count >= FEWEST_POINTS and file not in self._renewing:
            self._tried[file] = info.count
            task = asyncio.create_task(self._renew_quietly(info.name))
            self._renewing[file] = task
            task.add_done_callback(lambda _: self._renewing.pop(file))

    async def close(self) -> None:
        """Leave what is being fitted."""
        self._stopping.set()
        await asyncio.gather(*self._renewing.values())

    async def _renew_quietly(self, name: str) -> None:
        try:
            await self.renew(await self._galleries.open(name))
        except _StoppedError:
            pass
        except (GeofixError, OSError) as error:  # answers go on with the bridge there was
            log.warning("The bridge cannot be fitted: %s", error)

    def _fit(self, points: list[Point], count: int) -> Bridge:
        return fit(self._encoder, points, count, self._around(), self._check)

    def _check(self) -> None:
        if self._stopping.is_set():
            raise _StoppedError

    async def _read(self, info: GalleryInfo) -> Bridge | None:
        file = self._file(info.name, info.version)
        if file not in self._held:
            self._held[file] = await asyncio.to_thread(self._load, file)
        return self._held[file]

    def _load(self, file: Path) -> Bridge | None:
        if not file.exists():
            return None
        try:
            return bridge.load(file, self._encoder)
        except ModelUnavailable as error:  # the answer does without; the next renewal replaces it
            log.warning("%s", error)
            return None

    def _file(self, gallery: str, version: int) -> Path:
        return self._galleries.folder(gallery) / f"bridge.v{version}.npz"


class _StoppedError(Exception):
    """The process ends before a bridge is fitted."""


async def sample(gallery: Gallery) -> list[Point]:
    """Points of a gallery that come with a location vector, 20 000 at most, at random."""
    points: list[Point] = []
    async for page in gallery.scroll(_PAGE):
        points += [point for point in page if point.gps is not None]
        if len(points) >= _MOST_POINTS:
            break
    return points[:_MOST_POINTS]


def fit(
    encoder: str,
    points: Sequence[Point],
    count: int,
    around: LocationMap,
    check: Check = lambda: None,
) -> Bridge:
    """The bridge of a gallery of ``count`` photos, fitted on ``points`` and weighed.

    ``check`` is called between the steps and may raise. Raises InvalidOption as ``bridge.fit``.
    """
    images, locations, latlon = arrays(points)
    contributors = [point.contributor for point in points]
    fitted = bridge.fit(encoder, images, locations, contributors, check)
    weighed = bridge.weighed(fitted, images, locations, latlon, around, check)
    return replace(weighed, points=count)


def arrays(points: Sequence[Point]) -> tuple[Float32Array, Float32Array, Float64Array]:
    """Image vectors [N, D], location vectors [N, L] and (lat, lon) [N, 2] of sampled points."""
    images = np.stack([point.image for point in points])
    locations = np.stack([point.gps for point in points if point.gps is not None])
    return images, locations, np.array([(point.lat, point.lon) for point in points])
