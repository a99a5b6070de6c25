"""How far answers are from the truth; distances and radii are km."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geofix.engine.types import GEOSCORE_KM, LEVELS_KM, Float64Array
from indexer.evaluation.metrics.arrays import of_photos


def accuracy(distances: npt.ArrayLike, levels: tuple[float, ...] = LEVELS_KM) -> dict[float, float]:
    """Acc@k: the share of ``distances`` [P] at most k km, for every k of ``levels``."""
    d = of_photos(distances)
    return {level: float(np.mean(d <= level)) for level in levels}


def geo_score(distances: npt.ArrayLike) -> Float64Array:
    """5000·exp(-d / 1492.7 km) of each distance; 5000 is a perfect answer."""
    return np.asarray(
        5000.0 * np.exp(-np.asarray(distances, dtype=np.float64) / GEOSCORE_KM),
        dtype=np.float64,
    )


def coverage(distances: npt.ArrayLike, radii: npt.ArrayLike) -> float:
    """Share of photos whose truth lies within the radius given with the answer, both [P]."""
    return float(np.mean(of_photos(distances) <= of_photos(radii)))
