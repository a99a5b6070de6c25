"""Vectors in and out of /v1/galleries/{name}: for galleries that are filled from elsewhere."""

from __future__ import annotations

import asyncio
from typing import Annotated, Self

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from geofix.engine.gallery.captured import normalise
from geofix.engine.gallery.policy import Policy
from geofix.engine.gallery.records import GPS_DIMENSION, point_id
from geofix.engine.gallery.versions import now
from geofix.engine.types import Float32Array, Point
from geofix.errors import Conflict, InvalidOption, InvalidRequest, NotFound, Unavailable
from geofix.geo.places import country_codes
from service.auth.access import caller_of
from service.galleries.schemas import Removed, Text
from service.locate.options import from_strings
from service.numbers import Number
from service.problems import responses
from service.running import cache_of, locator_of, settings_of

router = APIRouter(prefix="/v1/galleries", tags=["galleries"])

MOST_POINTS = 1000
_MOST_FOUND = 1000
_FILTERS = [
    *("country", "bbox", "polygon", "radius", "source", "licence"),
    *("captured_from", "captured_to", "exclude", "exclude_contributor"),
]

Lat = Annotated[Number, Field(ge=-90, le=90, description="WGS84 degrees.")]
Lon = Annotated[Number, Field(ge=-180, le=180, description="WGS84 degrees.")]
Vector = Annotated[list[FiniteFloat], Field(min_length=1, max_length=8192)]


class NewPoint(BaseModel):
    """A photo of which somebody has the vector already, or a place."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(min_length=1, max_length=500, description="Your name of it.")]
    lat: Lat
    lon: Lon
    vector: Vector | None = Field(
        None,
        description="Of the gallery's encoder, of any length but 0; left out where that encoder "
        "takes positions.",
    )
    country: Annotated[str, Field(pattern="^([A-Z]{2})?$")] = ""
    source: Text = ""
    contributor: Text = ""
    licence: Text = ""
    captured_at: Annotated[str, Field(max_length=40)] = ""
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    uri: Text = ""


class NewPoints(BaseModel):
    """Points to add, or to replace by key."""

    model_config = ConfigDict(extra="forbid")

    points: Annotated[list[NewPoint], Field(min_length=1, max_length=MOST_POINTS)]


class RefusedPoint(BaseModel):
    """A point that the service's policy does not let in."""

    key: str
    reason: str


class Kept(BaseModel):
    """How many points were written, and which were not."""

    kept: int
    refused: list[RefusedPoint]


class Keys(BaseModel):
    """Points to remove."""

    model_config = ConfigDict(extra="forbid")

    keys: Annotated[list[Text], Field(min_length=1, max_length=MOST_POINTS)]


class Search(BaseModel):
    """What to look for: a vector, or a place where the gallery's encoder takes positions."""

    model_config = ConfigDict(extra="forbid")

    vector: Vector | None = None
    lat: Lat | None = None
    lon: Lon | None = None
    k: Annotated[int, Field(ge=1, le=_MOST_FOUND)] = 10

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        place = (self.lat is not None) + (self.lon is not None)
        if place == 1 or (self.vector is None) == (place == 0):
            raise ValueError("give either 'vector', or 'lat' and 'lon'")
        return self


class Hit(BaseModel):
    """One point that was found."""

    id: str
    lat: float
    lon: float
    similarity: float = Field(description="Cosine.")
    country: str
    source: str
    contributor: str
    licence: str
    uri: str


class Found(BaseModel):
    """The most similar points, best first."""

    version: int = Field(description="Of the gallery, that was searched.")
    encoder: str
    hits: list[Hit]


