"""Small pictures of a gallery's photos: kept on request, shown, and gone with the photo."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.ledger import Ledger
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.gallery.records import point_id
from geofix.engine.types import Point


def photo(seed: int) -> bytes:
    """A JPEG of its own for every seed, turned and with words in its EXIF block."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "secret words"
    exif[0x0112] = 6
    buffer = io.BytesIO()
    picture = Image.fromarray(coarse).resize((1200, 900), Image.Resampling.BICUBIC)
    picture.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def add(client: httpx.Client, gallery: str, data: bytes, key: str, **fields: str) -> str:
    """What became of a photo."""
    response = client.post(
        f"/v1/galleries/{gallery}/photos",
        files={"photo": ("a.jpg", data)},
        data={"lat": "1", "lon": "2", "key": key, **fields},
    )
    assert response.status_code in (200, 201), response.text
    return str(response.json()["status"])


def shown(client: httpx.Client, gallery: str, key: str) -> httpx.Response:
    return client.get(f"/v1/galleries/{gallery}/photos/{point_id(gallery, key)}/thumbnail")


def test_a_thumbnail_is_small_upright_and_without_metadata(client: httpx.Client) -> None:
    assert add(client, "small", photo(1), "one", thumbnail="true") == "added"
    response = shown(client, "small", "one")
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/jpeg"
    assert "no-cache" in response.headers["cache-control"]
    picture = Image.open(io.BytesIO(response.content))
    assert (picture.format, picture.size) == ("JPEG", (192, 256))
    assert not picture.getexif()
    assert b"secret" not in response.content


def test_every_upsert_decides_anew(client: httpx.Client) -> None:
    data = photo(2)
    assert add(client, "toggled", data, "one") == "added"
    assert shown(client, "toggled", "one").json()["type"] == "urn:geofix:problem:not-found"
    assert add(client, "toggled", data, "one", thumbnail="true") == "updated"
    first = shown(client, "toggled", "one").content
    assert add(client, "toggled", data, "one", thumbnail="true") == "unchanged"
    assert add(client, "toggled", data, "one") == "unchanged"
    assert shown(client, "toggled", "one").content == first
    assert add(client, "toggled", photo(3), "one", thumbnail="true") == "updated"
    assert shown(client, "toggled", "one").content != first
    assert add(client, "toggled", photo(3), "one", thumbnail="false") == "updated"
    assert shown(client, "toggled", "one").status_code == 404


def test_it_goes_with_the_photo_and_with_its_contributor(
    client: httpx.Client, environment: dict[str, str]
) -> None:
    for seed, contributor in enumerate(("ann", "bob", "bob", "eve"), start=10):
        add(client, "gone", photo(seed), f"{seed}", contributor=contributor, thumbnail="true")
    kept = Path(environment["GEOFIX_DATA_DIR"]) / "galleries" / "gone" / "thumbnails"
    assert len(list(kept.rglob("*.jpg"))) == 4
    path = f"/v1/galleries/gone/photos/{point_id('gone', '10')}"
    assert client.delete(path).status_code == 204
    assert client.delete("/v1/galleries/gone/photos?contributor=bob").json() == {"removed": 2}
    left = [file.stem for file in kept.rglob("*") if file.is_file()]
    assert left == [point_id("gone", "13")]
    assert shown(client, "gone", "10").status_code == 404
    assert shown(client, "gone", "13").status_code == 200


def test_what_is_no_photo_has_no_thumbnail(client: httpx.Client) -> None:
    assert client.get("/v1/galleries/small/photos/..%2f..%2fx/thumbnail").status_code in (404, 422)
    assert shown(client, "nowhere", "one").status_code == 404


def test_an_erasure_that_was_cut_off_is_finished_when_the_gallery_opens(tmp_path: Path) -> None:
    gone, kept = point_id("g", "gone"), point_id("g", "kept")
    unit = np.eye(1, 4, dtype=np.float32)[0]

    async def opened() -> RecordedGallery:
        index = await EdgeGallery.open(tmp_path / "v1", name="g", encoder="e", dimension=4)
        return await RecordedGallery.open(index, Ledger(tmp_path, 4))

    async def run() -> tuple[bool, bool]:
        gallery = await opened()
        points = [Point(id_, key, 1.0, 2.0, unit) for id_, key in ((gone, "gone"), (kept, "kept"))]
        await gallery.upsert(points)
        await gallery.delete([kept])
        await gallery.upsert(points[1:])
        for id_ in (gone, kept):
            gallery.thumbnails.write(id_, b"jpeg")
        await gallery.close()
        ledger = Ledger(tmp_path, 4)
        ledger.delete([gone])  # and then the power failed
        ledger.close()
        gallery = await opened()
        await gallery.close()
        return gallery.thumbnails.holds(gone), gallery.thumbnails.holds(kept)

    assert asyncio.run(run()) == (False, True)
