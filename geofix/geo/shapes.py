"""Boxes, circles and polygons on the Earth: which points lie in them, which S2 cells cover them.

Coverings hold every cell of one level that touches the shape, so they may reach a little beyond
it: where the exact area matters, test the points with ``*_contains`` as well.

A box's edges run along parallels and meridians. A polygon's edges are great circles, the shorter
way round, and its inside is the smaller of the two areas, whichever way round the corners run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import s2geometry as s2  # type: ignore[import-untyped]

from geofix.errors import InvalidCoordinate, InvalidOption
from geofix.geo.cells import BoolArray, checked_level
from geofix.geo.coordinates import (
    EARTH_RADIUS_KM,
    Coordinate,
    checked_points,
    haversine_km,
    wrap_longitude,
)

BoundingBox = tuple[float, float, float, float]
"""west, south, east, north in degrees; west > east crosses ±180°."""

MAX_COVERING_CELLS = 250_000
"""Larger coverings are refused: they are always a mistake in the level."""

_LONGEST_EDGE_KM = math.pi * EARTH_RADIUS_KM - 1e-3
"""Beyond this there is no shorter way round."""


def covering_circle(lat: float, lon: float, radius_km: float, level: int) -> list[str]:
    """Tokens of the cells that touch the circle; the whole Earth where it reaches round."""
    return _covering(_cap(lat, lon, radius_km), level)


def covering_box(bbox: BoundingBox, level: int) -> list[str]:
    """Tokens of the cells that touch the box."""
    return _covering(_rectangle(bbox), level)


def covering_polygon(corners: Sequence[tuple[float, float]], level: int) -> list[str]:
    """Tokens of the cells that touch the polygon of (lat, lon) corners, closed or not."""
    return _covering(_loop(corners), level)


def circle_contains(lat: float, lon: float, radius_km: float, latlon: npt.ArrayLike) -> BoolArray:
    """Which points [N, 2] lie in the circle, its edge included: bool [N]."""
    _cap(lat, lon, radius_km)
    return np.asarray(haversine_km((lat, lon), checked_points(latlon)) <= radius_km)


def box_contains(bbox: BoundingBox, latlon: npt.ArrayLike) -> BoolArray:
    """Which points [N, 2] lie in the box, its edges included: bool [N]."""
    _rectangle(bbox)
    west, south, east, north = bbox
    points = checked_points(latlon)
    in_band = (points[:, 0] >= south) & (points[:, 0] <= north)
    in_sector = np.mod(points[:, 1] - west, 360.0) <= _width(west, east)
    at_pole = np.abs(points[:, 0]) == 90.0  # where all meridians meet
    return np.asarray(in_band & (in_sector | at_pole))


def polygon_contains(corners: Sequence[tuple[float, float]], latlon: npt.ArrayLike) -> BoolArray:
    """Which points [N, 2] lie inside the polygon of (lat, lon) corners: bool [N]."""
    loop = _loop(corners)
    from_degrees = s2.S2LatLng.FromDegrees
    points = checked_points(latlon).tolist()
    return np.array(
        [loop.Contains(from_degrees(lat, lon).ToPoint()) for lat, lon in points], dtype=np.bool_
    )


def _covering(region: object, level: int) -> list[str]:
    coverer = s2.S2RegionCoverer()
    coverer.set_fixed_level(checked_level(level))
    coverer.set_max_cells(MAX_COVERING_CELLS)
    if _area_km2(region) / _mean_area_km2(level) > MAX_COVERING_CELLS:
        raise InvalidOption(f"The area holds too many cells of level {level}.")
    return [str(cell.ToToken()) for cell in coverer.GetCovering(region)]


def _area_km2(region: object) -> float:
    if isinstance(region, s2.S2Cap):
        steradians = 2.0 * math.pi * region.height()
    elif isinstance(region, s2.S2LatLngRect):
        steradians = region.Area()
    else:
        assert isinstance(region, s2.S2Loop)  # noqa: S101 - the three kinds built below
        steradians = region.GetArea()
    return float(steradians) * EARTH_RADIUS_KM**2


def _mean_area_km2(level: int) -> float:
    return float(4.0 * math.pi * EARTH_RADIUS_KM**2 / (6 * 4**level))


def _cap(lat: float, lon: float, radius_km: float) -> s2.S2Cap:
    if not (math.isfinite(radius_km) and radius_km >= 0.0):
        raise InvalidOption("A radius must be a number of km, not negative.")
    at = Coordinate(lat, lon)
    angle = min(radius_km / EARTH_RADIUS_KM, math.pi)
    return s2.S2Cap(_point(at.lat, at.lon), s2.S1Angle.Radians(angle))


def _rectangle(bbox: BoundingBox) -> s2.S2LatLngRect:
    west, south, east, north = bbox
    if not all(math.isfinite(edge) for edge in bbox):
        raise InvalidCoordinate("A box needs four finite numbers: west, south, east, north.")
    if not -90.0 <= south <= north <= 90.0:
        raise InvalidCoordinate("A box's south must not lie above its north, nor beyond a pole.")
    if _width(west, east) >= 360.0:
        west, east = -180.0, 180.0
    else:
        west, east = (float(edge) for edge in wrap_longitude([west, east]))
    return s2.S2LatLngRect(
        s2.S2LatLng.FromDegrees(south, west), s2.S2LatLng.FromDegrees(north, east)
    )


def _width(west: float, east: float) -> float:
    """Degrees from west eastwards to east; 360 for the whole round."""
    if east - west >= 360.0:
        return 360.0
    return float(np.mod(east - west, 360.0))


def _loop(corners: Sequence[tuple[float, float]]) -> s2.S2Loop:
    ring = [Coordinate(lat, lon) for lat, lon in corners]
    ring = [at for at, before in zip(ring, ring[-1:] + ring[:-1], strict=True) if at != before]
    if len(ring) < 3:
        raise InvalidCoordinate("A polygon needs at least three different corners.")
    pairs = np.array([(at.lat, at.lon) for at in ring])
    if haversine_km(pairs, np.roll(pairs, 1, axis=0)).max() > _LONGEST_EDGE_KM:
        raise InvalidCoordinate("A polygon's edge must not join opposite ends of the Earth.")
    loop = s2.S2Loop()
    loop.Init([_point(at.lat, at.lon) for at in ring])
    if not loop.IsValid():
        raise InvalidCoordinate("A polygon's edges must not cross, touch or repeat.")
    loop.Normalize()
    return loop


def _point(lat: float, lon: float) -> s2.S2Point:
    return s2.S2LatLng.FromDegrees(lat, lon).ToPoint()
