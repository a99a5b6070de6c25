"""The embedded gallery: a Qdrant Edge shard in a directory.

The directory holds one shard and the file ``current`` that names it; optimising builds another
one beside it and moves the name. A shard has one owner process.
"""

from __future__ import annotations

import asyncio
import logging
import math
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import qdrant_edge as qe

from geofix.engine.gallery import optimizing
from geofix.engine.gallery.conditions import KEYWORDS
from geofix.engine.gallery.edge_points import from_record, to_points
from geofix.engine.gallery.edge_search import EXACT_FLOATS, count, search
from geofix.engine.gallery.edge_shard import (
    create,
    current,
    load,
    name_current,
    open_shard,
    remove_others,
)
from geofix.engine.gallery.port import Quantization, Space
from geofix.engine.gallery.records import GPS_DIMENSION, require_vector
from geofix.engine.types import Filter, Float32Array, GalleryInfo, Neighbour, Point
from geofix.errors import GeofixError, InvalidOption

T = TypeVar("T")

log = logging.getLogger(__name__)

_UNINDEXED = 20_000
"""Points written since the last optimisation that start another one in the background."""
_UNINDEXED_SHARE = 0.1
"""The same as a share of all points: an optimisation of many takes long, and stops all else for a
moment when its result is loaded."""

_VALUES = 16
"""Of one field that a point has at most: cells of several sizes."""
_WRITE_BATCH = 16
"""Points written at once: searches wait for that long, 2 ms at 1280 dimensions."""


