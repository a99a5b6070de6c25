"""/v1/galleries/{name}/photos: photos added, read and removed."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from geofix.engine.gallery.ingest import Ingest
from geofix.engine.gallery.offers import Offer, Status
from geofix.engine.gallery.policy import Policy
from geofix.engine.gallery.sight import QueuedSight
from geofix.engine.types import Lane
from geofix.errors import (
    Conflict,
    EmptyPhoto,
    InvalidCoordinate,
    InvalidOption,
    InvalidRequest,
    NotFound,
    PhotoTooLarge,
    Unavailable,
    UnreadablePhoto,
    UnsupportedContentType,
    UnsupportedFormat,
)
from service import uploads
from service.auth.access import caller_of
from service.galleries.endpoints import opened
from service.galleries.schemas import HeldPhoto, PhotoFields, PhotoOutcome, Removed
from service.problems import responses
from service.refusals import refusal
from service.running import cache_of, locator_of, settings_of

router = APIRouter(prefix="/v1/galleries", tags=["galleries"])

_PRIVATE = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
"""A photo that is erased must not live on in a proxy."""
_PHOTO = {
    "required": True,
    "content": {
        uploads.MULTIPART: {
            "schema": {
                "type": "object",
                "required": ["photo", "lat", "lon"],
                "properties": {
                    "photo": {"type": "string", "format": "binary"},
                    **PhotoFields.model_json_schema()["properties"],
                    "thumbnail": {
                        "type": "string",  # as everything in a form
                        "description": PhotoFields.model_fields["thumbnail"].description,
                    },
                },
            }
        }
    },
}


@router.post(
    "/{name}/photos",
    operation_id="addPhoto",
    summary="Add a photo, or replace the one of the same key",
    response_model=PhotoOutcome,
    responses={
        201: {"model": PhotoOutcome, "description": "It was added; it is searched from now on."},
        **responses(
            InvalidRequest,
            EmptyPhoto,
            Conflict,
            PhotoTooLarge,
            UnsupportedFormat,
            UnsupportedContentType,
            InvalidOption,
            InvalidCoordinate,
            UnreadablePhoto,
            Unavailable,
        ),
    },
    openapi_extra={"requestBody": _PHOTO},
)
async def add_photo(request: Request, response: Response, name: str) -> PhotoOutcome:
    """The gallery is made when there is none of this name. Once answered, the photo is kept."""
    locator = locator_of(request)
    if uploads.content_type(request) != uploads.MULTIPART:
        raise uploads.unsupported(request, uploads.MULTIPART)
    form = await uploads.read_form(request, max_photos=1)
    fields, data = _fields(form), form.photo
    if name not in locator.galleries.names():
        await locator.embed_image(
            data, Lane.BATCH
        )  # a photo that is refused must not leave a new gallery
        await locator.galleries.create(name, locator.encoder.name, locator.encoder.dimension)
    view = await locator.eyes.view((name,), caller_of(request).account)
    gallery, batcher = await view.galleries.open(name), view.eye.batcher
    if (await gallery.fixed()).encoder != batcher.encoder.name:
        raise Conflict(f"Gallery {name!r} holds no vectors of photos: its encoder takes none.")
    locations = await asyncio.to_thread(lambda: view.eye.space.encoder)
    offer = Offer(
        key=fields.key or hashlib.sha256(data).hexdigest(),
        read=lambda: data,
        position=(fields.lat, fields.lon),
        country=fields.country,
        source=fields.source,
        contributor=fields.contributor,
        licence=fields.licence,
        captured_at=fields.captured_at,
        uri=fields.uri,
        thumbnail=fields.thumbnail,
    )
    config = settings_of(request)
    ingest = Ingest(
        gallery,
        name,
        QueuedSight(batcher),
        locations,
        thumbnails=config.thumbnails,
        policy=Policy.of(config),
    )
    outcome = (await ingest.take([offer]))[0]
    await cache_of(request).forget()
    if outcome.error is not None:
        raise outcome.error
    view.eye.space.keep_up([await gallery.info()])
    response.status_code = 201 if outcome.status is Status.ADDED else 200
    return PhotoOutcome.of(outcome)


@router.get(
    "/{name}/photos/{photo_id}",
    operation_id="getPhoto",
    summary="What a gallery holds of a photo",
    responses=responses(NotFound, InvalidOption, Unavailable),
)
async def get_photo(request: Request, name: str, photo_id: UUID) -> HeldPhoto:
    """Everything but its vectors. The file itself is not kept."""
    gallery = await opened(request, name)
    found = await gallery.get([str(photo_id)])
    if not found:
        raise NotFound(f"There is no photo {photo_id} in gallery {name!r}.")
    shown = await asyncio.to_thread(gallery.thumbnails.holds, str(photo_id))
    return HeldPhoto.of(found[0], thumbnail=shown)


@router.get(
    "/{name}/photos/{photo_id}/thumbnail",
    operation_id="showPhoto",
    summary="A photo's thumbnail",
    response_class=Response,
    responses={
        200: {
            "description": "A JPEG of up to 256 pixels a side, without metadata.",
            "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
        },
        **responses(NotFound, InvalidOption, Unavailable),
    },
)
async def show_photo(request: Request, name: str, photo_id: UUID) -> Response:
    """Kept where the photo was added with `thumbnail`, or the service's setting says so."""
    gallery = await opened(request, name)
    picture = await asyncio.to_thread(gallery.thumbnails.read, str(photo_id))
    if picture is None:
        raise NotFound(f"There is no thumbnail of photo {photo_id} in gallery {name!r}.")
    return Response(picture, media_type="image/jpeg", headers=_PRIVATE)


@router.delete(
    "/{name}/photos/{photo_id}",
    operation_id="removePhoto",
    summary="Remove a photo",
    status_code=204,
    responses=responses(NotFound, InvalidOption, Unavailable),
)
async def remove_photo(request: Request, name: str, photo_id: UUID) -> None:
    """Once answered, no search returns it."""
    gallery = await opened(request, name)
    removed = await gallery.delete([str(photo_id)])
    await cache_of(request).forget()
    if not removed:
        raise NotFound(f"There is no photo {photo_id} in gallery {name!r}.")


@router.delete(
    "/{name}/photos",
    operation_id="removePhotosOf",
    summary="Remove a contributor's photos",
    responses=responses(InvalidRequest, NotFound, InvalidOption, Unavailable),
)
async def remove_photos_of(
    request: Request, name: str, contributor: Annotated[str, Query(min_length=1)]
) -> Removed:
    """Once answered, no search returns one of them."""
    gallery = await opened(request, name)
    ids = await gallery.ids_by("contributor", [contributor])
    removed = await gallery.delete(list(ids))
    await cache_of(request).forget()
    return Removed(removed=removed)


def _fields(form: uploads.Form) -> PhotoFields:
    """The photo's description. Raises InvalidRequest where a part is missing, InvalidOption."""
    names = [name for name, _ in form.fields]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated:
        raise InvalidOption(f"Field {repeated[:80]!r} is given more than once.")
    try:
        return PhotoFields.model_validate(dict(form.fields))
    except ValidationError as error:
        raise refusal(error, known=PhotoFields.model_fields) from error
