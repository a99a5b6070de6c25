"""Keeping a photo's own relatives out of its search, so that finding is not remembering.

Related to a photo are the same file, photos of the same contributor, and near-duplicates: those
whose perceptual hash differs in at most 6 of 64 bits.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from enum import StrEnum

from geofix.engine import image
from geofix.engine.gallery.hygiene import phash
from geofix.engine.gallery.port import Gallery
from geofix.engine.locate import Locator
from geofix.engine.types import LocateOptions
from indexer.evaluation.datasets import LabelledPhoto

_NEAR_BITS = 6
_LOOKED_AT = 100
"""Neighbours among which near-duplicates are looked for: they are the most similar ones."""


class LeaveOut(StrEnum):
    """Which gallery photos are kept out of a photo's search."""

    NOTHING = "nothing"
    ITSELF = "itself"
    """The same file."""
    RELATED = "related"
    """The same file, the same contributor's photos, near-duplicates."""


async def apart(
    locator: Locator,
    photo: LabelledPhoto,
    data: bytes,
    options: LocateOptions,
    leave_out: LeaveOut,
) -> LocateOptions:
    """The options with which the photo is located without what is to be left out."""
    if leave_out is LeaveOut.NOTHING:
        return options
    excluded = await _same_file(locator, data, options)
    where = options.filter
    contributors = where.exclude_contributors
    if leave_out is LeaveOut.RELATED:
        excluded += await _near_duplicates(locator, data, options)
        contributors += (photo.contributor,) if photo.contributor else ()
    ids = tuple(dict.fromkeys((*where.exclude_ids, *excluded)))
    return replace(
        options, filter=replace(where, exclude_ids=ids, exclude_contributors=contributors)
    )


async def searched(locator: Locator, options: LocateOptions) -> list[Gallery]:
    """The galleries of the options that are there: one that is not yet built is empty."""
    there = set(locator.galleries.names())
    return [await locator.galleries.open(name) for name in options.galleries if name in there]


async def _same_file(locator: Locator, data: bytes, options: LocateOptions) -> list[str]:
    sha256 = hashlib.sha256(data).hexdigest()
    found: list[str] = []
    for gallery in await searched(locator, options):
        found += await gallery.ids_by("sha256", [sha256])
    return found


async def _near_duplicates(locator: Locator, data: bytes, options: LocateOptions) -> list[str]:
    pixels = await asyncio.to_thread(
        lambda: image.decode(data, target=locator.encoder.decode_target).pixels
    )
    own = int(await asyncio.to_thread(phash, pixels), 16)
    vector = (await locator.embed_image(data)).vector
    found: list[str] = []
    for gallery in await searched(locator, options):
        neighbours = await gallery.search(vector, _LOOKED_AT, options.filter)
        points = await gallery.get([neighbour.id for neighbour in neighbours])
        found += [
            point.id
            for point in points
            if point.phash and (int(point.phash, 16) ^ own).bit_count() <= _NEAR_BITS
        ]
    return found
