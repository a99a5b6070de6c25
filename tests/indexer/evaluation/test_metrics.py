import tracemalloc
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geofix.engine.types import LEVELS_KM, Float64Array
from indexer.evaluation import metrics

PHOTOS = st.integers(1, 40)
distances_km = PHOTOS.flatmap(lambda n: hnp.arrays(np.float64, n, elements=st.floats(0, 20037)))
shares = PHOTOS.flatmap(lambda n: hnp.arrays(np.float64, n, elements=st.floats(0, 1)))


def test_accuracy_counts_the_boundary_as_a_hit() -> None:
    assert metrics.accuracy([0.5, 1.0, 25.1, 3000.0]) == {
        1.0: 0.5,
        25.0: 0.5,
        200.0: 0.75,
        750.0: 0.75,
        2500.0: 0.75,
    }


@given(distances_km)
def test_accuracy_rises_with_the_level(distances: Float64Array) -> None:
    found = list(metrics.accuracy(distances).values())
    assert found == sorted(found)
    assert len(found) == len(LEVELS_KM)


def test_geo_score_at_known_distances() -> None:
    scores = metrics.geo_score([0.0, 1492.7, 20037.5])
    assert scores == pytest.approx([5000.0, 5000.0 / np.e, 0.00740], rel=2e-3)


@given(distances_km)
def test_coverage_of_a_radius_equals_accuracy_at_it(distances: Float64Array) -> None:
    radii = np.full(len(distances), 200.0)
    assert metrics.coverage(distances, radii) == metrics.accuracy(distances)[200.0]


def test_gain_of_knowing_the_half_is_one_bit() -> None:
    prior = np.full(4, 0.25)
    ratio = np.log([[1.0, 1.0, 1e-300, 1e-300], [5.0, 5.0, 5.0, 5.0]])
    gain = metrics.cell_gain_bits(prior, ratio, np.array([0, 3]))
    assert gain == pytest.approx([1.0, 0.0], abs=1e-9)


@given(
    hnp.arrays(np.float64, (5,), elements=st.floats(0.01, 1)),
    hnp.arrays(np.float64, (5,), elements=st.floats(-30, 30)),
)
def test_gain_averaged_over_the_posterior_is_its_divergence_from_the_prior(
    weights: Float64Array, ratio: Float64Array
) -> None:
    prior = weights / weights.sum()
    gain = metrics.cell_gain_bits(prior, np.tile(ratio, (5, 1)), np.arange(5))
    posterior = prior * np.exp(ratio - ratio.max())
    posterior /= posterior.sum()
    # Believing p when p holds is worth KL(p || prior), never negative; when the prior holds, the
    # same belief costs KL(prior || p).
    assert posterior @ gain >= -1e-9
    assert prior @ gain <= 1e-9


@given(hnp.arrays(np.float64, (3, 6), elements=st.floats(-20, 20)), st.floats(-50, 50))
def test_gain_ignores_constants_of_a_ratio(ratio: Float64Array, constant: float) -> None:
    prior = np.full(6, 1 / 6)
    cells = np.array([0, 2, 5])
    moved = metrics.cell_gain_bits(prior, ratio + constant, cells)
    assert moved == pytest.approx(metrics.cell_gain_bits(prior, ratio, cells), abs=1e-9)


def test_uniform_density_gains_nothing_over_the_uniform_sphere() -> None:
    uniform = -np.log(metrics.EARTH_AREA_KM2)
    assert metrics.gain_over_uniform_bits([uniform, uniform + np.log(8.0)]) == pytest.approx([0, 3])


def test_calibration_error_of_the_textbook_case() -> None:
    probabilities = np.array([0.9] * 10 + [0.1] * 10)
    right = np.array([True] * 9 + [False] + [True] + [False] * 9)
    assert metrics.expected_calibration_error(probabilities, right) == pytest.approx(0.0)
    wrong = ~right
    assert metrics.expected_calibration_error(probabilities, wrong) == pytest.approx(0.8)


