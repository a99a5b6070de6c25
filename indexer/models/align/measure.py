"""How well photos of places that were never trained on find them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from geofix.geo.cells import UInt64Array

LIMIT = 10_000
"""Photos measured at most: all of them are compared with each other."""
ROWS = 500


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Held-out photos searching for their cell among the held-out positions."""

    photos: int
    cells: int
    recall_1: float
    """Share whose best position lies in their own cell."""
    chance_recall_1: float
    """The same for positions in random order."""
    percentile: float
    """Mean share of the other cells' positions that a photo's own one outranks; chance is 0.5."""


def retrieval(photos: Tensor, places: Tensor, cells: UInt64Array) -> Retrieval:
    """Of unit vectors [n, 512] of photos and their positions, in ``cells`` [n] (two or more)."""
    step = -(-len(cells) // LIMIT)
    photos, places, cells = photos[::step], places[::step], cells[::step]
    hits = ranks = 0.0
    for start in range(0, len(cells), ROWS):
        rows = slice(start, start + ROWS)
        scores = (photos[rows] @ places.T).numpy()
        own = scores[np.arange(len(scores)), np.arange(start, start + len(scores))][:, None]
        others = cells[rows, None] != cells
        outranked = (scores < own) + 0.5 * (scores == own)
        ranks += float((outranked.sum(axis=1, where=others) / others.sum(axis=1)).sum())
        hits += float((cells[scores.argmax(axis=1)] == cells[rows]).sum())
    _, sizes = np.unique(cells, return_counts=True)
    return Retrieval(
        photos=len(cells),
        cells=len(sizes),
        recall_1=hits / len(cells),
        chance_recall_1=float((sizes / len(cells)) @ (sizes / len(cells))),
        percentile=ranks / len(cells),
    )
