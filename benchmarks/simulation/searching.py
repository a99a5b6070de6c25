"""Recall versus area (RvA) on the simulation: how much land a map makes one search.

Both maps are laid over the same S2 cells of level 8, about 1 300 km² each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from benchmarks.simulation.photos import Photos
from benchmarks.simulation.world import World
from geofix.engine import kernels, location_map, published
from geofix.engine.posterior import Posterior
from geofix.engine.types import Float64Array, Int64Array
from geofix.geo import cells
from geofix.geo.coordinates import from_unit, to_unit
from geofix.geo.priors import earth

LEVEL = 8
_REFINED = 40
"""Coarse cells that are laid out finely; the truth seldom lies in another and is then far off."""
_NARROW_KM = 40.0
"""Kernels narrower than this lie within a few fine cells: they are sampled, others evaluated."""


@dataclass(frozen=True, slots=True)
class _Land:
    """The cells of ``earth()``, each cut into 16."""

    ids: npt.NDArray[np.uint64]
    """[N, 16], ascending within a row."""
    unit: Float64Array
    """[N, 16, 3]."""
    area_km2: Float64Array
    """[N, 16]."""


@lru_cache(maxsize=1)
def _land() -> _Land:
    land = earth().cells
    ids = land.ids
    for level in range(land.level, LEVEL):
        ids = cells.children(ids, level + 1)
    grid = cells.CellGrid.of(ids)
    shape = (len(land), len(ids) // len(land))
    return _Land(
        grid.ids.reshape(shape), grid.unit.reshape(*shape, 3), grid.area_km2.reshape(shape)
    )


def area_km2(said: Posterior, truth: Float64Array) -> float:
    """km² searched, by falling density of a posterior, before the cell of ``truth`` is found."""
    grid = earth().cells
    home = int(location_map.nearest_cells(truth[None])[0])
    prior = said.background
    flat = np.bincount(prior.cell, prior.mass, len(grid)) / grid.area_km2
    k = said.kernels
    heavy = np.argsort(-k.mass, kind="stable")[:48]
    rings = kernels.samples(k.unit[k.candidate[heavy]], k.width_km[heavy])
    leaf = cells.cell_ids(from_unit(rings.reshape(-1, 3)), cells.MAX_LEVEL)
    mass = np.repeat(k.mass[heavy] / kernels.RINGS, kernels.RINGS)
    at = grid.find(cells.parents(leaf, grid.level))
    ashore = at >= 0
    density = flat + np.bincount(at[ashore], mass[ashore], len(grid)) / grid.area_km2
    rows = np.argsort(-density, kind="stable")[:_REFINED]
    if home not in rows:
        return float(grid.area_km2[density >= density[home]].sum())
    land = _land()
    ids, area = land.ids[rows].ravel(), land.area_km2[rows].ravel()
    wide = k.width_km >= _NARROW_KM
    apart = k.distance_km(land.unit[rows].reshape(-1, 3), np.flatnonzero(wide))
    fine = np.repeat(flat[rows], land.ids.shape[1])
    fine += kernels.density(apart, k.width_km[wide]) @ k.mass[wide]
    narrow = np.repeat(~wide[heavy], kernels.RINGS)
    order = np.argsort(ids)
    fine_id = cells.parents(leaf[narrow], LEVEL)
    place = order[np.minimum(np.searchsorted(ids[order], fine_id), len(ids) - 1)]
    inside = ids[place] == fine_id
    fine += np.bincount(place[inside], mass[narrow][inside], len(ids)) / area
    there = np.flatnonzero(rows == home)[0] * land.ids.shape[1] + _child(home, truth)
    return float(area[fine >= fine[there]].sum())


def geoclip_areas_km2(seen: Photos, world: World, batch: int = 200) -> Float64Array:
    """The same [P] for GeoCLIP's softmax over the gallery."""
    land = _land()
    vectors, cell = world.gallery_vectors(), _fine_cells(world.gallery_latlon)
    order = np.argsort(cell, kind="stable")
    vectors, starts = vectors[order], np.flatnonzero(np.diff(cell[order], prepend=-1))
    held = cell[order][starts]
    area = land.area_km2.ravel()
    truth = _fine_cells(seen.truth)
    areas = np.empty(len(truth))
    for rows in np.array_split(np.arange(len(truth)), max(len(truth) // batch, 1)):
        shares = published.geoclip_probabilities(
            (seen.vectors[rows] @ vectors.T).astype(np.float64)
        )
        density = np.add.reduceat(shares, starts, axis=1) / area[held]
        for k, i in enumerate(rows):
            own = np.flatnonzero(held == truth[i])
            # A cell without gallery photos has no density: all land comes before or with it.
            areas[i] = (
                area[held][density[k] >= density[k, own[0]]].sum() if len(own) else area.sum()
            )
    return areas


def _child(cell: int, latlon: Float64Array) -> int:
    """Which of a coarse cell's children is nearest to a position."""
    return int(np.argmax(_land().unit[cell] @ to_unit(latlon)))


def _fine_cells(latlon: Float64Array) -> Int64Array:
    """Index [n] into the flattened fine cells."""
    coarse = location_map.nearest_cells(latlon)
    children = [_child(int(c), at) for c, at in zip(coarse, latlon, strict=True)]
    fine: Int64Array = coarse * _land().ids.shape[1] + np.array(children, dtype=np.int64)
    return fine
