"""GET /v1/galleries/{name}/coverage: where on Earth a gallery's photos lie."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from geofix.engine.gallery.conditions import CELL_LEVELS
from geofix.errors import InvalidOption, NotFound, Unavailable
from geofix.geo.cells import ids_of
from service.galleries.endpoints import opened
from service.locate.geojson import CellPolygon, outlines
from service.problems import responses

router = APIRouter(prefix="/v1/galleries", tags=["galleries"])

_LEVEL = CELL_LEVELS[1]
"""Cells of about 290 km."""


class CellCount(BaseModel):
    """How many photos lie in a cell."""

    token: Annotated[str, Field(description="S2 cell token.")]
    count: int


class CoverageFeature(BaseModel):
    """One cell that holds photos."""

    type: Literal["Feature"] = "Feature"
    geometry: CellPolygon
    properties: CellCount


class Coverage(BaseModel):
    """GeoJSON: photos by cell, fullest first."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[CoverageFeature]


@router.get(
    "/{name}/coverage",
    operation_id="galleryCoverage",
    summary="Where on Earth a gallery's photos lie",
    responses=responses(NotFound, InvalidOption, Unavailable),
)
async def coverage(request: Request, name: str) -> Coverage:
    """S2 cells of level 5, about 290 km wide, with the number of photos in each."""
    gallery = await opened(request, name)
    counts = await gallery.facet("cell")
    return await asyncio.to_thread(_outlined, counts)


def _outlined(counts: dict[str, int]) -> Coverage:
    cells = {token: n for token, n in counts.items() if _level(token) == _LEVEL}
    return Coverage(
        features=[
            CoverageFeature(
                geometry={"type": "Polygon", "coordinates": [ring]},
                properties=CellCount(token=token, count=cells[token]),
            )
            for token, ring in zip(cells, outlines(list(cells)), strict=True)
        ]
    )


def _level(token: str) -> int:
    """An S2 id ends in a one and twice as many zeros as there are levels below its own."""
    cell = int(ids_of([token])[0])
    return 30 - ((cell & -cell).bit_length() - 1) // 2
