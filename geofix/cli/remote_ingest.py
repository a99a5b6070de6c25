"""Photos into a gallery through the service that owns it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geofix.engine import image
from geofix.engine.gallery.offers import Offer, Outcome, refused
from geofix.errors import GeofixError, InvalidCoordinate, UnreadablePhoto
from geofix.remote.client import RefusedError, Service
from service.galleries.schemas import PhotoOutcome

_ABOUT_THE_PHOTO = frozenset({400, 409, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class _Upload:
    key: str
    data: bytes
    fields: Mapping[str, str]


class RemoteIngest:
    """As ``Ingest``, over HTTP: the service checks, decodes, encodes and writes."""

    def __init__(self, service: Service, gallery: str) -> None:
        self._service = service
        self._path = f"/v1/galleries/{gallery}/photos"

    async def prepare(self, offers: Sequence[Offer]) -> list[_Upload | Outcome]:
        """Read the files."""
        return list(await asyncio.gather(*(asyncio.to_thread(_read, offer) for offer in offers)))

    async def commit(self, batch: Sequence[_Upload | Outcome]) -> list[Outcome]:
        """Send them one after the other, so that of equal files the first is kept."""
        return [entry if isinstance(entry, Outcome) else await self._send(entry) for entry in batch]

    async def _send(self, upload: _Upload) -> Outcome:
        try:
            response = await self._service.ask(
                "POST", self._path, files={"photo": ("photo", upload.data)}, data=upload.fields
            )
        except RefusedError as error:
            if error.http_status not in _ABOUT_THE_PHOTO:
                raise
            return refused(upload.key, error)
        done = PhotoOutcome.model_validate_json(response.content)
        return Outcome(
            done.key, done.status, done.id, done.reason, holder=done.holder, flag=done.flag
        )


def _read(offer: Offer) -> _Upload | Outcome:
    try:
        data = offer.read()
    except OSError as error:
        reason = f"The file cannot be read: {error.strerror or type(error).__name__}."
        return refused(offer.key, UnreadablePhoto(reason))
    except GeofixError as error:
        return refused(offer.key, error)
    position = offer.position
    if position is None:
        found = image.read_position(data)
        if found is None:
            reason = "The photo has no usable GPS position in its EXIF data."
            return refused(offer.key, InvalidCoordinate(reason))
        position = found.lat, found.lon
    fields = {
        "key": offer.key,
        "lat": repr(position[0]),
        "lon": repr(position[1]),
        "country": offer.country,
        "source": offer.source,
        "contributor": offer.contributor,
        "licence": offer.licence,
        "captured_at": offer.captured_at,
        "uri": offer.uri,
    }
    return _Upload(offer.key, data, {name: text for name, text in fields.items() if text})
