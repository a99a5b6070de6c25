"""Recall versus area (RvA): how many km² are searched before the truth is found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geofix.engine.types import Float64Array
from indexer.evaluation.metrics.arrays import Curve, IntArray, of_photos


def areas_to_truth(
    density: npt.ArrayLike, areas_km2: npt.ArrayLike, cells: IntArray
) -> Float64Array:
    """The km² searched before each truth is found, float64 [P] (RvA's area).

    Cells are searched by falling ``density`` [P, C] until the true cell (``cells`` [P]) is in;
    ``areas_km2`` is [C]. Cells tied with the true one all count: ties do not help.
    """
    scores = np.atleast_2d(np.asarray(density, dtype=np.float64))
    truth = scores[np.arange(len(scores)), np.asarray(cells)]
    return np.asarray((scores >= truth[:, None]) @ np.asarray(areas_km2, dtype=np.float64))


def recall_versus_area(areas: npt.ArrayLike) -> Curve:
    """RvA: share of photos (y) whose truth is found within x km²; ``areas`` [P]."""
    ordered = np.sort(of_photos(areas))
    return Curve(x=ordered, y=np.arange(1, len(ordered) + 1) / len(ordered))


def area_at_recall(areas: npt.ArrayLike, recall: float = 0.5) -> float:
    """The smallest km² within which ``recall`` of the truths are found; ``areas`` [P]."""
    ordered = np.sort(of_photos(areas))
    needed = int(np.ceil(recall * len(ordered) - 1e-9))
    return float(ordered[max(needed, 1) - 1])
