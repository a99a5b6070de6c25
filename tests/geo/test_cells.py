from __future__ import annotations

import math

import numpy as np
import pytest
import s2geometry  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from geofix.errors import InvalidCoordinate, InvalidOption
from geofix.geo import cells, shapes
from geofix.geo.coordinates import EARTH_RADIUS_KM, Coordinate, haversine_km

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


def test_nonsense_is_refused() -> None:
    with pytest.raises(InvalidOption):
        cells.token(0, 0, 31)
    with pytest.raises(InvalidOption):
        cells.area_km2("not a token")
    with pytest.raises(InvalidCoordinate):
        cells.cell_ids([(91, 0)], 6)
    with pytest.raises(InvalidCoordinate):
        cells.cell_ids([(math.nan, 0)], 6)


def test_a_grid_finds_its_cells() -> None:
    tokens = shapes.covering_circle(0, 180, 800, 6)
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
