"""Calibration on worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from geofix.engine.choosing.evidence import CONTEXT, FEATURES, Evidence
from geofix.engine.choosing.scorer import Scorer
from geofix.engine.types import LEVELS_KM, Calibration, Float64Array, Int64Array
from geofix.errors import InvalidOption
from geofix.geo.priors import earth, photo_prior
from indexer.evaluation import calibrate, likelihood
from indexer.evaluation.calibrate import Outcome
from indexer.evaluation.likelihood import Labelled, MapWeights, Ridge

FITTED_ON = Calibration("test", 400, "2026-01-01")
NO_MAP = MapWeights(0.0, 1.0)
NAMED = FEATURES.index("similarity")


def photos(n: int, seed: int = 0) -> list[Labelled]:
    """Of five candidates the one with the greatest similarity is about 5 km off, the others far."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        features = np.zeros((5, len(FEATURES)))
        features[:, NAMED] = rng.uniform(-8.0, -2.0, 5)
        right = int(rng.integers(5))
        features[right, NAMED] = 0.0
        distance = rng.uniform(1000.0, 8000.0, 5)
        distance[right] = 5.0 * np.sqrt(1.0 / rng.uniform(0.05, 1.0) - 0.99)
        evidence = Evidence(features, np.zeros(len(CONTEXT)))
        made.append(Labelled(evidence, np.array([True] * 3 + [False] * 2), distance, -18.0))
    return made


def outcome(mass: float, distance: float, within: float) -> Outcome:
    return Outcome(mass, dict.fromkeys(LEVELS_KM, within), distance)


def test_weights_find_what_tells_the_right_candidate() -> None:
    fitted = likelihood.fit_weights(photos(400), NO_MAP, FITTED_ON)
    assert max(fitted.weights[NAMED]) > 0.3
    assert min(w for row in fitted.weights for w in row) >= 0.0
    fresh = photos(100, seed=1)
    hits = 0
    for photo in fresh:
        odds = fitted.log_odds(photo.evidence, photo.retrieved)
        hits += int(np.argmax(np.logaddexp.reduce(odds, axis=1)) == np.argmin(photo.distance_km))
    assert hits >= 95


def test_the_gradient_is_that_of_the_loss() -> None:
    loss = likelihood._Likelihood(photos(30), Ridge())
    rng = np.random.default_rng(0)
    x = loss.first() + rng.normal(0.0, 0.1, len(loss.first()))
    _, gradient = loss.loss_and_gradient(x)
    for i in rng.integers(len(x), size=12):
        step = np.zeros(len(x))
        step[i] = 1e-5
        up, down = (loss.loss_and_gradient(x + s)[0] for s in (step, -step))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, abs=1e-5)


def test_photos_without_candidates_teach_nothing_and_harm_nothing() -> None:
    nothing = Evidence(np.zeros((0, len(FEATURES))), np.zeros(len(CONTEXT)))
    none = np.zeros(0)
    empty = [Labelled(nothing, none.astype(np.bool_), none, -18.0)] * 20
    start = likelihood.fit_weights(photos(50), NO_MAP, FITTED_ON)
    ridge = Ridge(1e-2, towards=start)
    fitted = likelihood.fit_weights(empty, NO_MAP, FITTED_ON, start=start, ridge=ridge)
    assert fitted.weights == start.weights


def test_too_few_photos_are_refused() -> None:
    with pytest.raises(InvalidOption, match="200"):
        calibrate.fit(photos(199), lambda scorer, i: outcome(0.5, 1.0, 0.5), NO_MAP, FITTED_ON)


def test_figures_come_from_photos_the_weights_have_not_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = photos(200)
    taught: list[tuple[Scorer, list[Labelled]]] = []

    def noted(
        some: Sequence[Labelled],
        weights: MapWeights,
        fitted_on: Calibration,
        start: Scorer | None = None,
        ridge: Ridge | None = None,
    ) -> Scorer:
        fitted = likelihood.fit_weights(some, weights, fitted_on, start, ridge)
        taught.append((fitted, list(some)))
        return fitted

    asked: list[int] = []

    def answer(scorer: Scorer, i: int) -> Outcome:
        (teachers,) = [some for fitted, some in taught if fitted is scorer]
        assert len(teachers) == 100
        assert all(one is not given[i] for one in teachers)
        asked.append(i)
        return outcome((i + 0.5) / 200.0, float(i), i / 200.0)

    monkeypatch.setattr(calibrate, "fit_weights", noted)
    fitted = calibrate.fit(given, answer, NO_MAP, FITTED_ON)
    assert sorted(asked) == list(range(200))
    assert fitted.radii[0.9] == pytest.approx(0.9, abs=0.01)
    assert fitted.fitted_on is FITTED_ON


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_conformal_value_covers_new_photos(share: float) -> None:
    rng = np.random.default_rng(0)
    covered = [
        rng.gamma(2.0) <= calibrate.conformal(rng.gamma(2.0, size=99), share) for _ in range(4000)
    ]
    assert np.mean(covered) == pytest.approx(share, abs=0.02)


def test_levels_learn_what_was_observed() -> None:
    rng = np.random.default_rng(0)
    said = rng.uniform(0.0, 1.0, 3000)
    right = rng.uniform(0.0, 1.0, 3000) < said**2  # too sure of itself
    outcomes = [
        outcome(0.5, 10.0 if hit else 5000.0, float(p)) for p, hit in zip(said, right, strict=True)
    ]
    fitted = calibrate.calibrate(likelihood.fit_weights(photos(200), NO_MAP, FITTED_ON), outcomes)
    for p in (0.3, 0.6, 0.9):
        assert fitted.levels[200.0](p) == pytest.approx(p**2, abs=0.08)


def test_the_threshold_keeps_the_risk() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.0, 1.0, 4000)
    wrong = rng.uniform(0.0, 1.0, 4000) > sure
    threshold = calibrate.answering_threshold(sure, wrong, risk=0.2)
    assert wrong[sure >= threshold].mean() <= 0.2
    assert threshold == pytest.approx(0.6, abs=0.05)


def test_the_map_learns_how_much_a_step_is_worth() -> None:
    rng = np.random.default_rng(0)
    prior = photo_prior()
    steps = -rng.gamma(2.0, 1.5, (400, len(prior))).astype(np.float32)

    def drawn(weights: Float64Array) -> Int64Array:
        score = weights[0] * steps + weights[1] * np.log(prior)
        return np.asarray(np.argmax(score + rng.gumbel(size=score.shape), axis=1), np.int64)

    found = likelihood.fit_map(steps, drawn(np.array([0.8, 1.0])))
    assert found.weight == pytest.approx(0.8, abs=0.1)
    assert found.prior_weight == pytest.approx(1.0, abs=0.15)
    assert len(earth().cells) == len(prior)
