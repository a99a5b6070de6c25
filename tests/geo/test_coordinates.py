from __future__ import annotations

import math

import numpy as np
import pytest
import s2geometry  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from geofix.errors import InvalidCoordinate
from geofix.geo.coordinates import (
    EARTH_RADIUS_KM,
    Coordinate,
    destination,
    equal_earth,
    from_unit,
    haversine_km,
    spherical_mean,
    to_unit,
    wrap_longitude,
)

lats = st.floats(-90, 90, allow_nan=False)
lons = st.floats(-180, 180, allow_nan=False)
points = st.tuples(lats, lons)

HALF_WAY_ROUND_KM = math.pi * EARTH_RADIUS_KM


def s2_distance_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    from_degrees = s2geometry.S2LatLng.FromDegrees
    angle = from_degrees(*a).GetDistance(from_degrees(*b)).radians()
    return float(angle) * EARTH_RADIUS_KM


@given(points, points)
def test_haversine_agrees_with_s2(a: tuple[float, float], b: tuple[float, float]) -> None:
    assert float(haversine_km(a, b)) == pytest.approx(s2_distance_km(a, b), abs=1e-3, rel=1e-9)


@given(points, points)
def test_haversine_is_a_distance(a: tuple[float, float], b: tuple[float, float]) -> None:
    there = float(haversine_km(a, b))
    assert 0.0 <= there <= HALF_WAY_ROUND_KM + 1e-6
    assert there == pytest.approx(float(haversine_km(b, a)), abs=1e-9)
    assert float(haversine_km(a, a)) == 0.0


def test_haversine_crosses_the_antimeridian_and_the_poles() -> None:
    assert float(haversine_km((0, 179.5), (0, -179.5))) == pytest.approx(111.195, abs=0.01)
    assert float(haversine_km((0, 180), (0, -180))) == pytest.approx(0.0, abs=1e-6)
    assert float(haversine_km((90, 0), (90, 123))) == pytest.approx(0.0, abs=1e-6)
    assert float(haversine_km((89.5, 0), (89.5, 180))) == pytest.approx(111.195, abs=0.01)
    assert float(haversine_km((90, 10), (-90, -70))) == pytest.approx(HALF_WAY_ROUND_KM)


def test_haversine_broadcasts() -> None:
    table = haversine_km(np.zeros((3, 1, 2)), np.ones((1, 4, 2)))
    assert table.shape == (3, 4)
    assert table.dtype == np.float64


@pytest.mark.parametrize(
    ("a", "b", "km"),
    [
        ((48.8566, 2.3522), (51.5074, -0.1278), 343.6),
        ((35.6762, 139.6503), (37.7749, -122.4194), 8277.0),
        ((-36.8485, 174.7633), (-18.1416, 178.4419), 2109.0),
    ],
)
def test_known_distances(a: tuple[float, float], b: tuple[float, float], km: float) -> None:
    assert float(haversine_km(a, b)) == pytest.approx(km, rel=0.005)


@pytest.mark.parametrize(
    ("lat", "lon"),
    [(90.0001, 0), (-91, 0), (math.nan, 0), (0, math.nan), (math.inf, 0), (0, -math.inf)],
)
def test_illegal_coordinates_are_refused(lat: float, lon: float) -> None:
    with pytest.raises(InvalidCoordinate):
        Coordinate(lat, lon)


@pytest.mark.parametrize(
    ("lon", "wrapped"),
    [(180, -180), (-180, -180), (181, -179), (540, -180), (-181, 179), (359.5, -0.5), (-0.0, 0)],
)
def test_longitude_is_wrapped(lon: float, wrapped: float) -> None:
    assert Coordinate(0, lon).lon == wrapped


@given(st.floats(-1e9, 1e9))
def test_wrapping_stays_in_range_and_moves_by_whole_turns(lon: float) -> None:
    wrapped = float(wrap_longitude(lon))
    assert -180.0 <= wrapped < 180.0
    turns = (lon - wrapped) / 360.0
    assert turns == pytest.approx(round(turns), abs=1e-6)


