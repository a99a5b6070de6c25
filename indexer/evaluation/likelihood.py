"""The weights of the location map and of the scorer, by maximum likelihood of true places.

SciPy is needed here and nowhere at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geofix.engine.choosing import kernels
from geofix.engine.choosing.evidence import CONTEXT, FEATURES, BoolArray, Evidence
from geofix.engine.choosing.scorer import Scorer, uncalibrated
from geofix.engine.types import Calibration, Float32Array, Float64Array, Int64Array
from geofix.geo.priors import photo_prior

FIRST_WIDTHS_KM = (0.25, 2.0, 6.0, 60.0)
_WIDEST_STEP = 2.0
"""A fitted width stays within a factor e² of the first one, so that scales keep their order."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One photo with its candidates and its truth."""

    evidence: Evidence
    retrieved: BoolArray
    """[n]: neighbours, not generations."""
    distance_km: Float64Array
    """[n], from each candidate to the truth."""
    log_background: float
    """Natural log of the probability per km² at the truth of all that is no such candidate."""
    offset: Float64Array | float = 0.0
    """[n]: log odds that each candidate has from elsewhere, what clues say of its place."""


class MapWeights(NamedTuple):
    """The location map's."""

    weight: float
    prior_weight: float


@dataclass(frozen=True, slots=True)
class Ridge:
    """What holds weights back that the photos say little of."""

    strength: float = 1e-4
    """Loss, in nats, of a weight that is 1 away."""
    towards: Scorer | None = None
    """Where to; None: to 0."""


def fit_map(
    steps: Float32Array, cell: Int64Array, expected: Float64Array | None = None
) -> MapWeights:
    """Weights under which the true cells [P] are likeliest, given ``LocationMap.steps`` [P, N].

    ``expected`` [N] is where the gallery makes one expect photos (None: the photo prior).
    """
    from scipy.optimize import minimize  # noqa: PLC0415

    log_prior = np.log(photo_prior() if expected is None else expected)
    there = np.arange(len(cell))

    def loss_and_gradient(x: Float64Array) -> tuple[float, Float64Array]:
        score = x[0] * steps + x[1] * log_prior
        peak = score.max(axis=1, keepdims=True)
        share = np.exp(score - peak)
        total = share.sum(axis=1, keepdims=True)
        share /= total
        loss = (peak[:, 0] + np.log(total[:, 0]) - score[there, cell]).mean()
        slopes = [
            (share * steps).sum(axis=1) - steps[there, cell],
            share @ log_prior - log_prior[cell],
        ]
        return float(loss), np.array([slope.mean() for slope in slopes], dtype=np.float64)

    found = minimize(
        loss_and_gradient,
        np.array([0.5, 1.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None), (0.0, None)],
    )
    return MapWeights(*_tuple(found.x))


def fit_weights(
    photos: Sequence[Labelled],
    map_weights: MapWeights,
    fitted_on: Calibration,
    start: Scorer | None = None,
    ridge: Ridge | None = None,
) -> Scorer:
    """Weights and widths under which the true places are likeliest; nothing calibrated yet."""
    from scipy.optimize import minimize  # noqa: PLC0415

    likelihood = _Likelihood(photos, ridge or Ridge())
    first = likelihood.first() if start is None else likelihood.packed(start)
    found = minimize(
        likelihood.loss_and_gradient,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=likelihood.bounds(),
        options={"maxiter": 250, "ftol": 1e-7},
    )
    return likelihood.scorer(found.x, map_weights, fitted_on)


def mean_log_likelihood(photos: Sequence[Labelled], scorer: Scorer) -> float:
    """Of the true places, natural log of the probability per km²; up to what all scorers share."""
    likelihood = _Likelihood(photos, Ridge(0.0))
    loss, _ = likelihood.loss_and_gradient(likelihood.packed(scorer))
    return -loss


