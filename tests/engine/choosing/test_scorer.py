"""The shipped scorer: monotone, bounded, rising from level to level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofix.engine.choosing.evidence import CONTEXT, FEATURES, Evidence
from geofix.engine.choosing.scorer import Scorer, Steps, load, save, shipped
from geofix.engine.types import LEVELS_KM

probability = st.floats(0.0, 1.0)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return shipped()


def test_the_shipped_one_says_that_it_was_fitted_on_a_simulation(scorer: Scorer) -> None:
    assert scorer.fitted_on.simulated
    assert "simulation" in scorer.fitted_on.dataset
    assert scorer.fitted_on.photos == 5000


def test_its_parts_fit_the_evidence(scorer: Scorer) -> None:
    scales = len(scorer.widths_km)
    assert np.shape(scorer.weights) == (len(FEATURES), scales)
    assert np.shape(scorer.context) == (len(CONTEXT), scales)
    assert list(scorer.widths_km) == sorted(scorer.widths_km)
    assert set(scorer.levels) == set(LEVELS_KM)
    assert 0.0 < scorer.radii[0.5] < scorer.radii[0.9] < 1.0
    assert 0.0 < scorer.answer_from < 1.0


@given(feature=st.integers(0, len(FEATURES) - 1), more=st.floats(0.0, 20.0))
def test_more_evidence_never_counts_against_a_candidate(feature: int, more: float) -> None:
    scorer = shipped()
    features = np.full((2, len(FEATURES)), -1.0)
    features[1, feature] += more
    evidence = Evidence(features, np.zeros(len(CONTEXT)))
    for retrieved in (True, False):
        odds = scorer.log_odds(evidence, np.array([retrieved, retrieved]))
        assert (odds[1] >= odds[0]).all()


@given(raw=st.tuples(*[probability] * 5))
def test_calibrated_levels_never_fall_and_stay_probabilities(raw: tuple[float, ...]) -> None:
    fitted = shipped().within(dict(zip(LEVELS_KM, raw, strict=True)))
    values = [fitted[km] for km in LEVELS_KM]
    assert values == sorted(values)
    assert 0.0 <= values[0] <= values[-1] <= 1.0


@given(a=probability, b=probability)
def test_a_level_is_a_rising_map(a: float, b: float) -> None:
    for steps in shipped().levels.values():
        assert (steps(a) - steps(b)) * (a - b) >= 0.0


def test_steps_are_constant_beyond_their_corners() -> None:
    steps = Steps((0.2, 0.6), (0.1, 0.5))
    assert [steps(x) for x in (0.0, 0.2, 0.4, 0.6, 1.0)] == pytest.approx([0.1, 0.1, 0.3, 0.5, 0.5])


def test_saved_and_loaded_it_is_the_same(tmp_path: Path, scorer: Scorer) -> None:
    save(scorer, tmp_path / "scorer.json")
    assert load(tmp_path / "scorer.json") == scorer
    (tmp_path / "scorer.json").write_text('{"widths_km": [1]}', "utf-8")
    with pytest.raises(ValueError, match="Scorer"):
        load(tmp_path / "scorer.json")
