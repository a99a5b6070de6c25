"""A gallery on a Qdrant server: a collection for each version, and an alias for readers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeVar

import numpy as np
from qdrant_client import models

from geofix.engine.gallery.conditions import KEYWORDS, conditions
from geofix.engine.gallery.port import Quantization, Space
from geofix.engine.gallery.qdrant_points import (
    MOST_FOUND,
    create_collection,
    from_record,
    search_params,
    to_filter,
    to_neighbour,
    to_points,
)
from geofix.engine.gallery.qdrant_server import QdrantServer
from geofix.engine.gallery.records import GPS_DIMENSION, require_vector
from geofix.engine.region import contains
from geofix.engine.types import Filter, Float32Array, GalleryInfo, Neighbour, Point
from geofix.errors import InvalidOption, NotFound, Unavailable
from geofix.settings import QdrantLayout

_EXACT_FLOATS = 16_000_000
"""Numbers that a search without a filter compares one by one; beyond, it uses the graph."""
_EXACT_FILTERED_FLOATS = 256_000_000
"""The same with a filter, where the graph may be cut into pieces."""
_WRITE_BATCH = 200
_GREEN_WITHIN_S = 3600.0
_POLL_S = 0.2


class QdrantGallery:
    """One version of a gallery on a server; implements ``port.Gallery``."""

    def __init__(
        self, server: QdrantServer, info: GalleryInfo, exact_floats: int = _EXACT_FLOATS
    ) -> None:
        self.collection = server.collection(info.name, info.version)
        self._server = server
        self._info = info
        self._exact_floats = exact_floats

    @classmethod
    async def open(
        cls,
        server: QdrantServer,
        *,
        name: str,
        encoder: str,
        dimension: int,
        version: int = 1,
        layout: QdrantLayout | None = None,
        exact_floats: int = _EXACT_FLOATS,
        quantization: Quantization = Quantization.INT8,
    ) -> QdrantGallery:
        """Open this version of a gallery, or make an empty one. Raises Unavailable."""
        info = GalleryInfo(name, version, encoder, dimension, count=0)
        gallery = cls(server, info, exact_floats)
        if not await server.call(lambda c: c.collection_exists(gallery.collection)):
            await create_collection(
                server.client, gallery.collection, dimension, layout or QdrantLayout(), quantization
            )
        return gallery

    async def info(self) -> GalleryInfo:
        """Name, version, encoder and present count."""
        fixed = self._info
        return GalleryInfo(
            fixed.name, fixed.version, fixed.encoder, fixed.dimension, await self.count()
        )

    async def upsert(self, points: Sequence[Point]) -> None:
        """Add points, replacing those with the same id; in the server's WAL when it returns."""
        for point in points:
            require_vector(point.image, self._info.dimension)
        for start in range(0, len(points), _WRITE_BATCH):
            await self._write(to_points(points[start : start + _WRITE_BATCH]))

    async def delete(self, ids: Sequence[str]) -> int:
        """Remove points; returns how many were there."""
        if not ids:
            return 0
        unique = list(dict.fromkeys(ids))
        found = await self._server.call(
            lambda c: c.retrieve(self.collection, unique, with_payload=False)
        )
        selector = models.PointIdsList(points=[*unique])
        await self._server.call(lambda c: c.delete(self.collection, selector, wait=True))
        return len(found)

    async def get(self, ids: Sequence[str]) -> list[Point]:
        """The points that exist, in the order asked."""
        records = await self._server.call(
            lambda c: c.retrieve(self.collection, list(ids), with_payload=True, with_vectors=True)
        )
        found = {str(record.id): record for record in records}
        return [from_record(found[id_]) for id_ in ids if id_ in found]

    async def search(
        self, vector: Float32Array, k: int, where: Filter, space: Space = "image"
    ) -> list[Neighbour]:
        """The k most similar points that pass the filter, best first.

        Points are read in the order of their similarity, and more of them as long as too few lie
        inside a drawn area; a result of the graph that falls short is searched for again, exactly.
        """
        require_vector(vector, self._info.dimension if space == "image" else GPS_DIMENSION)
        if k < 1:
            return []
        condition = to_filter(conditions(where))
        matching = await self._matching(condition, exact=False)
        limit = self._exact_floats if condition is None else _EXACT_FILTERED_FLOATS
        exact = space == "gps" or matching * len(vector) <= limit  # places have no graph
        wanted = 2 * k if where.draws_area else k
        while True:
            hits = await self._nearest(vector, wanted, condition, space, exact=exact)
            inside = _inside(hits, where)
            if len(inside) < k and len(hits) < wanted and not exact:
                exact = True  # the graph found fewer than there are
            elif len(inside) >= k or len(hits) < wanted or wanted == MOST_FOUND:
                ordered = sorted(inside, key=lambda hit: (-hit.score, str(hit.id)))
                return [to_neighbour(hit, self._info.name) for hit in ordered[:k]]
            else:
                wanted = min(4 * wanted, MOST_FOUND)

    async def count(self, where: Filter | None = None) -> int:
        """How many points pass the filter, exactly."""
        where = where or Filter()
        condition = to_filter(conditions(where))
        if not where.draws_area:
            return await self._matching(condition, exact=True)
        total = 0
        async for page in self._pages(10_000, condition, payload=["lat", "lon"], vectors=False):
            total += len(_inside(page, where))
        return total

    async def ids_by(self, field: str, values: Sequence[str]) -> dict[str, str]:
        """The ids of points whose indexed ``field`` holds one of ``values``: id → value."""
        if field not in KEYWORDS:
            raise InvalidOption(f"There is no index of {field!r}.")
        match = models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))
        pages = self._pages(1000, models.Filter(must=[match]), payload=[field], vectors=False)
        return {
            str(record.id): str((record.payload or {})[field])
            async for page in pages
            for record in page
        }

    async def facet(self, field: str) -> dict[str, int]:
        """How many points hold each value of an indexed field, most frequent first."""
        response = await self._server.call(
            lambda c: c.facet(self.collection, field, limit=MOST_FOUND, exact=True)
        )
        return {str(hit.value): hit.count for hit in response.hits if hit.count}

    async def scroll(self, batch: int = 1000) -> AsyncIterator[list[Point]]:
        """All points, in batches, in the order of their ids."""
        async for page in self._pages(batch, None, payload=True, vectors=True):
            yield [from_record(record) for record in page]

    async def optimize(self) -> None:
        """Wait until the server has built its indexes; it builds them by itself.

        Raises Unavailable when it says that it cannot, or has not after an hour.
        """
        ends = time.monotonic() + _GREEN_WITHIN_S
        while time.monotonic() < ends:
            state = await self._server.call(lambda c: c.get_collection(self.collection))
            if state.status is models.CollectionStatus.GREEN:
                return
            if state.status is models.CollectionStatus.RED:
                raise Unavailable("The gallery's server cannot build its indexes.")
            await asyncio.sleep(_POLL_S)
        raise Unavailable("The gallery's server is still building its indexes.")

    async def rebuild(self, pages: Iterator[list[Point]]) -> None:
        """Write these points again and remove all others.

        What is removed leaves the server's disk when its optimizer next rewrites the segment.
        """
        kept: set[str] = set()
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            await self.upsert(page)
            kept.update(point.id for point in page)
        async for held in self._pages(10_000, None, payload=False, vectors=False):
            await self.delete([str(one.id) for one in held if str(one.id) not in kept])

    async def close(self) -> None:
        """Nothing to close: the connection is the server's."""

    async def _write(self, batch: list[models.PointStruct]) -> None:
        await self._server.call(lambda c: c.upsert(self.collection, batch, wait=True))

    async def _matching(self, condition: models.Filter | None, *, exact: bool) -> int:
        counted = await self._server.call(
            lambda c: c.count(self.collection, count_filter=condition, exact=exact)
        )
        return counted.count

    async def _nearest(
        self,
        vector: Float32Array,
        wanted: int,
        condition: models.Filter | None,
        space: Space,
        *,
        exact: bool,
    ) -> list[models.ScoredPoint]:
        response = await self._server.call(
            lambda c: c.query_points(
                self.collection,
                query=vector.tolist(),
                using=space,
                query_filter=condition,
                search_params=search_params(wanted, exact=exact),
                limit=wanted,
                with_payload=True,
                with_vectors=["gps"],
            )
        )
        return response.points

    async def _pages(
        self,
        size: int,
        condition: models.Filter | None,
        *,
        payload: bool | list[str],
        vectors: bool,
    ) -> AsyncIterator[list[models.Record]]:
        offset: str | None = None
        while True:
            page, after = await self._server.call(
                lambda c: c.scroll(
                    self.collection,
                    scroll_filter=condition,
                    limit=size,
                    offset=offset,  # noqa: B023 - awaited before it changes
                    with_payload=payload,
                    with_vectors=vectors,
                )
            )
            if page:
                yield page
            if after is None:
                return
            offset = str(after)


