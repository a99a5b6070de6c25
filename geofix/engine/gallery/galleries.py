"""The galleries of a data directory, opened by name and kept open."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from geofix.engine.gallery.directory import DataDirectory, GalleryCard
from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.ledger import Ledger
from geofix.engine.gallery.port import Gallery
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.types import GalleryInfo, Neighbour
from geofix.errors import Conflict
from geofix.settings import Settings

if TYPE_CHECKING:
    from geofix.engine.gallery.qdrant_server import QdrantServer


class Galleries:
    """Opens each gallery once. The process must own the data directory."""

    def __init__(self, directory: DataDirectory, settings: Settings) -> None:
        self._directory = directory
        self._settings = settings
        self._server: QdrantServer | None = None
        self._last_known: dict[str, GalleryInfo] = {}
        self._open: dict[str, RecordedGallery] = {}
        self._opening = asyncio.Lock()

    def names(self) -> list[str]:
        """Names of the galleries, sorted."""
        return self._directory.names()

    def folder(self, name: str) -> Path:
        """Where a gallery of this name lies, or would. Raises InvalidOption for a bad name."""
        return self._directory.gallery(name)

    async def open(self, name: str) -> RecordedGallery:
        """The gallery of this name. Raises NotFound, and Unavailable for a damaged one."""
        if (held := self._open.get(name)) is not None:
            return held  # without the lock: another one's opening may take its time
        async with self._opening:
            if name not in self._open:
                self._open[name] = await self._opened(self._directory.card(name))
            return self._open[name]

    def opened(self) -> dict[str, RecordedGallery]:
        """The galleries that are open, by name."""
        return dict(self._open)

    async def thumbnail(self, neighbour: Neighbour) -> bytes | None:
        """The small picture of a photo, as a JPEG; None where none is kept."""
        gallery = await self.open(neighbour.gallery)
        return await asyncio.to_thread(gallery.thumbnails.read, neighbour.id)

    async def described(self, name: str) -> GalleryInfo:
        """A gallery that cannot be reached now, as it was last known. Raises NotFound."""
        if name not in self._last_known:
            card = self._directory.card(name)
            count = await asyncio.to_thread(self._recorded, card)
            self.remember(GalleryInfo(name, card.version, card.encoder, card.dimension, count))
        return self._last_known[name]

    def remember(self, info: GalleryInfo) -> None:
        """Keep what a gallery says of itself for when it cannot be reached."""
        self._last_known[info.name] = info

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
            if self._server is not None:
                await self._server.close()

    async def _opened(self, card: GalleryCard) -> RecordedGallery:
        directory = self._directory.gallery(card.name)
        index = await (self._on_server(card) if self._settings.qdrant_url else self._embedded(card))
        async with AsyncExitStack() as undo:
            undo.push_async_callback(index.close)
            ledger = await asyncio.to_thread(Ledger, directory, card.dimension)
            undo.callback(ledger.close)
            gallery = await RecordedGallery.open(index, ledger)
            undo.pop_all()
        return gallery

    async def _embedded(self, card: GalleryCard) -> Gallery:
        return await EdgeGallery.open(
            self._directory.gallery(card.name) / f"v{card.version}",
            name=card.name,
            encoder=card.encoder,
            dimension=card.dimension,
            version=card.version,
        )

    async def _on_server(self, card: GalleryCard) -> Gallery:
        # Imported where a server is used: the client is large.
        from geofix.engine.gallery.qdrant import QdrantGallery  # noqa: PLC0415
        from geofix.engine.gallery.qdrant_server import QdrantServer  # noqa: PLC0415

        wanted = self._settings
        if self._server is None:
            self._server = QdrantServer(
                wanted.qdrant_url, wanted.qdrant_api_key, deadline_s=wanted.qdrant_deadline_s
            )
        return await QdrantGallery.open(
            self._server,
            name=card.name,
            encoder=card.encoder,
            dimension=card.dimension,
            version=card.version,
            layout=wanted.qdrant_layout,
        )

    def _recorded(self, card: GalleryCard) -> int:
        ledger = Ledger(self._directory.gallery(card.name), card.dimension)
        try:
            return len(ledger.ids())
        finally:
            ledger.close()
