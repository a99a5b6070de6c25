"""POST /v1/embed/image and /v1/embed/location: the encoders by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from geofix.engine.locate import Locator
from geofix.engine.types import Embedding, Lane
from geofix.errors import (
    EmptyPhoto,
    GeofixError,
    InvalidCoordinate,
    InvalidOption,
    InvalidRequest,
    Overloaded,
    PhotoTooLarge,
    Unavailable,
    UnencodablePhoto,
    UnreadablePhoto,
    UnsupportedContentType,
    UnsupportedFormat,
)
from service import uploads
from service.auth.access import caller_of, spend
from service.disconnect import unless_disconnected
from service.embed.schemas import (
    MAX_PHOTOS,
    ImageEmbedding,
    ImageEmbeddings,
    ImagesRequest,
    LocationEmbeddings,
    LocationsRequest,
)
from service.problems import problem_of, responses
from service.request_id import request_id
from service.running import audit_of, locator_of

router = APIRouter(prefix="/v1/embed", tags=["embed"])

Entry = bytes | GeofixError
"""A photo's bytes, or why they could not be had."""

_AT_ONCE = 8
"""Photos of one request that are on their way together."""
_FEW = 2
"""Vectors that are written down in less time than it takes to hand them to a thread."""
_BINARY = {"type": "string", "format": "binary"}


@router.post(
    "/image",
    operation_id="embedImage",
    summary="The encoder's vector of one photo or several",
    response_model=ImageEmbeddings,
    responses=responses(
        InvalidRequest,
        EmptyPhoto,
        PhotoTooLarge,
        UnsupportedFormat,
        UnsupportedContentType,
        InvalidOption,
        UnreadablePhoto,
        UnencodablePhoto,
        Unavailable,
        Overloaded,
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "image/*": {"schema": _BINARY},
                uploads.MULTIPART: {
                    "schema": {
                        "type": "object",
                        "required": ["photo"],
                        "properties": {
                            "photo": {"type": "array", "items": _BINARY, "maxItems": MAX_PHOTOS}
                        },
                    }
                },
                uploads.JSON: {"schema": {"$ref": "#/components/schemas/ImagesRequest"}},
            },
        }
    },
)
async def embed_image(request: Request) -> Response:
    """A photo of a batch that cannot be read has a `problem` in place of its vector."""
    locator = locator_of(request)
    locator.batcher.admit(Lane.INTERACTIVE)
    entries = await _photos(request)
    await spend(request, len(entries) - 1)
    results = await unless_disconnected(request, _embed_all(locator, entries))
    if len(results) == 1 and isinstance(results[0], GeofixError):
        raise results[0]
    await _audit(request, results)
    told = [_told(request, result) for result in results]
    return await _json(ImageEmbeddings(encoder=locator.encoder.name, embeddings=told), len(told))


@router.post(
    "/location",
    operation_id="embedLocation",
    summary="The location encoder's vector of one position or several",
    response_model=LocationEmbeddings,
    responses=responses(
        InvalidRequest,
        PhotoTooLarge,
        UnsupportedContentType,
        InvalidOption,
        InvalidCoordinate,
        Unavailable,
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                uploads.JSON: {"schema": {"$ref": "#/components/schemas/LocationsRequest"}}
            },
        }
    },
)
async def embed_location(request: Request) -> Response:
    """Positions are WGS84 degrees; one out of range fails the request, naming it."""
    locator = locator_of(request)
    wanted = await uploads.read_json(request, LocationsRequest)
    latlon = np.array(wanted.latlon(), dtype=np.float64)
    for index, (lat, lon) in enumerate(latlon.tolist()):
        if abs(lat) > 90.0 or abs(lon) > 180.0:
            raise InvalidCoordinate(
                f"Location {index} ({lat:g}, {lon:g}) is out of range. The order is latitude "
                "(-90 to 90), longitude (-180 to 180)."
            )
    vectors = await unless_disconnected(request, locator.embed_location(latlon))
    return await _json(LocationEmbeddings(embeddings=vectors.tolist()), len(vectors))


async def _photos(request: Request) -> Sequence[Entry]:
    """The photos of a request, whatever form they came in."""
    match uploads.content_type(request):
        case "image/*":
            return [await uploads.read_photo(request)]
        case uploads.MULTIPART:
            form = await uploads.read_form(request, max_photos=MAX_PHOTOS)
            if form.fields:
                raise InvalidOption(f"Unknown option {form.fields[0][0][:80]!r}. There are none.")
            return [_present(photo) for photo in form.photos]
        case uploads.JSON:
            wanted = await uploads.read_json(request, ImagesRequest)
            return [await _decoded(photo) for photo in wanted.encoded()]
        case _:
            raise uploads.unsupported(request, "image/*", uploads.MULTIPART, uploads.JSON)


async def _audit(request: Request, results: Sequence[Embedding | GeofixError]) -> None:
    """Record whose vectors are told, before they are."""
    for result in results:
        if isinstance(result, Embedding):
            await audit_of(request).record(
                "embed",
                request=request_id(request.scope),
                account=caller_of(request).account,
                sha256=result.sha256,
            )


async def _decoded(text: str) -> Entry:
    try:
        return await uploads.from_base64(text)
    except GeofixError as error:
        return error


def _present(photo: bytes) -> Entry:
    try:
        return uploads.not_empty(photo)
    except GeofixError as error:
        return error


async def _embed_all(locator: Locator, entries: Sequence[Entry]) -> list[Embedding | GeofixError]:
    """All photos of a request, a few at a time: those of one caller must not fill the line.

    Raises Overloaded for the request as a whole; once admitted, none of its photos is refused.
    """
    locator.batcher.admit(Lane.INTERACTIVE)
    few = asyncio.Semaphore(_AT_ONCE)

    async def embed(entry: Entry) -> Embedding | GeofixError:
        if isinstance(entry, GeofixError):
            return entry
        async with few:
            try:
                return await locator.embed_image(entry, admitted=True)
            except GeofixError as error:
                return error

    return list(await asyncio.gather(*(embed(entry) for entry in entries)))


def _told(request: Request, result: Embedding | GeofixError) -> ImageEmbedding:
    if isinstance(result, GeofixError):
        return ImageEmbedding(vector=None, problem=problem_of(result, request))
    location = result.location
    return ImageEmbedding(
        vector=result.vector.tolist(),
        location=None if location is None else location.tolist(),
    )


async def _json(content: BaseModel, vectors: int) -> Response:
    """Many floats take long to write down: not on the event loop."""
    few = vectors <= _FEW
    text = content.model_dump_json() if few else await asyncio.to_thread(content.model_dump_json)
    return Response(text, media_type=uploads.JSON)
