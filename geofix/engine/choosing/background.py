"""The prior over land cells, laid out for the posterior: all of them, or those a filter leaves."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from geofix.engine import region
from geofix.engine.choosing.posterior import Background
from geofix.engine.types import GEOSCORE_KM, Filter, Float64Array, Int64Array
from geofix.errors import InvalidOption
from geofix.geo import cells
from geofix.geo.coordinates import apart_km
from geofix.geo.gazetteer import gazetteer
from geofix.geo.places import country_codes
from geofix.geo.priors import cell_countries, earth, photo_prior

_COARSE_LEVEL = 4
_ENOUGH_CELLS = 24
"""A filtered area is cut into finer cells until so many of their centres lie inside it."""
_MANY_CELLS = 20_000
_FINEST_LEVEL = 20
"""Cells of about 10 m."""


def background(where: Filter) -> Background:
    """Where photos are taken, land × population, within the filter's area.

    Its mass sums to 1; it is empty where the filter leaves no land.
    """
    if not where.restricts_place:
        return _everywhere()
    return _restricted(replace(where.area, countries=where.countries))


@lru_cache(maxsize=1)
def _everywhere() -> Background:
    grid = earth().cells
    everything = np.arange(len(grid), dtype=np.int64)
    return _laid_out(grid, everything, photo_prior(), cell_countries())


@lru_cache(maxsize=8)
def _restricted(where: Filter) -> Background:
    """Cells whose centres pass the filter, cut finer until there are enough of them."""
    land = earth().cells
    ids = land.ids[np.isin(cell_countries(), where.countries)]
    for level in range(land.level, _FINEST_LEVEL + 1):
        if where.draws_area:
            ids = region.covering(where, level)
        elif level > land.level:
            ids = cells.children(ids, level)
        if len(ids) == 0:
            return _of_places(where)
        grid = cells.CellGrid.of(ids)
        countries = np.array(country_codes(grid.latlon), dtype=np.str_)
        inside = region.contains(where, grid.latlon, countries)
        ashore = inside & (land.find(cells.parents(grid.ids, land.level)) >= 0)
        kept = ashore if ashore.any() else inside
        if kept.sum() >= _ENOUGH_CELLS or len(grid) > _MANY_CELLS:
            break
    if not kept.any():
        return _of_places(where)
    return _weighted(grid.take(kept), countries[kept])


def _of_places(where: Filter) -> Background:
    """An area too small for a cell's centre: its country's places or its middle stand for it."""
    names = gazetteer()
    rows = [row for code in where.countries for row in range(len(names))[names.rows_of(code)]]
    places = [names.place(row) for row in rows]
    latlon = np.array([(p.lat, p.lon) for p in places]).reshape(-1, 2)
    inside = region.contains(where, latlon, [p.country for p in places])
    if inside.any():
        grid = cells.CellGrid.of(cells.cell_ids(latlon[inside], _FINEST_LEVEL))
        return _weighted(grid, country_codes(grid.latlon))
    middle = region.middle(where)
    if not len(middle) or not region.contains(where, middle, country_codes(middle)).all():
        raise InvalidOption("The filters leave no place on Earth: widen or drop one of them.")
    grid = cells.CellGrid.of(cells.cell_ids(middle, cells.MAX_LEVEL))
    return _weighted(grid, country_codes(grid.latlon))


def _weighted(grid: cells.CellGrid, countries: npt.ArrayLike) -> Background:
    """The prior of land spread over a grid's cells; even where none of them is on land."""
    land = earth()
    cell = land.cells.find(cells.parents(grid.ids, min(grid.level, land.cells.level)))
    at_sea = cell < 0
    share = np.where(at_sea, 0.0, photo_prior()[cell] * grid.area_km2 / land.cells.area_km2[cell])
    if not share.any():
        share = grid.area_km2
    cell[at_sea] = land.cells.nearest(grid.unit[at_sea])
    return _laid_out(grid, cell, share, countries)


def _laid_out(
    grid: cells.CellGrid, cell: Int64Array, mass: Float64Array, countries: npt.ArrayLike
) -> Background:
    codes, country = np.unique(np.asarray(countries, dtype=np.str_), return_inverse=True)
    coarse_ids, parent = np.unique(cells.parents(grid.ids, _COARSE_LEVEL), return_inverse=True)
    coarse = cells.CellGrid.of(coarse_ids)
    apart = apart_km(coarse.unit, coarse.unit)
    total = mass.sum()
    return Background(
        latlon=grid.latlon,
        unit=grid.unit,
        radius_km=np.sqrt(grid.area_km2 / np.pi),
        mass=mass / total if total > 0.0 else mass,
        cell=cell,
        codes=tuple(codes.tolist()),
        country=country.astype(np.int64),
        coarse=coarse.unit,
        parent=parent.astype(np.int64),
        coarse_score=np.exp(-apart / GEOSCORE_KM),
    )
