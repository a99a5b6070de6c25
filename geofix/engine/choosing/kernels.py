"""Shapes of error on the sphere: how much of a kernel or a cell lies within a distance.

A kernel of width s has the radial distribution F(r) = r² / (r² + s²): half of its mass lies
within s, a tenth beyond 3 s and a hundredth beyond 10 s, so that one wrong candidate never
claims a certainty it has not got.
"""

from __future__ import annotations

import numpy as np

from geofix.engine.types import Float64Array
from geofix.geo.coordinates import EARTH_RADIUS_KM

RINGS = 16
"""Rings of equal mass that stand for one kernel."""

_QUANTILES = (np.arange(RINGS) + 0.5) / RINGS
_RING_SCALE = np.sqrt(_QUANTILES / (1.0 - _QUANTILES))
_GOLDEN_TURN = np.pi * (3.0 - np.sqrt(5.0))
_HALF_TURN_KM = np.pi * EARTH_RADIUS_KM


def ring_radii_km(width_km: Float64Array) -> Float64Array:
    """Radii [n, RINGS] in km of the rings of kernels with the widths [n] in km."""
    radii: Float64Array = np.minimum(width_km[:, None] * _RING_SCALE, _HALF_TURN_KM)
    return radii


def mass_within(
    distance_km: Float64Array, width_km: Float64Array, radii_km: Float64Array
) -> Float64Array:
    """Share [n, R] of each kernel that lies within each radius of a point.

    ``distance_km`` [n] is from the point to the kernels' centres. A ring around a centre is cut
    by a circle around the point; the spherical law of cosines gives the share of it inside.
    """
    offset = (distance_km / EARTH_RADIUS_KM)[:, None, None]
    ring = (ring_radii_km(width_km) / EARTH_RADIUS_KM)[:, :, None]
    reach = (radii_km / EARTH_RADIUS_KM)[None, None, :]
    cut = np.cos(reach) - np.cos(offset) * np.cos(ring)
    reachable = np.sin(offset) * np.sin(ring)
    # At the centre, or for a ring of no size, the ring lies inside or outside as a whole.
    whole = np.where(np.maximum(offset, ring) <= reach, -1.0, 1.0)
    cuts = reachable > 1e-12
    cosine = np.where(cuts, np.clip(cut / np.where(cuts, reachable, 1.0), -1.0, 1.0), whole)
    share: Float64Array = (np.arccos(cosine) / np.pi).mean(axis=1)
    return share


def cells_within(
    mass: Float64Array,
    distance_km: Float64Array,
    cell_radius_km: Float64Array,
    radii_km: Float64Array,
) -> Float64Array:
    """Mass [R] of cells, taken as discs, within each of ascending radii around a point.

    A cell grows into a circle as its edge crosses the disc, which is a ramp between its nearest
    and its farthest point; the cell that holds the point grows with the circle's area instead.
    """
    holding = distance_km < cell_radius_km
    area = np.minimum(1.0, (radii_km[None, :] / cell_radius_km[holding, None]) ** 2)
    away = ~holding
    slope = mass[away] / (2.0 * cell_radius_km[away])
    near = distance_km[away] - cell_radius_km[away]
    far = distance_km[away] + cell_radius_km[away]
    ramps = _ramps_from(near, slope, radii_km) - _ramps_from(far, slope, radii_km)
    total: Float64Array = mass[holding] @ area + ramps
    return total


def _ramps_from(start: Float64Array, slope: Float64Array, at: Float64Array) -> Float64Array:
    """Σ slope·max(0, at − start) for each of the ascending points ``at`` [R], in O(N + R)."""
    first = np.searchsorted(at, start)
    slopes = np.cumsum(np.bincount(first, slope, len(at) + 1)[:-1])
    offsets = np.cumsum(np.bincount(first, slope * start, len(at) + 1)[:-1])
    total: Float64Array = slopes * at - offsets
    return total


def density(distance_km: Float64Array, width_km: Float64Array) -> Float64Array:
    """Probability per km² of kernels of the widths at the distances; shapes broadcast."""
    flat = width_km**2 / (np.pi * (distance_km**2 + width_km**2) ** 2)
    theta = np.clip(distance_km / EARTH_RADIUS_KM, 1e-9, np.pi - 1e-3)
    curved: Float64Array = flat * (theta / np.sin(theta))
    return curved


def samples(unit: Float64Array, width_km: Float64Array) -> Float64Array:
    """Points [n, RINGS, 3] that stand for kernels at unit vectors [n, 3]: one on each ring."""
    pole = np.where(np.abs(unit[:, 2:3]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    east = np.cross(pole, unit)
    east /= np.linalg.norm(east, axis=1, keepdims=True)
    north = np.cross(unit, east)
    theta = ring_radii_km(width_km)[:, :, None] / EARTH_RADIUS_KM
    bearing = (np.arange(RINGS) * _GOLDEN_TURN)[None, :, None]
    direction = np.cos(bearing) * north[:, None, :] + np.sin(bearing) * east[:, None, :]
    points: Float64Array = np.cos(theta) * unit[:, None, :] + np.sin(theta) * direction
    return points
