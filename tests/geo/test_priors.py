from __future__ import annotations

import numpy as np
import pytest

from geofix.geo.cells import cell_ids
from geofix.geo.priors import IGBP, EarthGrid, earth, photo_prior

LAND_KM2 = 148_940_000


@pytest.fixture(scope="module")
def grid() -> EarthGrid:
    return earth()


def at(grid: EarthGrid, lat: float, lon: float) -> int:
    return int(grid.cells.locate([(lat, lon)])[0])


def test_shapes_and_ranges(grid: EarthGrid) -> None:
    n = len(grid)
    assert grid.cells.level == 6
    assert grid.cover.shape == (n, 17) == (n, len(IGBP))
    for array in (grid.land, grid.population, grid.coast_km, grid.shore, grid.relief_m):
        assert array.shape == (n,)
        assert np.isfinite(array).all()
        assert (array >= 0).all()
    assert ((grid.land > 0) & (grid.land <= 1)).all()
    assert (grid.shore <= 1).all()
    assert np.isfinite(grid.elevation_m).all()
    np.testing.assert_allclose(grid.cover.sum(axis=1), 1, atol=1e-5)
    assert grid.country.shape == (n,)
    assert grid.country.min() >= -1
    assert grid.country.max() < len(grid.countries)


def test_the_grid_holds_the_land_and_the_people(grid: EarthGrid) -> None:
    assert (grid.cells.area_km2 * grid.land).sum() == pytest.approx(LAND_KM2, rel=0.02)
    assert 7.4e9 < grid.population.sum() < 8.5e9


@pytest.mark.parametrize(
    ("lat", "lon", "cover", "country"),
    [
        (42.0, -93.5, "cropland", "US"),
        (23.0, 10.0, "barren", "DZ"),
        (-5.0, -65.0, "evergreen broadleaf forest", "BR"),
        (72.0, -40.0, "permanent snow and ice", "GL"),
        (-90.0, 0.0, "permanent snow and ice", "AQ"),
        (47.5, 105.0, "grassland", "MN"),
        (35.68, 139.7, "urban and built-up", "JP"),
    ],
)
def test_land_cover_and_country(
    grid: EarthGrid, lat: float, lon: float, cover: str, country: str
) -> None:
    cell = at(grid, lat, lon)
    assert IGBP[int(grid.cover[cell].argmax())] == cover
    assert grid.countries[grid.country[cell]] == country


def test_mountains_coasts_and_plains(grid: EarthGrid) -> None:
    himalaya, iowa, maldives, fiji = (
        at(grid, *point) for point in ((28, 86.9), (42, -93), (4.17, 73.5), (-17.8, 178))
    )
    assert grid.relief_m[himalaya] > 3000
    assert grid.elevation_m[himalaya] > 3000
    assert grid.relief_m[iowa] < 200
    assert grid.coast_km[iowa] > 1000
    assert grid.shore[iowa] == 0
    assert grid.shore[maldives] > 0.9
    assert grid.coast_km[fiji] < 30
    assert grid.elevation_m[fiji] > 0


def test_people_live_where_they_live(grid: EarthGrid) -> None:
    tokyo, dhaka, sahara = (
        at(grid, *point) for point in ((35.68, 139.7), (23.8, 90.4), (23.0, 10.0))
    )
    assert grid.population[tokyo] > 2e7
    assert grid.population[dhaka] > 1e7
    assert grid.population[sahara] < 1e6
    by_country = np.bincount(grid.country[grid.country >= 0], grid.population[grid.country >= 0])
    largest = [grid.countries[k] for k in np.argsort(by_country)[::-1][:3]]
    assert set(largest) == {"CN", "IN", "US"}


@pytest.mark.parametrize(("lat", "lon"), [(0, 0), (90, 0), (30, -40), (5, -130)])
def test_the_open_sea_is_not_on_the_grid(grid: EarthGrid, lat: float, lon: float) -> None:
    assert at(grid, lat, lon) == -1


def test_the_grid_across_the_antimeridian_and_at_the_pole(grid: EarthGrid) -> None:
    assert at(grid, 68, 180) == at(grid, 68, -180) >= 0
    assert at(grid, -90, 0) == at(grid, -90, 77) >= 0
    np.testing.assert_array_equal(grid.cells.locate(grid.cells.latlon), np.arange(len(grid)))
    ids = cell_ids([(48.85, 2.35)], 6)
    assert grid.cells.ids[at(grid, 48.85, 2.35)] == ids[0]


def test_nearly_every_cell_has_a_country(grid: EarthGrid) -> None:
    assert (grid.country < 0).mean() < 0.002
    assert "" not in grid.countries
    assert list(grid.countries) == sorted(grid.countries)


def test_the_prior_is_a_distribution_without_holes(grid: EarthGrid) -> None:
    prior = photo_prior()
    assert prior.shape == (len(grid),)
    assert prior.dtype == np.float64
    assert prior.sum() == pytest.approx(1)
    assert (prior > 0).all()
    paris, sahara = at(grid, 48.85, 2.35), at(grid, 23.0, 10.0)
    assert 5 < prior[paris] / prior[sahara] < 100


def test_the_grid_cannot_be_changed_by_its_readers(grid: EarthGrid) -> None:
    with pytest.raises(ValueError, match="read-only"):
        grid.cover[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        grid.population[0] = 1
