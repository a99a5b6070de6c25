"""Kernels on the sphere against sampling and against their own definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofix.engine.choosing import kernels
from geofix.geo.coordinates import EARTH_RADIUS_KM, apart_km, haversine_km, to_unit

HALF_TURN_KM = np.pi * EARTH_RADIUS_KM


def within(distance_km: float, width_km: float, radius_km: float) -> float:
    share = kernels.mass_within(
        np.array([distance_km]), np.array([width_km]), np.array([radius_km])
    )
    return float(share[0, 0])


def test_half_of_a_kernel_lies_within_its_width() -> None:
    assert within(0.0, 25.0, 25.0) == pytest.approx(0.5, abs=0.5 / kernels.RINGS)
    assert within(0.0, 25.0, 75.0) == pytest.approx(0.9, abs=1.0 / kernels.RINGS)


def test_all_of_a_kernel_lies_within_half_a_turn() -> None:
    assert within(123.0, 40.0, HALF_TURN_KM) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("distance_km", "radius_km"), [(30.0, 20.0), (500.0, 490.0), (80.0, 400.0)]
)
def test_the_closed_form_agrees_with_sampling(distance_km: float, radius_km: float) -> None:
    rng = np.random.default_rng(7)
    width = 60.0
    share = rng.random(200_000)
    radius = width * np.sqrt(share / (1.0 - share))
    theta = np.minimum(radius, HALF_TURN_KM) / EARTH_RADIUS_KM
    bearing = rng.random(200_000) * 2.0 * np.pi
    # The kernel's centre is the north pole, the point lies distance_km south of it.
    sampled = np.stack(
        [np.sin(theta) * np.cos(bearing), np.sin(theta) * np.sin(bearing), np.cos(theta)], axis=1
    )
    offset = distance_km / EARTH_RADIUS_KM
    point = np.array([np.sin(offset), 0.0, np.cos(offset)])
    inside = np.arccos(np.clip(sampled @ point, -1, 1)) * EARTH_RADIUS_KM <= radius_km
    assert within(distance_km, width, radius_km) == pytest.approx(float(inside.mean()), abs=0.04)


@given(
    st.floats(0.0, HALF_TURN_KM),
    st.floats(0.01, 3000.0),
    st.lists(st.floats(0.0, HALF_TURN_KM), min_size=2, max_size=8),
)
def test_more_reach_never_holds_less(
    distance_km: float, width_km: float, radii: list[float]
) -> None:
    share = kernels.mass_within(
        np.array([distance_km]), np.array([width_km]), np.sort(np.array(radii))
    )[0]
    assert np.isfinite(share).all()
    assert ((share >= 0.0) & (share <= 1.0)).all()
    assert (np.diff(share) >= -1e-9).all()


@given(st.floats(0.0, 20000.0), st.floats(1.0, 200.0))
def test_a_cell_is_swallowed_step_by_step(distance_km: float, size_km: float) -> None:
    radii = np.geomspace(0.01, HALF_TURN_KM + 500.0, 200)
    share = kernels.cells_within(np.ones(1), np.array([distance_km]), np.array([size_km]), radii)
    assert (np.diff(share) >= -1e-9).all()
    assert share[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("centre", [(90.0, 0.0), (-90.0, 0.0), (12.0, 180.0), (-33.0, -70.0)])
def test_samples_lie_on_their_rings(centre: tuple[float, float]) -> None:
    unit = to_unit(np.array([centre]))
    width = np.array([50.0])
    points = kernels.samples(unit, width)[0]
    apart = apart_km(points, unit)[:, 0]
    np.testing.assert_allclose(apart, kernels.ring_radii_km(width)[0], rtol=1e-6)


def test_angles_agree_with_haversine() -> None:
    rng = np.random.default_rng(3)
    latlon = np.stack([rng.uniform(-90, 90, 50), rng.uniform(-180, 180, 50)], axis=1)
    unit = to_unit(latlon)
    expected = haversine_km(latlon[:, None, :], latlon[None, :, :])
    np.testing.assert_allclose(apart_km(unit, unit), expected, atol=2e-3)


def test_the_density_integrates_to_one() -> None:
    width = np.array(80.0)
    edges = np.geomspace(1e-3, HALF_TURN_KM, 20_000)
    middle = np.sqrt(edges[1:] * edges[:-1])
    circumference = 2.0 * np.pi * EARTH_RADIUS_KM * np.sin(middle / EARTH_RADIUS_KM)
    total = (kernels.density(middle, width) * circumference * np.diff(edges)).sum()
    assert total == pytest.approx(1.0, abs=0.01)
