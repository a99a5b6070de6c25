"""Which places a filter leaves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce

import numpy as np
import numpy.typing as npt

from geofix.engine.types import Filter, Float64Array
from geofix.geo import cells, shapes
from geofix.geo.cells import BoolArray, UInt64Array
from geofix.geo.coordinates import spherical_mean, wrap_longitude


def contains(where: Filter, latlon: Float64Array, countries: npt.ArrayLike) -> BoolArray:
    """bool [n]: which points [n, 2] with these ISO alpha-2 codes pass the filter's place parts.

    Raises InvalidCoordinate or InvalidOption for an area that makes no sense.
    """
    inside = np.ones(len(latlon), dtype=bool)
    if where.countries:
        inside &= np.isin(np.asarray(countries, dtype=str), where.countries)
    if where.bbox:
        inside &= shapes.box_contains(where.bbox, latlon)
    if where.circle:
        inside &= shapes.circle_contains(*where.circle, latlon)
    if where.polygon:
        inside &= shapes.polygon_contains(where.polygon, latlon)
    return inside


def covering(where: Filter, level: int) -> UInt64Array:
    """uint64 [N]: ids of the cells of a level that the filter's drawn areas all touch."""
    return reduce(np.intersect1d, [cells.ids_of(cover(level)) for cover in coverings(where)])


def middle(where: Filter) -> Float64Array:
    """[1, 2]: the middle of the circle, else the polygon, else the box; [0, 2] for none drawn."""
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


def coverings(where: Filter) -> list[Callable[[int], list[str]]]:
    """For each drawn area, what gives the tokens of the cells of a level that it touches."""
    drawn: list[Callable[[int], list[str]]] = []
    if where.bbox:
        drawn.append(partial(shapes.covering_box, where.bbox))
    if where.circle:
        drawn.append(partial(shapes.covering_circle, *where.circle))
    if where.polygon:
        drawn.append(partial(shapes.covering_polygon, where.polygon))
    return drawn
