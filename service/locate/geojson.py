"""The heat map as GeoJSON (RFC 7946): S2 cells that no viewer draws across the whole map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, FiniteFloat
from typing_extensions import TypedDict

from geofix.engine.types import Float64Array, HeatCell
from geofix.geo.cells import ids_of
from geofix.geo.corners import corners

Probability = Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]
Ring = list[tuple[float, float]]

_DIGITS = 6
"""Of a coordinate: about 10 cm."""


class CellProperties(TypedDict):
    """What the heat map says of one cell."""

    token: Annotated[str, Field(description="S2 cell token.")]
    probability: Probability


class CellPolygon(TypedDict):
    """A closed ring of (lon, lat), counter-clockwise; longitudes do not jump at ±180°."""

    type: Literal["Polygon"]
    coordinates: list[list[tuple[FiniteFloat, FiniteFloat]]]


class HeatFeature(TypedDict):
    """One S2 cell of the heat map."""

    type: Literal["Feature"]
    geometry: CellPolygon
    properties: CellProperties


class FeatureCollection(TypedDict):
    """GeoJSON: where the probability lies, most probable cell first."""

    type: Literal["FeatureCollection"]
    features: list[HeatFeature]


def feature_collection(heat: Sequence[HeatCell]) -> FeatureCollection:
    """The heat map's cells as polygons with their token and probability."""
    ordered = sorted(heat, key=lambda cell: -cell.probability)
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": {"token": cell.token, "probability": cell.probability},
            }
            for cell, ring in zip(ordered, outlines([c.token for c in ordered]), strict=True)
        ],
    }


def outlines(tokens: Sequence[str]) -> list[Ring]:
    """Boundaries of cells as closed rings of (lon, lat) degrees, counter-clockwise.

    Longitudes stay on the side of ±180° on which the cell lies (from level 1 on none lies on
    both). A corner at a pole has no longitude of its own: it becomes two, one under each
    neighbouring corner, so that the edges run along the meridians they follow on the sphere.
    """
    ids = ids_of(tokens)
    latlon = corners(ids)
    lonlat = np.stack([_on_one_side(latlon), latlon[..., 0]], axis=-1).round(_DIGITS)
    is_polar = np.abs(lonlat[..., 1]).max(axis=-1, initial=0.0) > 90.0 - 1e-6
    rings = [[(lon, lat) for lon, lat in ring] for ring in lonlat.tolist()]
    for index in np.flatnonzero(is_polar):
        rings[index] = _around_pole(rings[index])
    return [[*ring, ring[0]] for ring in rings]


def _on_one_side(latlon: Float64Array) -> Float64Array:
    """Longitudes [N, 4] of corners [N, 4, 2], without a jump between those of one cell.

    Poles do not count: theirs could be any. A cell on both sides of 180° has corners on it, which
    may bear either sign.
    """
    lat, lon = latlon[..., 0], latlon[..., 1]
    counts = np.abs(lat) < 90.0 - 1e-9
    anchor_at = np.argmin(np.where(counts, np.abs(lon), np.inf), axis=1, keepdims=True)
    anchor = np.take_along_axis(lon, anchor_at, axis=1)
    return np.asarray(lon - 360.0 * np.round((lon - anchor) / 360.0))


def _around_pole(corners: Ring) -> Ring:
    ring: Ring = []
    for index, (lon, lat) in enumerate(corners):
        if abs(lat) < 90.0 - 1e-6:
            ring.append((lon, lat))
        else:
            ring += [(corners[index - 1][0], lat), (corners[(index + 1) % 4][0], lat)]
    return ring
