"""What an ingest sees photos with: an encoder that is its own, or a service's line of photos."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from geofix.engine import image
from geofix.engine.batching import Batcher
from geofix.engine.batching.queue import Passing
from geofix.engine.encoder import Encoder
from geofix.engine.gallery.hygiene import phash
from geofix.engine.types import Embedding, Float32Array, Lane, Photo
from geofix.errors import InvalidPhoto

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Seen:
    """A photo that has been decoded."""

    photo: Photo
    phash: str
    input: Float32Array | None = None
    """What an encoder of its own is to be given, [3, height, width]."""
    passing: Passing | None = None
    """Its place in a service's line."""


class Sight(Protocol):
    """Decodes photos and gives their vectors."""

    async def look(self, photos: Sequence[bytes]) -> list[Seen | InvalidPhoto]:
        """Decode photos: in order, each or its error. Raises Overloaded, ModelUnavailable."""
        ...

    async def embeddings(self, seen: Sequence[Seen]) -> list[Embedding]:
        """The vectors of photos that were looked at, in order; errors as of ``look``."""
        ...


class OwnSight:
    """An encoder that nobody else uses: photos are decoded ahead and encoded together."""

    def __init__(self, encoder: Encoder, decoders: Executor | None = None) -> None:
        """Without ``decoders`` one photo is decoded after the other."""
        self._encoder = encoder
        self._decoders = decoders

    async def look(self, photos: Sequence[bytes]) -> list[Seen | InvalidPhoto]:
        """As ``Sight.look``."""
        return await all_of(self._decoders, self._look, photos)

    async def embeddings(self, seen: Sequence[Seen]) -> list[Embedding]:
        """As ``Sight.embeddings``."""
        inputs = [one.input for one in seen if one.input is not None]
        return await asyncio.to_thread(self._encoder.encode_prepared, inputs)

    def _look(self, data: bytes) -> Seen | InvalidPhoto:
        try:
            photo = image.decode(data, target=self._encoder.decode_target)
        except InvalidPhoto as error:
            return error
        return Seen(photo, phash(photo.pixels), self._encoder.prepare(photo))


class QueuedSight:
    """A service's encoder: photos wait in the lane of batch jobs, behind persons' own."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def look(self, photos: Sequence[bytes]) -> list[Seen | InvalidPhoto]:
        """As ``Sight.look``."""
        return await asyncio.gather(*map(self._look, photos))

    async def embeddings(self, seen: Sequence[Seen]) -> list[Embedding]:
        """As ``Sight.embeddings``."""
        waiting = [one.passing.embedding() for one in seen if one.passing is not None]
        return list(await asyncio.gather(*waiting))

    async def _look(self, data: bytes) -> Seen | InvalidPhoto:
        passing = self._batcher.put(data, Lane.BATCH)
        try:
            photo = await passing.photo()
        except InvalidPhoto as error:
            return error
        return Seen(photo, await asyncio.to_thread(phash, photo.pixels), passing=passing)


async def all_of(threads: Executor | None, do: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What ``do`` makes of each item, in order, in these threads; without any, one by one.

    The event loop is woken once, when all are done: once an item costs as much as a small photo.
    """
    if threads is None:
        return await asyncio.to_thread(lambda: [do(item) for item in items])
    return await asyncio.to_thread(list, threads.map(do, items))
