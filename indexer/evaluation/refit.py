"""An operator's calibration: what the answers of one installation are worth, from its own photos.

The figures (levels, radii, abstention) are always fitted. The weights of candidates are fitted
where the encoder itself sees photos in location space, and taken only where photos that they have
not seen become likelier by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from geofix.engine.choosing.scorer import Figures, Scorer, uncalibrated
from geofix.engine.types import Calibration, Int64Array
from indexer.evaluation.calibrate import (
    FOLDS,
    Outcome,
    calibrate,
    cross_fitted,
    require_enough,
)
from indexer.evaluation.examples import Example, answer, labelled, map_steps
from indexer.evaluation.likelihood import (
    Labelled,
    MapWeights,
    Ridge,
    fit_map,
    fit_weights,
    mean_log_likelihood,
)

_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Of the ridge that holds weights near where fitting starts; a few hundred photos need one."""

Answered = tuple[Outcome, float]


def refit(examples: Sequence[Example], fitted_on: Calibration, seed: int = 0) -> Figures | Scorer:
    """What holds for photos such as these. Raises InvalidOption for fewer than 200."""
    require_enough(len(examples))
    fold = _fold([e.photo.contributor or e.photo.key for e in examples], seed)
    as_found = [answer(example, None) for example in examples]
    look = examples[0].found.look
    if look is None or look.scorer is None:
        return calibrate(uncalibrated(fitted_on), [outcome for outcome, _ in as_found])
    start = replace(look.scorer, fitted_on=fitted_on)
    whole, unseen = _weights(examples, fold, start)
    gain = np.array([b - a for (_, a), (_, b) in zip(as_found, unseen, strict=True)])
    if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
        return calibrate(whole, [outcome for outcome, _ in unseen])
    return calibrate(start, [outcome for outcome, _ in as_found])


def _weights(
    examples: Sequence[Example], fold: Int64Array, start: Scorer
) -> tuple[Scorer, list[Answered]]:
    """Weights fitted on all photos, and what weights that have not seen them say of each."""
    weights = fit_map(*map_steps(examples))
    photos = [labelled(example, weights) for example in examples]
    ridges = [Ridge(strength, start) for strength in _STRENGTHS]
    likelihood = [_held_out(photos, fold, start, ridge, weights) for ridge in ridges]
    ridge = ridges[int(np.argmax(likelihood))]
    whole = fit_weights(photos, weights, start.fitted_on, start=start, ridge=ridge)
    return whole, cross_fitted(photos, lambda s, i: answer(examples[i], s), whole, fold, ridge)


def _held_out(
    photos: Sequence[Labelled],
    fold: Int64Array,
    start: Scorer,
    ridge: Ridge,
    weights: MapWeights,
) -> float:
    """Summed over the photos: how likely weights that have not seen them make their places."""
    total = 0.0
    for k in np.unique(fold):
        seen = [photo for photo, f in zip(photos, fold, strict=True) if f != k]
        held = [photo for photo, f in zip(photos, fold, strict=True) if f == k]
        scorer = fit_weights(seen, weights, start.fitted_on, start=start, ridge=ridge)
        total += mean_log_likelihood(held, scorer) * len(held)
    return total


def _fold(labels: Sequence[str], seed: int) -> Int64Array:
    """Fold [P] of each photo; those of one label stay together."""
    unique, member = np.unique(np.array(labels), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(unique))
    dealt: Int64Array = (order % FOLDS)[member].astype(np.int64)
    return dealt
