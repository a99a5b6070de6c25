"""S2 cells: names of places on the Earth, and areas covered by them.

A cell is named by its token (S2's hexadecimal string) in text and by its 64-bit id in arrays.
Coverings hold every cell of one level that touches the area, so they may reach a little beyond
it: where the exact area matters, test the points with ``*_contains`` as well.

A box's edges run along parallels and meridians. A polygon's edges are great circles, the shorter
way round, and its inside is the smaller of the two areas, whichever way round the corners run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import s2geometry as s2  # type: ignore[import-untyped]

from geofix.errors import InvalidCoordinate, InvalidOption
from geofix.geo.coordinates import (
    EARTH_RADIUS_KM,
    Coordinate,
    Float64Array,
    from_unit,
    haversine_km,
    wrap_longitude,
)

UInt64Array = npt.NDArray[np.uint64]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BoundingBox = tuple[float, float, float, float]
"""west, south, east, north in degrees; west > east crosses ±180°."""

MAX_LEVEL = 30
_NEAREST_BATCH = 512
MAX_COVERING_CELLS = 250_000
"""Larger coverings are refused: they are always a mistake in the level."""

_LONGEST_EDGE_KM = math.pi * EARTH_RADIUS_KM - 1e-3
"""Beyond this there is no shorter way round."""


@dataclass(frozen=True, slots=True, eq=False)
class CellGrid:
    """A set of cells of one level, in the order of their ids."""

    level: int
    ids: UInt64Array
    """uint64 [N], ascending, without repeats."""
    latlon: Float64Array
    """float64 [N, 2]: the cells' centres in degrees."""
    unit: Float64Array
    """float64 [N, 3]: the centres as unit vectors."""
    area_km2: Float64Array
    """float64 [N]."""

    @classmethod
    def of(cls, ids: npt.ArrayLike) -> CellGrid:
        """The grid of these cells, all of one level."""
        ordered = np.unique(np.asarray(ids, dtype=np.uint64))
        cells = [s2.S2CellId(int(cell_id)) for cell_id in ordered]
        levels = {int(cell.level()) for cell in cells if cell.is_valid()}
        if len(levels) != 1 or not all(cell.is_valid() for cell in cells):
            raise InvalidOption("A grid needs valid S2 cells, all of one level.")
        unit = np.array(
            [(p.x(), p.y(), p.z()) for p in (cell.ToPoint() for cell in cells)], dtype=np.float64
        )
        areas = np.array([s2.S2Cell(cell).ExactArea() for cell in cells], dtype=np.float64)
        return cls(levels.pop(), ordered, from_unit(unit), unit, areas * EARTH_RADIUS_KM**2)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, kept: BoolArray) -> CellGrid:
        """The grid of the cells for which ``kept`` [N] holds."""
        return CellGrid(
            self.level, self.ids[kept], self.latlon[kept], self.unit[kept], self.area_km2[kept]
        )

    def nearest(self, unit: Float64Array) -> Int64Array:
        """Index of the cell whose centre is nearest to each unit vector of ``unit`` [N, 3]."""
        found = [
            np.argmax(unit[start : start + _NEAREST_BATCH] @ self.unit.T, axis=1)
            for start in range(0, len(unit), _NEAREST_BATCH)
        ]
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def locate(self, latlon: npt.ArrayLike) -> Int64Array:
        """Index of the cell that holds each point of ``latlon`` [N, 2]; -1 where none does."""
        return self.find(cell_ids(latlon, self.level))

    def find(self, ids: UInt64Array) -> Int64Array:
        """Index of each id [N] of this level in the grid; -1 where it is not in it."""
        at = np.searchsorted(self.ids, ids)
        at = np.minimum(at, len(self.ids) - 1)
        return np.where(self.ids[at] == ids, at, -1).astype(np.int64)


def token(lat: float, lon: float, level: int) -> str:
    """Token of the cell of ``level`` (0 to 30) that holds a position in degrees."""
    return tokens([(lat, lon)], level)[0]


def tokens(latlon: npt.ArrayLike, level: int) -> list[str]:
    """Tokens of the cells that hold the points [N, 2]."""
    return tokens_of(cell_ids(latlon, level))


def tokens_of(ids: UInt64Array) -> list[str]:
    """Tokens of cells: S2's ids in hexadecimal without their trailing zeros."""
    return [f"{cell_id:016x}".rstrip("0") for cell_id in ids.tolist()]


def ids_of(tokens: Iterable[str]) -> UInt64Array:
    """uint64 [N]: ids of the cells of these tokens."""
    return np.array([int(token.ljust(16, "0"), 16) for token in tokens], dtype=np.uint64)


