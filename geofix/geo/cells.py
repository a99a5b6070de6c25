"""S2 cells: names of places on the Earth.

A cell is named by its token (S2's hexadecimal string) in text and by its 64-bit id in arrays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import s2geometry as s2  # type: ignore[import-untyped]

from geofix.errors import InvalidOption
from geofix.geo.coordinates import (
    EARTH_RADIUS_KM,
    Coordinate,
    Float64Array,
    checked_points,
    from_unit,
)

UInt64Array = npt.NDArray[np.uint64]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MAX_LEVEL = 30
_NEAREST_BATCH = 512


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
    checked_level(level)
    points = checked_points(latlon)
    from_degrees, cell_id = s2.S2LatLng.FromDegrees, s2.S2CellId
    leaves = [cell_id(from_degrees(lat, lon)).id() for lat, lon in points.tolist()]
    return parents(np.array(leaves, dtype=np.uint64), level)


def parents(ids: UInt64Array, level: int) -> UInt64Array:
    """uint64 [N]: the ancestors at ``level`` of cells that are not above that level."""
    lowest_bit = np.uint64(1) << np.uint64(2 * (MAX_LEVEL - checked_level(level)))
    return (ids & ~(lowest_bit - np.uint64(1))) | lowest_bit


def children(ids: UInt64Array, level: int) -> UInt64Array:
    """uint64 [4·N]: the four children, at ``level``, of cells one level above."""
    bit = np.uint64(1) << np.uint64(2 * (MAX_LEVEL - checked_level(level)))
    first = ids - np.uint64(3) * bit
    steps = np.arange(4, dtype=np.uint64) * np.uint64(2) * bit
    return (first[:, None] + steps[None, :]).ravel()


def of_level(ids: UInt64Array, level: int) -> BoolArray:
    """bool [N]: which cells are of a level."""
    lowest_bit = ids & (~ids + np.uint64(1))
    wanted = np.uint64(1) << np.uint64(2 * (MAX_LEVEL - checked_level(level)))
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


def _parse(token: str) -> s2.S2CellId:
    cell = s2.S2CellId.FromToken(token)
    if not cell.is_valid():
        raise InvalidOption("That is not the token of an S2 cell.")
    return cell


def checked_level(level: int) -> int:
    """``level``, if S2 has it. Raises InvalidOption."""
    if not 0 <= level <= MAX_LEVEL:
        raise InvalidOption(f"An S2 level lies between 0 and {MAX_LEVEL}, not {level}.")
    return level
