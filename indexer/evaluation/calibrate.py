"""Fit what the posterior rests on, from photos whose place is known.

First the location map's two weights, then the scorer's, by maximum likelihood of the true places;
then, on photos that those weights have not seen (cross-fitting), the map from the posterior's
probabilities to observed ones by isotonic regression, and the radii by conformal prediction.
SciPy and scikit-learn are needed here and nowhere at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from geofix.engine import kernels
from geofix.engine.evidence import CONTEXT, FEATURES, BoolArray, Evidence
from geofix.engine.scorer import Scorer, Steps
from geofix.engine.types import LEVELS_KM, Calibration, Float32Array, Float64Array, Int64Array
from geofix.errors import InvalidOption
from geofix.geo.priors import photo_prior

FEWEST_PHOTOS = 200
FOLDS = 2
FIRST_WIDTHS_KM = (0.25, 2.0, 6.0, 60.0)
_RIDGE = 1e-4
_WIDEST_STEP = 2.0
"""A fitted width stays within a factor e² of the first one, so that scales keep their order."""
_KNOTS = 40
_SLOPE = 0.02
ANSWER_RISK = 0.2
"""Share of answers that may be more than 200 km off, among those given."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One photo with its candidates and its truth."""

    evidence: Evidence
    retrieved: BoolArray
    """[n]: neighbours, not generations."""
    distance_km: Float64Array
    """[n], from each candidate to the truth."""
    log_background: float
    """Natural log of the prior's probability per km² at the truth."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scorer's posterior said of a photo whose place is known."""

    mass_at_truth: float
    """The posterior's probability of lying nearer to the answer than the truth does."""
    within: Mapping[float, float]
    """The posterior's probability for each of LEVELS_KM."""
    distance_km: float
    """From the answer to the truth."""


class MapWeights(NamedTuple):
    """The location map's."""

    weight: float
    prior_weight: float


def fit(
    photos: Sequence[Labelled],
    answer: Callable[[Scorer, int], Outcome],
    map_weights: MapWeights,
    fitted_on: Calibration,
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> Scorer:
    """Fit everything but the location map, whose weights the photos' evidence rests on.

    ``answer(scorer, i)`` must run the posterior on photo ``i``.
    Raises InvalidOption for fewer than 200 photos: the radii would not hold.
    """
    if len(photos) < FEWEST_PHOTOS:
        raise InvalidOption(
            f"{len(photos)} labelled photos are too few: the radii can be trusted from "
            f"{FEWEST_PHOTOS} on."
        )
    fold = np.random.default_rng(seed).permutation(len(photos)) % folds
    outcomes: list[Outcome | None] = [None] * len(photos)
    whole = fit_weights(photos, map_weights, fitted_on)
    for k in range(folds):
        others = [p for p, f in zip(photos, fold, strict=True) if f != k]
        unseen = fit_weights(others, map_weights, fitted_on, start=whole)
        for i in np.flatnonzero(fold == k):
            outcomes[i] = answer(unseen, int(i))
    return calibrate(whole, [o for o in outcomes if o is not None])


# --- the scorer's weights ---------------------------------------------------------------------


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
) -> Scorer:
    """Weights and widths under which the true places are likeliest; nothing calibrated yet."""
    from scipy.optimize import minimize  # noqa: PLC0415

    likelihood = _Likelihood(photos)
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


