"""Points by their vectors over HTTP: added, found with filters, removed."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import numpy as np
import pytest

from geofix.engine.gallery.records import point_id

PLACES = [(48.85, 2.29, "a"), (48.86, 2.35, "b"), (-33.86, 151.2, "c"), (35.68, 139.76, "d")]


@pytest.fixture(scope="module")
def gallery(client: httpx.Client) -> str:
    made = client.post("/v1/galleries", json={"name": "spots", "encoder": "geoclip-location"})
    assert (made.status_code, made.json()["dimension"]) == (201, 512)
    points = [{"key": key, "lat": lat, "lon": lon} for lat, lon, key in PLACES]
    added = client.post("/v1/galleries/spots/points", json={"points": points})
    assert added.json() == {"kept": 4, "refused": []}
    return "spots"


def search(client: httpx.Client, body: Mapping[str, object], query: str = "") -> httpx.Response:
    return client.post(f"/v1/galleries/spots/search{query}", json=body)


def test_places_are_found_by_position_and_by_vector(client: httpx.Client, gallery: str) -> None:
    found = search(client, {"lat": 48.85, "lon": 2.29, "k": 2}).json()
    assert (found["version"], found["encoder"]) == (1, "geoclip-location")
    assert [hit["id"] for hit in found["hits"]] == [point_id(gallery, "a"), point_id(gallery, "b")]
    assert found["hits"][0]["country"] == "FR"
    vectors = client.post("/v1/embed/location", json={"locations": [[-33.86, 151.2]]}).json()
    vector = next(value for value in vectors.values() if isinstance(value, list))[0]
    assert search(client, {"vector": vector, "k": 1}).json()["hits"][0]["country"] == "AU"


def test_filters_are_those_of_locate(client: httpx.Client, gallery: str) -> None:
    body = {"lat": 48.85, "lon": 2.29, "k": 4}
    assert len(search(client, body, "?country=JP").json()["hits"]) == 1
    assert len(search(client, body, "?bbox=0,40,10,50").json()["hits"]) == 2
    unknown = search(client, body, "?neighbours=3")
    assert (unknown.status_code, unknown.json()["type"]) == (
        422,
        "urn:geofix:problem:invalid-option",
    )


def test_what_is_removed_is_not_found(client: httpx.Client, gallery: str) -> None:
    gone = client.post("/v1/galleries/spots/points/remove", json={"keys": ["d", "nobody"]})
    assert gone.json() == {"removed": 1}
    hits = search(client, {"lat": 35.68, "lon": 139.76, "k": 10}).json()["hits"]
    assert point_id(gallery, "d") not in {hit["id"] for hit in hits}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"lat": 1},
        {"vector": [1.0], "lat": 1, "lon": 2},
        {"vector": [0.0] * 512},
        {"vector": [1.0] * 511},
        {"vector": [1e308] * 512},
        {"lat": 91, "lon": 0},
        {"lat": 1, "lon": 2, "k": 0},
        {"lat": 1, "lon": 2, "k": 10_000},
    ],
)
def test_what_makes_no_sense_is_refused(
    client: httpx.Client, gallery: str, body: Mapping[str, object]
) -> None:
    answer = search(client, body)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_photos_of_another_encoder_are_not_added_to_it(client: httpx.Client, jpeg: bytes) -> None:
    answer = client.post(
        "/v1/galleries/spots/photos",
        files={"photo": ("a.jpg", jpeg)},
        data={"lat": "1", "lon": "2"},
    )
    assert answer.status_code == 409
    rng = np.random.default_rng(1).normal(size=1280).tolist()
    client.post("/v1/galleries", json={"name": "seen"})
    added = client.post(
        "/v1/galleries/seen/points",
        json={"points": [{"key": "x", "lat": 1, "lon": 2, "vector": rng}]},
    )
    assert added.json() == {"kept": 1, "refused": []}
    bare = client.post(
        "/v1/galleries/seen/points", json={"points": [{"key": "x", "lat": 1, "lon": 2}]}
    )
    assert bare.status_code == 422
