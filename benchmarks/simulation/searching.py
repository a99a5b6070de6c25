"""Recall versus area (RvA) on the simulation: how much land GeoCLIP's softmax makes one search."""

from __future__ import annotations

import numpy as np

from benchmarks.simulation.photos import Photos
from benchmarks.simulation.world import World
from geofix.engine.choosing import published
from geofix.engine.types import Float64Array
from indexer.evaluation.searched_area import fine_cells, land


def geoclip_areas_km2(seen: Photos, world: World, batch: int = 200) -> Float64Array:
    """km² searched [P], by falling density of GeoCLIP's softmax, before each truth is found.

    Land is cut as in ``searched_area``.
    """
    whole = land()
    vectors, cell = world.gallery_vectors(), fine_cells(world.gallery_latlon)
    order = np.argsort(cell, kind="stable")
    vectors, starts = vectors[order], np.flatnonzero(np.diff(cell[order], prepend=-1))
    held = cell[order][starts]
    area = whole.area_km2.ravel()
    truth = fine_cells(seen.truth)
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
