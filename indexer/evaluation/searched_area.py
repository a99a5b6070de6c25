"""How much land a posterior makes one search before the truth is found (RvA's area).

Land is cut into S2 cells of level 8, about 1 300 km² each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from geofix.engine.choosing import kernels
from geofix.engine.choosing.posterior import Kernels, Posterior
from geofix.engine.location import location_map
from geofix.engine.types import Float64Array, Int64Array
from geofix.geo import cells
from geofix.geo.coordinates import from_unit, to_unit
from geofix.geo.priors import earth

LEVEL = 8
_REFINED = 40
"""Coarse cells that are laid out finely; the truth seldom lies in another and is then far off."""
_HEAVY = 48
"""Kernels that are laid out."""
_NARROW_KM = 40.0
"""Kernels narrower than this lie within a few fine cells: they are sampled, others evaluated."""


@dataclass(frozen=True, slots=True)
class Land:
    """The cells of ``earth()``, each cut into 16."""

    ids: npt.NDArray[np.uint64]
    """[N, 16], ascending within a row."""
    unit: Float64Array
    """[N, 16, 3]."""
    area_km2: Float64Array
    """[N, 16]."""


@lru_cache(maxsize=1)
def land() -> Land:
    """The land of the whole Earth, cut once."""
    grid = earth().cells
    ids = grid.ids
    for level in range(grid.level, LEVEL):
        ids = cells.children(ids, level + 1)
    fine = cells.CellGrid.of(ids)
    shape = (len(grid), len(ids) // len(grid))
    return Land(fine.ids.reshape(shape), fine.unit.reshape(*shape, 3), fine.area_km2.reshape(shape))


def area_km2(said: Posterior, truth: Float64Array) -> float:
    """km² searched, by falling density of a posterior, before the cell of ``truth`` is found.

    The likeliest cells of ``earth()`` are cut finely; elsewhere they are searched as a whole.
    """
    grid = earth().cells
    home = int(location_map.nearest_cells(truth[None])[0])
    flat = np.bincount(said.background.cell, said.background.mass, len(grid)) / grid.area_km2
    rings = _Rings.of(said.kernels)
    at = grid.find(cells.parents(rings.leaf, grid.level))
    ashore = at >= 0
    density = flat + np.bincount(at[ashore], rings.mass[ashore], len(grid)) / grid.area_km2
    rows = np.argsort(-density, kind="stable")[:_REFINED]
    if home not in rows:
        return float(grid.area_km2[density >= density[home]].sum())
    fine, area = _laid_out_finely(said.kernels, rings, flat, rows), land().area_km2[rows].ravel()
    there = np.flatnonzero(rows == home)[0] * land().ids.shape[1] + _child(home, truth)
    return float(area[fine >= fine[there]].sum())


@dataclass(frozen=True, slots=True)
class _Rings:
    """The heaviest kernels as points of equal mass."""

    kernel: Int64Array
    """[R], which kernel each belongs to."""
    leaf: npt.NDArray[np.uint64]
    """[R], the S2 leaf cell each lies in."""
    mass: Float64Array
    """[R]."""

    @classmethod
    def of(cls, k: Kernels) -> _Rings:
        heavy = np.argsort(-k.mass, kind="stable")[:_HEAVY]
        points = kernels.samples(k.unit[k.candidate[heavy]], k.width_km[heavy])
        leaf = cells.cell_ids(from_unit(points.reshape(-1, 3)), cells.MAX_LEVEL)
        kernel = np.repeat(heavy, kernels.RINGS).astype(np.int64)
        return cls(kernel, leaf, k.mass[kernel] / kernels.RINGS)


def _laid_out_finely(
    k: Kernels, rings: _Rings, flat: Float64Array, rows: Int64Array
) -> Float64Array:
    """Density [len(rows)·16] of the fine cells of some coarse ones.

    ``flat`` [N] is the background's. Wide kernels are evaluated at the cells' centres, narrow ones
    counted by their rings.
    """
    unit, ids = land().unit[rows].reshape(-1, 3), land().ids[rows].ravel()
    wide = k.width_km >= _NARROW_KM
    apart = k.distance_km(unit, np.flatnonzero(wide))
    density = np.repeat(flat[rows], land().ids.shape[1])
    density += kernels.density(apart, k.width_km[wide]) @ k.mass[wide]
    narrow = ~wide[rings.kernel]
    leaf, mass = cells.parents(rings.leaf[narrow], LEVEL), rings.mass[narrow]
    order = np.argsort(ids)
    place = order[np.minimum(np.searchsorted(ids[order], leaf), len(ids) - 1)]
    inside = ids[place] == leaf
    held = np.bincount(place[inside], mass[inside], len(ids))
    fine: Float64Array = density + held / land().area_km2[rows].ravel()
    return fine


def _child(cell: int, latlon: Float64Array) -> int:
    """Which of a coarse cell's children is nearest to a position."""
    return int(np.argmax(land().unit[cell] @ to_unit(latlon)))


def fine_cells(latlon: Float64Array) -> Int64Array:
    """Index [n] into the flattened fine cells."""
    coarse = location_map.nearest_cells(latlon)
    children = [_child(int(c), at) for c, at in zip(coarse, latlon, strict=True)]
    fine: Int64Array = coarse * land().ids.shape[1] + np.array(children, dtype=np.int64)
    return fine