@router.post(
    "/{name}/points",
    operation_id="addPoints",
    summary="Add points by their vectors",
    responses=responses(InvalidRequest, NotFound, Conflict, InvalidOption, Unavailable),
)
async def add_points(request: Request, name: str, asked: NewPoints) -> Kept:
    """Once answered they are kept, and searched from now on."""
    locator = locator_of(request)
    view = await locator.eyes.view((name,), caller_of(request).account)
    gallery = await view.galleries.open(name)
    fixed = await gallery.fixed()
    latlon = np.array([(point.lat, point.lon) for point in asked.points])
    if any(point.vector is None for point in asked.points):
        encode = await asyncio.to_thread(locator.eyes.positions, fixed.encoder)
        vectors = await asyncio.to_thread(encode.encode, latlon)
    else:
        vectors = np.array([_unit(p.vector or [], fixed.dimension) for p in asked.points])
    countries = await asyncio.to_thread(country_codes, latlon)
    places = [point.vector is None and vectors.shape[1] == GPS_DIMENSION for point in asked.points]
    written = now()
    points, refused = await Policy.of(settings_of(request)).let_in(
        gallery,
        [
            Point(
                id=point_id(name, point.key),
                key=point.key,
                lat=point.lat,
                lon=point.lon,
                image=vectors[row],
                gps=vectors[row] if places[row] else None,
                country=point.country or countries[row],
                source=point.source,
                contributor=point.contributor,
                licence=point.licence,
                captured_at=normalise(point.captured_at) if point.captured_at else "",
                sha256=point.sha256,
                uri=point.uri,
                added_at=written,
            )
            for row, point in enumerate(asked.points)
        ],
    )
    await gallery.upsert(points)
    await cache_of(request).forget()
    return Kept(
        kept=len(points), refused=[RefusedPoint(key=o.key, reason=o.reason) for o in refused]
    )


@router.post(
    "/{name}/points/remove",
    operation_id="removePoints",
    summary="Remove points by key",
    responses=responses(InvalidRequest, NotFound, InvalidOption, Unavailable),
)
async def remove_points(request: Request, name: str, asked: Keys) -> Removed:
    """Once answered, no search returns one of them. Keys that are not there are passed over."""
    view = await locator_of(request).eyes.view((name,), caller_of(request).account)
    gallery = await view.galleries.open(name)
    removed = await gallery.delete([point_id(name, key) for key in asked.keys])
    await cache_of(request).forget()
    return Removed(removed=removed)


@router.post(
    "/{name}/search",
    operation_id="searchGallery",
    summary="The points most similar to a vector",
    responses=responses(InvalidRequest, NotFound, Conflict, InvalidOption, Unavailable),
    openapi_extra={
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
            for name in _FILTERS
        ]
    },
)
async def search_gallery(request: Request, name: str, asked: Search) -> Found:
    """The true best k; filters stand in the query string, as for `/v1/locate`."""
    given = request.query_params.multi_items()
    unknown = sorted({key for key, _ in given} - set(_FILTERS))
    if unknown:
        raise InvalidOption(f"There is no filter {unknown[0][:80]!r}; there are {_FILTERS}.")
    where = from_strings(given).engine(neighbours=asked.k).filter
    locator = locator_of(request)
    view = await locator.eyes.view((name,), caller_of(request).account)
    gallery = await view.galleries.open(name)
    fixed = await gallery.fixed()
    if asked.vector is not None:
        vector = _unit(asked.vector, fixed.dimension)
    else:
        encode = await asyncio.to_thread(locator.eyes.positions, fixed.encoder)
        vector = (await asyncio.to_thread(encode.encode, np.array([[asked.lat, asked.lon]])))[0]
    hits = await gallery.search(vector, asked.k, where)
    return Found(
        version=fixed.version,
        encoder=fixed.encoder,
        hits=[
            Hit(
                id=hit.id,
                lat=hit.lat,
                lon=hit.lon,
                similarity=hit.similarity,
                country=hit.country,
                source=hit.source,
                contributor=hit.contributor,
                licence=hit.licence,
                uri=hit.uri,
            )
            for hit in hits
        ],
    )


def _unit(values: list[float], dimension: int) -> Float32Array:
    """float32 [D] of length 1. Raises InvalidOption."""
    vector = np.array(values, dtype=np.float64)
    length = float(np.linalg.norm(vector))
    if len(values) != dimension or not np.isfinite(length) or length == 0.0:
        raise InvalidOption(
            f"The gallery takes vectors of {dimension} numbers that are not all 0; this one has "
            f"{len(values)}."
        )
    return np.asarray(vector / length, dtype=np.float32)
