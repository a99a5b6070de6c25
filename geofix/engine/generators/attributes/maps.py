"""How likely a photo taken in a cell shows each attribute: the map's side of the generator.

Every map is a plain reading of the grid's facts with thresholds from geography, none fitted to
photos. Only the shape of a map over the cells counts: its mean over the prior is divided out.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib import resources

import numpy as np

from geofix.engine.types import Float64Array
from geofix.geo.priors import PRIOR_EXPONENT, EarthGrid, earth

FACETS: Mapping[str, tuple[str, ...]] = {
    "settlement": ("city", "countryside", "wilderness"),
    "ground": ("mountains", "farmland", "forest", "grassland", "desert"),
    "water": ("coast", "lake"),
    "climate": ("snow", "tropics"),
}
"""Attributes that exclude each other, by what they tell; those of ``REGION`` are in a table."""
REGION = "region"

URBAN_SHARE = 0.55
"""Of people living in towns and cities (UN, World Urbanization Prospects 2018)."""
URBAN_PEOPLE_PER_KM2, RURAL_PEOPLE_PER_KM2 = 5800.0, 26.0
"""4.2 thousand million people on the 0.5 % of land that MODIS sees built up, 3.4 on the rest."""
SPARSE_PEOPLE_PER_KM2 = 8.0
"""Below this density a region is sparsely populated (EU Treaty of Accession 1994, protocol 6)."""
MOUNTAIN_RELIEF_M = 1000.0
"""Relief at which most of a cell's views show slopes (UNEP-WCMC's mountains rise 300 m in 7 km)."""
WATER_SHARE = 0.05
"""Share of a cell under water or marsh at which its photos often show it."""
SNOW_LATITUDE, SNOW_BAND = 45.0, 15.0
"""Degrees: snow lies nearly every winter poleward of the band, rarely on its other side."""
DEGREES_PER_KM = 8.7
"""A kilometre up is as much colder (6.5 K) as so many degrees poleward (0.75 K each)."""
TROPIC_LATITUDE, TROPIC_BAND = 23.44, 2.0
DRY_LATITUDE, DRY_BAND = 50.0, 5.0
"""Bare ground and open shrubs are desert equatorward of this, tundra poleward."""

_WATER, _WETLAND, _URBAN, _ICE, _BARREN = 0, 11, 13, 15, 16
_FOREST, _GRASS, _CROPS = slice(1, 6), slice(9, 11), (12, 14)
_OPEN_SHRUB, _WOODY_SAVANNA = 7, 8


def attribute_maps() -> dict[str, dict[str, Float64Array]]:
    """By facet and attribute: p(attribute | cell), float64 [N] in [0, 1], over ``earth()``."""
    grid = earth()
    maps = {**_settlement(grid), **_ground(grid), **_water(grid), **_climate(grid)}
    facets = {facet: {name: maps[name] for name in names} for facet, names in FACETS.items()}
    return {**facets, REGION: _regions(grid)}


def _settlement(grid: EarthGrid) -> dict[str, Float64Array]:
    density = grid.population.astype(np.float64) / (grid.cells.area_km2 * grid.land)
    # MODIS's pixels of 5 km miss most towns: there the people tell how much is built up.
    towns = URBAN_SHARE * density / URBAN_PEOPLE_PER_KM2
    built_up = np.clip(np.maximum(grid.cover[:, _URBAN], towns), 0.0, 1.0)
    attraction = (URBAN_PEOPLE_PER_KM2 / RURAL_PEOPLE_PER_KM2) ** PRIOR_EXPONENT
    city = attraction * built_up / (attraction * built_up + 1.0 - built_up)
    settled = density / (density + SPARSE_PEOPLE_PER_KM2)
    return {
        "city": city,
        "countryside": (1.0 - city) * settled,
        "wilderness": (1.0 - city) * (1.0 - settled),
    }


def _ground(grid: EarthGrid) -> dict[str, Float64Array]:
    cover = grid.cover.astype(np.float64)
    return {
        "mountains": 1.0 - np.exp(-grid.relief_m.astype(np.float64) / MOUNTAIN_RELIEF_M),
        "farmland": cover[:, list(_CROPS)].sum(axis=1),
        "forest": cover[:, _FOREST].sum(axis=1) + 0.5 * cover[:, _WOODY_SAVANNA],
        "grassland": cover[:, _GRASS].sum(axis=1),
        "desert": _desert(grid),
    }


def _water(grid: EarthGrid) -> dict[str, Float64Array]:
    wet = (grid.cover[:, _WATER] + grid.cover[:, _WETLAND]).astype(np.float64)
    return {"coast": grid.shore.astype(np.float64), "lake": 1.0 - np.exp(-wet / WATER_SHARE)}


def _climate(grid: EarthGrid) -> dict[str, Float64Array]:
    latitude = np.abs(grid.cells.latlon[:, 0])
    cold = latitude + DEGREES_PER_KM * grid.elevation_m / 1000.0
    hot = 1.0 - _step(latitude - TROPIC_LATITUDE, TROPIC_BAND)
    return {
        "snow": np.maximum(_step(cold - SNOW_LATITUDE, SNOW_BAND), grid.cover[:, _ICE]),
        "tropics": hot * (1.0 - _desert(grid)),
    }


def _desert(grid: EarthGrid) -> Float64Array:
    bare = grid.cover[:, _BARREN].astype(np.float64) + 0.5 * grid.cover[:, _OPEN_SHRUB]
    poleward = _step(np.abs(grid.cells.latlon[:, 0]) - DRY_LATITUDE, DRY_BAND)
    return np.asarray((1.0 - poleward) * bare, dtype=np.float64)


def _regions(grid: EarthGrid) -> dict[str, Float64Array]:
    codes = grid.country_codes()
    table = resources.files(__package__).joinpath("data", "attribute_countries.csv")
    with table.open("r", encoding="utf-8") as lines:
        return {
            row["attribute"]: np.isin(codes, row["countries"].split()).astype(np.float64)
            for row in csv.DictReader(lines)
        }


def _step(x: Float64Array, width: float) -> Float64Array:
    """A smooth step from 0 to 1 around x = 0."""
    return np.asarray(1.0 / (1.0 + np.exp(-4.0 * x / width)), dtype=np.float64)
