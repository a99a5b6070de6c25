from __future__ import annotations

import math

import numpy as np
import pytest
import s2geometry  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from geofix.errors import InvalidCoordinate, InvalidOption
from geofix.geo import cells
from geofix.geo.coordinates import EARTH_RADIUS_KM, Coordinate, destination, haversine_km

EARTH_AREA_KM2 = 4 * math.pi * EARTH_RADIUS_KM**2

lats = st.floats(-90, 90, allow_nan=False)
lons = st.floats(-180, 180, allow_nan=False)
levels = st.integers(0, 30)


@given(lats, lons, levels)
def test_ids_and_tokens_are_those_of_s2(lat: float, lon: float, level: int) -> None:
    at = Coordinate(lat, 0 if abs(lat) == 90 else lon)
    cell = s2geometry.S2CellId(s2geometry.S2LatLng.FromDegrees(at.lat, at.lon)).parent(level)
    assert cells.cell_ids([(lat, lon)], level).tolist() == [cell.id()]
    assert cells.tokens([(lat, lon)], level) == [cell.ToToken()]
    assert cells.token(lat, lon, level) == cell.ToToken()


@given(lats, lons, st.integers(0, 20))
def test_a_position_lies_in_its_cell(lat: float, lon: float, level: int) -> None:
    token = cells.token(lat, lon, level)
    cell = s2geometry.S2Cell(s2geometry.S2CellId.FromToken(token))
    assert cell.Contains(s2geometry.S2LatLng.FromDegrees(lat, lon).ToPoint())
    at = cells.centre(token)
    assert cells.token(at.lat, at.lon, level) == token
    assert cells.corners(token).shape == (4, 2)


def test_both_names_of_the_antimeridian_and_all_of_the_pole_are_one_cell() -> None:
    assert cells.token(10, 180, 12) == cells.token(10, -180, 12) == cells.token(10, 540, 12)
    assert cells.token(0, 180, 1) == cells.token(0, -180, 1)
    assert len({cells.token(90, lon, 30) for lon in range(-180, 181, 30)}) == 1
    assert len({cells.token(-90, lon, 30) for lon in range(-180, 181, 30)}) == 1


@pytest.mark.parametrize("level", [0, 3, 6])
def test_a_whole_level_covers_the_earth_once(level: int) -> None:
    whole = cells.covering_box((-180, -90, 180, 90), level)
    assert len(whole) == len(set(whole)) == 6 * 4**level
    assert sum(map(cells.area_km2, whole)) == pytest.approx(EARTH_AREA_KM2, rel=1e-9)
    assert set(cells.covering_circle(12, 34, 20_100, level)) == set(whole)


@settings(max_examples=40)
@given(lats, lons, st.floats(0, 3000), st.floats(0, 360), st.floats(0, 1))
def test_a_circle_is_covered(
    lat: float, lon: float, radius: float, bearing: float, share: float
) -> None:
    inside = destination((lat, lon), bearing, radius * share)
    covering = cells.covering_circle(lat, lon, radius * (1 + 1e-9) + 1e-6, 5)
    assert cells.token(inside[0], inside[1], 5) in covering
    assert cells.circle_contains(lat, lon, radius + 1e-3, [inside]).all()


@settings(max_examples=40)
@given(lons, st.floats(0, 359), st.tuples(lats, lats), st.floats(0, 1), st.floats(0, 1))
def test_a_box_is_covered(
    west: float, width: float, band: tuple[float, float], right: float, up: float
) -> None:
    south, north = sorted(band)
    box = (west, south, west + width, north)
    inside = (south + up * (north - south), west + right * width)
    assert cells.token(*inside, 4) in cells.covering_box(box, 4)


def test_boxes_across_the_antimeridian() -> None:
    fiji = (177.0, -19.0, -178.0, -16.0)
    covering = cells.covering_box(fiji, 6)
    assert cells.token(-17.8, 179.9, 6) in covering
    assert cells.token(-17.8, -179.9, 6) in covering
    assert cells.token(-17.8, 0, 6) not in covering
    assert len(covering) < 100
    inside = cells.box_contains(fiji, [(-17.8, 179.9), (-17.8, -179.9), (-17.8, 180), (-17.8, 0)])
    assert inside.tolist() == [True, True, True, False]


