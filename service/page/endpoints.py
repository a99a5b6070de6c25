"""GET /: the web page, its files, its settings and the names on its map.

The page's own files, settings and labels need no key; whatever it shows of photos comes from the
API.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Annotated
from urllib.parse import urlsplit

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from geofix.errors import InvalidOption, InvalidRequest, NotFound
from geofix.geo.gazetteer import gazetteer
from geofix.settings import Settings
from service.page.files import INDEX, answer, page_files
from service.page.schemas import Label, Labels, PageSettings
from service.problems import responses
from service.running import settings_of

router = APIRouter(tags=["page"])

_FOREVER = "public, max-age=31536000, immutable"
"""Files under assets/ carry a hash of their content in their name."""
_AN_HOUR = "public, max-age=3600"


@router.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    """The page itself."""
    return await _file(request, INDEX, "no-cache")


@router.get("/assets/{name}", include_in_schema=False)
async def asset(request: Request, name: str) -> Response:
    """A file that the page loads."""
    return await _file(request, f"assets/{name}", _FOREVER)


@router.get("/page/settings", operation_id="pageSettings", summary="What the page must know")
async def page_settings(request: Request) -> PageSettings:
    """Limits, and the operator's map."""
    config = settings_of(request)
    return PageSettings(
        version=version("geofix"),
        max_body_bytes=config.max_body_bytes,
        keep_s=config.keep_s,
        tiles=config.page_tiles,
        tiles_attribution=config.page_tiles_attribution,
    )


@router.get(
    "/page/labels",
    operation_id="pageLabels",
    summary="Names for a part of the map",
    responses=responses(InvalidRequest, InvalidOption),
)
async def page_labels(
    response: Response,
    bbox: Annotated[str, Query(max_length=100, description="west,south,east,north in degrees.")],
    limit: Annotated[int, Query(ge=1, le=200)] = 60,
) -> Labels:
    """The largest places in a box; west above east crosses ±180°."""
    west, south, east, north = _box(bbox)
    response.headers["Cache-Control"] = _AN_HOUR
    return await asyncio.to_thread(_largest, west, south, east, north, limit)


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidOption("bbox: give west,south,east,north in degrees.") from None
    if not np.isfinite([west, south, east, north]).all():
        raise InvalidOption("bbox: give west,south,east,north in degrees.")
    return west, south, east, north


def _largest(west: float, south: float, east: float, north: float, limit: int) -> Labels:
    places = gazetteer()
    cities = slice(0, places.cities)
    lat, lon = places.positions(cities).T
    across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
    rows = np.flatnonzero(across & (lat >= south) & (lat <= north))
    rows = rows[np.argsort(-places.populations(cities)[rows], kind="stable")[:limit]]
    named = [places.place(int(row)) for row in rows]
    return Labels(
        places=[
            Label(name=place.name, lat=place.lat, lon=place.lon, population=place.population)
            for place in named
        ]
    )


async def _file(request: Request, path: str, caching: str) -> Response:
    files = await asyncio.to_thread(page_files)
    found = files.get(path)
    if found is None and path == INDEX:
        raise NotFound(
            "The web page is not part of this installation; `make web` builds it. "
            "The API is described at /openapi.json."
        )
    if found is None:
        raise NotFound("The page has no such file.")
    headers = {
        "Cache-Control": caching,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": content_security_policy(settings_of(request)),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    }
    return answer(request, found, headers)


def content_security_policy(config: Settings) -> str:
    """Nothing from elsewhere but the operator's own map tiles, and nothing inline."""
    tiles = urlsplit(config.page_tiles)
    elsewhere = f" {tiles.scheme}://{tiles.netloc.replace('{s}', '*')}" if tiles.netloc else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        f"img-src 'self' blob: data:{elsewhere}; connect-src 'self' blob:{elsewhere}; "
        "media-src blob:; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
