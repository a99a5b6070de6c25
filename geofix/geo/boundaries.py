"""Polygons of countries and regions, and which of them a position lies in.

Country areas reach 25 km out to sea and are disjoint, so that a harbour or a beach has a country
and the open sea has none. Codes are ISO 3166-1 alpha-2 as GeoNames assigns them, and XK for
Kosovo: Crimea is UA, Northern Cyprus CY, Western Sahara EH, Hong Kong HK, Réunion RE.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from geofix.geo.coordinates import Float64Array, wrap_longitude
from geofix.geo.tables import table, texts

Geometries = npt.NDArray[np.object_]
Int32Array = npt.NDArray[np.int32]

_EDGE_OF_THE_MAP = 1e-7
"""Degrees by which points at ±180° are moved into the map, where polygons are cut."""


class Areas:
    """Polygons that do not overlap, with an index over them."""

    def __init__(self, polygons: Geometries) -> None:
        shapely.prepare(polygons)
        self._polygons = polygons
        self._tree = shapely.STRtree(polygons)

    def locate(self, latlon: npt.ArrayLike) -> Int32Array:
        """int32 [N]: index of the polygon each point [N, 2] lies in, -1 for none."""
        points = np.asarray(latlon, dtype=np.float64).reshape(-1, 2)
        lat, lon = points[:, 0], wrap_longitude(points[:, 1])
        found = self._locate(lat, lon)
        at_seam = (found < 0) & (np.abs(lon) == 180.0)
        if at_seam.any():
            found[at_seam] = self._locate(lat[at_seam], -lon[at_seam] - _EDGE_OF_THE_MAP)
        return found

    def nearest(self, lat: float, lon: float, among: npt.NDArray[np.intp]) -> int:
        """Which of the polygons ``among`` holds a position or is nearest to it on the map."""
        point = shapely.Point(lon, lat)
        return int(among[int(np.argmin(shapely.distance(self._polygons[among], point)))])

    def _locate(self, lat: Float64Array, lon: Float64Array) -> Int32Array:
        found = np.full(len(lat), -1, dtype=np.int32)
        point, polygon = self._tree.query(shapely.points(lon, lat))
        inside = shapely.intersects_xy(self._polygons[polygon], lon[point], lat[point])
        # On a shared border the first polygon wins, whatever order the index answers in.
        order = np.lexsort((-polygon[inside], point[inside]))
        found[point[inside][order]] = polygon[inside][order]
        return found


@dataclass(frozen=True, slots=True)
class Region:
    """One polygon of a first-level division."""

    country: str
    name: str
    exact: bool
    """Whether the polygon is trusted to bound one present-day region."""


class Regions:
    """Regions' polygons, searched inside one country at a time."""

    def __init__(self) -> None:
        rows = table("regions")
        self._facts = [
            Region(country, name, exact)
            for country, name, exact in zip(
                texts(rows, "country"),
                texts(rows, "name"),
                map(bool, rows["exact"].to_pylist()),
                strict=True,
            )
        ]
        self._areas = Areas(_polygons(rows))
        countries = np.array([fact.country for fact in self._facts])
        self._of_country = {code: np.flatnonzero(countries == code) for code in set(countries)}

    def find(self, lat: float, lon: float, country: str) -> Region | None:
        """The country's region that holds a position, else the nearest; None for no regions."""
        at = int(self._areas.locate([(lat, lon)])[0])
        if at >= 0 and self._facts[at].country == country:
            return self._facts[at]
        among = self._of_country.get(country)
        if among is None:
            return None
        return self._facts[self._areas.nearest(lat, lon, among)]


class Countries:
    """Countries' areas and facts."""

    def __init__(self) -> None:
        rows = table("countries")
        self.codes: tuple[str, ...] = tuple(texts(rows, "code"))
        self.names = dict(zip(self.codes, texts(rows, "name"), strict=True))
        self.continents = dict(zip(self.codes, texts(rows, "continent"), strict=True))
        self._areas = Areas(_polygons(rows))

    def locate(self, latlon: npt.ArrayLike) -> Int32Array:
        """int32 [N]: index into ``codes`` for each point [N, 2], -1 on the open sea."""
        return self._areas.locate(latlon)


@cache
def countries() -> Countries:
    """The countries, loaded once."""
    return Countries()


@cache
def regions() -> Regions:
    """The regions, loaded once."""
    return Regions()


def _polygons(rows: pa.Table) -> Geometries:
    wkb = np.array(rows["wkb"].to_pylist(), dtype=np.object_)
    return np.asarray(shapely.from_wkb(wkb), dtype=np.object_)
