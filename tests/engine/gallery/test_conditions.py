"""Filters as conditions: dates of any precision, and coverings that hold their area."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofix.engine.gallery.captured import normalise, span
from geofix.engine.gallery.conditions import cell_tokens, conditions
from geofix.engine.region import contains
from geofix.engine.types import Filter
from geofix.errors import InvalidOption

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


@settings(max_examples=60, deadline=None)
@given(lat=latitudes, lon=longitudes, km=st.floats(0.001, 20_000), seed=st.integers(0, 999))
def test_every_point_of_a_circle_has_a_token_of_its_covering(
    lat: float, lon: float, km: float, seed: int
) -> None:
    assert_covered(Filter(circle=(lat, lon, km)), seed)


@settings(max_examples=60, deadline=None)
@given(
    west=longitudes,
    width=st.floats(0.001, 359),
    south=st.floats(-90, 89),
    height=st.floats(0.001, 180),
    seed=st.integers(0, 999),
)
def test_every_point_of_a_box_has_a_token_of_its_covering(
    west: float, width: float, south: float, height: float, seed: int
) -> None:
    east = np.mod(west + width + 180, 360) - 180
    assert_covered(Filter(bbox=(west, south, float(east), min(90.0, south + height))), seed)


def assert_covered(where: Filter, seed: int) -> None:
    ((field, tokens),) = conditions(where).any_of
    assert field == "cell"
    assert len(tokens) <= 512
    rng = np.random.default_rng(seed)
    latlon = np.stack(
        [np.degrees(np.arcsin(rng.uniform(-1, 1, 300))), rng.uniform(-180, 180, 300)], axis=1
    )
    latlon[:3] = [(90, 0), (-90, 0), (0, 180)]
    if where.circle:
        latlon[3] = where.circle[:2]
    for inside, names in zip(contains(where, latlon, ()), cell_tokens(latlon), strict=True):
        assert not inside or set(names) & set(tokens)


def test_a_small_circle_needs_few_small_cells() -> None:
    ((_, tokens),) = conditions(Filter(circle=(48.0, 9.0, 1.0))).any_of
    assert len(tokens) <= 12
    assert all(len(token) >= 6 for token in tokens)  # level 11


def moment(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2020", moment(2020, 1, 1), moment(2021, 1, 1)),
        ("2020-02", moment(2020, 2, 1), moment(2020, 3, 1)),
        ("2020-02-29", moment(2020, 2, 29), moment(2020, 3, 1)),
    ],
)
def test_a_date_is_as_long_as_it_is_vague(text: str, first: float, after: float) -> None:
    start, end = span(text)
    assert start == first
    assert after - 0.01 < end < after


@pytest.mark.parametrize("text", ["2020-06-01T10:00:00Z", "2020-06-01T12:00:00+02:00"])
def test_a_time_is_one_moment(text: str) -> None:
    assert span(text) == (moment(2020, 6, 1, 10), moment(2020, 6, 1, 10))


@pytest.mark.parametrize("text", ["", "soon", "2020-13", "0000", "2020-02-30", "20-01-01", "99999"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption):
        span(text)


def test_unix_times_become_iso_8601() -> None:
    assert normalise("1590998400000") == "2020-06-01T08:00:00Z"
    assert normalise("1590998400") == "2020-06-01T08:00:00Z"
    assert normalise(" 2019-05 ") == "2019-05"