def cell_ids(latlon: npt.ArrayLike, level: int) -> UInt64Array:
    """uint64 [N]: ids of the cells of ``level`` that hold the points [N, 2] in degrees.

    Raises InvalidCoordinate for a point that is not finite or beyond a pole.
    """
    _checked_level(level)
    points = _checked_points(latlon)
    from_degrees, cell_id = s2.S2LatLng.FromDegrees, s2.S2CellId
    leaves = [cell_id(from_degrees(lat, lon)).id() for lat, lon in points.tolist()]
    return parents(np.array(leaves, dtype=np.uint64), level)


def parents(ids: UInt64Array, level: int) -> UInt64Array:
    """uint64 [N]: the ancestors at ``level`` of cells that are not above that level."""
    lowest_bit = np.uint64(1) << np.uint64(2 * (MAX_LEVEL - _checked_level(level)))
    return (ids & ~(lowest_bit - np.uint64(1))) | lowest_bit


def children(ids: UInt64Array, level: int) -> UInt64Array:
    """uint64 [4·N]: the four children, at ``level``, of cells one level above."""
    bit = np.uint64(1) << np.uint64(2 * (MAX_LEVEL - _checked_level(level)))
    first = ids - np.uint64(3) * bit
    steps = np.arange(4, dtype=np.uint64) * np.uint64(2) * bit
    return (first[:, None] + steps[None, :]).ravel()


def of_level(ids: UInt64Array, level: int) -> BoolArray:
    """bool [N]: which cells are of a level."""
    lowest_bit = ids & (~ids + np.uint64(1))
    wanted = np.uint64(1) << np.uint64(2 * (MAX_LEVEL - _checked_level(level)))
    return np.asarray(lowest_bit == wanted)


def area_km2(token: str) -> float:
    """Area of a cell."""
    return float(s2.S2Cell(_parse(token)).ExactArea()) * EARTH_RADIUS_KM**2


def centre(token: str) -> Coordinate:
    """Centre of a cell."""
    at = _parse(token).ToLatLng()
    return Coordinate(at.lat().degrees(), at.lng().degrees())


def corners(token: str) -> Float64Array:
    """float64 [4, 2]: a cell's corners (lat, lon) in degrees, counter-clockwise."""
    cell = s2.S2Cell(_parse(token))
    vertices = [cell.GetVertex(k) for k in range(4)]
    return from_unit([(v.x(), v.y(), v.z()) for v in vertices])


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
    return np.asarray(haversine_km((lat, lon), _checked_points(latlon)) <= radius_km)


def box_contains(bbox: BoundingBox, latlon: npt.ArrayLike) -> BoolArray:
    """Which points [N, 2] lie in the box, its edges included: bool [N]."""
    _rectangle(bbox)
    west, south, east, north = bbox
    points = _checked_points(latlon)
    in_band = (points[:, 0] >= south) & (points[:, 0] <= north)
    in_sector = np.mod(points[:, 1] - west, 360.0) <= _width(west, east)
    at_pole = np.abs(points[:, 0]) == 90.0  # where all meridians meet
    return np.asarray(in_band & (in_sector | at_pole))


def polygon_contains(corners: Sequence[tuple[float, float]], latlon: npt.ArrayLike) -> BoolArray:
    """Which points [N, 2] lie inside the polygon of (lat, lon) corners: bool [N]."""
    loop = _loop(corners)
    from_degrees = s2.S2LatLng.FromDegrees
    points = _checked_points(latlon).tolist()
    return np.array(
        [loop.Contains(from_degrees(lat, lon).ToPoint()) for lat, lon in points], dtype=np.bool_
    )


def _covering(region: object, level: int) -> list[str]:
    coverer = s2.S2RegionCoverer()
    coverer.set_fixed_level(_checked_level(level))
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


def _parse(token: str) -> s2.S2CellId:
    cell = s2.S2CellId.FromToken(token)
    if not cell.is_valid():
        raise InvalidOption("That is not the token of an S2 cell.")
    return cell


def _checked_level(level: int) -> int:
    if not 0 <= level <= MAX_LEVEL:
        raise InvalidOption(f"An S2 level lies between 0 and {MAX_LEVEL}, not {level}.")
    return level


def _checked_points(latlon: npt.ArrayLike) -> Float64Array:
    points = np.asarray(latlon, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(points).all() or (np.abs(points[:, 0]) > 90.0).any():
        raise InvalidCoordinate("Points must be finite, with latitudes between -90 and 90.")
    # One name for each position: S2 puts 180 and -180, and a pole's longitudes, in several cells.
    at_pole = np.abs(points[:, 0]) == 90.0
    return np.stack([points[:, 0], np.where(at_pole, 0.0, wrap_longitude(points[:, 1]))], axis=-1)
