"""The galleries of a data directory, opened by name and kept open."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from geofix.engine.gallery.directory import DataDirectory, GalleryCard
from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.ledger import Ledger
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.types import GalleryInfo
from geofix.errors import Conflict


class Galleries:
    """Opens each gallery once. The process must own the data directory."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._open: dict[str, RecordedGallery] = {}
        self._opening = asyncio.Lock()

    def names(self) -> list[str]:
        """Names of the galleries, sorted."""
        return self._directory.names()

    async def open(self, name: str) -> RecordedGallery:
        """The gallery of this name. Raises NotFound, and Unavailable for a damaged one."""
        if (held := self._open.get(name)) is not None:
            return held  # without the lock: another one's opening may take its time
        async with self._opening:
            if name not in self._open:
                self._open[name] = await self._opened(self._directory.card(name))
            return self._open[name]

    def described(self, name: str) -> GalleryInfo:
        """A gallery's card, without asking the gallery: its photos are not counted."""
        card = self._directory.card(name)
        return GalleryInfo(name, card.version, card.encoder, card.dimension, 0)

    async def create(self, name: str, encoder: str, dimension: int) -> RecordedGallery:
        """The gallery of this name; an empty one when there is none.

        Raises Conflict when there is one of another encoder.
        """
        if name in self.names():
            card = self._directory.card(name)
            if (card.encoder, card.dimension) != (encoder, dimension):
                raise Conflict(
                    f"Gallery {name!r} holds vectors of {card.encoder!r}, not of {encoder!r}: "
                    "choose another name, or the model it was built with."
                )
        else:
            self._directory.write_card(GalleryCard(name, encoder, dimension))
        return await self.open(name)

    async def close(self) -> None:
        """Close what is open; the data directory stays owned."""
        async with self._opening:
            while self._open:
                _, gallery = self._open.popitem()
                await gallery.close()

    async def _opened(self, card: GalleryCard) -> RecordedGallery:
        directory = self._directory.gallery(card.name)
        index = await EdgeGallery.open(
            directory / f"v{card.version}",
            name=card.name,
            encoder=card.encoder,
            dimension=card.dimension,
            version=card.version,
        )
        async with AsyncExitStack() as undo:
            undo.push_async_callback(index.close)
            ledger = await asyncio.to_thread(Ledger, directory, card.dimension)
            undo.callback(ledger.close)
            gallery = await RecordedGallery.open(index, ledger)
            undo.pop_all()
        return gallery