def test_a_box_round_the_earth_and_a_box_of_no_width() -> None:
    ring = [(89.0, lon) for lon in range(-180, 180, 45)]
    assert cells.box_contains((-180, 80, 180, 90), ring).all()
    assert cells.box_contains((0, 80, 360, 90), ring).all()
    assert cells.box_contains((180, -1, -180, 1), [(0, 180), (0, 179)]).tolist() == [True, False]
    assert cells.box_contains((-180, -1, -180, 1), [(0, 180), (0, 179)]).tolist() == [True, False]
    assert cells.box_contains((10, 80, 20, 90), [(90, 0), (89, 0), (-90, 0)]).tolist() == [
        True,
        False,
        False,
    ]
    assert len(cells.covering_box((10, -1, 10, 1), 6)) < 10


SQUARE = [(-10.0, 170.0), (-10.0, -170.0), (10.0, -170.0), (10.0, 170.0)]


@pytest.mark.parametrize("corners", [SQUARE, SQUARE[::-1], [*SQUARE, SQUARE[0]]])
def test_polygons_across_the_antimeridian_wind_either_way(
    corners: list[tuple[float, float]],
) -> None:
    points = [(0, 180), (0, -180), (0, 175), (0, -175), (0, 165), (0, 0), (20, 180)]
    inside = [True, True, True, True, False, False, False]
    assert cells.polygon_contains(corners, points).tolist() == inside
    covering = set(cells.covering_polygon(corners, 6))
    assert [cells.token(lat, lon, 6) in covering for lat, lon in points] == inside
    box = set(cells.covering_box((170, -10, -170, 10), 6))
    assert len(covering ^ box) < 0.15 * len(box)


@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_polygons_round_a_pole(pole: float) -> None:
    corners = [(math.copysign(70, pole), lon) for lon in (0.0, 90.0, 180.0, -90.0)]
    assert cells.polygon_contains(corners, [(pole, 0), (0, 0), (-pole, 0)]).tolist() == [
        True,
        False,
        False,
    ]
    assert cells.token(pole, 77, 6) in cells.covering_polygon(corners, 6)


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
        cells.covering_polygon(corners, 6)


@pytest.mark.parametrize(
    "box", [(0, 10, 1, 5), (0, -91, 1, 0), (0, 0, math.nan, 1), (math.inf, 0, 1, 1)]
)
def test_impossible_boxes_are_refused(box: cells.BoundingBox) -> None:
    with pytest.raises(InvalidCoordinate):
        cells.covering_box(box, 6)
    with pytest.raises(InvalidCoordinate):
        cells.box_contains(box, [(0, 0)])


def test_other_nonsense_is_refused() -> None:
    with pytest.raises(InvalidOption):
        cells.covering_circle(0, 0, -1, 6)
    with pytest.raises(InvalidOption):
        cells.covering_circle(0, 0, math.nan, 6)
    with pytest.raises(InvalidOption):
        cells.covering_circle(0, 0, 20_000, 30)
    with pytest.raises(InvalidOption):
        cells.token(0, 0, 31)
    with pytest.raises(InvalidOption):
        cells.area_km2("not a token")
    with pytest.raises(InvalidCoordinate):
        cells.cell_ids([(91, 0)], 6)
    with pytest.raises(InvalidCoordinate):
        cells.cell_ids([(math.nan, 0)], 6)


def test_a_grid_finds_its_cells() -> None:
    tokens = cells.covering_circle(0, 180, 800, 6)
    ids = [s2geometry.S2CellId.FromToken(token).id() for token in tokens]
    grid = cells.CellGrid.of([*ids, ids[0]])
    assert len(grid) == len(tokens)
    assert grid.level == 6
    assert sorted(cells.tokens_of(grid.ids)) == sorted(tokens)
    np.testing.assert_array_equal(grid.locate(grid.latlon), np.arange(len(grid)))
    assert grid.locate([(0, 0), (90, 0), (0, 180), (0, -180)]).tolist()[:2] == [-1, -1]
    assert (grid.locate([(0, 180), (0, -180)]) >= 0).all()
    assert np.linalg.norm(grid.unit, axis=1) == pytest.approx(1)
    assert (haversine_km((0, 180), grid.latlon) < 1000).all()
    assert grid.area_km2.sum() == pytest.approx(sum(map(cells.area_km2, tokens)))


def test_a_grid_is_of_one_level() -> None:
    mixed = [cells.cell_ids([(0, 0)], level)[0] for level in (5, 6)]
    with pytest.raises(InvalidOption):
        cells.CellGrid.of(mixed)
    with pytest.raises(InvalidOption):
        cells.CellGrid.of([])
