from __future__ import annotations

import math

import numpy as np
import pytest

from geofix.errors import PrecisionCapped
from geofix.geo import cells
from geofix.geo.coordinates import Coordinate, destination, haversine_km
from service.auth.caller import LARGEST_CAP_KM
from service.locate.options import Options, from_strings
from service.locate.schemas import Answer, Stage
from service.precision import check, coarsened, hushed
from tests.conftest import Answering

_CAPS = (0.5, 1.0, 25.0, 200.0, LARGEST_CAP_KM)


def _places(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Positions [N, 2] spread evenly over the Earth, and its corners."""
    random = np.random.default_rng(3)
    lat = np.degrees(np.arcsin(random.uniform(-1, 1, count)))
    corners = [(90, 0), (-90, 0), (0, 180), (0, -180), (0, 0), (45, 45), (35.26, 45)]
    return np.vstack([np.stack([lat, random.uniform(-180, 180, count)], axis=-1), corners])


def _position(answer: Answer) -> tuple[float, float]:
    return answer.position.lat, answer.position.lon


def test_without_a_cap_the_answer_is_itself(answering: Answering) -> None:
    answer = answering(48.85, 2.35)
    assert coarsened(answer, None) is answer


@pytest.mark.parametrize("cap_km", _CAPS)
def test_what_is_told_is_the_same_all_over_a_patch_as_wide_as_the_cap(
    answering: Answering, cap_km: float
) -> None:
    """Whatever else an answer holds: two positions of one cell cannot be told apart."""
    for lat, lon in _places(10).tolist():
        told = coarsened(answering(lat, lon), cap_km)
        centre = _position(told)
        for bearing in (0.0, 90.0, 180.0, 270.0):
            nearby = destination(centre, bearing, 0.49 * cap_km).tolist()
            # Other neighbours, clusters and heat cells lie there; nothing of them may be told.
            other = coarsened(answering(*nearby, photos=3), cap_km)
            same = {"galleries": told.galleries, "id": told.id}
            assert other.model_copy(update=same) == told, (lat, lon, bearing)


@pytest.mark.parametrize("cap_km", _CAPS)
@pytest.mark.parametrize("radius_km", [0.1, 24.0, 26.0, 700.0, 9000.0])
def test_the_radii_still_hold(answering: Answering, cap_km: float, radius_km: float) -> None:
    for lat, lon in _places(30).tolist():
        radii = {"radius_50_km": radius_km / 5, "radius_90_km": radius_km}
        answer = answering(lat, lon).model_copy(update=radii)
        told = coarsened(answer, cap_km)
        moved = float(haversine_km(_position(told), (lat, lon)))
        assert told.radius_50_km >= max(answer.radius_50_km + moved, cap_km) - 0.1
        assert told.radius_90_km >= max(answer.radius_90_km + moved, cap_km) - 0.1
        for km, probability in told.within.items():
            held = [p for at, p in answer.within.items() if float(at) + moved <= float(km)]
            assert probability <= max(held)
            assert float(km) > cap_km


def test_radii_and_probabilities_come_in_steps(answering: Answering) -> None:
    answer = answering(48.85, 2.35)
    radii = {
        coarsened(answer.model_copy(update={"radius_90_km": km}), 25.0).radius_90_km
        for km in np.linspace(0.5, 400.0, 100).tolist()
    }
    assert len(radii) == 1 + math.ceil(math.log2(400 / 25))


def test_the_position_is_still_worth_something(answering: Answering) -> None:
    for lat, lon in _places(50).tolist():
        told = coarsened(answering(lat, lon), 25.0)
        assert float(haversine_km(_position(told), (lat, lon))) < 61.0


def test_nothing_finer_is_left(answering: Answering) -> None:
    answer = answering(48.85, 2.35)
    told = coarsened(answer, 25.0)
    text = told.model_dump_json()
    assert told.place.country == "FR"
    assert told.place.city == ""
    assert "Paris" not in text
    assert "48.85" not in text
    assert not told.clusters
    assert not told.evidence.neighbours
    assert told.heatmap is None
    assert told.evidence.attributes == answer.evidence.attributes
    # One cell, and no longer number than its centre's.
    token = cells.token(48.85, 2.35, 7)
    assert Coordinate(*_position(told)) == cells.centre(token)


def test_stages_say_only_that_they_are_over() -> None:
    stage = Stage(stage="search", ms=2.0, detail={"found": 50, "lat": 48.85})
    assert hushed(stage, 25.0) == Stage(stage="search", ms=2.0, detail={})
    assert hushed(stage, None) is stage


_CHOOSING = {
    "gallery": "paris",
    "country": "FR",
    "bbox": "2,48,3,49",
    "polygon": "48,2;49,2;49,3",
    "radius": "48.85,2.35,5000",
    "exclude": "0b6b2d66-0a53-4f0e-9a53-7f9d6d7f5a6e",
    "exclude_contributor": "ann",
}


@pytest.mark.parametrize("option", [*_CHOOSING])
def test_options_that_choose_what_is_searched_are_refused(option: str) -> None:
    options = from_strings([(option, _CHOOSING[option])])
    with pytest.raises(PrecisionCapped, match=option):
        check(options, 25.0)
    check(options, None)


def test_every_option_is_either_harmless_or_refused() -> None:
    harmless = {"neighbours": "9", "generators": "none", "heatmap": "no", "candidates": "50"}
    harmless |= {"rule": "g3", "budget_s": "5"}
    check(from_strings([*harmless.items(), ("keep", "yes")]), 25.0)
    check(Options(gallery=(), country=()), 25.0)
    assert {*Options.model_fields} == {*_CHOOSING, *harmless, "keep"}
