"""Which places a filter leaves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geofix.engine.types import Filter, Float64Array
from geofix.geo import cells
from geofix.geo.coordinates import spherical_mean, wrap_longitude

BoolArray = npt.NDArray[np.bool_]
UInt64Array = npt.NDArray[np.uint64]


def contains(where: Filter, latlon: Float64Array, countries: npt.ArrayLike) -> BoolArray:
    """bool [n]: which points [n, 2] with these ISO alpha-2 codes pass the filter's place parts.

    Raises InvalidCoordinate or InvalidOption for an area that makes no sense.
    """
    inside = np.ones(len(latlon), dtype=bool)
    if where.countries:
        inside &= np.isin(np.asarray(countries, dtype=str), where.countries)
    if where.bbox:
        inside &= cells.box_contains(where.bbox, latlon)
    if where.circle:
        inside &= cells.circle_contains(*where.circle, latlon)
    if where.polygon:
        inside &= cells.polygon_contains(where.polygon, latlon)
    return inside


def touched_cells(where: Filter, grid: cells.CellGrid, countries: npt.ArrayLike) -> BoolArray:
    """bool [N]: which cells of a grid, with these countries, the filter's area touches."""
    touched = np.ones(len(grid), dtype=bool)
    if where.countries:
        touched &= np.isin(np.asarray(countries, dtype=str), where.countries)
    for covering in _coverings(where, grid.level):
        touched &= np.isin(grid.ids, covering)
    return touched


def covering(where: Filter, level: int) -> UInt64Array:
    """uint64 [N]: ids of the cells of a level that the filter's drawn areas all touch."""
    drawn = _coverings(where, level)
    ids = drawn[0]
    for other in drawn[1:]:
        ids = np.intersect1d(ids, other)
    return ids


def middle(where: Filter) -> Float64Array:
    """[1, 2]: a point in the middle of the smallest drawn area; [0, 2] where none is drawn."""
    if where.circle:
        return np.array([where.circle[:2]])
    if where.polygon:
        mean = spherical_mean(np.array(where.polygon))
        return np.empty((0, 2)) if mean is None else mean[None, :]
    if where.bbox:
        west, south, east, north = where.bbox
        half = ((east - west) % 360.0) / 2.0
        return np.array([[(south + north) / 2.0, float(wrap_longitude(west + half))]])
    return np.empty((0, 2))


def children(ids: UInt64Array, level: int) -> UInt64Array:
    """uint64 [4·N]: the four children, at ``level``, of cells one level above."""
    bit = np.uint64(1) << np.uint64(2 * (cells.MAX_LEVEL - level))
    first = ids - np.uint64(3) * bit
    steps = np.arange(4, dtype=np.uint64) * np.uint64(2) * bit
    return (first[:, None] + steps[None, :]).ravel()


def _coverings(where: Filter, level: int) -> list[UInt64Array]:
    drawn = []
    if where.bbox:
        drawn.append(cells.covering_box(where.bbox, level))
    if where.circle:
        drawn.append(cells.covering_circle(*where.circle, level))
    if where.polygon:
        drawn.append(cells.covering_polygon(where.polygon, level))
    return [np.array([int(t.ljust(16, "0"), 16) for t in ts], dtype=np.uint64) for ts in drawn]
