"""Positions on the Earth: validation, distance, mean, projection.

Arrays hold (lat, lon) pairs in WGS84 degrees in their last axis. Distances are great-circle
distances on a sphere of the Earth's mean radius, at most 0.6 % from the ellipsoid's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geofix.errors import InvalidCoordinate

Float64Array = npt.NDArray[np.float64]

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG, R1)."""

_UNDEFINED_MEAN = 1e-9
"""Below this length of the mean vector its direction is rounding error."""

_EQUAL_EARTH_A = (1.340264, -0.081106, 0.000893, 0.003796)
_EQUAL_EARTH_SCALE = 66.50336
"""GeoCLIP divides its projected degrees by 180 after this scaling."""


@dataclass(frozen=True, slots=True)
class Coordinate:
    """A valid position: finite, latitude in [-90, 90], longitude wrapped into [-180, 180)."""

    lat: float
    lon: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lat) and math.isfinite(self.lon)):
            raise InvalidCoordinate("Latitude and longitude must be finite numbers.")
        if not -90.0 <= self.lat <= 90.0:
            raise InvalidCoordinate(f"Latitude must lie between -90 and 90, not {self.lat:g}.")
        object.__setattr__(self, "lat", float(self.lat))
        object.__setattr__(self, "lon", _wrap(float(self.lon)))

    def distance_km(self, other: Coordinate) -> float:
        """Great-circle distance to ``other``."""
        return float(haversine_km((self.lat, self.lon), (other.lat, other.lon)))


def wrap_longitude(lon: npt.ArrayLike) -> Float64Array:
    """Longitudes in degrees, any shape, moved by whole turns into [-180, 180)."""
    degrees = np.asarray(lon, dtype=np.float64)
    inside = (degrees >= -180.0) & (degrees < 180.0)
    with np.errstate(invalid="ignore"):
        turned = np.mod(degrees + 180.0, 360.0) - 180.0
    # mod() rounds a tiny negative remainder up to a full turn, and would blur values inside.
    return np.where(inside, degrees, np.where(turned >= 180.0, -180.0, turned))


def checked_points(latlon: npt.ArrayLike) -> Float64Array:
    """Points [N, 2] in degrees, each by one name: longitude in [-180, 180), and 0 at a pole.

    S2 puts 180 and -180, and a pole's longitudes, in several cells. Raises InvalidCoordinate for
    a point that is not finite or beyond a pole.
    """
    points = np.asarray(latlon, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(points).all() or (np.abs(points[:, 0]) > 90.0).any():
        raise InvalidCoordinate("Points must be finite, with latitudes between -90 and 90.")
    at_pole = np.abs(points[:, 0]) == 90.0
    return np.stack([points[:, 0], np.where(at_pole, 0.0, wrap_longitude(points[:, 1]))], axis=-1)


def haversine_km(a: npt.ArrayLike, b: npt.ArrayLike) -> Float64Array:
    """Great-circle distances in km between ``a`` and ``b``.

    ``a`` and ``b`` are [..., 2] (lat, lon) degrees and broadcast; the result is float64 [...].
    """
    lat_a, lon_a = _radians(a)
    lat_b, lon_b = _radians(b)
    h = (
        np.sin((lat_b - lat_a) / 2.0) ** 2
        + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_b - lon_a) / 2.0) ** 2
    )
    h = np.clip(h, 0.0, 1.0)
    # arctan2 keeps its precision near the antipode, where arcsin(sqrt(h)) loses half the digits.
    angle = 2.0 * np.arctan2(np.sqrt(h), np.sqrt(1.0 - h))
    return np.asarray(EARTH_RADIUS_KM * angle, dtype=np.float64)


def to_unit(latlon: npt.ArrayLike) -> Float64Array:
    """Unit vectors float64 [..., 3] of (lat, lon) degrees [..., 2]."""
    lat, lon = _radians(latlon)
    return np.stack(
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)],
        axis=-1,
    )


