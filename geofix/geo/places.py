"""Places: their names, and which of them a coordinate lies in."""

from __future__ import annotations

from dataclasses import dataclass


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
