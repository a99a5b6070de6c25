"""What an ingest sees photos with: an encoder that is its own, or a service's line of photos."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from geofix.engine import image
from geofix.engine.batching import Batcher
from geofix.engine.batching.queue import Passing
from geofix.engine.encoder import Encoder
from geofix.engine.types import Embedding, Lane, Photo


@dataclass(frozen=True, slots=True)
class Seen:
    """A photo that has been decoded."""

    photo: Photo
    passing: Passing | None = None
    """Its place in a service's line."""


class Sight(Protocol):
    """Decodes photos and gives their vectors."""

    async def look(self, data: bytes) -> Seen:
        """Decode a photo. Raises InvalidPhoto, Overloaded and ModelUnavailable."""
        ...

    async def embeddings(self, seen: Sequence[Seen]) -> list[Embedding]:
        """The vectors of photos that were looked at, in order; errors as of ``look``."""
        ...


class OwnSight:
    """An encoder that nobody else uses: photos are decoded ahead and encoded together."""

    def __init__(self, encoder: Encoder, decoders: Executor | None = None) -> None:
        """Without ``decoders`` the event loop's own threads decode."""
        self._encoder = encoder
        self._decoders = decoders

    async def look(self, data: bytes) -> Seen:
        """As ``Sight.look``."""
        decode = partial(image.decode, data, target=self._encoder.decode_target)
        loop = asyncio.get_running_loop()
        return Seen(await loop.run_in_executor(self._decoders, decode))

    async def embeddings(self, seen: Sequence[Seen]) -> list[Embedding]:
        """As ``Sight.embeddings``."""
        return await asyncio.to_thread(self._encoder.encode, [one.photo for one in seen])


class QueuedSight:
    """A service's encoder: photos wait in the lane of batch jobs, behind persons' own."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def look(self, data: bytes) -> Seen:
        """As ``Sight.look``."""
        passing = self._batcher.put(data, Lane.BATCH)
        return Seen(await passing.photo(), passing)

    async def embeddings(self, seen: Sequence[Seen]) -> list[Embedding]:
        """As ``Sight.embeddings``."""
        waiting = [one.passing.embedding() for one in seen if one.passing is not None]
        return list(await asyncio.gather(*waiting))
