"""Polygons of countries and regions.

Countries are country-coder's: hand-drawn, complete in ISO codes, and on the right side of the
border more often than Natural Earth's. They are drawn loosely at sea, so they are cut where the
nearest land of Natural Earth is more than COAST_KM away. Regions are Natural Earth's admin-1,
named after the GeoNames places inside.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from shapely import affinity
from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry

from geofix.geo.coordinates import EARTH_RADIUS_KM, Float64Array
from indexer.earth.cities import City
from indexer.earth.packages import COUNTRY_BORDERS, REGION_BORDERS
from indexer.packages import read

Geometries = npt.NDArray[np.object_]

COAST_KM = 25.0
"""How far offshore a position still counts as the country's: harbours, ferries, beaches."""
KM_PER_DEGREE = np.pi / 180 * EARTH_RADIUS_KM
BAND_DEGREES = 2.0
"""Height of the bands in which a degree of longitude is taken as constant."""
LAND_TOLERANCE = 0.02
REGION_TOLERANCE = 0.02
"""Degrees, as the square root of the area by which a border may move (Visvalingam)."""
SEA_TOLERANCE = 0.02
"""Degrees by which the line at sea may move."""
WESTERN_SAHARA_NORTH = 27 + 40 / 60
"""The parallel that bounds Western Sahara; country-coder draws the land west of the berm as
Morocco's, ISO 3166 and GeoNames count all of it as EH."""
PURE = 0.85
"""A region's polygon is trusted where so many of the places inside share one admin-1."""
WHOLE_EARTH = box(-180, -90, 180, 90)


@dataclass(frozen=True, slots=True)
class Country:
    """The area in which a position belongs to a country."""

    code: str
    area: BaseGeometry


@dataclass(frozen=True, slots=True)
class Region:
    """A first-level division, or a part of one."""

    country: str
    admin1: str
    """GeoNames admin-1 code within the country, or empty."""
    name: str
    """Natural Earth's own name of this polygon."""
    exact: bool
    """Whether the places inside agree on the admin-1."""
    names: tuple[str, ...]
    """All names Natural Earth knows, in all its languages."""
    group: str
    """What Natural Earth calls the larger region this polygon is a part of, or empty."""
    geoname_id: int
    area: BaseGeometry


def regions(folder: Path, cities: list[City]) -> list[Region]:
    """Natural Earth's admin-1 polygons, each labelled by the places inside it."""
    features = json.loads(read(REGION_BORDERS, folder, "package/data/build.json"))["features"]
    areas = shapely.make_valid(np.array([shape(f["geometry"]) for f in features]))
    inside = _cities_by_area(areas, cities)
    simple = shapely.coverage_simplify(areas, REGION_TOLERANCE)
    found = []
    for at, feature in enumerate(features):
        facts = feature["properties"]
        country, admin1, exact = _majority(inside.get(at, []))
        if not country:
            country = facts["iso_a2"] if len(facts["iso_a2"]) == 2 else ""
            admin1, exact = _declared_admin1(facts["gn_a1_code"], country), True
        if not country or country == "-1":
            continue
        names = [facts.get(key) or "" for key in sorted(facts) if key.startswith("name_")]
        names = [facts["name"] or "", facts["woe_name"] or "", *names]
        names += (facts["name_alt"] or "").split("|")
        texts = dict.fromkeys(name.strip() for name in names if isinstance(name, str))
        found.append(
            Region(
                country=country,
                admin1=admin1,
                name=(facts["name_en"] or facts["name"] or "").strip(),
                exact=exact,
                names=tuple(name for name in texts if name and not name.isdigit()),
                group=(facts["region"] or "").strip(),
                geoname_id=max(int(facts["gn_id"] or 0), 0),
                area=simple[at],
            )
        )
    return found


def countries(
    folder: Path, cities: list[City], land: Geometries, islets: Float64Array
) -> list[Country]:
    """The countries' areas: disjoint but for rounding, reaching COAST_KM out to sea.

    ``land`` holds Natural Earth's polygons; ``islets`` points (lat, lon) known to be land, which
    count where Natural Earth has nothing.
    """
    features = json.loads(read(COUNTRY_BORDERS, folder, "package/src/data/borders.json"))
    drawn = [f for f in features["features"] if f.get("geometry")]
    areas = np.array([shape(f["geometry"]) for f in drawn])
    known = {city.country for city in cities}
    inside = _cities_by_area(areas, cities)
    by_code: dict[str, list[BaseGeometry]] = {}
    for at, feature in enumerate(drawn):
        code = _majority(inside.get(at, []))[0] or _iso_code(feature["properties"], known)
        for part_code, part in _with_western_sahara(code, areas[at]):
            by_code.setdefault(part_code, []).append(part)
    by_code.pop("", None)
    near_land = _near_land(land, islets)
    whole = {code: shapely.union_all(parts) for code, parts in sorted(by_code.items())}
    ashore = {code: shapely.intersection(area, near_land) for code, area in whole.items()}
    return [Country(code, area) for code, area in _fill(ashore, near_land).items()]


