"""Opening one version of a gallery, with its index embedded or on a server."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from geofix.engine.gallery import versions
from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.ledger import Ledger
from geofix.engine.gallery.port import Index
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.versions import VersionCard, VersionState
from geofix.errors import InvalidOption
from geofix.settings import Settings

if TYPE_CHECKING:
    from geofix.engine.gallery.qdrant_server import QdrantServer


class Opener:
    """Opens versions of galleries as the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: QdrantServer | None = None

    @property
    def server(self) -> QdrantServer | None:
        """The server that keeps the indexes; None where they are embedded.

        Raises InvalidOption for a replica: it would make the original's index fit its own copy.
        """
        if self._settings.qdrant_url and self._settings.replica:
            raise InvalidOption("A replica has indexes of its own: unset GEOFIX_QDRANT_URL.")
        if self._server is None and self._settings.qdrant_url:
            # Imported where a server is used: the client is large.
            from geofix.engine.gallery.qdrant_server import QdrantServer  # noqa: PLC0415

            wanted = self._settings
            self._server = QdrantServer(
                wanted.qdrant_url, wanted.qdrant_api_key, deadline_s=wanted.qdrant_deadline_s
            )
        return self._server

    async def open(
        self,
        gallery: Path,
        card: VersionCard,
        *,
        thumbnails: Path | None = None,
        builds: bool = False,
    ) -> RecordedGallery:
        """A version of the gallery in the folder ``gallery``.

        ``thumbnails`` belong to the version in use. One that is being built is indexed when it
        is asked for alone. Raises Unavailable for a damaged one, or while another process has it
        open.
        """
        where = versions.folder(gallery, card.version)
        index = await self._index(gallery, card, builds=builds)

        def followed() -> bool:
            return any(
                other.state in (VersionState.BUILDING, VersionState.READY)
                for other in versions.read_all(gallery)
                if other.version != card.version
            )

        async with AsyncExitStack() as undo:
            undo.push_async_callback(index.close)
            ledger = await asyncio.to_thread(Ledger, where, card.dimension)
            undo.callback(ledger.close)
            opened = await RecordedGallery.open(index, ledger, thumbnails, followed)
            undo.pop_all()
        return opened

    async def remove(self, gallery: str, card: VersionCard) -> None:
        """Remove what a server holds of a version."""
        server = self.server
        if server is not None:
            name = server.collection(gallery, card.version)
            await server.call(lambda client: client.delete_collection(name))

    async def point_alias(self, gallery: str, version: int) -> None:
        """Have readers of the server's alias read this version; nothing where none is."""
        if self.server is not None:
            from geofix.engine.gallery.qdrant import activate  # noqa: PLC0415

            await activate(self.server, gallery, version)

    async def close(self) -> None:
        """Close the connection to the server."""
        if self._server is not None:
            await self._server.close()

    async def _index(self, gallery: Path, card: VersionCard, *, builds: bool) -> Index:
        if self.server is not None:
            from geofix.engine.gallery.qdrant import QdrantGallery  # noqa: PLC0415

            return await QdrantGallery.open(
                self.server,
                name=gallery.name,
                encoder=card.encoder,
                dimension=card.dimension,
                version=card.version,
                layout=self._settings.qdrant_layout,
                quantization=card.quantization,
            )
        return await EdgeGallery.open(
            versions.folder(gallery, card.version) / versions.INDEX,
            name=gallery.name,
            encoder=card.encoder,
            dimension=card.dimension,
            version=card.version,
            quantization=card.quantization,
            optimizes=not builds,
        )
