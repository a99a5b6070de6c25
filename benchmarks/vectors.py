"""Vectors and positions that benchmarks of galleries share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from geofix.engine.types import Float32Array, Float64Array

_CHUNK = 50_000
_PLACES = Path(__file__).parents[1] / "geofix" / "geo" / "data" / "places.parquet"
_UNITS = 1e5
"""Of a degree, in that table."""


def clustered(count: int, dimension: int) -> Float32Array:
    """float32 [count, dimension]: 2000 clusters in a space of 64 dimensions, turned at random.

    Embeddings are clustered and of low rank; uniform noise would make any graph look bad.
    """
    rng = np.random.default_rng(0)
    rank = min(64, dimension)
    turn = rng.normal(size=(rank, dimension)).astype(np.float32)
    centres = rng.normal(size=(2000, rank))
    out = np.empty((count, dimension), dtype=np.float32)
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        low = centres[rng.integers(2000, size=size)] + 0.5 * rng.normal(size=(size, rank))
        rows = low.astype(np.float32) @ turn
        out[start : start + size] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return out


def scattered(count: int) -> Float64Array:
    """float64 [count, 2]: positions in degrees, evenly over the Earth."""
    rng = np.random.default_rng(1)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    return np.stack([lat, rng.uniform(-180, 180, count)], axis=1)


def places(count: int) -> Float64Array:
    """float64 [count, 2]: different places of the gazetteer in degrees, in a random order."""
    table = pq.read_table(_PLACES, columns=["lat", "lon"])
    columns = [table.column(name).to_numpy() for name in ("lat", "lon")]
    latlon = np.unique(np.stack(columns, axis=1), axis=0)
    np.random.default_rng(0).shuffle(latlon)
    return np.asarray(latlon[:count] / _UNITS, dtype=np.float64)