def _with_western_sahara(code: str, area: BaseGeometry) -> Iterable[tuple[str, BaseGeometry]]:
    if code != "MA":
        return [(code, area)]
    south = box(-180, -90, 180, WESTERN_SAHARA_NORTH)
    return [("MA", shapely.difference(area, south)), ("EH", shapely.intersection(area, south))]


def _fill(areas: Mapping[str, BaseGeometry], near_land: BaseGeometry) -> dict[str, BaseGeometry]:
    """Give what no country's area covers to the country it borders on most."""
    codes, shapes = list(areas), np.array(list(areas.values()))
    gaps = shapely.get_parts(shapely.difference(near_land, shapely.union_all(shapes)))
    tree = shapely.STRtree(shapes)
    filled: dict[str, list[BaseGeometry]] = {code: [area] for code, area in areas.items()}
    for gap in gaps[shapely.area(gaps) > 1e-6]:
        beside = tree.query(gap, predicate="dwithin", distance=1e-6)
        if len(beside) == 0:
            continue
        shared = shapely.length(shapely.intersection(shapely.boundary(gap), shapes[beside]))
        filled[codes[beside[int(np.argmax(shared))]]].append(gap)
    return {code: shapely.union_all(parts) for code, parts in filled.items()}


def _near_land(land: Geometries, islets: Float64Array) -> BaseGeometry:
    """The area within COAST_KM of land, the atolls too small for Natural Earth included."""
    near = _grow(shapely.union_all(shapely.simplify(land, LAND_TOLERANCE)))
    shapely.prepare(near)
    adrift = islets[~shapely.intersects_xy(near, islets[:, 1], islets[:, 0])]
    atolls = shapely.buffer(shapely.points(adrift[:, ::-1]), LAND_TOLERANCE)
    return shapely.union(near, _grow(shapely.union_all(atolls)))


def _grow(ground: BaseGeometry) -> BaseGeometry:
    """The area within COAST_KM of the ground, cut at ±180° and the poles."""
    bands = []
    reach = COAST_KM / KM_PER_DEGREE
    for south in np.arange(-90.0, 90.0, BAND_DEGREES):
        north = south + BAND_DEGREES
        part = shapely.intersection(ground, box(-180, south - reach, 180, north + reach))
        if part.is_empty:
            continue
        width = max(float(np.cos(np.radians(south + BAND_DEGREES / 2))), 0.02)
        flat = affinity.scale(part, width, 1.0, origin=(0, 0))
        grown = affinity.scale(
            shapely.buffer(flat, reach, quad_segs=4), 1 / width, 1.0, origin=(0, 0)
        )
        grown = shapely.simplify(grown, SEA_TOLERANCE)
        copies = [affinity.translate(grown, turn) for turn in (-360.0, 0.0, 360.0)]
        bands.append(shapely.intersection(shapely.union_all(copies), box(-180, south, 180, north)))
    return shapely.intersection(shapely.union_all(bands), WHOLE_EARTH)


def _cities_by_area(areas: Geometries, cities: list[City]) -> dict[int, list[City]]:
    tree = shapely.STRtree(shapely.points([(city.lon, city.lat) for city in cities]))
    shapely.prepare(areas)
    inside: dict[int, list[City]] = {}
    for at, area in enumerate(areas):
        inside[at] = [cities[k] for k in np.sort(tree.query(area, predicate="intersects"))]
    return inside


def _majority(cities: list[City]) -> tuple[str, str, bool]:
    """Country and admin-1 of most of the cities, and whether they agree; empty for none."""
    if not cities:
        return "", "", False
    country = Counter(city.country for city in cities).most_common(1)[0][0]
    codes = Counter(city.admin1 for city in cities if city.country == country)
    admin1, count = codes.most_common(1)[0]
    return country, admin1, count >= PURE * codes.total()


def _declared_admin1(code: str | None, country: str) -> str:
    prefix, _, admin1 = (code or "").partition(".")
    return admin1 if prefix == country else ""


def _iso_code(facts: Mapping[str, object], known: set[str]) -> str:
    """The ISO code of a feature that holds no place: its own, its group's, its country's."""
    groups = facts.get("groups")
    candidates = [facts.get("iso1A2"), *(groups if isinstance(groups, list) else [])]
    codes = [code for code in candidates if isinstance(code, str) and len(code) == 2]
    codes = [code for code in codes if code in known or code in UNINHABITED]
    return codes[0] if codes else str(facts.get("country") or "")


UNINHABITED = frozenset({"AQ", "BV", "HM", "IO", "TF", "UM", "GS", "SJ", "XK"})
"""ISO codes (and XK) of territories in which GeoNames has few places or none."""
