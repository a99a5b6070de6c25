"""One distribution over the Earth, and the answer drawn from it.

Candidates are kernels, everything else is a background over the land cells of
``geofix.geo.priors``; both are weighed by what the clues say of countries and cells (log-linear
pooling). The answer is the point of greatest expected GeoScore, 5000·exp(−d / 1492.7 km), among
the candidates and the likeliest cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from geofix.engine.choosing import kernels
from geofix.engine.types import GEOSCORE_KM, Float64Array, Int64Array
from geofix.geo.coordinates import EARTH_RADIUS_KM, apart_km, from_unit, to_unit

_RADII_KM: Float64Array = np.concatenate([[0.0], np.geomspace(0.05, np.pi * EARTH_RADIUS_KM, 48)])
_KERNELS_KEPT = 48
"""Kernels that get a shape; lighter ones count as points in the answer's expected score."""
_CANDIDATES_TRIED = 48
_CELLS_TRIED = 24
_NEGLIGIBLE = 1e-6
"""Mass of a kernel or coarse cell that the expected score can do without."""
_COARSE_SPREAD_KM = 150.0
"""How far the mass of a coarse cell lies from its centre of mass."""
_CLIMBERS = 6
_STEPS = 4
_WORTH_MOVING = 1e-3
"""A point between the candidates must promise this much more than the best of them."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """Weighted candidates, each with one kernel for every scale on which it may be right."""

    latlon: Float64Array
    """[c, 2] degrees, of the candidates."""
    unit: Float64Array
    """[c, 3]."""
    width_km: Float64Array
    """[n]."""
    mass: Float64Array
    """[n], probability."""
    candidate: Int64Array
    """[n], the candidate that each belongs to."""

    def distance_km(
        self, points: Float64Array, which: Int64Array | slice = slice(None)
    ) -> Float64Array:
        """[M, k]: from unit vectors [M, 3] to the centres of the k kernels ``which``."""
        apart = apart_km(points, self.unit)
        return np.take(apart, self.candidate[which], axis=1)

    def by_candidate(self) -> Float64Array:
        """Probability of each candidate, its kernels together."""
        return np.asarray(np.bincount(self.candidate, self.mass), dtype=np.float64)

    def held_within(self, km: float) -> Float64Array:
        """Of each candidate's probability, what lies within so many km of it."""
        share = km**2 / (km**2 + self.width_km**2)
        return np.asarray(np.bincount(self.candidate, self.mass * share), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Background:
    """What is left when no candidate is right."""

    latlon: Float64Array
    """[N, 2] degrees, cell centres."""
    unit: Float64Array
    """[N, 3]."""
    radius_km: Float64Array
    """[N], of a disc with the cell's area."""
    mass: Float64Array
    """[N], probability."""
    cell: Int64Array
    """[N], the cell of ``geofix.geo.priors.earth()`` that each lies in."""
    codes: tuple[str, ...]
    """ISO alpha-2 of the countries of the cells; empty for the sea."""
    country: Int64Array
    """[N], index into ``codes``."""
    coarse: Float64Array
    """[C, 3]: centres of coarse cells, fixed."""
    parent: Int64Array
    """[N], the coarse cell of each cell, ascending."""
    coarse_score: Float64Array
    """[C, C]: exp(−d / 1492.7 km) between coarse cells."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """Kernels and background; their masses sum to 1."""

    kernels: Kernels
    background: Background

    def answer(self) -> Float64Array:
        """The point of greatest expected score, (lat, lon) in degrees."""
        cells = self._likely_cells()
        held = self.kernels.by_candidate()
        leading = np.argsort(-held, kind="stable")[:_CANDIDATES_TRIED]
        heavy = np.sort(leading)
        points = np.concatenate([self.kernels.unit[heavy], self.background.unit[cells]])
        latlon = np.concatenate([self.kernels.latlon[heavy], self.background.latlon[cells]])
        score = self.expected_score(points)
        best = int(np.argmax(score))
        moved = self._climb(points[np.argsort(-score, kind="stable")[:_CLIMBERS]])
        climbed = self.expected_score(moved)
        if climbed.max() > score[best] * (1.0 + _WORTH_MOVING):
            return from_unit(moved[int(np.argmax(climbed))])
        answer: Float64Array = latlon[best]
        return answer

    def _climb(self, points: Float64Array) -> Float64Array:
        """Points [M, 3] moved uphill in expected score, towards what they lie between.

        The step is Weiszfeld's for the geometric median, each mass weighed by the score's slope.
        """
        heavy = self._heavy()
        unit = self.kernels.unit[self.kernels.candidate[heavy]]
        width = self.kernels.width_km[heavy]
        for _ in range(_STEPS):
            away = apart_km(points, unit)
            blurred = np.sqrt(away**2 + width**2)
            pull = np.exp(-blurred / GEOSCORE_KM) / blurred * self.kernels.mass[heavy]
            towards = pull @ unit
            length = np.linalg.norm(towards, axis=1, keepdims=True)
            points = np.where(length > 0.0, towards / np.maximum(length, 1e-300), points)
        return points

    def expected_score(self, points: Float64Array) -> Float64Array:
        """Expected exp(−d / 1492.7 km) at unit vectors [M, 3] → [M]."""
        counts = np.flatnonzero(self.kernels.mass > _NEGLIGIBLE)
        away = self.kernels.distance_km(points, counts)
        # A kernel seen from afar is a point; seen from within, its own width is the distance.
        blurred = np.sqrt(away**2 + self.kernels.width_km[counts] ** 2)
        score = np.exp(-blurred / GEOSCORE_KM) @ self.kernels.mass[counts]
        centres, mass = self._coarse_masses()
        far = np.hypot(apart_km(points, centres), _COARSE_SPREAD_KM)
        total: Float64Array = score + np.exp(-far / GEOSCORE_KM) @ mass
        return total

    def _coarse_masses(self) -> tuple[Float64Array, Float64Array]:
        """Where in each coarse cell that counts the background's mass lies [K, 3], and it [K]."""
        behind = self.background
        n = len(behind.coarse)
        mass = np.asarray(np.bincount(behind.parent, behind.mass, n), dtype=np.float64)
        sums = [np.bincount(behind.parent, behind.mass * axis, n) for axis in behind.unit.T]
        towards = np.stack(sums, axis=1).astype(np.float64)
        length = np.linalg.norm(towards, axis=1, keepdims=True)
        inside = towards / np.maximum(length, 1e-300)
        counts = mass > _NEGLIGIBLE
        return np.where(length > 0.0, inside, behind.coarse)[counts], mass[counts]

    def profile(self, latlon: Float64Array) -> Profile:
        """How the mass lies around a point."""
        point = to_unit(latlon)[None, :]
        near = self.kernels.distance_km(point)[0]
        heavy = self._heavy()
        light = np.setdiff1d(np.arange(len(near)), heavy, assume_unique=True)
        mass = self.kernels.mass[heavy] @ kernels.mass_within(
            near[heavy], self.kernels.width_km[heavy], _RADII_KM
        )
        mass += self.kernels.mass[light] @ (near[light, None] <= _RADII_KM[None, :])
        far = apart_km(point, self.background.unit)[0]
        mass += kernels.cells_within(
            self.background.mass, far, self.background.radius_km, _RADII_KM
        )
        return Profile(np.maximum.accumulate(np.clip(mass, 0.0, 1.0)))

    def log_density(self, latlon: Float64Array) -> float:
        """Natural log of the probability per km² at one (lat, lon)."""
        point = to_unit(latlon)[None, :]
        near = self.kernels.distance_km(point)[0]
        peaked = self.kernels.mass @ kernels.density(near, self.kernels.width_km)
        far = apart_km(point, self.background.unit)[0]
        cell = int(np.argmin(far))
        flat = self.background.mass[cell] / (np.pi * self.background.radius_km[cell] ** 2)
        return float(np.log(max(float(peaked + flat), 1e-300)))

    def _heavy(self) -> Int64Array:
        order = np.argsort(-self.kernels.mass, kind="stable")[:_KERNELS_KEPT]
        kept: Int64Array = np.sort(order)
        return kept

    def _likely_cells(self) -> Int64Array:
        """In each of the best coarse cells, the fine cell with the most mass."""
        mass = self.background.mass
        coarse = np.bincount(self.background.parent, mass, len(self.background.coarse))
        field = np.einsum("cd,d->c", self.background.coarse_score, coarse)
        field[coarse <= 0.0] = -1.0
        best = np.argsort(-field, kind="stable")[:_CELLS_TRIED]
        best = best[coarse[best] > 0.0]
        first = np.searchsorted(self.background.parent, best, side="left")
        last = np.searchsorted(self.background.parent, best, side="right")
        spans = zip(first.tolist(), last.tolist(), strict=True)
        return np.array([a + int(np.argmax(mass[a:b])) for a, b in spans], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Profile:
    """Cumulative probability around a point."""

    mass: Float64Array
    """[R], at the module's radii."""

    def within(self, km: float) -> float:
        """Probability that the truth lies within ``km`` of the point."""
        return float(np.interp(km, _RADII_KM, self.mass))

    def radius_km(self, share: float) -> float:
        """The radius that holds ``share`` of the probability."""
        at = int(np.searchsorted(self.mass, share))
        if at == 0:
            return float(_RADII_KM[1])
        if at >= len(self.mass):
            return float(_RADII_KM[-1])
        low, high = self.mass[at - 1], self.mass[at]
        part = (share - low) / (high - low) if high > low else 1.0
        return float(_RADII_KM[at - 1] + part * (_RADII_KM[at] - _RADII_KM[at - 1]))


def mixture(
    latlon: Float64Array,
    width_km: Float64Array,
    log_odds: Float64Array,
    background: Background,
    background_log_weight: Float64Array,
) -> Posterior:
    """Pool candidates and background into one distribution.

    ``log_odds`` [n] or, by scale, [n, S]: natural log of each candidate's weight against the
    prior's whole mass; ``width_km`` has the same shape, ``latlon`` is [n, 2].
    ``background_log_weight`` [N]: natural-log likelihood ratio of each cell; −inf rules it out.
    The result's masses sum to 1; where everything is ruled out the background's prior stands.
    """
    prior = background.mass
    with np.errstate(divide="ignore"):
        cells = np.log(prior) + background_log_weight
    ceiling = max(cells.max(initial=-np.inf), log_odds.max(initial=-np.inf))
    if not np.isfinite(ceiling):
        cells, ceiling = np.log(np.maximum(prior, 1e-300)), 0.0
    cell_mass = np.exp(cells - ceiling)
    kernel_mass = np.exp(log_odds - ceiling)
    total = cell_mass.sum() + kernel_mass.sum()
    candidate = np.repeat(np.arange(len(latlon)), log_odds.size // max(len(latlon), 1))
    return Posterior(
        Kernels(
            latlon,
            to_unit(latlon),
            np.maximum(width_km, 0.01).ravel(),
            kernel_mass.ravel() / total,
            candidate,
        ),
        replace(background, mass=cell_mass / total),
    )
