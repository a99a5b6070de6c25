"""The posterior on small Earths made by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest

from geofix.engine.choosing.posterior import Background, Posterior, mixture
from geofix.engine.types import Float64Array
from geofix.geo.coordinates import haversine_km, to_unit

PARIS = (48.8566, 2.3522)
TOKYO = (35.6762, 139.6503)
FIJI = (-17.0, 179.9)


def earth_of(latlon: list[tuple[float, float]], mass: list[float]) -> Background:
    centres = np.array(latlon)
    n = len(centres)
    apart = haversine_km(centres[:, None], centres[None, :])
    return Background(
        latlon=centres,
        unit=to_unit(centres),
        radius_km=np.full(n, 80.0),
        mass=np.array(mass),
        cell=np.arange(n),
        codes=("",),
        country=np.zeros(n, dtype=np.int64),
        coarse=to_unit(centres),
        parent=np.arange(n),
        coarse_score=np.exp(-apart / 1492.7),
    )


def fuse(
    candidates: list[tuple[float, float]],
    widths: list[float],
    odds: list[float],
    background: Background | None = None,
    weights: list[float] | None = None,
) -> Posterior:
    behind = background or earth_of([PARIS, TOKYO], [0.5, 0.5])
    return mixture(
        np.array(candidates).reshape(-1, 2),
        np.array(widths),
        np.array(odds),
        behind,
        np.array(weights if weights is not None else np.zeros(len(behind.mass))),
    )


def near(answer: Float64Array, place: tuple[float, float], km: float = 1.0) -> bool:
    return float(haversine_km(answer, place)) <= km


def test_masses_sum_to_one() -> None:
    fused = fuse([PARIS, TOKYO], [1.0, 25.0], [2.0, -1.0])
    assert fused.kernels.mass.sum() + fused.background.mass.sum() == pytest.approx(1.0)


def test_a_strong_candidate_is_the_answer_exactly() -> None:
    fused = fuse([(48.1, 2.1), TOKYO], [1.0, 1.0], [5.0, 0.0])
    answer = fused.answer()
    assert answer.tolist() == [48.1, 2.1]
    profile = fused.profile(answer)
    assert profile.within(1.0) > 0.45
    assert profile.radius_km(0.5) < 3.0


def test_agreeing_candidates_beat_a_single_stronger_one() -> None:
    crowd = [(51.50, -0.10), (51.55, -0.12), (51.45, -0.08)]
    fused = fuse([*crowd, TOKYO], [5.0] * 4, [0.0, 0.0, 0.0, 0.7])
    assert near(fused.answer(), crowd[0], 15.0)


def test_without_candidates_the_prior_answers_with_a_wide_radius() -> None:
    behind = earth_of([PARIS, TOKYO, (50.0, 8.0)], [0.4, 0.3, 0.3])
    fused = fuse([], [], [], behind)
    answer = fused.answer()
    assert near(answer, PARIS) or near(answer, (50.0, 8.0))
    assert fused.profile(answer).radius_km(0.9) > 5000.0


def test_weights_move_the_background_and_rule_places_out() -> None:
    fused = fuse([], [], [], weights=[-np.inf, 0.0])
    assert near(fused.answer(), TOKYO)
    assert fused.background.mass.tolist() == [0.0, 1.0]


def test_candidates_across_the_date_line_agree() -> None:
    fused = fuse([(-17.0, 179.9), (-17.0, -179.9), PARIS], [10.0] * 3, [0.0, 0.0, 0.3])
    assert near(fused.answer(), FIJI, 30.0)


def test_the_radius_holds_what_it_says() -> None:
    rng = np.random.default_rng(11)
    fused = fuse([PARIS], [20.0], [8.0])
    profile = fused.profile(np.array(PARIS))
    share = rng.random(50_000)
    errors = 20.0 * np.sqrt(share / (1.0 - share))
    assert (errors <= profile.radius_km(0.5)).mean() == pytest.approx(0.5, abs=0.03)
    assert (errors <= profile.radius_km(0.9)).mean() == pytest.approx(0.9, abs=0.03)


def test_the_density_peaks_at_the_candidate() -> None:
    fused = fuse([PARIS], [5.0], [3.0])
    here, away = fused.log_density(np.array(PARIS)), fused.log_density(np.array([48.0, 4.0]))
    assert here > away
    assert np.isfinite(fused.log_density(np.array([-90.0, 0.0])))


@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_a_candidate_at_a_pole(pole: float) -> None:
    fused = fuse([(pole, 0.0)], [3.0], [6.0])
    profile = fused.profile(fused.answer())
    assert abs(fused.answer()[0]) == 90.0
    assert np.isfinite(profile.mass).all()


def test_two_hundred_candidates_stay_quick() -> None:
    rng = np.random.default_rng(5)
    latlon = np.stack([rng.uniform(-60, 70, 200), rng.uniform(-180, 180, 200)], axis=1)
    cells = [(float(a), float(b)) for a, b in zip(*rng.uniform(-60, 60, (2, 8500)), strict=True)]
    coarse = to_unit(np.array(cells[:700]))
    behind = Background(
        latlon=np.array(cells),
        unit=to_unit(np.array(cells)),
        radius_km=np.full(8500, 80.0),
        mass=np.full(8500, 1 / 8500),
        cell=np.arange(8500),
        codes=("",),
        country=np.zeros(8500, dtype=np.int64),
        coarse=coarse,
        parent=np.sort(np.arange(8500) % 700),
        coarse_score=np.exp(-np.arccos(np.clip(coarse @ coarse.T, -1, 1)) * 6371.0 / 1492.7),
    )
    weights = np.zeros(8500)
    started = time.perf_counter()
    for _ in range(5):
        fused = mixture(latlon, np.full(200, 30.0), rng.normal(0, 2, 200), behind, weights)
        profile = fused.profile(fused.answer())
    assert (time.perf_counter() - started) / 5 < 0.25
    assert 0.0 < profile.radius_km(0.9) < 20_100.0
