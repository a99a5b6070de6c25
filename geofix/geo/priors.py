"""What the map holds in each S2 cell of level 6 that touches land.

Sources: land from NOAA GLOBE's 30" mask; land cover from NASA's MCD12C1 (2019, IGBP classes,
0.05°); elevation from NOAA's ETOPO5; people from GeoNames. There is no census raster behind the
population: each place's people are spread around it by a Gaussian, and the rest of a country's
people are spread over its land by how habitable its land cover is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from geofix.geo.cells import CellGrid
from geofix.geo.coordinates import Float64Array
from geofix.geo.tables import classified, table

Float32Array = npt.NDArray[np.float32]
Int16Array = npt.NDArray[np.int16]

IGBP: tuple[str, ...] = (
    "water",
    "evergreen needleleaf forest",
    "evergreen broadleaf forest",
    "deciduous needleleaf forest",
    "deciduous broadleaf forest",
    "mixed forest",
    "closed shrubland",
    "open shrubland",
    "woody savanna",
    "savanna",
    "grassland",
    "permanent wetland",
    "cropland",
    "urban and built-up",
    "cropland and natural vegetation mosaic",
    "permanent snow and ice",
    "barren",
)
"""The columns of ``EarthGrid.cover``: the land-cover classes of the IGBP, in MODIS's order."""

PRIOR_EXPONENT = 0.5
"""Photos grow more slowly than people: twice the people, 1.4 times the photos."""
PRIOR_FLOOR_PER_KM2 = 0.5
"""People per km² that empty land counts as, so that no land is impossible."""


@dataclass(frozen=True, slots=True, eq=False)
class EarthGrid:
    """Facts of the cells that touch land; every array is in the order of ``cells``."""

    cells: CellGrid
    land: Float32Array
    """float32 [N]: share of the cell's area that is land, lakes included; above 0."""
    cover: Float32Array
    """float32 [N, 17]: share of the cell's area under each class of ``IGBP``; rows sum to 1."""
    population: Float32Array
    """float32 [N]: people, estimated as the module says."""
    coast_km: Float32Array
    """float32 [N]: mean distance of the cell's land to the sea."""
    shore: Float32Array
    """float32 [N]: share of the cell's land that lies within 10 km of the sea."""
    elevation_m: Float32Array
    """float32 [N]: mean elevation of the cell's land."""
    relief_m: Float32Array
    """float32 [N]: the 95th less the 5th percentile of the elevation of the cell's land."""
    countries: tuple[str, ...]
    """ISO 3166-1 alpha-2 codes, ascending."""
    country: Int16Array
    """int16 [N]: index into ``countries`` of the country with most of the cell's land, or -1."""

    def __len__(self) -> int:
        return len(self.cells)

    def country_codes(self) -> npt.NDArray[np.str_]:
        """ISO alpha-2 [N] of the country with most of each cell's land; empty for none."""
        named: npt.NDArray[np.str_] = np.array([*self.countries, ""], dtype=np.str_)[self.country]
        return named

    def photo_prior(self) -> Float64Array:
        """float64 [N], sums to 1: where a photo is taken when nothing is known of it.

        Land area times the square root of the density of people, with a floor: a cell's share
        grows with its land and its people, and a desert is unlikely but never excluded.
        """
        land_km2 = self.cells.area_km2 * self.land
        density = self.population / np.maximum(land_km2, 1.0)
        weight = land_km2 * (density + PRIOR_FLOOR_PER_KM2) ** PRIOR_EXPONENT
        return np.asarray(weight / weight.sum(), dtype=np.float64)


@cache
def earth() -> EarthGrid:
    """The grid, loaded once. Its arrays are read-only."""
    rows = table("earth")
    numbers, codes = classified(rows, "country")
    known = tuple(sorted(set(codes) - {""}))
    index = np.array([known.index(code) if code else -1 for code in codes], dtype=np.int16)
    cover = np.stack([_column(rows, f"cover_{k}") for k in range(len(IGBP))], axis=1)
    grid = EarthGrid(
        cells=CellGrid.of(rows["id"].to_numpy()),
        land=_column(rows, "land"),
        cover=cover / cover.sum(axis=1, keepdims=True),
        population=_column(rows, "population"),
        coast_km=_column(rows, "coast_km"),
        shore=_column(rows, "shore"),
        elevation_m=_column(rows, "elevation_m"),
        relief_m=_column(rows, "relief_m"),
        countries=known,
        country=index[numbers],
    )
    shared = grid.cells
    for array in (
        grid.cover,
        grid.country,
        shared.ids,
        shared.latlon,
        shared.unit,
        shared.area_km2,
    ):
        array.flags.writeable = False
    return grid


@cache
def cell_countries() -> npt.NDArray[np.str_]:
    """``EarthGrid.country_codes`` of the grid."""
    return earth().country_codes()


@cache
def photo_prior() -> Float64Array:
    """``EarthGrid.photo_prior`` of the grid; read-only."""
    shares = earth().photo_prior()
    shares.flags.writeable = False
    return shares


def _column(rows: pa.Table, name: str) -> Float32Array:
    return np.asarray(rows[name].to_numpy(), dtype=np.float32)