class EdgeGallery:
    """One version of a gallery, embedded in this process; implements ``port.Gallery``."""

    def __init__(
        self,
        directory: Path,
        shard: qe.EdgeShard,
        info: GalleryInfo,
        exact_floats: int,
        *,
        optimizes: bool = True,
        quantization: Quantization = Quantization.INT8,
    ) -> None:
        self._optimizes = optimizes
        self._quantization = quantization
        self._directory = directory
        self._shard = shard
        self._info = info
        self._exact_floats = exact_floats
        # Edge holds the interpreter's lock in every call, so one thread loses nothing, and gives
        # each call a shard that nobody is exchanging.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"gallery-{info.name}")
        self._writing = asyncio.Lock()
        self._optimizing = asyncio.Lock()
        self._since_copy: list[qe.UpdateOperation] | None = None
        self._background: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        directory: Path,
        *,
        name: str,
        encoder: str,
        dimension: int,
        version: int = 1,
        exact_floats: int = EXACT_FLOATS,
        quantization: Quantization = Quantization.INT8,
        optimizes: bool = True,
    ) -> EdgeGallery:
        """Open the gallery in ``directory``, or make an empty one of this quantization there.

        Unless it ``optimizes`` by itself when it has grown, that waits to be asked for.

        Where a search without a filter has at most ``exact_floats`` numbers to compare, it
        compares them all, and there is nothing to optimise.

        Raises Unavailable when the shard is damaged or another process has it open.
        """
        info = GalleryInfo(name, version, encoder, dimension, count=0)
        shard = await asyncio.to_thread(open_shard, directory, dimension, quantization)
        return cls(
            directory, shard, info, exact_floats, optimizes=optimizes, quantization=quantization
        )

    async def info(self) -> GalleryInfo:
        """Name, version, encoder and present count."""
        fixed = self._info
        count = await self.count()
        return GalleryInfo(fixed.name, fixed.version, fixed.encoder, fixed.dimension, count)

    async def upsert(self, points: Sequence[Point]) -> None:
        """Add points, replacing those with the same id; written to the WAL when it returns."""
        for point in points:
            require_vector(point.image, self._info.dimension)
        async with self._writing:
            for start in range(0, len(points), _WRITE_BATCH):
                batch = points[start : start + _WRITE_BATCH]
                await self._write(qe.UpdateOperation.upsert_points(to_points(batch)))
        if not self._optimizes or self._optimizing.locked():
            return
        enough = max(_UNINDEXED, _UNINDEXED_SHARE * await self._call(_held))
        if await self._unindexed() > enough:
            self._background = asyncio.create_task(self._optimize_quietly())

    async def delete(self, ids: Sequence[str]) -> int:
        """Remove points; returns how many were there."""
        if not ids:
            return 0
        async with self._writing:
            found = await self._call(lambda shard: shard.retrieve(list(ids), False, False))
            await self._write(qe.UpdateOperation.delete_points(list(ids)))
        return len({record.id for record in found})

    async def get(self, ids: Sequence[str]) -> list[Point]:
        """The points that exist, in the order asked."""
        records = await self._call(lambda shard: shard.retrieve(list(ids), True, True))
        found = {str(record.id): record for record in records}
        return [from_record(found[id_]) for id_ in ids if id_ in found]

    async def search(
        self, vector: Float32Array, k: int, where: Filter, space: Space = "image"
    ) -> list[Neighbour]:
        """The k most similar points that pass the filter, best first.

        See ``edge_search`` for when it compares one by one and when it uses the graph.
        """
        require_vector(vector, GPS_DIMENSION if space == "gps" else self._info.dimension)
        if k < 1:
            return []
        name, exact = self._info.name, self._exact_floats
        return await self._call(lambda shard: search(shard, vector, k, where, name, exact, space))

    async def count(self, where: Filter | None = None) -> int:
        """How many points pass the filter."""
        where = where or Filter()
        return await self._call(lambda shard: count(shard, where))

    async def ids_by(self, field: str, values: Sequence[str]) -> dict[str, str]:
        """The ids of points whose indexed ``field`` holds one of ``values``: id → value."""
        if field not in KEYWORDS:
            raise InvalidOption(f"There is no index of {field!r}.")
        condition = qe.FieldCondition(field, match=qe.MatchAny(list(values)))
        pages = self._pages(1000, qe.Filter(must=[condition]), payload=[field], vectors=False)
        return {
            str(record.id): str((record.payload or {})[field])
            async for page in pages
            for record in page
        }

    async def facet(self, field: str) -> dict[str, int]:
        """How many points hold each value of an indexed field, most frequent first."""
        # So many values there can be at most; a fixed limit would cut silently.
        response = await self._call(
            lambda shard: shard.facet(
                qe.FacetRequest(field, limit=1 + _VALUES * shard.info().points_count, exact=True)
            )
        )
        return {str(hit.value): hit.count for hit in response.hits if hit.count}

    async def scroll(self, batch: int = 1000) -> AsyncIterator[list[Point]]:
        """All points, in batches, in the order of their ids."""
        async for page in self._pages(batch, None, payload=True, vectors=True):
            yield [from_record(record) for record in page]

    async def optimize(self) -> None:
        """Build the graph and the int8 vectors; searches and writes go on meanwhile.

        A copy is optimised by another process; the writes it missed are repeated on it, and then
        it takes the shard's place. Cut off at any moment, the old shard stays in use.
        """
        async with self._optimizing:
            if await self._unindexed() == 0:
                return
            path = self._directory / uuid.uuid4().hex
            try:
                await self._copy(path)
                await optimizing.optimize(path)
                await self._exchange(path)
            finally:
                self._since_copy = None
                await asyncio.to_thread(remove_others, self._directory)

    async def rebuild(self, pages: Iterator[list[Point]]) -> None:
        """Make the shard anew from these points, which are all; searches and writes go on.

        Nothing of the old shard is left on the disk. Cut off before that, it stays in use.
        """
        async with self._optimizing:
            path = self._directory / uuid.uuid4().hex
            try:
                async with self._writing:
                    self._since_copy = []
                await asyncio.to_thread(self._fill, path, pages)
                if await self._call(_held) * self._info.dimension > self._exact_floats:
                    await optimizing.optimize(path)
                await self._exchange(path)
            finally:
                self._since_copy = None
                await asyncio.to_thread(remove_others, self._directory)

    def _fill(self, path: Path, pages: Iterator[list[Point]]) -> None:
        shard = create(path, self._info.dimension, self._quantization)
        for page in pages:
            for start in range(0, len(page), _WRITE_BATCH):
                batch = to_points(page[start : start + _WRITE_BATCH])
                shard.update(qe.UpdateOperation.upsert_points(batch))
        shard.flush()
        shard.close()

    async def close(self) -> None:
        """Flush and close the shard."""
        if self._background is not None:
            self._background.cancel()
        async with self._optimizing, self._writing:
            await self._call(_flush_and_close)
            self._thread.shutdown()

    async def _optimize_quietly(self) -> None:
        try:
            await self.optimize()
        except GeofixError as error:  # searches only stay as slow as they were
            log.warning("%s", error)

    async def _unindexed(self) -> int:
        """Points that would be searched faster after an optimisation."""
        points, vectors, indexed = await self._call(_indexed)
        if points * self._info.dimension <= self._exact_floats:
            return 0
        # Each vector counts; a point has one or, with its place in location space, two.
        return math.ceil((vectors - min(indexed, vectors)) * points / vectors)

    async def _copy(self, path: Path) -> None:
        async with self._writing:
            await self._call(lambda shard: shard.flush())
            await asyncio.to_thread(shutil.copytree, current(self._directory), path)
            self._since_copy = []

    async def _exchange(self, path: Path) -> None:
        async with self._writing:
            missed = self._since_copy or []
            optimized = await asyncio.to_thread(load, path)
            for operation in missed:
                await asyncio.to_thread(optimized.update, operation)
            await asyncio.to_thread(optimized.flush)
            name_current(self._directory, path)
            before, self._shard = self._shard, optimized
            await self._call(lambda _: before.close())

    async def _call(self, use: Callable[[qe.EdgeShard], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: use(self._shard))

    async def _write(self, operation: qe.UpdateOperation) -> None:
        await self._call(lambda shard: shard.update(operation))
        if self._since_copy is not None:
            self._since_copy.append(operation)

    async def _pages(
        self, size: int, condition: qe.Filter | None, *, payload: bool | list[str], vectors: bool
    ) -> AsyncIterator[list[qe.Record]]:
        offset: qe.PointId | None = None
        while True:
            request = qe.ScrollRequest(offset, size, condition, payload, vectors)
            page, offset = await self._call(partial(qe.EdgeShard.scroll, scroll=request))
            if page:
                yield page
            if offset is None:
                return


def _held(shard: qe.EdgeShard) -> int:
    return shard.info().points_count


def _indexed(shard: qe.EdgeShard) -> tuple[int, int, int]:
    """Points, vectors that can be indexed, and vectors that are."""
    info = shard.info()
    placed = qe.Filter(must=[qe.HasVectorCondition("gps")])
    vectors = info.points_count + shard.count(qe.CountRequest(filter=placed))
    return info.points_count, max(1, vectors), info.indexed_vectors_count


def _flush_and_close(shard: qe.EdgeShard) -> None:
    shard.flush()
    shard.close()
