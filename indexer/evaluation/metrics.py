"""How good a set of answers is: the field's measures, vectorised over photos.

Shapes: P photos, C cells, L levels, B bootstrap resamples. Distances and radii are km, areas km²,
information bits. Nothing here draws a random number without a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geofix.engine.types import LEVELS_KM, Float64Array
from geofix.geo.coordinates import EARTH_RADIUS_KM

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Statistic = Callable[[Float64Array], Float64Array]
"""Maps float64 [..., P] to float64 [...]: one figure for every row of photos."""

EARTH_AREA_KM2 = 4.0 * np.pi * EARTH_RADIUS_KM**2
GEO_SCORE_SCALE_KM = 1492.7
"""The length scale of GeoGuessr's world map, as PIGEON (CVPR 2024) and OSV-5M use it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the interval a bootstrap puts around it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve, one point per index, ``x`` ascending."""

    x: Float64Array
    y: Float64Array


def accuracy(distances: npt.ArrayLike, levels: tuple[float, ...] = LEVELS_KM) -> dict[float, float]:
    """Acc@k: the share of ``distances`` [P] at most k km, for every k of ``levels``."""
    d = _photos(distances)
    return {level: float(np.mean(d <= level)) for level in levels}


def geo_score(distances: npt.ArrayLike) -> Float64Array:
    """5000·exp(-d / 1492.7 km) of each distance; 5000 is a perfect answer."""
    return np.asarray(
        5000.0 * np.exp(-np.asarray(distances, dtype=np.float64) / GEO_SCORE_SCALE_KM),
        dtype=np.float64,
    )


def coverage(distances: npt.ArrayLike, radii: npt.ArrayLike) -> float:
    """Share of photos whose truth lies within the radius given with the answer, both [P]."""
    return float(np.mean(_photos(distances) <= _photos(radii)))


def cell_gain_bits(prior: npt.ArrayLike, log_ratio: npt.ArrayLike, cells: IntArray) -> Float64Array:
    """What likelihood ratios over cells tell of the truth beyond the prior, float64 [P] bits.

    ``prior`` [C] sums to 1; ``log_ratio`` [P, C] holds natural-log likelihood ratios up to a
    constant per photo; ``cells`` [P] is the index of each photo's true cell. The gain is
    log2(posterior / prior) at the truth: above 0 when the truth became likelier. Its mean over
    photos is an estimate of the information in the evidence minus what miscalibration costs.
    """
    weights = np.asarray(prior, dtype=np.float64)
    ratios = np.atleast_2d(np.asarray(log_ratio, dtype=np.float64))
    peak = ratios.max(axis=1, keepdims=True)
    log_mean = peak[:, 0] + np.log(np.exp(ratios - peak) @ weights)
    at_truth = ratios[np.arange(len(ratios)), np.asarray(cells)]
    return np.asarray((at_truth - log_mean) / np.log(2.0), dtype=np.float64)


def gain_over_uniform_bits(log_density: npt.ArrayLike) -> Float64Array:
    """Gain of a density over the uniform sphere, in bits.

    ``log_density`` [P] is the natural log of the probability per km² at the truth.
    """
    nats = np.asarray(log_density, dtype=np.float64) + np.log(EARTH_AREA_KM2)
    return np.asarray(nats / np.log(2.0), dtype=np.float64)


def expected_calibration_error(
    probabilities: npt.ArrayLike, outcomes: npt.ArrayLike, bins: int = 15
) -> float:
    """ECE (Guo et al., ICML 2017): mean |confidence - frequency| over equal-width bins.

    ``probabilities`` [P] in [0, 1], ``outcomes`` [P] true or false; bins weigh what they hold.
    """
    p = _photos(probabilities)
    hit = np.asarray(outcomes, dtype=np.float64)
    which = np.minimum((p * bins).astype(np.int64), bins - 1)
    # Per bin, count·|mean p - mean hit| is |sum p - sum hit|: empty bins add nothing.
    gaps = np.bincount(which, weights=p - hit, minlength=bins)
    return float(np.abs(gaps).sum() / len(p))


def risk_coverage(confidence: npt.ArrayLike, loss: npt.ArrayLike) -> Curve:
    """Mean loss (y) when only the surest share (x) of photos is answered.

    ``confidence`` and ``loss`` are [P]. Photos of equal confidence cannot be told apart, so each
    takes its group's mean loss: the curve does not depend on their order.
    """
    sure = _photos(confidence)
    order = np.argsort(-sure, kind="stable")
    _, group = np.unique(-sure[order], return_inverse=True)
    ranked = _photos(loss)[order]
    mean = np.bincount(group, weights=ranked) / np.bincount(group)
    answered = np.arange(1, len(ranked) + 1)
    return Curve(x=answered / len(ranked), y=np.cumsum(mean[group]) / answered)


def area_under(curve: Curve) -> float:
    """Mean height of a curve whose x are evenly spaced over (0, 1]: AURC for risk–coverage."""
    return float(curve.y.mean())


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
    ordered = np.sort(_photos(areas))
    return Curve(x=ordered, y=np.arange(1, len(ordered) + 1) / len(ordered))


def area_at_recall(areas: npt.ArrayLike, recall: float = 0.5) -> float:
    """The smallest km² within which ``recall`` of the truths are found; ``areas`` [P]."""
    ordered = np.sort(_photos(areas))
    needed = int(np.ceil(recall * len(ordered) - 1e-9))
    return float(ordered[max(needed, 1) - 1])


def mean(values: Float64Array) -> Float64Array:
    """The mean over photos, as a :data:`Statistic`."""
    return np.asarray(values.mean(axis=-1))


def median(values: Float64Array) -> Float64Array:
    """The median over photos, as a :data:`Statistic`."""
    return np.asarray(np.median(values, axis=-1))


def bootstrap(
    values: npt.ArrayLike,
    statistic: Statistic = mean,
    *,
    confidence: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap over photos (Efron 1979) of a statistic of ``values`` [P].

    The same values and seed give the same interval. For two methods on the same photos pass the
    differences: the interval is then the paired one.
    """
    sample = _photos(values)
    draws = np.random.default_rng(seed).integers(0, len(sample), size=(resamples, len(sample)))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(statistic(sample[draws]), [tail, 1.0 - tail])
    return Interval(value=float(statistic(sample)), low=float(low), high=float(high))


def _photos(values: npt.ArrayLike) -> Float64Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError("a figure needs one value per photo and at least one photo")
    return array
