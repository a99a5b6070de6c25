"""Photos into gallery points: checked, decoded, encoded and written, in batches.

``prepare`` reads and decodes, ``commit`` encodes and writes: while one batch is committed the
next one can be prepared. A photo that cannot be used costs the others nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from geofix.engine import image, jpeg
from geofix.engine.encoder import LocationEncoder
from geofix.engine.gallery.captured import normalise
from geofix.engine.gallery.offers import Exchanged, Offer, Outcome, Status, refused
from geofix.engine.gallery.policy import Policy
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.gallery.review import SPREAD_KM, Flag
from geofix.engine.gallery.sight import Seen, Sight, all_of
from geofix.engine.gallery.thumbnails import SIDE
from geofix.engine.types import Embedding, Point
from geofix.errors import Conflict, GeofixError, InvalidCoordinate, InvalidPhoto, UnreadablePhoto
from geofix.geo.coordinates import Coordinate, haversine_km
from geofix.geo.places import country_codes

_NOTHING = np.empty(0, dtype=np.float32)
_SAME_DEGREES = 1e-9
"""A tenth of a millimetre: stores do not keep the last bit of a number."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """An offer that may become a point: everything but the vectors."""

    point: Point
    data: bytes
    thumbnail: bool | None
    replaces: bool = False
    seen: Seen | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of offers, read and decoded: in their order, an outcome or a draft for each."""

    entries: tuple[Outcome | _Draft, ...]


class Ingest:
    """Turns photos into points of one gallery."""

    def __init__(
        self,
        gallery: RecordedGallery,
        name: str,
        sight: Sight,
        location_encoder: LocationEncoder,
        readers: Executor | None = None,
        *,
        thumbnails: bool = False,
        policy: Policy = Policy(),  # noqa: B008 - frozen
    ) -> None:
        """``readers`` are threads that read files; without any, one is read after the other."""
        self._gallery = gallery
        self._name = name
        self._sight = sight
        self._location_encoder = location_encoder
        self._readers = readers
        self._by_default = thumbnails
        self._policy = policy

    async def take(self, offers: Sequence[Offer]) -> list[Outcome]:
        """What became of each offer, in order; what was added is on the disk."""
        return await self.commit(await self.prepare(offers))

    async def prepare(self, offers: Sequence[Offer]) -> Prepared:
        """Read, check and decode; photos that the gallery holds already are not decoded."""
        entries = await self._compare(await all_of(self._readers, self._read, offers))
        return Prepared(tuple(await self._looked_at(entries)))

    async def commit(self, batch: Prepared) -> list[Outcome]:
        """Encode and write what is new, and say what became of each photo."""
        async with self._gallery.ingesting:  # or two equal files would both be the first
            entries = await self._within_caps(await self._without_duplicates(batch.entries))
            drafts = [entry for entry in entries if isinstance(entry, _Draft)]
            embeddings = await self._sight.embeddings([d.seen for d in drafts if d.seen])
            points = await asyncio.to_thread(self._points, drafts, embeddings)
            # Before, so that no photo is ever shown by the picture of another.
            await asyncio.to_thread(self._gallery.thumbnails.remove, [p.id for p in points])
            await self._gallery.upsert(points)
            await asyncio.to_thread(self._illustrate, drafts)
        return [
            entry
            if isinstance(entry, Outcome)
            else Outcome(
                entry.point.key,
                Status.UPDATED if entry.replaces else Status.ADDED,
                entry.point.id,
            )
            for entry in entries
        ]

    def _read(self, offer: Offer) -> Outcome | _Draft:
        try:
            offer = self._policy.applied(offer)
            data = offer.read()
            position = _position(offer, data)
            captured_at = normalise(offer.captured_at) if offer.captured_at else ""
        except OSError as error:
            reason = f"The file cannot be read: {error.strerror or type(error).__name__}."
            return refused(offer.key, UnreadablePhoto(reason))
        except GeofixError as error:
            return refused(offer.key, error)
        point = Point(
            id=point_id(self._name, offer.key),
            key=offer.key,
            lat=position.lat,
            lon=position.lon,
            image=_NOTHING,
            country=offer.country,
            source=offer.source,
            contributor=offer.contributor,
            licence=offer.licence,
            captured_at=captured_at,
            sha256=hashlib.sha256(data).hexdigest(),
            uri=offer.uri,
            added_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        )
        return _Draft(point, data, offer.thumbnail)

    async def _compare(self, entries: Sequence[Outcome | _Draft]) -> list[Outcome | _Draft]:
        """Tell what the gallery holds already, unchanged or in another state."""
        ids = [entry.point.id for entry in entries if isinstance(entry, _Draft)]
        held = {point.id: point for point in await self._gallery.get(ids)}
        return [
            self._compared(entry, held[entry.point.id])
            if isinstance(entry, _Draft) and entry.point.id in held
            else entry
            for entry in entries
        ]

    def _compared(self, draft: _Draft, held: Point) -> Outcome | _Draft:
        """What an offer means for the point that has its key."""
        offered = draft.point
        shown = self._gallery.thumbnails.holds(held.id)
        if _says_the_same(held, offered) and draft.thumbnail in (None, shown):
            return Outcome(offered.key, Status.UNCHANGED, offered.id)
        if held.sha256 != offered.sha256 and held.uri != offered.uri:
            return refused(
                offered.key,
                Conflict("The gallery holds another photo of this key, from another file."),
            )
        return replace(draft, replaces=True)

    async def _looked_at(self, entries: Sequence[Outcome | _Draft]) -> list[Outcome | _Draft]:
        """Decode the drafts; those that cannot be are refused."""
        drafts = [entry for entry in entries if isinstance(entry, _Draft)]
        looked = iter(await self._sight.look([draft.data for draft in drafts]))
        return [
            entry if isinstance(entry, Outcome) else _decoded(entry, next(looked))
            for entry in entries
        ]

    async def _without_duplicates(
        self, entries: Sequence[Outcome | _Draft]
    ) -> list[Outcome | _Draft]:
        """Let the first of several equal files pass, the gallery's own before all."""
        drafts = [entry.point for entry in entries if isinstance(entry, _Draft)]
        first = await self._holders(drafts)
        kept: list[Outcome | _Draft] = []
        for entry in entries:
            if isinstance(entry, _Draft):
                point = entry.point
                holder = first.setdefault(point.sha256, point)
                if holder.id != point.id:
                    kept.append(_same_file(point, holder))
                    continue
            kept.append(entry)
        return kept

    async def _within_caps(self, entries: Sequence[Outcome | _Draft]) -> list[Outcome | _Draft]:
        """Refuse new photos of contributors of whom the gallery holds as many as it takes."""
        new = [e.point for e in entries if isinstance(e, _Draft) and not e.replaces]
        over = await self._policy.over(self._gallery, new)
        return [
            self._policy.full(entry.point.key)
            if isinstance(entry, _Draft) and entry.point.id in over
            else entry
            for entry in entries
        ]

    async def _holders(self, drafts: Sequence[Point]) -> dict[str, Point]:
        """The gallery's points with the same files, by sha256, but for those to be replaced."""
        if not drafts:
            return {}
        replaced = {point.id for point in drafts}
        same_files = await self._gallery.ids_by("sha256", [point.sha256 for point in drafts])
        held = await self._gallery.get([id_ for id_ in same_files if id_ not in replaced])
        return {point.sha256: point for point in held}

    def _illustrate(self, drafts: Sequence[_Draft]) -> None:
        """Keep small pictures of those photos that are to have one."""
        for draft in drafts:
            wanted = self._by_default if draft.thumbnail is None else draft.thumbnail
            if wanted and draft.seen is not None:
                picture = jpeg.encode(draft.seen.photo.pixels, SIDE)
                self._gallery.thumbnails.write(draft.point.id, picture)

    def _points(self, drafts: Sequence[_Draft], embeddings: Sequence[Embedding]) -> list[Point]:
        if not drafts:
            return []
        seen = [draft.seen for draft in drafts if draft.seen is not None]
        latlon = np.array([(draft.point.lat, draft.point.lon) for draft in drafts])
        return [
            replace(
                draft.point,
                image=embedding.vector,
                gps=gps,
                country=draft.point.country or country,
                phash=looked.phash,
            )
            for draft, looked, embedding, gps, country in zip(
                drafts,
                seen,
                embeddings,
                self._location_encoder.encode(latlon),
                country_codes(latlon),
                strict=True,
            )
        ]


