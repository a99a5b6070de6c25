"""Fit what the posterior rests on, from photos whose place is known.

First the scorer's weights (``likelihood``); then, on photos that those weights have not seen
(cross-fitting), the map from the posterior's probabilities to observed ones by isotonic
regression, and the radii by conformal prediction. scikit-learn is needed here and nowhere at run
time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from geofix.engine.choosing.evidence import BoolArray
from geofix.engine.choosing.scorer import Figures, Scorer, Steps
from geofix.engine.types import LEVELS_KM, Calibration, Float64Array, Int64Array
from geofix.errors import InvalidOption
from indexer.evaluation.likelihood import Labelled, MapWeights, Ridge, fit_weights

FEWEST_PHOTOS = 200
FOLDS = 2
_KNOTS = 40
_SLOPE = 0.02
ANSWER_RISK = 0.2
"""Share of answers that may be more than 200 km off, among those given."""

F = TypeVar("F", bound=Figures)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scorer's posterior said of a photo whose place is known."""

    mass_at_truth: float
    """The posterior's probability of lying nearer to the answer than the truth does."""
    within: Mapping[float, float]
    """The posterior's probability for each of LEVELS_KM."""
    distance_km: float
    """From the answer to the truth."""


def require_enough(photos: int) -> None:
    """Raise InvalidOption for fewer than 200 photos: the radii would not hold."""
    if photos < FEWEST_PHOTOS:
        raise InvalidOption(
            f"{photos} labelled photos are too few: the radii can be trusted from "
            f"{FEWEST_PHOTOS} on."
        )


def fit(
    photos: Sequence[Labelled],
    answer: Callable[[Scorer, int], Outcome],
    map_weights: MapWeights,
    fitted_on: Calibration,
    *,
    seed: int = 0,
) -> Scorer:
    """Fit everything but the location map, whose weights the photos' evidence rests on.

    ``answer(scorer, i)`` must run the posterior on photo ``i``.
    Raises InvalidOption for fewer than 200 photos.
    """
    require_enough(len(photos))
    fold = np.random.default_rng(seed).permutation(len(photos)) % FOLDS
    whole = fit_weights(photos, map_weights, fitted_on)
    return calibrate(whole, cross_fitted(photos, answer, whole, fold, Ridge()))


def cross_fitted(
    photos: Sequence[Labelled],
    answer: Callable[[Scorer, int], T],
    whole: Scorer,
    fold: Int64Array,
    ridge: Ridge,
) -> list[T]:
    """What is answered of each photo with weights fitted on the other folds; ``fold`` is [P].

    ``whole`` was fitted on all photos: fitting starts there, and its map weights are kept.
    """
    map_weights = MapWeights(whole.map_weight, whole.prior_weight)
    outcomes: dict[int, T] = {}
    for k in np.unique(fold):
        others = [p for p, f in zip(photos, fold, strict=True) if f != k]
        unseen = fit_weights(others, map_weights, whole.fitted_on, start=whole, ridge=ridge)
        outcomes.update({int(i): answer(unseen, int(i)) for i in np.flatnonzero(fold == k)})
    return [outcomes[i] for i in range(len(photos))]


def calibrate(scorer: F, outcomes: Sequence[Outcome]) -> F:
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
    return Steps(_corners(x), _corners(np.maximum.accumulate(y)))


def _corners(values: npt.ArrayLike) -> tuple[float, ...]:
    return tuple(round(float(v), 6) for v in np.asarray(values))