def from_unit(xyz: npt.ArrayLike) -> Float64Array:
    """(lat, lon) degrees float64 [..., 2] of vectors [..., 3] of any length but 0."""
    x, y, z = np.moveaxis(np.asarray(xyz, dtype=np.float64), -1, 0)
    lat = np.degrees(np.arctan2(z, np.hypot(x, y)))
    lon = np.degrees(np.arctan2(y, x))
    return np.stack([lat, wrap_longitude(lon)], axis=-1)


def apart_km(unit: Float64Array, others: Float64Array) -> Float64Array:
    """Great-circle distances in km, [M, N], between unit vectors [M, 3] and [N, 3]."""
    # einsum, not @: a product this thin only keeps the threads of the linear algebra busy waiting.
    cosine = np.einsum("mi,ni->mn", unit, others)
    chord = np.sqrt(np.clip(2.0 - 2.0 * cosine, 0.0, 4.0))
    angle = 2.0 * np.arcsin(np.clip(chord / 2.0, 0.0, 1.0))
    return np.asarray(angle * EARTH_RADIUS_KM, dtype=np.float64)


def spherical_mean(
    latlon: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> Float64Array | None:
    """The (lat, lon) whose direction is the weighted mean of the points' unit vectors.

    ``latlon`` is [N, 2] degrees, ``weights`` [N], not negative (default: equal). None where the
    mean has no direction: no points, no weight, or points that cancel out (two antipodes).
    """
    points = np.asarray(latlon, dtype=np.float64).reshape(-1, 2)
    share = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    largest = float(share.max(initial=0.0))
    if largest <= 0.0:
        return None
    share = share / largest  # so that the sum neither overflows nor underflows
    mean = (to_unit(points) * share[:, None]).sum(axis=0) / share.sum()
    if np.linalg.norm(mean) < _UNDEFINED_MEAN:
        return None
    return from_unit(mean)


def equal_earth(latlon: npt.ArrayLike) -> Float64Array:
    """Equal Earth projection (Šavrič, Patterson and Jenny 2018) in GeoCLIP's scaling.

    ``latlon`` is [..., 2] degrees; the result is (x, y), float64 [..., 2], both within about ±1.
    Longitudes are not wrapped: x jumps from 1 to -1 at ±180°.
    """
    lat, lon = _radians(latlon)
    a1, a2, a3, a4 = _EQUAL_EARTH_A
    theta = np.arcsin(np.sqrt(3.0) / 2.0 * np.sin(lat))
    slope = 9.0 * a4 * theta**8 + 7.0 * a3 * theta**6 + 3.0 * a2 * theta**2 + a1
    x = 2.0 * np.sqrt(3.0) * lon * np.cos(theta) / (3.0 * slope)
    y = a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta
    return np.stack([x, y], axis=-1) * (_EQUAL_EARTH_SCALE / 180.0)


def destination(
    latlon: npt.ArrayLike, bearing_deg: npt.ArrayLike, distance_km: npt.ArrayLike
) -> Float64Array:
    """Where one arrives from ``latlon`` [..., 2] on a great circle.

    ``bearing_deg`` counts clockwise from north, ``distance_km`` may be any length; all three
    broadcast. The result is float64 [..., 2] degrees, longitude in [-180, 180). At a pole every
    bearing is taken relative to the given longitude's meridian.
    """
    lat, lon = _radians(latlon)
    bearing = np.radians(np.asarray(bearing_deg, dtype=np.float64))
    angle = np.asarray(distance_km, dtype=np.float64) / EARTH_RADIUS_KM
    lat, lon, bearing, angle = np.broadcast_arrays(lat, lon, bearing, angle)
    zero = np.zeros_like(lat)
    outward = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], -1)
    east = np.stack([-np.sin(lon), np.cos(lon), zero], -1)
    heading = np.cos(bearing)[..., None] * north + np.sin(bearing)[..., None] * east
    return from_unit(np.cos(angle)[..., None] * outward + np.sin(angle)[..., None] * heading)


def _radians(latlon: npt.ArrayLike) -> tuple[Float64Array, Float64Array]:
    pairs = np.radians(np.asarray(latlon, dtype=np.float64))
    return pairs[..., 0], pairs[..., 1]


def _wrap(lon: float) -> float:
    return float(wrap_longitude(lon))
