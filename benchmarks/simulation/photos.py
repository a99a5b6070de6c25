"""Simulated photos: query vectors in location space, and what a gallery returns for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.simulation.world import World, unit
from geofix.engine.types import Float32Array, Float64Array, Int64Array
from geofix.geo.coordinates import haversine_km

CONFUSER_KM = 1000.0


@dataclass(frozen=True, slots=True)
class Fading:
    """How a photo's vector differs from its place's.

    Found by search so that GeoCLIP's rule gives about 14/34/50/70/84 % within
    1/25/200/750/2500 km. A factor is the logistic of a normal variable.
    """

    middle_mean: float = 0.15
    """Of the σ = 16 capsule (wavelength about 1 250 km), before the logistic."""
    middle_spread: float = 1.57
    fine_mean: float = -1.8
    """Of the σ = 256 capsule (wavelength about 78 km)."""
    fine_spread: float = 3.5
    noise: float = 2.15
    """Length of an isotropic Gaussian vector added to the faded vector of length 1."""
    confused: float = 0.05
    """Share of photos that also show something of another place, more than 1000 km away."""
    confuser: float = 1.5
    """Length of the other place's vector."""

    def factors(self, normal: Float64Array) -> Float64Array:
        """Fading factors [n, 3] of the capsules from standard normal draws [n, 2]."""
        middle = self.middle_mean + self.middle_spread * normal[:, 0]
        fine = self.fine_mean + self.fine_spread * normal[:, 1]
        return np.stack(
            [np.ones(len(normal)), 1.0 / (1.0 + np.exp(-middle)), 1.0 / (1.0 + np.exp(-fine))],
            axis=1,
        )


@dataclass(frozen=True, slots=True)
class Photos:
    """Simulated photos and their nearest gallery places."""

    truth: Float64Array
    """[P, 2] degrees."""
    vectors: Float32Array
    """[P, 512], L2-normalised."""
    neighbours: Int64Array
    """[P, k] positions in the gallery, most similar first."""
    similarities: Float64Array
    """[P, k] cosines."""


def simulate(
    world: World, rows: Int64Array, fading: Fading, neighbours: int = 50, seed: int = 0
) -> Photos:
    """Photos taken at the places ``rows``."""
    rng = np.random.default_rng(seed)
    n = len(rows)
    factors = fading.factors(rng.standard_normal((n, 2))).astype(np.float32)
    vectors = unit(np.einsum("pk,kpd->pd", factors, world.capsules[:, rows]))
    noise = rng.standard_normal(vectors.shape) * (fading.noise / np.sqrt(vectors.shape[1]))
    vectors = vectors + noise.astype(np.float32)
    gallery = world.gallery_vectors()
    confused = np.flatnonzero(rng.random(n) < fading.confused)
    other = _far_places(world, rows[confused], rng)
    vectors[confused] += np.float32(fading.confuser) * unit(world.capsules[:, other].sum(axis=0))
    vectors = unit(vectors)
    found, similarities = _search(vectors, gallery, neighbours)
    return Photos(world.latlon[rows], vectors, found, similarities)


def _far_places(world: World, rows: Int64Array, rng: np.random.Generator) -> Int64Array:
    """For each row a place of the gallery more than 1000 km away."""
    other = rng.choice(world.gallery, size=len(rows))
    while True:
        near = haversine_km(world.latlon[rows], world.latlon[other]) <= CONFUSER_KM
        if not near.any():
            return other
        other[near] = rng.choice(world.gallery, size=int(near.sum()))


def _search(
    vectors: Float32Array, gallery: Float32Array, k: int, batch: int = 250
) -> tuple[Int64Array, Float64Array]:
    found = np.empty((len(vectors), k), dtype=np.int64)
    best = np.empty((len(vectors), k))
    for start in range(0, len(vectors), batch):
        rows = slice(start, start + batch)
        similarity = vectors[rows] @ gallery.T
        top = np.argpartition(-similarity, k, axis=1)[:, :k]
        values = np.take_along_axis(similarity, top, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        found[rows] = np.take_along_axis(top, order, axis=1)
        best[rows] = np.take_along_axis(values, order, axis=1)
    return found, best
