from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from geofix.engine.types import HeatCell
from geofix.geo import cells, shapes
from service.locate.geojson import feature_collection, outlines

_SEAM_AND_POLES = [
    (0.0, 0.0), (-17.8, 180.0), (-17.8, -180.0), (66.0, 179.9), (66.0, -179.9),
    (90.0, 0.0), (-90.0, 0.0), (89.9, 179.9), (-89.9, -100.0), (45.0, -45.0),
]  # fmt: skip


@pytest.mark.parametrize("level", [1, 2, 4, 6, 12])
def test_every_cell_is_a_valid_polygon_around_its_centre(level: int) -> None:
    tokens = cells.tokens(np.array(_SEAM_AND_POLES), level)
    for token, ring in zip(tokens, outlines(tokens), strict=True):
        polygon = shapely.Polygon(ring)
        centre = cells.centre(token)
        assert polygon.is_valid
        assert polygon.exterior.is_ccw
        assert ring[0] == ring[-1]
        inside = [shapely.Point(centre.lon + turn, centre.lat) for turn in (0.0, 360.0, -360.0)]
        assert any(polygon.contains(point) for point in inside)
        west, south, east, north = polygon.bounds
        assert east - west <= 90.0
        assert west >= -180.0
        assert east <= 180.0
        assert south >= -90.0
        assert north <= 90.0


def test_cells_around_a_pole_cover_it_together() -> None:
    tokens = shapes.covering_circle(90.0, 0.0, 500.0, 4)
    cap = shapely.union_all([shapely.Polygon(ring) for ring in outlines(tokens)])
    assert cap.buffer(1e-4).covers(shapely.box(-180.0, 86.0, 180.0, 90.0))


def test_the_heat_map_is_geojson_with_the_likeliest_cell_first() -> None:
    heat = [HeatCell(cells.token(lat, lon, 6), share)
            for lat, lon, share in ((48.8, 2.3, 0.2), (-17.8, 180.0, 0.5))]  # fmt: skip
    collection = json.loads(json.dumps(feature_collection(heat)))
    shares = [feature["properties"]["probability"] for feature in collection["features"]]
    assert shares == [0.5, 0.2]
    assert shapely.from_geojson(json.dumps(collection)).geom_type == "GeometryCollection"


def test_no_heat_is_an_empty_collection() -> None:
    assert feature_collection([])["features"] == []