@given(points)
def test_unit_vectors_and_back(point: tuple[float, float]) -> None:
    xyz = to_unit(point)
    assert float(np.linalg.norm(xyz)) == pytest.approx(1.0, abs=1e-12)
    back = from_unit(xyz)
    assert float(haversine_km(point, back)) < 1e-6
    assert -180.0 <= back[1] < 180.0


@given(points, st.floats(0, 360), st.floats(0, HALF_WAY_ROUND_KM))
def test_destination_is_that_far_away(
    start: tuple[float, float], bearing: float, distance: float
) -> None:
    end = destination(start, bearing, distance)
    assert np.isfinite(end).all()
    assert -90.0 <= end[0] <= 90.0
    assert -180.0 <= end[1] < 180.0
    assert float(haversine_km(start, end)) == pytest.approx(distance, abs=1e-3)


def test_destination_over_the_antimeridian_and_the_pole() -> None:
    degree = EARTH_RADIUS_KM * math.pi / 180
    np.testing.assert_allclose(destination((0, 179.5), 90, degree), (0, -179.5), atol=1e-9)
    np.testing.assert_allclose(destination((89.5, 10), 0, degree), (89.5, -170), atol=1e-9)
    ring = destination((90, 0), np.arange(0, 360, 45), 10 * degree)
    np.testing.assert_allclose(ring[:, 0], 80, atol=1e-9)


def test_mean_across_the_antimeridian() -> None:
    mean = spherical_mean([(0, 179), (0, -179)])
    assert mean is not None
    assert float(haversine_km(mean, (0, 180))) < 1e-6


def test_mean_around_the_pole() -> None:
    mean = spherical_mean([(80, 0), (80, 90), (80, 180), (80, -90)])
    assert mean is not None
    assert mean[0] == pytest.approx(90)


def test_mean_is_undefined_for_antipodes_and_for_nothing() -> None:
    assert spherical_mean([(0, 0), (0, 180)]) is None
    assert spherical_mean([(90, 0), (-90, 0)]) is None
    assert spherical_mean(np.empty((0, 2))) is None
    assert spherical_mean([(1, 2)], [0.0]) is None


@given(points, st.floats(1e-300, 1e300))
def test_mean_of_one_point_is_that_point(point: tuple[float, float], weight: float) -> None:
    mean = spherical_mean([point, point], [weight, 0.0])
    assert mean is not None
    assert float(haversine_km(mean, point)) < 1e-6


@given(st.lists(points, min_size=1, max_size=5), st.floats(-180, 180))
def test_mean_turns_with_the_points(cloud: list[tuple[float, float]], turn: float) -> None:
    near = [(lat / 3, lon / 6) for lat, lon in cloud]  # within ±30°: the mean is well defined
    mean = spherical_mean(near)
    turned = spherical_mean([(lat, lon + turn) for lat, lon in near])
    assert mean is not None
    assert turned is not None
    assert float(haversine_km((mean[0], mean[1] + turn), turned)) < 1e-3


@given(points)
def test_equal_earth_is_bounded_and_odd(point: tuple[float, float]) -> None:
    xy = equal_earth(point)
    assert np.isfinite(xy).all()
    assert np.abs(xy).max() <= 1.01
    np.testing.assert_allclose(equal_earth((-point[0], -point[1])), -xy, atol=1e-12)


def test_equal_earth_keeps_areas() -> None:
    scale = 66.50336 / 180 / EARTH_RADIUS_KM  # projected units per km
    for lat in (-75.0, -30.0, 0.0, 45.0, 80.0):
        step = 1e-4
        lower, upper = equal_earth([(lat, 10.0), (lat + step, 10.0)])
        east = equal_earth((lat, 10.0 + step))
        projected = (east[0] - lower[0]) * (upper[1] - lower[1])
        side = math.radians(step) * EARTH_RADIUS_KM
        truth = side * side * math.cos(math.radians(lat + step / 2))
        assert projected / scale**2 == pytest.approx(truth, rel=1e-3)


def test_equal_earth_at_the_edges() -> None:
    np.testing.assert_allclose(equal_earth((0, 180))[0], 1.0, atol=1e-3)
    np.testing.assert_allclose(equal_earth((0, -180))[0], -1.0, atol=1e-3)
    assert equal_earth((90, 0))[1] == pytest.approx(-equal_earth((-90, 0))[1])