async def activate(server: QdrantServer, gallery: str, version: int) -> None:
    """Let readers of the gallery's alias read this version, all at once.

    Raises NotFound when there is no such version, Unavailable when the server does not answer.
    """
    alias, target = server.alias(gallery), server.collection(gallery, version)
    if not await server.call(lambda c: c.collection_exists(target)):
        raise NotFound(f"Gallery {gallery!r} has no version {version} on its server.")
    present = (await server.call(lambda c: c.get_aliases())).aliases
    swap: list[models.AliasOperations] = []
    if any(one.alias_name == alias for one in present):
        swap.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
    swap.append(
        models.CreateAliasOperation(
            create_alias=models.CreateAlias(collection_name=target, alias_name=alias)
        )
    )
    await server.call(lambda c: c.update_collection_aliases(change_aliases_operations=swap))


_Found = TypeVar("_Found", models.ScoredPoint, models.Record)


def _inside(found: Sequence[_Found], where: Filter) -> list[_Found]:
    if not where.draws_area or not found:
        return list(found)
    payloads = [one.payload or {} for one in found]
    latlon = np.array([(payload["lat"], payload["lon"]) for payload in payloads])
    kept = contains(where.area, latlon, ())
    return [one for one, inside in zip(found, kept, strict=True) if inside]
