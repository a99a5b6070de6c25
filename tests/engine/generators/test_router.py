"""Whether a photo is worth a question to a language model."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofix.engine.generators.router import (
    LANDMARKS,
    Decision,
    Reason,
    Signals,
    Thresholds,
    decide,
    landmark_probability,
    margin_and_entropy,
)

PLAIN = Signals(margin=0.4, entropy_bits=2.0, text=False, landmark=0.0, affordable=True)
SURE = replace(PLAIN, margin=0.9, entropy_bits=0.5)


@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        (PLAIN, Reason.CLEAR),
        (SURE, Reason.SURE),
        (replace(SURE, text=True), Reason.SURE),
        (replace(PLAIN, text=True), Reason.TEXT),
        (replace(PLAIN, landmark=0.5), Reason.LANDMARK),
        (replace(PLAIN, margin=0.05), Reason.LOW_MARGIN),
        (replace(PLAIN, entropy_bits=5.0), Reason.HIGH_ENTROPY),
        (replace(PLAIN, text=True, affordable=False), Reason.OVER_BUDGET),
        (replace(PLAIN, affordable=False), Reason.CLEAR),
    ],
)
def test_auto_decides_by_the_photo(signals: Signals, reason: Reason) -> None:
    decision = decide(("auto",), signals)
    assert decision.reason is reason
    assert decision.ask is (
        reason in (Reason.TEXT, Reason.LANDMARK, Reason.LOW_MARGIN, Reason.HIGH_ENTROPY)
    )


@pytest.mark.parametrize(
    "wanted", [("none",), ("text",), ("text", "attributes"), ("none", "lmm"), ()]
)
def test_who_does_not_want_it_does_not_get_it(wanted: tuple[str, ...]) -> None:
    assert decide(wanted, replace(PLAIN, text=True)) == Decision(False, Reason.NOT_WANTED)


def test_who_names_it_gets_it_while_the_budget_lasts() -> None:
    assert decide(("lmm", "text"), SURE) == Decision(True, Reason.WANTED)
    refused = decide(("lmm",), replace(SURE, affordable=False))
    assert refused == Decision(False, Reason.OVER_BUDGET)
    assert refused.degraded == "over-budget"


def test_thresholds_turn_the_decision() -> None:
    eager = Thresholds(sure_margin=1.1, low_margin=1.0)
    assert decide(("auto",), SURE, eager).reason is Reason.LOW_MARGIN


@pytest.mark.parametrize(
    ("probabilities", "margin", "bits"),
    [
        ([1.0], 1.0, 0.0),
        ([0.5, 0.5], 0.0, 1.0),
        ([0.25] * 4, 0.0, 2.0),
        ([0.5], 0.5, 1.0),
        ([0.2, 0.7, 0.1], 0.5, 1.156780),
        ([2.0, 2.0], 0.0, 1.0),
    ],
)
def test_margin_and_entropy(probabilities: list[float], margin: float, bits: float) -> None:
    assert margin_and_entropy(probabilities) == pytest.approx((margin, bits), abs=1e-6)


@pytest.mark.parametrize("nothing", [[], [0.0], [0.0, 0.0]])
def test_nothing_known_is_the_greatest_doubt(nothing: list[float]) -> None:
    assert margin_and_entropy(nothing) == (0.0, float("inf"))


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=50))
def test_margin_is_a_share_and_entropy_no_less_than_nothing(probabilities: list[float]) -> None:
    margin, bits = margin_and_entropy(probabilities)
    assert 0.0 <= margin <= 1.0
    assert bits >= 0.0


def test_landmarks_are_the_classes_they_are_said_to_be() -> None:
    weights = resources.files("geofix.engine") / "weights" / "lite.classes.txt"
    names = weights.read_text("utf-8").splitlines()
    assert {index: names[index] for index in LANDMARKS} == dict(LANDMARKS)


def test_landmark_probability() -> None:
    classes = np.zeros(1000, np.float32)
    classes[[483, 497, 0]] = 0.3, 0.2, 0.5
    assert landmark_probability(classes) == pytest.approx(0.5)
    assert landmark_probability(None) == 0.0
    assert landmark_probability(np.ones(7, np.float32)) == 0.0