class _Likelihood:
    """Mean negative log-likelihood of the truths under the mixture, and its gradient.

    Parameters, in order: log widths [S], biases [2, S], weights [F, S], context [C, S].
    """

    def __init__(self, photos: Sequence[Labelled], ridge: Ridge) -> None:
        n = max((len(p.distance_km) for p in photos), default=0)
        shape = (len(photos), n)
        self.features = np.zeros((*shape, len(FEATURES)))
        self.retrieved = np.zeros(shape)
        self.there = np.zeros(shape, dtype=bool)
        self.distance = np.full(shape, 1e4)
        self.offset = np.zeros(shape)
        for i, photo in enumerate(photos):
            m = len(photo.distance_km)
            self.features[i, :m] = photo.evidence.features
            self.retrieved[i, :m] = photo.retrieved
            self.there[i, :m] = True
            self.distance[i, :m] = photo.distance_km
            self.offset[i, :m] = photo.offset
        self.context = np.array([p.evidence.context for p in photos])
        self.background = np.array([p.log_background for p in photos])
        self.scales = len(FIRST_WIDTHS_KM)
        self.ridge = ridge.strength
        self.towards: Float64Array | float = 0.0
        if ridge.towards is not None:
            self.towards = self.packed(ridge.towards)[self.scales :]

    def first(self) -> Float64Array:
        rest = np.zeros((2 + len(FEATURES) + len(CONTEXT), self.scales))
        rest[:2] = -3.0
        rest[2 : 2 + len(FEATURES)] = 0.2
        return np.concatenate([np.log(FIRST_WIDTHS_KM), rest.ravel()])

    def packed(self, scorer: Scorer) -> Float64Array:
        parts = [scorer.retrieved, scorer.generated, *scorer.weights, *scorer.context]
        return np.concatenate([np.log(scorer.widths_km), np.array(parts).ravel()])

    def bounds(self) -> list[tuple[float | None, float | None]]:
        widths = [
            (float(np.log(w)) - _WIDEST_STEP, float(np.log(w)) + _WIDEST_STEP)
            for w in FIRST_WIDTHS_KM
        ]
        free: list[tuple[float | None, float | None]] = [(None, None)]
        rising: list[tuple[float | None, float | None]] = [(0.0, None)]
        return [
            *widths,
            *free * (2 * self.scales),
            *rising * (len(FEATURES) * self.scales),
            *free * (len(CONTEXT) * self.scales),
        ]

    def loss_and_gradient(self, x: Float64Array) -> tuple[float, Float64Array]:
        log_width, bias, weights, context = self._unpacked(x)
        odds = self.features @ weights + (self.context @ context)[:, None, :]
        odds += self.retrieved[:, :, None] * bias[0] + (1.0 - self.retrieved[:, :, None]) * bias[1]
        odds += self.offset[:, :, None]
        odds[~self.there] = -np.inf
        width = np.exp(log_width)
        density = np.log(kernels.density(self.distance[:, :, None], width))
        whole = _log_sum(odds, np.zeros(len(odds)))
        found = _log_sum(odds + density, self.background)
        prior_share = np.exp(odds - whole[:, None, None])
        share = np.exp(odds + density - found[:, None, None])
        slope = (prior_share - share) / len(odds)
        squared = self.distance[:, :, None] ** 2
        stretch = 2.0 - 4.0 * width**2 / (squared + width**2)
        gradient = np.concatenate(
            [
                -(share * stretch).sum(axis=(0, 1)) / len(odds),
                (slope * self.retrieved[:, :, None]).sum(axis=(0, 1)),
                (slope * (1.0 - self.retrieved[:, :, None])).sum(axis=(0, 1)),
                np.einsum("qnf,qns->fs", self.features, slope, optimize=True).ravel(),
                np.einsum("qc,qns->cs", self.context, slope, optimize=True).ravel(),
            ]
        )
        rest = x[self.scales :] - self.towards
        gradient[self.scales :] += 2.0 * self.ridge * rest
        return float((whole - found).mean() + self.ridge * (rest @ rest)), gradient

    def scorer(self, x: Float64Array, map_weights: MapWeights, fitted_on: Calibration) -> Scorer:
        log_width, bias, weights, context = self._unpacked(x)
        plain = uncalibrated(fitted_on)
        return Scorer(
            levels=plain.levels,
            radii=plain.radii,
            answer_from=plain.answer_from,
            fitted_on=plain.fitted_on,
            widths_km=_tuple(np.exp(log_width)),
            retrieved=_tuple(bias[0]),
            generated=_tuple(bias[1]),
            weights=tuple(_tuple(row) for row in weights),
            context=tuple(_tuple(row) for row in context),
            map_weight=map_weights.weight,
            prior_weight=map_weights.prior_weight,
        )

    def _unpacked(
        self, x: Float64Array
    ) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
        s = self.scales
        rest = x[s:].reshape(-1, s)
        return x[:s], rest[:2], rest[2 : 2 + len(FEATURES)], rest[2 + len(FEATURES) :]


def _log_sum(odds: Float64Array, last: Float64Array) -> Float64Array:
    """log Σ exp over candidates and scales [Q, n, S] and one further term [Q]."""
    peak = np.maximum(odds.max(axis=(1, 2), initial=-np.inf), last)
    total = np.exp(odds - peak[:, None, None]).sum(axis=(1, 2)) + np.exp(last - peak)
    summed: Float64Array = peak + np.log(total)
    return summed


def _tuple(values: npt.ArrayLike) -> tuple[float, ...]:
    return tuple(round(float(v), 6) for v in np.asarray(values))
