"""Searching several galleries as if they were one, and none for longer than it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from geofix.engine.encoder import Encoder
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.port import Gallery, Space
from geofix.engine.types import (
    Channel,
    Degradation,
    Filter,
    Float32Array,
    GalleryInfo,
    Neighbour,
    Query,
)
from geofix.errors import Conflict, GalleryTimeout, Unavailable
from geofix.settings import Settings

if TYPE_CHECKING:
    from geofix.engine.eyes import Pinned

T = TypeVar("T")


class Searched(Protocol):
    """What an answer needs of a gallery."""

    async def info(self) -> GalleryInfo: ...

    async def search(
        self, vector: Float32Array, k: int, where: Filter, space: Space = "image"
    ) -> list[Neighbour]: ...

    async def facet(self, field: str) -> dict[str, int]: ...


class Timely:
    """A gallery for one answer: all that it is asked must be done by ``deadline``.

    Raises GalleryTimeout for what is late. The deadline is of the event loop's clock.
    """

    def __init__(self, gallery: Gallery, deadline: float) -> None:
        self._gallery = gallery
        self._deadline = deadline

    async def info(self) -> GalleryInfo:
        return await self._by_then(self._gallery.info())

    async def search(
        self, vector: Float32Array, k: int, where: Filter, space: Space = "image"
    ) -> list[Neighbour]:
        return await self._by_then(self._gallery.search(vector, k, where, space))

    async def facet(self, field: str) -> dict[str, int]:
        return await self._by_then(self._gallery.facet(field))

    async def _by_then(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout_at(self._deadline):
                return await work
        except TimeoutError as error:
            raise GalleryTimeout("A gallery did not answer in time.") from error


@dataclass(frozen=True, slots=True)
class Opened:
    """The galleries of one answer."""

    galleries: tuple[Searched, ...]
    infos: tuple[GalleryInfo, ...]
    """Also of those that cannot be searched."""
    degraded: tuple[Degradation, ...] = ()


async def open_all(
    galleries: Galleries | Pinned, names: Sequence[str], encoder: Encoder, settings: Settings
) -> Opened:
    """Open galleries by name, each once; one that cannot be reached, or not in time, is left out
    and named.

    Raises NotFound, and Conflict for a gallery of another encoder.
    """
    opened: list[Searched] = []
    infos = []
    degraded = []
    for name in dict.fromkeys(names):
        if name == settings.gallery and name not in galleries.names():
            # Before the first build the configured gallery is empty, not an error.
            infos.append(GalleryInfo(name, 0, encoder.name, encoder.dimension, 0))
            continue
        try:
            gallery = await galleries.open(name)
            deadline = asyncio.get_running_loop().time() + settings.search_budget_s
            timely = Timely(gallery, deadline)
            info = await timely.info()
        except Unavailable as error:
            infos.append(await galleries.described(name))
            degraded.append(_degradation(error))
            continue
        galleries.remember(info)
        if info.encoder != encoder.name:
            raise Conflict(
                f"Gallery {name!r} holds vectors of {info.encoder!r}, but the service runs "
                f"{encoder.name!r}: rebuild the gallery or change GEOFIX_MODEL."
            )
        opened.append(timely)
        infos.append(info)
    return Opened(tuple(opened), tuple(infos), tuple(degraded))


async def nearest(
    galleries: Sequence[Searched],
    vector: Float32Array,
    k: int,
    where: Filter,
    space: Space = "image",
) -> tuple[tuple[Neighbour, ...], tuple[Degradation, ...]]:
    """The k photos of all galleries most similar to ``vector`` [D], best first.

    A gallery that cannot be reached, or is late, is named instead.
    """
    outcomes = await asyncio.gather(
        *(gallery.search(vector, k, where, space) for gallery in galleries), return_exceptions=True
    )
    found: list[Neighbour] = []
    missing = []
    for outcome in outcomes:
        if isinstance(outcome, Unavailable):
            missing.append(_degradation(outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            found.extend(outcome)
    found.sort(key=lambda neighbour: (-neighbour.similarity, neighbour.id))
    return tuple(found[:k]), tuple(missing)


async def farthest(
    galleries: Sequence[Searched], query: Query, count: int
) -> tuple[Neighbour, ...]:
    """The photos that look least like the query, the least similar first: G3's negatives.

    They are the ones most similar to the opposite of its vector.
    """
    found, _ = await nearest(galleries, -query.embedding.vector, count, query.filter)
    return tuple(replace(one, similarity=-one.similarity) for one in found)


def _degradation(error: Unavailable) -> Degradation:
    cause = "timeout" if isinstance(error, GalleryTimeout) else "unavailable"
    return Degradation(str(Channel.RETRIEVAL), cause)
