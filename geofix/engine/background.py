"""The prior over land cells, laid out for the posterior: all of them, or those a filter leaves."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from geofix.engine import kernels, region
from geofix.engine.posterior import GEOSCORE_KM, Background
from geofix.engine.types import Filter, Float64Array, Int64Array
from geofix.errors import InvalidOption
from geofix.geo import cells
from geofix.geo.coordinates import EARTH_RADIUS_KM
from geofix.geo.gazetteer import gazetteer
from geofix.geo.priors import earth, photo_prior

_COARSE_LEVEL = 4
_ENOUGH_CELLS = 24
"""A filtered area is cut into finer cells until so many of their centres lie inside it."""
_FINEST_LEVEL = 14
_SEA_LEVEL = 6


def background(where: Filter) -> Background:
    """Where photos are taken, land × population, within the filter's area.

    Its mass sums to 1; it is empty where the filter leaves no land.
    """
    return _restricted(where) if where.restricts_place else _everywhere()


@lru_cache(maxsize=1)
def _everywhere() -> Background:
    grid = earth().cells
    return _laid_out(grid, np.arange(len(grid), dtype=np.int64), photo_prior())


@lru_cache(maxsize=1)
def cell_countries() -> npt.NDArray[np.str_]:
    """ISO alpha-2 [N] of the dominant country of each cell of ``earth()``; empty where none."""
    land = earth()
    codes = np.array([*land.countries, ""], dtype=np.str_)
    named: npt.NDArray[np.str_] = codes[land.country]
    return named


def _restricted(where: Filter) -> Background:
    land = earth()
    level = land.cells.level
    cell = np.flatnonzero(region.touched_cells(where, land.cells, cell_countries()))
    if len(cell) == 0:
        return _without_land(where)
    grid = cells.CellGrid.of(land.cells.ids[cell])
    inside = region.contains(where, grid.latlon, cell_countries()[cell])
    while inside.sum() < _ENOUGH_CELLS and level < _FINEST_LEVEL and len(grid) < 4**6:
        level += 1
        grid = cells.CellGrid.of(region.children(grid.ids, level))
        cell = land.cells.find(cells.parents(grid.ids, land.cells.level))
        inside = region.contains(where, grid.latlon, cell_countries()[cell])
    if not inside.any():
        inside[:] = True
    share = grid.area_km2 / land.cells.area_km2[cell]
    kept = cells.CellGrid.of(grid.ids[inside])
    return _laid_out(kept, cell[inside], (photo_prior()[cell] * share)[inside])


def _without_land(where: Filter) -> Background:
    """An area on the sea, or a country too small to fill a cell."""
    land = earth()
    ids = _places_of(where) if where.countries else region.covering(where, _SEA_LEVEL)
    if len(ids) == 0:
        raise InvalidOption("The filters leave no place on Earth: widen or drop one of them.")
    grid = cells.CellGrid.of(ids)
    nearest = np.argmax(grid.unit @ land.cells.unit.T, axis=1)
    return _laid_out(grid, nearest.astype(np.int64), np.ones(len(grid)))


def _places_of(where: Filter) -> npt.NDArray[np.uint64]:
    names = gazetteer()
    rows = [row for code in where.countries for row in range(len(names))[names.rows_of(code)]]
    places = [names.place(row) for row in rows]
    latlon = np.array([(p.lat, p.lon) for p in places]).reshape(-1, 2)
    inside = region.contains(where, latlon, [p.country for p in places])
    return cells.cell_ids(latlon[inside], _FINEST_LEVEL)


def _laid_out(grid: cells.CellGrid, cell: Int64Array, mass: Float64Array) -> Background:
    coarse_ids, parent = np.unique(cells.parents(grid.ids, _COARSE_LEVEL), return_inverse=True)
    coarse = cells.CellGrid.of(coarse_ids)
    apart = kernels.angles(coarse.unit, coarse.unit) * EARTH_RADIUS_KM
    total = mass.sum()
    return Background(
        latlon=grid.latlon,
        unit=grid.unit,
        radius_km=np.sqrt(grid.area_km2 / np.pi),
        mass=mass / total if total > 0.0 else mass,
        cell=cell,
        coarse=coarse.unit,
        parent=parent.astype(np.int64),
        coarse_score=np.exp(-apart / GEOSCORE_KM),
    )
