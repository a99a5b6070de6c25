"""A gallery whose truth is its ledger, and whose answers come from an index.

Every mutation is in the ledger before the index sees it. When the gallery is opened the index is
brought up to date, so that it may have lost anything, or be missing altogether.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from geofix.engine.gallery.ledger import Ledger, LedgerView, Upsert
from geofix.engine.gallery.port import Index, Space
from geofix.engine.gallery.review import Finding, review
from geofix.engine.gallery.thumbnails import Thumbnails
from geofix.engine.types import Filter, Float32Array, GalleryInfo, Neighbour, Point
from geofix.errors import Unavailable

_COMPACT_BYTES = 64 * 2**20
"""The log is compacted when it is larger than this and than the manifest."""
_FOLLOWED_SHARE = 16
"""So many times as large it may become while another version follows it."""


Convert = Callable[[Sequence[Point]], list[Point]]
"""Gives points the vectors of another version; those for which it cannot are left out."""


@dataclass(frozen=True, slots=True)
class Successor:
    """The version that took a version's place."""

    gallery: RecordedGallery
    convert: Convert


class RecordedGallery:
    """An index together with its ledger; implements ``port.Gallery``."""

    def __init__(
        self,
        index: Index,
        ledger: Ledger,
        thumbnails: Path | None = None,
        followed: Callable[[], bool] = lambda: False,
    ) -> None:
        """``thumbnails``: their folder, where the ledger's has none of its own.

        While the ledger is ``followed`` its log is let grow: what follows it would otherwise have
        to compare everything again.
        """
        self._index = index
        self._ledger = ledger
        self.ledger: LedgerView = ledger
        self.thumbnails = Thumbnails(thumbnails or ledger.directory / "thumbnails")
        self._followed = followed
        self._successor: Successor | None = None
        self._info: GalleryInfo | None = None
        self.ingesting = asyncio.Lock()
        """Held from looking for a photo in the gallery until it is written."""
        self._writing = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(
        cls,
        index: Index,
        ledger: Ledger,
        thumbnails: Path | None = None,
        followed: Callable[[], bool] = lambda: False,
    ) -> RecordedGallery:
        """Bring ``index`` up to date with ``ledger``; both are closed with the gallery."""
        mutations = await asyncio.to_thread(lambda: list(ledger.mutations()))
        gone: set[str] = set()
        for mutation, _ in mutations:
            if isinstance(mutation, Upsert):
                await index.upsert(mutation.points)
                gone.difference_update(point.id for point in mutation.points)
            else:
                await index.delete(mutation.ids)
                gone.update(mutation.ids)
        expected = ledger.manifest_rows if not mutations else len(ledger.ids())
        if await index.count() != expected:
            await _rebuild(index, ledger)
        gallery = cls(index, ledger, thumbnails, followed)
        await asyncio.to_thread(gallery.thumbnails.remove, gone)
        return gallery

    async def info(self) -> GalleryInfo:
        """Name, version, encoder and present count."""
        return await self._index.info()

    async def fixed(self) -> GalleryInfo:
        """As ``info``, without counting anew."""
        if self._info is None:
            self._info = await self._index.info()
        return self._info

    async def upsert(self, points: Sequence[Point]) -> None:
        """Add points, replacing those with the same id; on the disk when it returns."""
        if not points:
            return
        # Whoever asked may give up waiting; ledger and index must still agree.
        await asyncio.shield(self._upsert(points))

    async def delete(self, ids: Sequence[str]) -> int:
        """Remove points; returns how many were there. Gone from the disk when it returns."""
        if not ids:
            return 0
        return await asyncio.shield(self._delete(ids))

    async def get(self, ids: Sequence[str]) -> list[Point]:
        """The points that exist, in the order asked."""
        return await self._index.get(ids)

    async def search(
        self, vector: Float32Array, k: int, where: Filter, space: Space = "image"
    ) -> list[Neighbour]:
        """The k most similar points that pass the filter, best first."""
        found = await self._index.search(vector, k, where, space)
        shown = await asyncio.to_thread(self.thumbnails.among, [n.id for n in found])
        return [replace(n, thumbnail=True) if n.id in shown else n for n in found]

    async def count(self, where: Filter | None = None) -> int:
        """How many points pass the filter."""
        return await self._index.count(where)

    async def ids_by(self, field: str, values: Sequence[str]) -> dict[str, str]:
        """The points whose ``field`` holds one of ``values``: id → value."""
        return await self._index.ids_by(field, values)

    async def facet(self, field: str) -> dict[str, int]:
        """How many points hold each value of a field, most frequent first."""
        return await self._index.facet(field)

    def scroll(self, batch: int = 1000) -> AsyncIterator[list[Point]]:
        """All points, in batches, in the order of their ids."""
        return self._index.scroll(batch)

    async def optimize(self) -> None:
        """Build or refresh the index; searches and writes go on meanwhile."""
        await self._index.optimize()

    async def renew_index(self) -> None:
        """Make the index anew from the ledger, which is compacted first; searches go on.

        Of what was removed before, neither holds a byte afterwards.
        """
        async with self._writing:
            await asyncio.to_thread(self._ledger.compact)
            recorded = self._ledger.points()
        await self._index.rebuild(recorded)

    async def review(self, since: str = "") -> list[Finding]:
        """What looks wrong among the points added since; writes wait while they are read."""
        async with self._writing:
            facts = await asyncio.to_thread(self._ledger.facts)
        return await review(facts, self._index.get, since)

    async def compact(self) -> None:
        """Bring the manifest up to date; writes wait meanwhile."""
        async with self._writing:
            await asyncio.to_thread(self._ledger.compact)

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Writes wait; searches go on."""
        async with self._writing:
            yield

    @asynccontextmanager
    async def settled(self) -> AsyncIterator[None]:
        """Writes wait, and the manifest alone says all there is."""
        async with self._writing:
            await asyncio.to_thread(self._ledger.compact)
            yield

    def succeeded_by(self, successor: Successor | None) -> None:
        """Hand writes on from now on: whoever still holds this version must lose none of them.

        Called while writes are paused. None takes it back.
        """
        self._successor = successor

    async def close(self) -> None:
        """Close index and ledger; nothing happens when they are closed already."""
        async with self._writing:
            if self._closed:
                return
            self._closed = True
            try:
                await self._index.close()
            finally:
                self._ledger.close()

    async def hold(self, points: Sequence[Point]) -> None:
        """Add points that the version in use holds; only for whoever keeps this one in step."""
        if points:
            async with self._writing:
                await self._write(points)

    async def drop(self, ids: Sequence[str]) -> None:
        """Remove points that the version in use does not hold; as ``hold``."""
        if ids:
            async with self._writing:
                await self._erase(ids)

    async def _upsert(self, points: Sequence[Point]) -> None:
        async with self._writing:
            if self._successor is not None:
                await self._hand_on(self._successor, points)
            else:
                await self._write(points)

    async def _delete(self, ids: Sequence[str]) -> int:
        async with self._writing:
            if self._successor is not None:
                return await self._successor.gallery.delete(ids)
            count = await self._erase(ids)
            await asyncio.to_thread(self.thumbnails.remove, ids)
            return count

    async def _write(self, points: Sequence[Point]) -> None:
        await asyncio.to_thread(self._ledger.upsert, points)
        await self._index.upsert(points)
        limit, size = max(_COMPACT_BYTES, self._ledger.manifest_bytes), self._ledger.log_bytes
        if size > limit and (size > _FOLLOWED_SHARE * limit or not self._followed()):
            await asyncio.to_thread(self._ledger.compact)

    async def _erase(self, ids: Sequence[str]) -> int:
        await asyncio.to_thread(self._ledger.delete, ids)
        return await self._index.delete(ids)

    async def _hand_on(self, successor: Successor, points: Sequence[Point]) -> None:
        converted = await asyncio.to_thread(successor.convert, points)
        if len(converted) < len(points):
            raise Unavailable("The gallery has just changed its encoder. Send the photo again.")
        await successor.gallery.upsert(converted)


async def _rebuild(index: Index, ledger: Ledger) -> None:
    """Make the index hold exactly what the ledger holds."""
    wanted = await asyncio.to_thread(ledger.ids)
    async for page in index.scroll():
        strays = [point.id for point in page if point.id not in wanted]
        await index.delete(strays)
    for points in ledger.points():
        here = {point.id for point in await index.get([point.id for point in points])}
        await index.upsert([point for point in points if point.id not in here])
