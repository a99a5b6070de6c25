"""A gallery finds its own photos again after they were resized, cropped and recompressed."""

from __future__ import annotations

import asyncio
import csv
import io
import os
from pathlib import Path

import pytest
from PIL import Image

from geofix.engine import image, models
from geofix.engine.encoder import Encoder, LocationEncoder
from geofix.engine.gallery.directory import DataDirectory
from geofix.engine.gallery.galleries import Galleries
from geofix.engine.gallery.ingest import Ingest
from geofix.engine.gallery.sight import OwnSight
from geofix.engine.types import Filter
from geofix.geo.coordinates import haversine_km
from geofix.settings import Settings
from indexer.galleries.build import Report, build
from indexer.galleries.sources import Defaults, open_source

_PHOTOS = Path(
    os.environ.get("GEOFIX_TEST_PHOTOS") or Path(__file__).parents[4] / "shared" / "data"
)


def altered(data: bytes) -> bytes:
    """A copy of a photo: 60 % of the size, a tenth cropped off, JPEG of quality 60."""
    with Image.open(io.BytesIO(data)) as original:
        small = original.convert("RGB").resize(
            (round(original.width * 0.6), round(original.height * 0.6))
        )
    margin_x, margin_y = round(small.width * 0.05), round(small.height * 0.05)
    cropped = small.crop((margin_x, margin_y, small.width - margin_x, small.height - margin_y))
    buffer = io.BytesIO()
    cropped.save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


def test_altered_photos_are_found_within_1_km(tmp_path: Path) -> None:
    folder = _PHOTOS / "osv5m-mini"
    if not folder.is_dir():
        pytest.skip("no photos: set GEOFIX_TEST_PHOTOS to a folder that holds osv5m-mini")
    encoder = Encoder.load(models.built_in()["lite"])
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    async def found() -> int:
        directory = DataDirectory(tmp_path)
        directory.acquire("test")
        galleries = Galleries(directory, Settings(data_dir=tmp_path))
        gallery = await galleries.create("mini", encoder.name, encoder.dimension)
        report = Report()
        source = open_source(folder, Defaults())
        await build(
            source.offers,
            Ingest(gallery, "mini", OwnSight(encoder), LocationEncoder.load()),
            report,
        )
        assert report.usable == source.total == len(rows)
        near = 0
        for row in rows:
            copy = altered((folder / row["file"]).read_bytes())
            vector = encoder.encode([image.decode(copy, target=encoder.decode_target)])[0].vector
            best = (await gallery.search(vector, 1, Filter()))[0]
            truth = (float(row["lat"]), float(row["lon"]))
            near += bool(haversine_km((best.lat, best.lon), truth) < 1.0)
        await galleries.close()
        directory.release()
        return near

    assert asyncio.run(found()) >= 0.9 * len(rows)
