"""POST /v1/locate/{id}/refine: other questions about a photo that is not sent again."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from geofix.settings import Settings
from service.app import create_app, engine
from service.locate.schemas import Answer

_JPEG = {"Content-Type": "image/jpeg"}


def locate(client: httpx.Client, data: bytes, **options: str) -> Answer:
    response = client.post("/v1/locate", params=options, content=data, headers=_JPEG)
    assert response.status_code == 200, response.text
    return Answer.model_validate_json(response.content)


def refine(client: httpx.Client, answer_id: str, **options: object) -> Answer:
    response = client.post(f"/v1/locate/{answer_id}/refine", json=options)
    assert response.status_code == 200, response.text
    return Answer.model_validate_json(response.content)


def comparable(answer: Answer) -> dict[str, object]:
    return answer.model_dump(exclude={"id", "timings_ms"})


@pytest.fixture(scope="module")
def first(client: httpx.Client, jpeg: bytes) -> Answer:
    return locate(client, jpeg, keep="true")


def test_the_same_question_has_the_same_answer_without_the_photo(
    client: httpx.Client, first: Answer
) -> None:
    again = refine(client, first.id)
    assert comparable(again) == comparable(first)
    assert again.id != first.id
    assert "decode" not in again.timings_ms
    assert client.post(f"/v1/locate/{first.id}/refine").status_code == 200


def test_a_filter_a_generator_and_a_gallery_change_the_answer_as_they_would_have(
    client: httpx.Client, jpeg: bytes, first: Answer
) -> None:
    client.post(
        "/v1/galleries/elsewhere/photos",
        files={"photo": ("a.jpg", jpeg)},
        data={"lat": "-33.86", "lon": "151.21"},
    )
    for options in (
        {"country": "JP"},
        {"generators": "none"},
        {"generators": "attributes", "heatmap": "false", "candidates": "2"},
        {"gallery": "elsewhere", "neighbours": "3"},
    ):
        sent = locate(client, jpeg, **options)
        as_json = {
            "country": ["JP"],
            "generators": [options.get("generators", "auto")],
            "heatmap": "heatmap" not in options,
            "candidates": int(options.get("candidates", 10)),
            "gallery": [options["gallery"]] if "gallery" in options else [],
            "neighbours": int(options.get("neighbours", 50)),
        }
        if "country" not in options:
            del as_json["country"]
        assert comparable(refine(client, first.id, **as_json)) == comparable(sent), options


def test_a_polygon_and_a_box_hold(client: httpx.Client, first: Answer) -> None:
    drawn = refine(client, first.id, polygon=[[40, 0], [50, 0], [50, 10], [40, 10]])
    assert 39 <= drawn.position.lat <= 51
    assert 0 <= drawn.position.lon <= 10
    boxed = refine(client, first.id, bbox=[-80, -40, -60, -20])
    assert -40 <= boxed.position.lat <= -20


def test_a_generator_that_needs_the_photo_must_have_been_asked(
    client: httpx.Client, jpeg: bytes
) -> None:
    blind = locate(client, jpeg, keep="true", generators="attributes")
    refused = client.post(f"/v1/locate/{blind.id}/refine", json={"generators": ["text"]})
    assert refused.status_code == 422
    assert "Send the photo again" in refused.json()["detail"]
    auto = refine(client, blind.id)
    assert ("text", "photo-not-kept") in {(d.channel, d.cause) for d in auto.degraded}


@pytest.mark.parametrize("body", [{"keep": True}, {"colour": "red"}, {"bbox": [0, 0, 0, 0]}])
def test_options_are_checked(client: httpx.Client, first: Answer, body: dict[str, object]) -> None:
    response = client.post(f"/v1/locate/{first.id}/refine", json=body)
    assert response.status_code == 422
    assert response.json()["type"] == "urn:geofix:problem:invalid-option"


def test_what_was_not_kept_is_asked_for_again(client: httpx.Client, jpeg: bytes) -> None:
    forgotten = locate(client, jpeg, generators="none").id
    for answer_id in (forgotten, str(uuid.uuid4()), "..%2f..%2fetc", "x" * 4000):
        response = client.post(f"/v1/locate/{answer_id}/refine", json={})
        assert response.status_code == 404, answer_id
    assert "keep=true" in client.post(f"/v1/locate/{forgotten}/refine").json()["detail"]


def test_other_bodies_are_refused(client: httpx.Client, first: Answer) -> None:
    for content, kind, status in (
        (b"gallery=x", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"bbox": [NaN, 0, 1, 1]}', "application/json", 422),
    ):
        response = client.post(
            f"/v1/locate/{first.id}/refine", content=content, headers={"Content-Type": kind}
        )
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"


@asynccontextmanager
async def running(config: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(config)
    async with (
        engine(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1"
        ) as client,
    ):
        yield client


async def _keep(client: httpx.AsyncClient, data: bytes) -> str:
    response = await client.post(
        "/v1/locate?keep=true&generators=none", content=data, headers=_JPEG
    )
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


def test_it_is_kept_for_its_time_and_no_longer_than_memory_allows(
    tmp_path: Path, jpeg: bytes
) -> None:
    async def run() -> None:
        config = Settings(data_dir=tmp_path / "data", keep_s=1.0)
        async with running(config) as client:
            kept = await _keep(client, jpeg)
            path = f"/v1/locate/{kept}/refine"
            assert (await client.post(path, json={"generators": ["none"]})).status_code == 200
            await anyio.sleep(1.1)
            assert (await client.post(path)).status_code == 404
        async with running(config.model_copy(update={"keep_s": 60.0, "keep_bytes": 30_000})) as c:
            ids = [await _keep(c, jpeg) for _ in range(4)]
            codes = [(await c.post(f"/v1/locate/{i}/refine")).status_code for i in ids]
            assert codes[0] == 404
            assert codes[-1] == 200

    anyio.run(run)
