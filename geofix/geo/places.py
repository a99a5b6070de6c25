"""Places: their names, and which of them a coordinate lies in.

The country is that of the polygon that holds the position, out to 25 km from the coast
(``geofix.geo.boundaries``). The region is that of Natural Earth's admin-1 polygon, under its
present GeoNames name; where today's regions are not those of the polygons, it is the region of
the nearest place in the country, and marked approximate. The city is chosen inside both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from geofix.geo import boundaries
from geofix.geo.coordinates import Coordinate, Float64Array, checked_points
from geofix.geo.gazetteer import Gazetteer, Kind, Place, PlaceMatch, gazetteer

__all__ = [
    "CONTINENTS",
    "Gazetteer",
    "Kind",
    "Locality",
    "Place",
    "PlaceMatch",
    "continent",
    "country_codes",
    "country_name",
    "gazetteer",
    "reverse",
]

CONTINENTS: Mapping[str, str] = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}
"""English names by GeoNames' codes."""
FARTHEST_CITY_KM = 250.0
"""A city farther away than this says nothing of a position."""
_PEOPLE_PER_KM2 = 4000.0
"""Of a built-up area: gives the reach of a city from its population."""
_LEAST_REACH_KM = 0.5
_SIZE_EXPONENT = 1.5
"""Above 1, so that of two cities that reach a position equally deep the larger one wins."""


@dataclass(frozen=True, slots=True)
class Locality:
    """The names of a position."""

    country: str
    """ISO 3166-1 alpha-2, or empty on the open sea."""
    country_name: str
    region: str
    region_approximate: bool
    """True where the region is that of the nearest places, not of a polygon."""
    city: str
    city_km: float | None
    """Distance to the city's centre, or None when there is no city."""


NOWHERE = Locality("", "", "", False, "", None)
"""The open sea."""


def country_codes(latlon: npt.ArrayLike) -> list[str]:
    """ISO alpha-2 of the country of each point [N, 2] in degrees; empty on the open sea.

    Raises InvalidCoordinate for a point that is not finite or beyond a pole.
    """
    codes = (*boundaries.countries().codes, "")
    return [codes[at] for at in boundaries.countries().locate(checked_points(latlon)).tolist()]


def country_name(code: str) -> str:
    """English name of a country, empty for a code that is none."""
    return boundaries.countries().names.get(code.upper(), "")


def continent(code: str) -> str:
    """GeoNames' continent of a country, a key of ``CONTINENTS``; empty for no country."""
    return boundaries.countries().continents.get(code.upper(), "")


@lru_cache(maxsize=4096)
def reverse(lat: float, lon: float) -> Locality:
    """The names of a position; empty ones where there are none, never an error for a legal one."""
    at = Coordinate(lat, lon)
    country = country_codes([(at.lat, at.lon)])[0]
    if not country:
        return NOWHERE
    known = gazetteer()
    rows = known.rows_of(country)
    distances = known.distances_km(at.lat, at.lon, rows)
    numbers = known.region_numbers(rows)

    region, approximate = _region(at, country, distances, numbers)
    candidates = np.flatnonzero(numbers == known.region_number(region))
    if not len(candidates):
        candidates = np.arange(len(distances))
    city, city_km = "", None
    if len(candidates):
        people = known.populations(rows)[candidates]
        chosen = int(candidates[_city(distances[candidates], people)])
        if distances[chosen] <= FARTHEST_CITY_KM:
            city, city_km = known.place(rows.start + chosen).name, float(distances[chosen])
    return Locality(country, country_name(country), region, approximate, city, city_km)


def _region(
    at: Coordinate, country: str, distances: Float64Array, numbers: npt.NDArray[np.int64]
) -> tuple[str, bool]:
    """Name of the region and whether it is approximate."""
    polygon = boundaries.regions().find(at.lat, at.lon, country)
    if polygon is not None and polygon.exact:
        return polygon.name, False
    named = np.flatnonzero(numbers != gazetteer().region_number(""))
    if not len(named):
        return "", False
    return gazetteer().region_name(int(numbers[named[np.argmin(distances[named])]])), True


def _city(distances: Float64Array, people: npt.NDArray[np.int64]) -> int:
    """Which city names a position, given the candidates' distances in km and populations.

    Each city reaches as far as a disc of its people at a city's density. Among the cities that
    reach the position the one with the least distance / reach**1.5 wins: a point within a large
    city has its name unless it is close to the centre of a suburb of some size, which keeps
    Manhattan New York rather than Times Square. Where none reaches it, the nearest edge wins.
    """
    reach = np.maximum(np.sqrt(people / _PEOPLE_PER_KM2 / np.pi), _LEAST_REACH_KM)
    reached = distances <= reach
    if reached.any():
        return int(np.argmin(np.where(reached, distances / reach**_SIZE_EXPONENT, np.inf)))
    return int(np.argmin(distances - reach))