@given(shares, st.integers(1, 30))
def test_calibration_error_is_a_share(probabilities: Float64Array, bins: int) -> None:
    hits = probabilities > 0.3
    error = metrics.expected_calibration_error(probabilities, hits, bins)
    assert 0.0 <= error <= 1.0


@given(distances_km, st.randoms(use_true_random=False))
def test_risk_coverage_ends_at_the_mean_loss_whatever_the_order(
    distances: Float64Array, shuffler: Random
) -> None:
    confidence = np.floor(distances / 500.0)
    curve = metrics.risk_coverage(confidence, distances)
    assert curve.x[-1] == 1.0
    assert curve.y[-1] == pytest.approx(distances.mean())
    order = list(range(len(distances)))
    shuffler.shuffle(order)
    again = metrics.risk_coverage(confidence[order], distances[order])
    assert again.y == pytest.approx(curve.y)


def test_perfect_confidence_gives_the_lowest_risk() -> None:
    loss = np.array([0.0, 1.0, 0.0, 1.0])
    perfect = metrics.area_under(metrics.risk_coverage(-loss, loss))
    blind = metrics.area_under(metrics.risk_coverage(np.zeros(4), loss))
    worst = metrics.area_under(metrics.risk_coverage(loss, loss))
    assert perfect < blind < worst
    assert blind == pytest.approx(0.5)


def test_area_to_truth_counts_ties_against_the_method() -> None:
    density = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    areas = metrics.areas_to_truth(density, [10.0, 20.0, 40.0], np.array([1, 0]))
    assert areas.tolist() == [30.0, 70.0]


@given(distances_km, st.floats(0.01, 1))
def test_area_at_recall_is_the_first_to_reach_it(areas: Float64Array, recall: float) -> None:
    area = metrics.area_at_recall(areas, recall)
    assert np.mean(areas <= area) >= recall - 1e-9
    assert np.mean(areas < area) < recall
    curve = metrics.recall_versus_area(areas)
    assert curve.y[np.searchsorted(curve.x, area, side="right") - 1] == np.mean(areas <= area)


def test_bootstrap_is_deterministic_and_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).normal(3.0, 1.0, 400)
    first = metrics.bootstrap(values)
    assert first == metrics.bootstrap(values)
    assert first.low < first.value < first.high
    assert first.high - first.low == pytest.approx(2 * 1.96 / np.sqrt(400), rel=0.15)


def test_bootstrap_interval_holds_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    held = 0
    for seed in range(200):
        interval = metrics.bootstrap(rng.exponential(1.0, 60), resamples=400, seed=seed)
        held += interval.low <= 1.0 <= interval.high
    assert 0.88 <= held / 200 <= 0.99


@given(distances_km)
def test_bootstrap_of_the_median_lies_within_the_sample(values: Float64Array) -> None:
    interval = metrics.bootstrap(values, metrics.median, resamples=50)
    assert values.min() <= interval.low <= interval.high <= values.max()


@given(distances_km)
def test_the_lower_median_is_the_area_at_half_recall(areas: Float64Array) -> None:
    assert float(metrics.lower_median(areas)) == metrics.area_at_recall(areas, 0.5)


def test_a_statistic_of_rows_has_the_interval_of_the_same_statistic_of_values() -> None:
    values = np.random.default_rng(2).normal(5.0, 2.0, 300)
    by_value = metrics.bootstrap(values)
    by_row = metrics.bootstrap_rows(lambda rows: float(values[rows].mean()), len(values))
    assert by_row.value == pytest.approx(by_value.value)
    assert by_row.high - by_row.low == pytest.approx(by_value.high - by_value.low, rel=0.15)


def test_a_bootstrap_of_a_large_set_stays_small() -> None:
    values = np.random.default_rng(3).normal(0.0, 1.0, 200_000)
    tracemalloc.start()
    interval = metrics.bootstrap(values, resamples=200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 600e6
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(200_000), rel=0.3)


@pytest.mark.parametrize("bad", [[], [[1.0, 2.0]]])
def test_a_figure_of_no_photos_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="photo"):
        metrics.bootstrap(bad)