class _Likelihood:
    """Mean negative log-likelihood of the truths under the mixture, and its gradient.

    Parameters, in order: log widths [S], biases [2, S], weights [F, S], context [C, S].
    """

    def __init__(self, photos: Sequence[Labelled]) -> None:
        n = max(len(p.distance_km) for p in photos)
        shape = (len(photos), n)
        self.features = np.zeros((*shape, len(FEATURES)))
        self.retrieved = np.zeros(shape)
        self.there = np.zeros(shape, dtype=bool)
        self.distance = np.full(shape, 1e4)
        for i, photo in enumerate(photos):
            m = len(photo.distance_km)
            self.features[i, :m] = photo.evidence.features
            self.retrieved[i, :m] = photo.retrieved
            self.there[i, :m] = True
            self.distance[i, :m] = photo.distance_km
        self.context = np.array([p.evidence.context for p in photos])
        self.background = np.array([p.log_background for p in photos])
        self.scales = len(FIRST_WIDTHS_KM)

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
        rest = x[self.scales :]
        gradient[self.scales :] += 2.0 * _RIDGE * rest
        return float((whole - found).mean() + _RIDGE * (rest @ rest)), gradient

    def scorer(self, x: Float64Array, map_weights: MapWeights, fitted_on: Calibration) -> Scorer:
        log_width, bias, weights, context = self._unpacked(x)
        same = Steps((0.0, 1.0), (0.0, 1.0))
        return Scorer(
            widths_km=_tuple(np.exp(log_width)),
            retrieved=_tuple(bias[0]),
            generated=_tuple(bias[1]),
            weights=tuple(_tuple(row) for row in weights),
            context=tuple(_tuple(row) for row in context),
            map_weight=map_weights.weight,
            prior_weight=map_weights.prior_weight,
            levels=dict.fromkeys(LEVELS_KM, same),
            radii={0.5: 0.5, 0.9: 0.9},
            answer_from=0.4,
            fitted_on=fitted_on,
        )

    def _unpacked(
        self, x: Float64Array
    ) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
        s = self.scales
        rest = x[s:].reshape(-1, s)
        return x[:s], rest[:2], rest[2 : 2 + len(FEATURES)], rest[2 + len(FEATURES) :]


def _log_sum(odds: Float64Array, last: Float64Array) -> Float64Array:
    """log Σ exp over candidates and scales [Q, n, S] and one further term [Q]."""
    peak = np.maximum(odds.max(axis=(1, 2)), last)
    total = np.exp(odds - peak[:, None, None]).sum(axis=(1, 2)) + np.exp(last - peak)
    summed: Float64Array = peak + np.log(total)
    return summed


def _tuple(values: npt.ArrayLike) -> tuple[float, ...]:
    return tuple(round(float(v), 6) for v in np.asarray(values))


# --- what the posterior's figures are worth ----------------------------------------------------


def calibrate(scorer: Scorer, outcomes: Sequence[Outcome]) -> Scorer:
    """Fit levels, radii and the answering threshold on photos the weights have not seen."""
    distance = np.array([o.distance_km for o in outcomes])
    levels = {
        km: _isotonic(np.array([o.within[km] for o in outcomes]), distance <= km)
        for km in LEVELS_KM
    }
    mass = np.array([o.mass_at_truth for o in outcomes])
    radii = {share: conformal(mass, share) for share in (0.5, 0.9)}
    fitted = replace(scorer, levels=levels, radii=radii)
    sure = np.array([fitted.within(o.within)[200.0] for o in outcomes])
    return replace(fitted, answer_from=answering_threshold(sure, distance > 200.0))


def conformal(scores: Float64Array, share: float) -> float:
    """The value that ``share`` of new photos stay within, with split conformal's guarantee.

    It is the ⌈(n + 1)·share⌉-th smallest of ``scores`` [n] (Vovk et al. 2005).
    """
    rank = min(int(np.ceil((len(scores) + 1) * share)), len(scores))
    return float(np.sort(scores)[rank - 1])


def answering_threshold(sure: Float64Array, wrong: BoolArray, risk: float = ANSWER_RISK) -> float:
    """The least sureness from which on at most ``risk`` of the answers are wrong.

    ``sure`` and ``wrong`` are [n]. Where no threshold is good enough, the greatest sureness.
    """
    order = np.argsort(-sure, kind="stable")
    share_wrong = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share_wrong <= risk)
    return float(sure[order[good[-1] if len(good) else 0]])


def _isotonic(raw: Float64Array, hit: BoolArray) -> Steps:
    """The rising map from raw to observed probability, thinned to a few corners."""
    from sklearn.isotonic import (  # type: ignore[import-untyped]  # noqa: PLC0415
        IsotonicRegression,
    )

    curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(raw, hit)
    x = np.unique(np.quantile(raw, np.linspace(0.0, 1.0, _KNOTS)))
    # A little of the identity keeps the order of photos within a plateau.
    y = (1.0 - _SLOPE) * curve.predict(x) + _SLOPE * x
    return Steps(_tuple(x), _tuple(np.maximum.accumulate(y)))
