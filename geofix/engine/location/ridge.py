"""Ridge regression in closed form, from sums that make leaving points out cheap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from geofix.engine.types import Float32Array, Float64Array, Int64Array

FOLDS = 10
"""Points are left out in as many groups, where they have more labels."""
_BLOCK = 4096


class Sums(NamedTuple):
    """What ridge regression needs to know of points; sums of parts are those of the whole."""

    points: int
    x: Float64Array
    y: Float64Array
    xx: Float64Array
    xy: Float64Array

    @classmethod
    def of(cls, images: Float32Array, locations: Float32Array) -> Sums:
        """The sums of points with image vectors [N, D] and location vectors [N, L]."""
        n, d, k = len(images), images.shape[1], locations.shape[1]
        xx, xy = np.zeros((d, d)), np.zeros((d, k))
        for start in range(0, n, _BLOCK):
            x = images[start : start + _BLOCK].astype(np.float64)
            xx += x.T @ x
            xy += x.T @ locations[start : start + _BLOCK]
        x_sum, y_sum = (v.sum(axis=0, dtype=np.float64) for v in (images, locations))
        return cls(n, x_sum, y_sum, xx, xy)

    def without(self, part: Sums) -> Sums:
        """The sums of the other points."""
        return Sums(
            self.points - part.points,
            self.x - part.x,
            self.y - part.y,
            self.xx - part.xx,
            self.xy - part.xy,
        )


def total(sums: Sequence[Sums]) -> Sums:
    """The sums of all parts together."""
    return Sums(
        sum(one.points for one in sums),
        np.sum([one.x for one in sums], axis=0),
        np.sum([one.y for one in sums], axis=0),
        np.sum([one.xx for one in sums], axis=0),
        np.sum([one.xy for one in sums], axis=0),
    )


class Map(NamedTuple):
    """A linear map between centred vectors."""

    weights: Float64Array
    image_mean: Float64Array
    location_mean: Float64Array

    def __call__(self, images: Float32Array) -> Float64Array:
        crossed: Float64Array = (images - self.image_mean) @ self.weights + self.location_mean
        return crossed


def solve(sums: Sums, strengths: Sequence[float]) -> list[Map]:
    """One map for each strength; several from a single eigendecomposition.

    The ridge is λ = strength · mean eigenvalue of the covariance, whatever the scale of vectors.
    """
    x_mean, y_mean = sums.x / sums.points, sums.y / sums.points
    covariance = sums.xx - np.outer(sums.x, x_mean)
    crossed = sums.xy - np.outer(sums.x, y_mean)
    scale = max(float(np.trace(covariance)) / len(covariance), 1e-12)
    if len(strengths) == 1:
        ridge = strengths[0] * scale * np.eye(len(covariance))
        weights: Float64Array = np.linalg.solve(covariance + ridge, crossed).astype(np.float64)
        return [Map(weights, x_mean, y_mean)]
    values, vectors = np.linalg.eigh(covariance)
    values, turned = np.maximum(values, 0.0), vectors.T @ crossed
    return [
        Map(vectors @ (turned / (values + s * scale)[:, None]), x_mean, y_mean) for s in strengths
    ]


def groups(labels: Sequence[str]) -> Int64Array:
    """Group number [N] of each point: labels stay whole and are dealt out by size."""
    unique, member, size = np.unique(np.array(labels), return_inverse=True, return_counts=True)
    count = min(FOLDS, len(unique))
    load_of = np.zeros(count)
    group = np.zeros(len(unique), dtype=np.int64)
    for name in np.argsort(-size, kind="stable"):
        group[name] = int(np.argmin(load_of))
        load_of[group[name]] += size[name]
    dealt: Int64Array = group[member]
    return dealt
