"""/v1/galleries: photos in, photos out, and what is wrong with those that stay out."""

from __future__ import annotations

import hashlib
import io
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from geofix.engine.gallery.records import point_id


def photo(seed: int) -> bytes:
    """A JPEG of its own for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((240, 180), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def add(client: httpx.Client, gallery: str, data: bytes, **fields: str | float) -> httpx.Response:
    return client.post(
        f"/v1/galleries/{gallery}/photos",
        files={"photo": ("a.jpg", data)},
        data={name: str(value) for name, value in fields.items()},
    )


def test_a_gallery_tells_where_its_photos_lie(client: httpx.Client) -> None:
    for seed, (lat, lon) in enumerate([(48.85, 2.29), (48.86, 2.30), (-17.7, 178.0)], start=900):
        assert add(client, "spread", photo(seed), lat=lat, lon=lon).status_code == 201
    cover = client.get("/v1/galleries/spread/coverage").json()
    assert [f["properties"]["count"] for f in cover["features"]] == [2, 1]
    ring = cover["features"][0]["geometry"]["coordinates"][0]
    assert min(lon for lon, _ in ring) <= 2.29 <= max(lon for lon, _ in ring)
    assert min(lat for _, lat in ring) <= 48.85 <= max(lat for _, lat in ring)
    assert client.get("/v1/galleries/none/coverage").status_code == 404


def test_a_photo_is_added_found_and_removed(client: httpx.Client) -> None:
    data = photo(1)
    added = add(client, "life", data, lat=48.8582, lon=2.2945, key="tower", contributor="ann")
    assert added.status_code == 201
    assert added.json() == {
        "key": "tower",
        "id": point_id("life", "tower"),
        "status": "added",
        "reason": "",
        "holder": "",
        "flag": None,
    }
    located = client.post(
        "/v1/locate?gallery=life&generators=none", files={"photo": ("a.jpg", data)}
    ).json()
    best = located["evidence"]["neighbours"][0]
    assert best["id"] == point_id("life", "tower")
    assert best["similarity"] > 0.99

    held = client.get(f"/v1/galleries/life/photos/{point_id('life', 'tower')}").json()
    assert {"key": "tower", "lat": 48.8582, "country": "FR", "contributor": "ann"}.items() <= (
        held.items()
    )
    assert held["sha256"] == hashlib.sha256(data).hexdigest()
    assert held["thumbnail"] is False
    unknown = client.get(f"/v1/galleries/life/photos/{point_id('life', 'nobody')}")
    assert unknown.status_code == 404

    described = client.get("/v1/galleries/life").json()
    assert (described["count"], described["encoder"]) == (1, "lite")
    assert described["countries"] == {"FR": 1}
    assert described["contributors"] == {"ann": 1}
    listed = client.get("/v1/galleries").json()["galleries"]
    assert {"name": "life", "count": 1}.items() <= next(
        g for g in listed if g["name"] == "life"
    ).items()

    path = f"/v1/galleries/life/photos/{point_id('life', 'tower')}"
    assert client.delete(path).status_code == 204
    gone = client.delete(path)
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:geofix:problem:not-found")
    assert client.get("/v1/galleries/life").json()["count"] == 0


def test_the_same_again_changes_nothing_and_another_photo_replaces(client: httpx.Client) -> None:
    def post(data: bytes, lat: float, key: str = "one") -> tuple[int, str]:
        response = add(client, "again", data, lat=lat, lon=10, key=key)
        return response.status_code, response.json()["status"]

    assert post(photo(2), 50) == (201, "added")
    assert post(photo(2), 50) == (200, "unchanged")
    assert post(photo(2), 51) == (200, "updated")
    assert post(photo(3), 51) == (200, "updated")
    assert post(photo(2), 50, key="two") == (201, "added")
    assert post(photo(3), 50, key="three") == (200, "duplicate")
    assert client.get("/v1/galleries/again").json()["count"] == 2


def test_without_a_key_the_file_is_the_key(client: httpx.Client) -> None:
    first = add(client, "keyless", photo(4), lat=1, lon=2)
    second = add(client, "keyless", photo(4), lat=1, lon=2)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["key"] == second.json()["key"]
    assert len(first.json()["key"]) == 64


def test_of_equal_photos_sent_at_once_one_is_kept(client: httpx.Client) -> None:
    data = photo(5)
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(add, client, "crowd", data, lat=1, lon=2, key=f"k{i}") for i in range(8)
        ]
        statuses = sorted(job.result().json()["status"] for job in jobs)
    assert statuses == ["added", *["duplicate"] * 7]
    assert client.get("/v1/galleries/crowd").json()["count"] == 1


def test_a_contributors_photos_are_removed_together(client: httpx.Client) -> None:
    for i in range(4):
        contributor = "bob" if i % 2 else "eve"
        add(client, "people", photo(10 + i), lat=i, lon=i, key=f"{i}", contributor=contributor)
    removed = client.delete("/v1/galleries/people/photos", params={"contributor": "bob"})
    assert removed.json() == {"removed": 2}
    assert client.get("/v1/galleries/people").json()["contributors"] == {"eve": 2}
    whose = client.delete("/v1/galleries/people/photos")
    assert whose.status_code == 400
    assert whose.json()["detail"] == "The query parameter 'contributor' is missing."
    assert client.get("/v1/galleries/people").json()["count"] == 2


@pytest.mark.parametrize(
    ("fields", "status", "slug"),
    [
        ({"lat": 91, "lon": 0}, 422, "invalid-coordinate"),
        ({"lat": 0, "lon": 180.5}, 422, "invalid-coordinate"),
        ({"lat": "nan", "lon": 0}, 422, "invalid-coordinate"),
        ({"lat": "north", "lon": 0}, 422, "invalid-coordinate"),
        ({"lat": "1_0", "lon": 0}, 422, "invalid-coordinate"),
        ({"lon": 0}, 400, "invalid-request"),
        ({"lat": 0, "lon": 0, "colour": "red"}, 422, "invalid-option"),
        ({"lat": 0, "lon": 0, "country": "France"}, 422, "invalid-option"),
        ({"lat": 0, "lon": 0, "captured_at": "soon"}, 422, "invalid-option"),
        ({"lat": 0, "lon": 0, "key": "k" * 501}, 422, "invalid-option"),
    ],
)
def test_what_is_said_of_a_photo_is_checked(
    client: httpx.Client, fields: dict[str, str | float], status: int, slug: str
) -> None:
    response = add(client, "checked", photo(6), **fields)
    assert (response.status_code, response.json()["type"]) == (
        status,
        f"urn:geofix:problem:{slug}",
    )


@pytest.mark.parametrize(
    ("data", "status", "slug"),
    [
        (b"", 400, "empty-photo"),
        (b"no photo", 415, "unsupported-format"),
        (photo(7)[:2000], 422, "unreadable-photo"),
    ],
)
def test_a_file_that_is_no_photo_is_refused(
    client: httpx.Client, data: bytes, status: int, slug: str
) -> None:
    response = add(client, "checked", data, lat=1, lon=2)
    assert (response.status_code, response.json()["type"]) == (
        status,
        f"urn:geofix:problem:{slug}",
    )


def test_bodies_and_names_that_make_no_sense_are_refused(client: httpx.Client) -> None:
    raw = client.post(
        "/v1/galleries/checked/photos", content=photo(8), headers={"Content-Type": "image/jpeg"}
    )
    assert raw.status_code == 415
    assert add(client, "NO", photo(8), lat=1, lon=2).status_code == 422
    assert client.get("/v1/galleries/nowhere").status_code == 404
    assert client.get("/v1/galleries/..%2f..%2fetc").status_code in (404, 422)
    assert client.delete("/v1/galleries/checked/photos/seven").status_code == 422
    nobody = client.delete(f"/v1/galleries/nowhere/photos/{uuid.uuid4()}")
    assert (nobody.status_code, nobody.json()["type"]) == (404, "urn:geofix:problem:not-found")


def test_a_refused_photo_leaves_no_gallery(client: httpx.Client) -> None:
    assert add(client, "ghost", b"no photo at all", lat=1, lon=2).status_code == 415
    listed = client.get("/v1/galleries").json()["galleries"]
    assert "ghost" not in {gallery["name"] for gallery in listed}
