"""The prior that a filter leaves."""

from __future__ import annotations

import numpy as np
import pytest

from geofix.engine import region
from geofix.engine.choosing.background import background
from geofix.engine.types import Filter
from geofix.errors import InvalidCoordinate, InvalidOption
from geofix.geo.coordinates import haversine_km
from geofix.geo.places import country_codes
from geofix.geo.priors import earth


def test_without_a_filter_all_land_counts() -> None:
    prior = background(Filter())
    assert len(prior.mass) == len(earth().cells)
    assert prior.mass.sum() == pytest.approx(1.0)
    assert (np.diff(prior.parent) >= 0).all()
    assert background(Filter(exclude_ids=("a",))) is prior


@pytest.mark.parametrize(
    "where",
    [
        Filter(countries=("PT",)),
        Filter(countries=("PT", "ES"), bbox=(-10.0, 36.0, -6.0, 42.0)),
        Filter(bbox=(170.0, -25.0, -170.0, -10.0)),
        Filter(bbox=(-180.0, -90.0, 180.0, -70.0)),
        Filter(circle=(48.85, 2.35, 3.0)),
        Filter(circle=(89.9, 0.0, 900.0)),
        Filter(polygon=((-20.0, 175.0), (-20.0, -175.0), (-14.0, -175.0), (-14.0, 175.0))),
        Filter(countries=("VA",)),
        Filter(countries=("MC",)),
        Filter(circle=(0.0, -30.0, 200.0)),
        Filter(circle=(0.0, -150.0, 1.0)),
        Filter(circle=(-90.0, 0.0, 1.0)),
        Filter(circle=(48.85, 2.35, 0.05)),
        Filter(circle=(10.0, 20.0, 0.002)),
        Filter(bbox=(10.0, 10.0, 10.00001, 10.00001)),
        Filter(bbox=(179.999999, 10.0, -179.999999, 10.000001)),
        Filter(polygon=((10.0, 10.0), (10.0, 10.00001), (10.00001, 10.0))),
        Filter(countries=("FR",), circle=(43.78, 7.50, 10.0)),
        Filter(countries=("MC",), bbox=(7.40, 43.72, 7.45, 43.76)),
    ],
    ids=str,
)
def test_a_filter_leaves_only_places_inside_it(where: Filter) -> None:
    prior = background(where)
    assert prior.mass.sum() == pytest.approx(1.0)
    assert (np.diff(prior.parent) >= 0).all()
    drawn = Filter(bbox=where.bbox, circle=where.circle, polygon=where.polygon)
    assert region.contains(drawn, prior.latlon, [""] * len(prior.mass)).all()
    if where.countries:
        assert set(country_codes(prior.latlon)) <= set(where.countries)


def test_a_small_country_lies_where_it_lies() -> None:
    prior = background(Filter(countries=("VA",)))
    assert (haversine_km(prior.latlon, (41.9029, 12.4534)) < 2.0).all()


def test_filters_that_leave_nothing_are_refused() -> None:
    with pytest.raises(InvalidOption, match="no place on Earth"):
        background(Filter(countries=("VA",), bbox=(100.0, 10.0, 110.0, 20.0)))
    with pytest.raises(InvalidOption, match="no place on Earth"):
        background(Filter(bbox=(0.0, 0.0, 5.0, 5.0), circle=(60.0, 100.0, 10.0)))


def test_areas_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidCoordinate):
        background(Filter(circle=(91.0, 0.0, 10.0)))
    with pytest.raises(InvalidCoordinate):
        background(Filter(polygon=((0.0, 0.0), (1.0, 1.0))))


def test_points_pass_by_country_and_area() -> None:
    points = np.array([[48.85, 2.35], [52.52, 13.40], [48.80, 2.40]])
    codes = ["FR", "DE", "FR"]
    assert region.contains(Filter(), points, codes).tolist() == [True, True, True]
    assert region.contains(Filter(countries=("FR",)), points, codes).tolist() == [True, False, True]
    near = Filter(countries=("FR",), circle=(48.85, 2.35, 1.0))
    assert region.contains(near, points, codes).tolist() == [True, False, False]


def test_children_lie_in_their_parents() -> None:
    ids = earth().cells.ids[:5]
    level = earth().cells.level
    from geofix.geo.cells import children, parents

    below = children(ids, level + 1)
    assert len(set(below.tolist())) == 20
    assert parents(below, level).tolist() == np.repeat(ids, 4).tolist()
