"""A place of the gazetteer, and a match of its name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a place is."""

    CITY = 0
    REGION = 1
    COUNTRY = 2


@dataclass(frozen=True, slots=True)
class Place:
    """A place of the gazetteer."""

    geoname_id: int
    """0 where GeoNames' id is not known."""
    name: str
    country: str
    """ISO 3166-1 alpha-2, or XK."""
    region: str
    """First-level division; empty for a country and where there is none."""
    lat: float
    lon: float
    """Of the city, or of the city nearest to where a region's or country's people live."""
    population: int
    kind: Kind = Kind.CITY
    radius_km: float = 0.0
    """Of a disc as large as the place; of a city, estimated from its population."""


@dataclass(frozen=True, slots=True)
class PlaceMatch:
    """A place whose name resembles a text."""

    place: Place
    score: float
    """0 to 1: how well the name agrees, less a little for small places and short names."""
    matched_name: str
    """The name of the place that was found, as GeoNames writes it."""
    similarity: float
    """0 to 1: the agreement of the names alone; 1 when they are the same."""
