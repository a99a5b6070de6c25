"""Searches whose answer is known, by which a version of a gallery is told to be sound.

Of a version's own points some are searched for with the vectors of its ledger, and must come out
first. Beside them an operator may give labelled photos: the share of them whose most similar
photo lies within 200 km must not be smaller than in the version before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from geofix.engine.gallery.durable import replacing
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.records import from_batch, to_batch
from geofix.engine.types import Filter, Point
from geofix.geo.coordinates import haversine_km

FILE = "canaries.parquet"
WITHIN_KM = 200.0
_OWN = 64
"""Of a version's own points, those of the first ids, which are random."""
_SAME = 1e-3
"""Difference of two similarities that are one: vectors are kept as they are, sums are not."""


def write(folder: Path, points: Sequence[Point], dimension: int) -> None:
    """Keep labelled photos for a version, in place of those before."""
    with replacing(folder / FILE) as written:
        pq.write_table(pa.Table.from_batches([to_batch(points, dimension)]), written)


def read(folder: Path) -> list[Point]:
    """The labelled photos of a version; none where no file is."""
    if not (folder / FILE).exists():
        return []
    return [p for batch in pq.read_table(folder / FILE).to_batches() for p in from_batch(batch)]


async def own_fault(gallery: RecordedGallery) -> str:
    """What is wrong with the gallery's searches for its own points; empty when nothing is."""
    first = await asyncio.to_thread(next, gallery.ledger.vectors(), None)
    if first is None:
        return ""
    for id_, vector in zip(first.ids[:_OWN], first.image[:_OWN], strict=True):
        hits = await gallery.search(vector, 1, Filter())
        itself = float(vector @ vector)
        if not hits or (hits[0].id != id_ and hits[0].similarity < itself - _SAME):
            return "A photo of the gallery is not found by its own vector."
    return ""


async def accuracy(gallery: RecordedGallery, labelled: Sequence[Point]) -> float:
    """Share of labelled photos whose most similar photo lies within 200 km; 1 without any."""
    near = 0
    for canary in labelled:
        hits = await gallery.search(canary.image, 1, Filter(exclude_ids=(canary.id,)))
        place = (canary.lat, canary.lon)
        near += bool(hits) and float(haversine_km(place, (hits[0].lat, hits[0].lon))) <= WITHIN_KM
    return near / len(labelled) if labelled else 1.0


async def fault(
    before: RecordedGallery, after: RecordedGallery, old: Sequence[Point], new: Sequence[Point]
) -> str:
    """Why ``after`` must not stand in for ``before``; empty when it may.

    ``old`` and ``new`` are the same labelled photos, encoded for each.
    """
    reason = await own_fault(after)
    if reason:
        return reason
    then, now = await accuracy(before, old), await accuracy(after, new)
    if old and now < then:
        return f"Of the labelled photos {now:.1%} are placed within 200 km, before {then:.1%}."
    return ""
