"""Searching several galleries as if they were one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from geofix.engine.gallery.port import Gallery, Space
from geofix.engine.types import Channel, Degradation, Filter, Float32Array, Neighbour, Query
from geofix.errors import Unavailable


async def nearest(
    galleries: Sequence[Gallery],
    vector: Float32Array,
    k: int,
    where: Filter,
    space: Space = "image",
) -> tuple[tuple[Neighbour, ...], tuple[Degradation, ...]]:
    """The k photos of all galleries most similar to ``vector`` [D], best first.

    A gallery that cannot be reached is named instead of searched.
    """
    outcomes = await asyncio.gather(
        *(gallery.search(vector, k, where, space) for gallery in galleries), return_exceptions=True
    )
    found: list[Neighbour] = []
    missing = []
    for outcome in outcomes:
        if isinstance(outcome, Unavailable):
            missing.append(Degradation(str(Channel.RETRIEVAL), "unavailable"))
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            found.extend(outcome)
    found.sort(key=lambda neighbour: (-neighbour.similarity, neighbour.id))
    return tuple(found[:k]), tuple(missing)


async def farthest(galleries: Sequence[Gallery], query: Query, count: int) -> tuple[Neighbour, ...]:
    """The photos that look least like the query, the least similar first: G3's negatives.

    They are the ones most similar to the opposite of its vector.
    """
    found, _ = await nearest(galleries, -query.embedding.vector, count, query.filter)
    return tuple(replace(one, similarity=-one.similarity) for one in found)
