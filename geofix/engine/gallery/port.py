"""What a gallery can do, whoever keeps it: the embedded edge or a Qdrant server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from enum import StrEnum
from typing import Literal, Protocol

from geofix.engine.types import Filter, Float32Array, GalleryInfo, Neighbour, Point

Space = Literal["image", "gps"]
"""What is compared: the photos' own vectors, or their places in location space."""


class Quantization(StrEnum):
    """What the graph is walked with; what it finds is compared again with the full vectors."""

    INT8 = "int8"
    BINARY = "binary"
    """A bit a dimension: small, and often not good enough for a re-index to be accepted."""
    NONE = "none"
    """The full vectors."""


class Gallery(Protocol):
    """A versioned set of geotagged photos that can be searched by vector.

    Every method may be awaited from several tasks at once. A write is durable when it returns.
    """

    async def info(self) -> GalleryInfo: ...

    async def upsert(self, points: Sequence[Point]) -> None:
        """Add points, replacing those with the same id."""
        ...

    async def delete(self, ids: Sequence[str]) -> int:
        """Remove points; returns how many were there."""
        ...

    async def get(self, ids: Sequence[str]) -> list[Point]:
        """The points that exist, in the order asked."""
        ...

    async def search(
        self, vector: Float32Array, k: int, where: Filter, space: Space = "image"
    ) -> list[Neighbour]:
        """The k most similar points that pass the filter, best first: the true top k.

        Returns fewer than k only when fewer points pass, or have a vector in ``space``.
        """
        ...

    async def count(self, where: Filter | None = None) -> int: ...

    async def ids_by(self, field: str, values: Sequence[str]) -> dict[str, str]:
        """The points whose ``field`` (sha256, contributor, …) holds one of ``values``: id → it."""
        ...

    async def facet(self, field: str) -> dict[str, int]:
        """How many points hold each value of a field, most frequent first."""
        ...

    def scroll(self, batch: int = 1000) -> AsyncIterator[list[Point]]:
        """All points, in batches, in the order of their ids."""
        ...

    async def optimize(self) -> None:
        """Build or refresh indexes; searches go on meanwhile."""
        ...

    async def close(self) -> None: ...


class Index(Gallery, Protocol):
    """A gallery that can be made anew from what is recorded elsewhere."""

    async def rebuild(self, pages: Iterator[list[Point]]) -> None:
        """Hold exactly these points, written anew; searches go on meanwhile."""
        ...
