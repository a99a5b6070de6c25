from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofix.errors import InvalidCoordinate, InvalidOption
from geofix.geo import cells, shapes
from geofix.geo.coordinates import EARTH_RADIUS_KM, destination

EARTH_AREA_KM2 = 4 * math.pi * EARTH_RADIUS_KM**2

lats = st.floats(-90, 90, allow_nan=False)
lons = st.floats(-180, 180, allow_nan=False)


@pytest.mark.parametrize("level", [0, 3, 6])
def test_a_whole_level_covers_the_earth_once(level: int) -> None:
    whole = shapes.covering_box((-180, -90, 180, 90), level)
    assert len(whole) == len(set(whole)) == 6 * 4**level
    assert sum(map(cells.area_km2, whole)) == pytest.approx(EARTH_AREA_KM2, rel=1e-9)
    assert set(shapes.covering_circle(12, 34, 20_100, level)) == set(whole)


@settings(max_examples=40)
@given(lats, lons, st.floats(0, 3000), st.floats(0, 360), st.floats(0, 1))
def test_a_circle_is_covered(
    lat: float, lon: float, radius: float, bearing: float, share: float
) -> None:
    inside = destination((lat, lon), bearing, radius * share)
    covering = shapes.covering_circle(lat, lon, radius * (1 + 1e-9) + 1e-6, 5)
    assert cells.token(inside[0], inside[1], 5) in covering
    assert shapes.circle_contains(lat, lon, radius + 1e-3, [inside]).all()


@settings(max_examples=40)
@given(lons, st.floats(0, 359), st.tuples(lats, lats), st.floats(0, 1), st.floats(0, 1))
def test_a_box_is_covered(
    west: float, width: float, band: tuple[float, float], right: float, up: float
) -> None:
    south, north = sorted(band)
    box = (west, south, west + width, north)
    inside = (south + up * (north - south), west + right * width)
    assert cells.token(*inside, 4) in shapes.covering_box(box, 4)


def test_boxes_across_the_antimeridian() -> None:
    fiji = (177.0, -19.0, -178.0, -16.0)
    covering = shapes.covering_box(fiji, 6)
    assert cells.token(-17.8, 179.9, 6) in covering
    assert cells.token(-17.8, -179.9, 6) in covering
    assert cells.token(-17.8, 0, 6) not in covering
    assert len(covering) < 100
    inside = shapes.box_contains(fiji, [(-17.8, 179.9), (-17.8, -179.9), (-17.8, 180), (-17.8, 0)])
    assert inside.tolist() == [True, True, True, False]


def test_a_box_round_the_earth_and_a_box_of_no_width() -> None:
    ring = [(89.0, lon) for lon in range(-180, 180, 45)]
    assert shapes.box_contains((-180, 80, 180, 90), ring).all()
    assert shapes.box_contains((0, 80, 360, 90), ring).all()
    assert shapes.box_contains((180, -1, -180, 1), [(0, 180), (0, 179)]).tolist() == [True, False]
    assert shapes.box_contains((-180, -1, -180, 1), [(0, 180), (0, 179)]).tolist() == [True, False]
    assert shapes.box_contains((10, 80, 20, 90), [(90, 0), (89, 0), (-90, 0)]).tolist() == [
        True,
        False,
        False,
    ]
    assert len(shapes.covering_box((10, -1, 10, 1), 6)) < 10


SQUARE = [(-10.0, 170.0), (-10.0, -170.0), (10.0, -170.0), (10.0, 170.0)]


@pytest.mark.parametrize("corners", [SQUARE, SQUARE[::-1], [*SQUARE, SQUARE[0]]])
def test_polygons_across_the_antimeridian_wind_either_way(
    corners: list[tuple[float, float]],
) -> None:
    points = [(0, 180), (0, -180), (0, 175), (0, -175), (0, 165), (0, 0), (20, 180)]
    inside = [True, True, True, True, False, False, False]
    assert shapes.polygon_contains(corners, points).tolist() == inside
    covering = set(shapes.covering_polygon(corners, 6))
    assert [cells.token(lat, lon, 6) in covering for lat, lon in points] == inside
    box = set(shapes.covering_box((170, -10, -170, 10), 6))
    assert len(covering ^ box) < 0.15 * len(box)


@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_polygons_round_a_pole(pole: float) -> None:
    corners = [(math.copysign(70, pole), lon) for lon in (0.0, 90.0, 180.0, -90.0)]
    assert shapes.polygon_contains(corners, [(pole, 0), (0, 0), (-pole, 0)]).tolist() == [
        True,
        False,
        False,
    ]
    assert cells.token(pole, 77, 6) in shapes.covering_polygon(corners, 6)


@pytest.mark.parametrize(
    "corners",
    [
        [(0.0, 0.0), (1.0, 1.0)],
        [(0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (1.0, 1.0)],
        [(0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0)],
        [(0.0, 0.0), (0.0, 180.0), (45.0, 90.0)],
        [(0.0, 0.0), (91.0, 1.0), (2.0, 2.0)],
        [(0.0, 0.0), (math.nan, 1.0), (2.0, 2.0)],
    ],
)
def test_impossible_polygons_are_refused(corners: list[tuple[float, float]]) -> None:
    with pytest.raises(InvalidCoordinate):
        shapes.covering_polygon(corners, 6)


@pytest.mark.parametrize(
    "box", [(0, 10, 1, 5), (0, -91, 1, 0), (0, 0, math.nan, 1), (math.inf, 0, 1, 1)]
)
def test_impossible_boxes_are_refused(box: shapes.BoundingBox) -> None:
    with pytest.raises(InvalidCoordinate):
        shapes.covering_box(box, 6)
    with pytest.raises(InvalidCoordinate):
        shapes.box_contains(box, [(0, 0)])


def test_impossible_circles_are_refused() -> None:
    with pytest.raises(InvalidOption):
        shapes.covering_circle(0, 0, -1, 6)
    with pytest.raises(InvalidOption):
        shapes.covering_circle(0, 0, math.nan, 6)
    with pytest.raises(InvalidOption):
        shapes.covering_circle(0, 0, 20_000, 30)