def _decoded(draft: _Draft, seen: Seen | InvalidPhoto) -> Outcome | _Draft:
    if isinstance(seen, InvalidPhoto):
        return refused(draft.point.key, seen)
    return replace(draft, data=b"", seen=seen)


def _position(offer: Offer, data: bytes) -> Coordinate:
    if offer.position is None:
        found = image.read_position(data)
        if found is None:
            raise InvalidCoordinate("The photo has no usable GPS position in its EXIF data.")
        return found
    lat, lon = offer.position
    if abs(lat) > 90.0 >= abs(lon):
        raise Exchanged(
            f"Latitude must lie between -90 and 90, not {lat:g}: exchanged with the longitude?"
        )
    if not -180.0 <= lon <= 180.0:  # not wrapped: a source that writes 200 is wrong somewhere
        raise InvalidCoordinate(f"Longitude must lie between -180 and 180, not {lon:g}.")
    return Coordinate(lat, lon)


def _same_file(point: Point, holder: Point) -> Outcome:
    """The outcome of a file that the gallery holds under another key."""
    km = float(haversine_km((point.lat, point.lon), (holder.lat, holder.lon)))
    far = km > SPREAD_KM
    reason = f"The same file as {holder.key}{f', {km:.0f} km away' if far else ''}."
    flag = Flag.PLACEHOLDER if far else None
    return Outcome(point.key, Status.DUPLICATE, holder.id, reason, holder=holder.key, flag=flag)


def _says_the_same(held: Point, offered: Point) -> bool:
    """Whether an offer changes nothing about a point; parts it leaves out do not count."""
    return (
        held.sha256 == offered.sha256
        and math.isclose(held.lat, offered.lat, abs_tol=_SAME_DEGREES)
        and math.isclose(held.lon, offered.lon, abs_tol=_SAME_DEGREES)
        and all(
            getattr(offered, part) in ("", getattr(held, part))
            for part in ("country", "source", "contributor", "licence", "captured_at", "uri")
        )
    )
