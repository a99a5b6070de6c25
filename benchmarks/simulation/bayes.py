"""The Bayes rule of the simulation: the answer of greatest expected GeoScore under the process
that made the photos and the language model's answers.

No rule that sees the same inputs can have a greater expected GeoScore, but for three
approximations: the truth is looked for among the gallery's places and the generations (the prior
is the gallery's own density), the fading factors are summed over a grid of equally likely values,
and the place that a language model names and the place that confuses a photo are set to their
likeliest values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.simulation.language_model import SCATTER_KM, Habits
from benchmarks.simulation.photos import CONFUSER_KM, Fading, Photos
from benchmarks.simulation.world import World
from geofix.engine.types import GEOSCORE_KM, Float32Array, Float64Array, Int64Array
from geofix.geo.coordinates import EARTH_RADIUS_KM, to_unit

_COARSE_GRID = (3, 6)
_FINE_GRID = (8, 16)
_KEPT = 800
_ACTIONS = 300
_BATCH = 100
_DIMENSIONS = 512
_CLUSTER_KM = 10.0
_PLACE_KM = 3.0


@dataclass(frozen=True, slots=True)
class Best:
    """What the Bayes rule answers."""

    latlon: Float64Array
    """[P, 2] degrees."""
    within_25: Float64Array
    """[P]: its probability of being within 25 km."""


def answer(
    world: World,
    photos: Photos,
    pairs: Float64Array,
    capsules: Float32Array,
    fading: Fading,
    habits: Habits,
) -> Best:
    """The best answers, given query vectors, neighbours and generations.

    ``pairs`` [P, n, 2] are the language model's answers as written (NaN: none), ``capsules``
    [3, P, n, 512] those of the positions, any value where there is none.
    """
    rule = _Rule(world, fading, habits)
    latlon = np.empty_like(photos.truth)
    within = np.empty(len(photos.truth))
    for start in range(0, len(latlon), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(latlon)))
        for i, support, likelihood in rule.looks(photos, rows):
            latlon[i], within[i] = rule.choose(
                photos, i, support, likelihood, pairs[i], capsules[:, i]
            )
    return Best(latlon, within)


class _Rule:
    def __init__(self, world: World, fading: Fading, habits: Habits) -> None:
        self.latlon = world.gallery_latlon
        self.unit = to_unit(self.latlon)
        self.capsules = [np.ascontiguousarray(c[world.gallery]) for c in world.capsules]
        self.vectors = world.gallery_vectors()
        self.gram = _gram(np.stack(self.capsules))
        self.fading, self.habits = fading, habits
        self.coarse = _factors(fading, _COARSE_GRID)
        self.fine = _factors(fading, _FINE_GRID)
        self.noise = fading.noise**2 / _DIMENSIONS
        self.tree = cKDTree(self.unit)

    # --- the photo's vector -------------------------------------------------------------------

    def looks(
        self, photos: Photos, rows: Int64Array
    ) -> Iterator[tuple[int, Int64Array, Float64Array]]:
        """For each photo: its index, support [M] in the gallery, log-likelihoods [M]."""
        vectors = photos.vectors[rows]
        dots = np.stack([vectors @ c.T for c in self.capsules])
        other = self.vectors[photos.neighbours[rows, 0]]
        cross = np.stack([other @ c.T for c in self.capsules])
        plain = np.full(dots.shape[1:], -np.inf, dtype=np.float32)
        mixed = np.full_like(plain, -np.inf)
        for a in self.coarse.astype(np.float32):
            length = np.sqrt(self._squared(a, slice(None)))
            cosine = np.tensordot(a, dots, 1) / length
            np.maximum(plain, cosine, out=plain)
            shared = np.tensordot(a, cross, 1) / length
            # Of u + c·g the photo tells q·u, less what u and g have in common.
            gain = cosine - np.float32(self.fading.confuser / self._reach()) * shared
            np.maximum(mixed, gain, out=mixed)
        for k, i in enumerate(rows.tolist()):
            top = np.union1d(
                np.argpartition(-plain[k], _KEPT)[:_KEPT],
                np.argpartition(-mixed[k], _KEPT)[:_KEPT],
            )
            yield (
                i,
                top,
                self._log_likelihood(
                    photos, i, dots[:, k, top], cross[:, k, top], self.gram[:, top], self.unit[top]
                ),
            )

    def _reach(self) -> float:
        return float(np.sqrt(1.0 + self.fading.noise**2 + self.fading.confuser**2))

    def _squared(self, a: Float32Array, rows: slice) -> Float32Array:
        g = self.gram[:, rows]
        return _quadratic(a, g)

    def _log_likelihood(
        self,
        photos: Photos,
        i: int,
        dots: Float32Array,
        cross: Float32Array,
        gram: Float32Array,
        where: Float64Array,
    ) -> Float64Array:
        """Log-likelihoods [M] of places, from their capsules' products with the photo's vector,
        with the confuser's vector and with each other.
        """
        a = self.fine
        length = np.sqrt(np.stack([_quadratic(f, gram) for f in a], axis=1))
        cosine = (dots.T @ a.T) / length
        shared = (cross.T @ a.T) / length
        weight = self.fading.confuser
        first = float(photos.similarities[i, 0])
        plain = _mean(self._vector(cosine, np.ones_like(cosine)))
        both = _mean(self._vector(cosine + weight * first, 1.0 + weight**2 + 2 * weight * shared))
        slope = self._reach() * weight / self.noise
        alike = np.exp(slope * (photos.similarities[i] - first)).sum() / len(self.latlon)
        far = where @ self.unit[photos.neighbours[i, 0]] < np.cos(CONFUSER_KM / EARTH_RADIUS_KM)
        confused = np.where(far, both + np.log(self.fading.confused * alike), -np.inf)
        total: Float64Array = np.logaddexp(plain + np.log(1.0 - self.fading.confused), confused)
        return total

    def _vector(self, product: Float64Array, squared: Float64Array) -> Float64Array:
        """Log density of a direction q under a Gaussian around m, from q·m and m·m (Laplace)."""
        n, s = _DIMENSIONS - 1, self.noise
        r = (product + np.sqrt(product**2 + 4.0 * n * s)) / 2.0
        peak = n * np.log(r) - (r**2 - 2.0 * r * product + squared) / (2.0 * s)
        density: Float64Array = peak - 0.5 * np.log(n / r**2 + 1.0 / s)
        return density

    # --- the language model's answers ---------------------------------------------------------

    def choose(
        self,
        photos: Photos,
        i: int,
        support: Int64Array,
        likelihood: Float64Array,
        pairs: Float64Array,
        capsules: Float32Array,
    ) -> tuple[Float64Array, float]:
        read = np.isfinite(pairs[:, 0]) & (pairs != 0.0).any(axis=1)
        named = read & (np.abs(pairs[:, 0]) <= 90.0)
        vector = photos.vectors[i]
        latlon = np.concatenate([self.latlon[support], pairs[named]])
        where = to_unit(latlon)
        if named.any():
            own = capsules[:, named]
            products = np.einsum("kmd,d->km", own, vector)
            common = np.einsum("kmd,d->km", own, self.vectors[photos.neighbours[i, 0]])
            extra = self._log_likelihood(
                photos, i, products, common, _gram(own), where[len(support) :]
            )
            likelihood = np.concatenate([likelihood, extra + self._log_rows(pairs[named])])
        weight = likelihood + self._generations(pairs[read], where)
        order = np.argsort(-weight, kind="stable")[:_ACTIONS]
        share = np.exp(weight[order] - weight[order[0]])
        share /= share.sum()
        apart = _apart(where[order], where[order])
        best = int(np.argmax(np.exp(-apart / GEOSCORE_KM) @ share))
        return latlon[order[best]], float(share[apart[best] <= 25.0].sum())

    def _log_rows(self, latlon: Float64Array) -> Float64Array:
        """How many rows of the gallery each generation stands for, as a log [n]."""
        where = to_unit(latlon)
        around = self.tree.query_ball_point(where, 25.0 / EARTH_RADIUS_KM, return_length=True)
        same = (_apart(where, where) <= 2 * _PLACE_KM).sum(axis=1)
        rows: Float64Array = np.log((around * (_PLACE_KM / 25.0) ** 2 + 0.05) / same)
        return rows

    def _generations(self, pairs: Float64Array, where: Float64Array) -> Float64Array:
        """Log-likelihood [M] of the generations for places ``where`` [M, 3]."""
        habits = self.habits
        if len(pairs) == 0:
            return np.zeros(len(where))
        malformed = habits.outliers + habits.swapped + habits.null_island + habits.unparsable
        plain = 1.0 - malformed
        legal = np.abs(pairs[:, 0]) <= 90.0
        given = to_unit(np.where(legal[:, None], pairs, 0.0))
        turned = to_unit(np.where((np.abs(pairs[:, 1]) <= 90.0)[:, None], pairs[:, ::-1], 0.0))
        anywhere = np.where(legal, self._density(given), 0.0) + 1e-12
        # Named: every answer near one place, itself near the photo.
        centre = self._named(given[legal]) if legal.any() else given[0]
        near = np.where(legal, _radial(_apart(given, centre[None])[:, 0], habits.digits_km), 0.0)
        back = _radial(_apart(turned, centre[None])[:, 0], habits.digits_km)
        agreeing = habits.outliers * anywhere + plain * near + habits.swapped * back
        place = _radial(_apart(where, centre[None])[:, 0], habits.place_km)
        area = np.pi * habits.digits_km**2 / len(pairs)
        is_named = np.log(agreeing).sum() + np.log(place * area + 1e-300)
        # Scattered: each answer new, or an earlier one again.
        earlier = np.tril(_radial(_apart(given, given), 1.6 * SCATTER_KM), -1).sum(axis=1)
        earlier = np.where(legal, earlier / np.maximum(np.arange(len(pairs)), 1), 0.0)
        fresh = plain * (1.0 - habits.repeated) * anywhere
        scattered = habits.outliers * anywhere + plain * habits.repeated * earlier
        scattered += fresh + habits.swapped * self._density(turned)
        is_scattered = np.log(scattered).sum()
        total: Float64Array = np.logaddexp(
            np.log(habits.nameable) + is_named, np.log(1.0 - habits.nameable) + is_scattered
        )
        return total

    def _named(self, given: Float64Array) -> Float64Array:
        """The place most generations agree on [3]."""
        apart = _apart(given, given)
        lead = int(np.argmax(_radial(apart, self.habits.digits_km).clip(max=1.0).sum(axis=1)))
        members = given[apart[lead] <= _CLUSTER_KM]
        mean = members.mean(axis=0)
        centre: Float64Array = mean / np.linalg.norm(mean)
        return centre

    def _density(self, where: Float64Array) -> Float64Array:
        """Probability per km² [n] of a place drawn from the gallery and scattered a little."""
        found = self.tree.query_ball_point(where, 60.0 / EARTH_RADIUS_KM)
        total = np.zeros(len(where))
        for k, rows in enumerate(found):
            if rows:
                apart = _apart(where[k : k + 1], self.unit[rows])[0]
                total[k] = _radial(apart, SCATTER_KM).sum()
        return total / len(self.unit)


def _factors(fading: Fading, grid: tuple[int, int]) -> Float64Array:
    """Equally likely fading factors [K, 3]: quantiles of both, crossed."""
    normal = NormalDist()
    quantiles = [[normal.inv_cdf((j + 0.5) / n) for j in range(n)] for n in grid]
    crossed = np.array([(a, b) for a in quantiles[0] for b in quantiles[1]])
    return fading.factors(crossed)


def _gram(capsules: Float32Array) -> Float32Array:
    """Products [6, N] of three capsules [3, N, D] with each other: 00, 11, 22, 01, 02, 12."""
    order = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    return np.stack([np.einsum("nd,nd->n", capsules[a], capsules[b]) for a, b in order])


def _quadratic(a: Float64Array | Float32Array, gram: Float32Array) -> Float32Array:
    squared: Float32Array = (
        a[0] ** 2 * gram[0]
        + a[1] ** 2 * gram[1]
        + a[2] ** 2 * gram[2]
        + 2.0 * (a[0] * a[1] * gram[3] + a[0] * a[2] * gram[4] + a[1] * a[2] * gram[5])
    )
    return squared


def _mean(log_values: Float64Array) -> Float64Array:
    """Log of the mean of exp over the last axis."""
    peak = log_values.max(axis=-1)
    mean: Float64Array = peak + np.log(np.exp(log_values - peak[..., None]).mean(axis=-1))
    return mean


def _apart(a: Float64Array, b: Float64Array) -> Float64Array:
    """Distances in km [M, N] between unit vectors."""
    km: Float64Array = EARTH_RADIUS_KM * np.arccos(np.clip(a @ b.T, -1.0, 1.0))
    return km


def _radial(distance_km: Float64Array, median_km: float) -> Float64Array:
    """Density per km² at a distance whose length is log-normal (σ 1), in any direction."""
    d = np.maximum(distance_km, 0.02 * median_km)
    log = np.log(d / median_km)
    density: Float64Array = np.exp(-0.5 * log**2) / (np.sqrt(2.0 * np.pi) * d * 2.0 * np.pi * d)
    return density
