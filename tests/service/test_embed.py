from __future__ import annotations

import base64
import json

import httpx
import numpy as np
import pytest


def _unit(vector: list[float]) -> bool:
    return bool(abs(np.linalg.norm(vector) - 1.0) < 1e-5)


def test_one_photo_has_one_unit_vector_in_every_form(client: httpx.Client, jpeg: bytes) -> None:
    encoded = base64.b64encode(jpeg).decode()
    responses = [
        client.post("/v1/embed/image", content=jpeg, headers={"Content-Type": "image/jpeg"}),
        client.post("/v1/embed/image", files={"photo": ("a.jpg", jpeg)}),
        client.post("/v1/embed/image", json={"photo": encoded}),
        client.post("/v1/embed/image", json={"photos": [encoded]}),
    ]
    vectors = []
    for response in responses:
        assert response.status_code == 200, response.text
        assert response.json()["encoder"] == "lite"
        (embedding,) = response.json()["embeddings"]
        assert _unit(embedding["vector"])
        assert len(embedding["vector"]) == 1280
        vectors.append(embedding["vector"])
    assert np.allclose(vectors, vectors[0], atol=1e-6)


def test_one_bad_photo_in_a_batch_costs_only_itself(client: httpx.Client, jpeg: bytes) -> None:
    files = [("photo", ("a.jpg", jpeg if index != 3 else jpeg[:900])) for index in range(8)]
    response = client.post("/v1/embed/image", files=files)
    assert response.status_code == 200, response.text
    embeddings = response.json()["embeddings"]
    assert [embedding["problem"] is None for embedding in embeddings] == [
        index != 3 for index in range(8)
    ]
    assert embeddings[3]["vector"] is None
    assert embeddings[3]["problem"]["status"] == 422
    assert all(_unit(e["vector"]) for index, e in enumerate(embeddings) if index != 3)


def test_an_empty_part_of_a_batch_costs_only_itself(client: httpx.Client, jpeg: bytes) -> None:
    files = [("photo", ("a.jpg", data)) for data in (jpeg, b"", jpeg)]
    response = client.post("/v1/embed/image", files=files)
    assert response.status_code == 200, response.text
    problems = [embedding["problem"] for embedding in response.json()["embeddings"]]
    assert problems[0] is problems[2] is None
    assert problems[1]["type"] == "urn:geofix:problem:empty-photo"


def test_a_photo_alone_fails_with_its_own_status(client: httpx.Client, jpeg: bytes) -> None:
    for response in (
        client.post("/v1/embed/image", content=jpeg[:900], headers={"Content-Type": "image/jpeg"}),
        client.post("/v1/embed/image", files={"photo": ("a.jpg", jpeg[:900])}),
        client.post("/v1/embed/image", json={"photo": base64.b64encode(jpeg[:900]).decode()}),
    ):
        assert response.status_code == 422
        assert response.json()["type"] == "urn:geofix:problem:unreadable-photo"


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 400, "invalid-request"),
        ({"photo": "", "photos": []}, 422, "invalid-option"),
        ({"photos": []}, 422, "invalid-option"),
        ({"photos": ["AAAA"] * 65}, 422, "invalid-option"),
        ({"photo": "@@"}, 400, "invalid-request"),
        ({"photo": ""}, 400, "empty-photo"),
        ({"photo": "AAAA", "size": 3}, 422, "invalid-option"),
    ],
)
def test_bad_batches_are_refused(
    client: httpx.Client, body: dict[str, object], status: int, kind: str
) -> None:
    response = client.post("/v1/embed/image", json=body)
    assert response.status_code == status, response.text
    assert response.json()["type"] == f"urn:geofix:problem:{kind}"


def test_positions_have_unit_vectors(client: httpx.Client) -> None:
    several = client.post(
        "/v1/embed/location", json={"locations": [[48.85, 2.35], [90, 0], [-90, 0], [0, 180]]}
    )
    assert several.status_code == 200, several.text
    vectors = several.json()["embeddings"]
    assert [len(vector) for vector in vectors] == [512] * 4
    assert all(_unit(vector) for vector in vectors)
    alone = client.post("/v1/embed/location", json={"location": [48.85, 2.35]})
    assert np.allclose(alone.json()["embeddings"], vectors[:1], atol=1e-6)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ('{"locations": [[0, 0], [90.1, 0]]}', 422, "invalid-coordinate"),
        ('{"location": [0, 181]}', 422, "invalid-coordinate"),
        ('{"location": [NaN, 0]}', 422, "invalid-option"),
        ('{"location": [1e999, 0]}', 422, "invalid-option"),
        ('{"location": ["1", "2"]}', 422, "invalid-option"),
        ('{"location": [1]}', 422, "invalid-option"),
        ('{"locations": []}', 422, "invalid-option"),
        (json.dumps({"locations": [[0, 0]] * 1001}), 422, "invalid-option"),
        ('{"places": []}', 422, "invalid-option"),
        ("{}", 400, "invalid-request"),
        ("[", 400, "invalid-request"),
    ],
)
def test_bad_positions_are_refused(client: httpx.Client, body: str, status: int, kind: str) -> None:
    response = client.post(
        "/v1/embed/location", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == status, response.text
    assert response.json()["type"] == f"urn:geofix:problem:{kind}"


def test_positions_come_as_json(client: httpx.Client) -> None:
    assert client.post("/v1/embed/location", data={"location": "1,2"}).status_code == 415
