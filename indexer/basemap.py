"""``python -m indexer.basemap``: rebuild the land that offline maps draw under an answer.

The regions of ``geofix.geo`` (Natural Earth's admin-1, which end at the coast) are joined into
countries and simplified together, so that neighbours keep their common border.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import shapely

from geofix.geo.tables import table

TARGET = Path("geofix/cli/map/world.json")

_TOLERANCE_DEG = 0.04
_SMALLEST_DEG2 = 0.002
_STEPS_PER_DEGREE = 100


def rings() -> list[list[int]]:
    """The land as rings, counter-clockwise, not closed, the largest first.

    A ring holds lon, lat of its points in hundredths of a degree, each as the step from the one
    before. Lakes and enclaves are no holes: enclaves are rings of their own.
    """
    regions = table("regions")
    codes = np.array(regions["country"].to_pylist())
    polygons = shapely.from_wkb(regions["wkb"].to_pylist())
    countries = [shapely.union_all(polygons[codes == code]) for code in np.unique(codes)]
    simplified = shapely.coverage_simplify(np.array(countries), _TOLERANCE_DEG)
    outlines = [shapely.Polygon(part.exterior) for part in shapely.get_parts(simplified)]
    outlines.sort(key=lambda outline: -outline.area)
    return [_steps(outline) for outline in outlines if outline.area >= _SMALLEST_DEG2]


def _steps(polygon: shapely.Polygon) -> list[int]:
    exterior = polygon.exterior
    lonlat = shapely.get_coordinates(exterior)[:: 1 if exterior.is_ccw else -1]
    steps = np.rint(lonlat[:-1] * _STEPS_PER_DEGREE).astype(np.int64)
    steps[1:] -= steps[:-1].copy()
    return [int(step) for step in steps.ravel()]


if __name__ == "__main__":
    TARGET.write_text(json.dumps(rings(), separators=(",", ":")) + "\n", encoding="utf-8")
