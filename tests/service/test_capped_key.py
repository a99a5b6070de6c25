"""A key with a precision cap, and somebody who wants to know more than it tells."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from geofix.geo import cells
from geofix.geo.coordinates import destination, haversine_km
from geofix.settings import Settings
from service.app import create_app, engine
from service.auth.access import key_ring
from service.auth.caller import Scope
from service.locate.schemas import Answer

_TRUE = (47.6, 8.9)
"""In the middle of its cell, so that the photos around it lie in the same one."""
_CAP_KM = 25.0
_JPEG = {"Content-Type": "image/jpeg"}
_QUICK = {"generators": "none"}


@asynccontextmanager
async def _client(folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """A client that may do anything, and one with a cap."""
    config = Settings(data_dir=folder, auth="required", lmm_model="")
    ring = key_ring(config)
    _, whole = ring.create("ops", frozenset({Scope.ADMIN}))
    _, capped = ring.create("press", frozenset({Scope.ADMIN}), cap_km=_CAP_KM)
    app = create_app(config)
    transport = httpx.ASGITransport(app=app)
    base = "http://127.0.0.1"
    async with (
        engine(app),
        httpx.AsyncClient(transport=transport, base_url=base, headers={"X-API-Key": whole}) as ops,
        httpx.AsyncClient(transport=transport, base_url=base, headers={"X-API-Key": capped}) as key,
    ):
        yield ops, key


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _variants(picture: Image.Image, count: int) -> list[bytes]:
    """Crops of a photo, some of them mirrored or darker."""
    random = np.random.default_rng(5)
    made = []
    for _ in range(count):
        left, top = random.integers([160, 120]).tolist()
        width, height = random.integers([500, 380], [640, 480]).tolist()
        crop = picture.crop((left, top, left + width, top + height))
        made.append(_jpeg(ImageEnhance.Brightness(crop).enhance(random.uniform(0.6, 1.4))))
    return made


async def _fill(ops: httpx.AsyncClient, variants: list[bytes]) -> None:
    """Photos that look like the query, within 10 km of where it was taken."""
    for index, data in enumerate(variants):
        lat, lon = destination(_TRUE, 37.0 * index, 0.5 * index).tolist()
        sent = await ops.post(
            "/v1/galleries/default/photos",
            files={"photo": ("a.jpg", data)},
            data={"lat": str(lat), "lon": str(lon), "key": str(index)},
        )
        assert sent.status_code in (200, 201), sent.text


async def _locate(client: httpx.AsyncClient, data: bytes, **options: str) -> httpx.Response:
    return await client.post(
        "/v1/locate",
        params={**_QUICK, **options},
        content=data,
        headers=_JPEG,
    )


def test_no_way_of_asking_tells_more_than_the_cap(tmp_path: Path, picture: Image.Image) -> None:
    variants = _variants(picture, 20)

    async def attack() -> tuple[list[Answer], list[Answer], str]:
        async with _client(tmp_path) as (ops, key):
            await _fill(ops, variants)
            first = await _locate(key, variants[0], keep="true")
            answers = [first]
            for data in variants:  # crops
                answers.append(await _locate(key, data))
            for options in (
                {"candidates": "50"},
                {"candidates": "100", "neighbours": "200"},
                {"neighbours": "1"},
                {"generators": "attributes"},
            ):
                answers.append(await _locate(key, variants[0], **options))
            again = f"/v1/locate/{first.json()['id']}/refine"
            answers.append(await key.post(again, json={"candidates": 50, "neighbours": 3}))
            streamed = await key.post(
                "/v1/locate",
                params=_QUICK,
                content=variants[0],
                headers={**_JPEG, "Accept": "text/event-stream"},
            )
            whole = await _locate(ops, variants[0])
            told = [Answer.model_validate_json(answer.content) for answer in answers]
            return told, [Answer.model_validate_json(whole.content)], streamed.text

    told, (whole,), streamed = anyio.run(attack)
    at = (whole.position.lat, whole.position.lon)
    assert haversine_km(at, _TRUE) < 12.0, "the attack is worth nothing if nobody can know"
    cell = cells.centre(cells.token(*_TRUE, 7))
    assert {(answer.position.lat, answer.position.lon) for answer in told} == {(cell.lat, cell.lon)}
    assert len({answer.model_dump_json(include={"place"}) for answer in told}) == 1
    assert all(answer.radius_50_km >= _CAP_KM for answer in told)
    assert not any(a.clusters or a.heatmap or a.evidence.neighbours for a in told)

    events = [line for line in streamed.splitlines() if line.startswith("data: ")]
    assert all(json.loads(line[6:]).get("detail", {}) == {} for line in events)
    last = Answer.model_validate_json(events[-1][6:])
    assert (last.position, last.place) == (told[0].position, told[0].place)


def test_what_cannot_be_coarsened_is_refused(tmp_path: Path, jpeg: bytes) -> None:
    async def ask() -> list[httpx.Response]:
        async with _client(tmp_path) as (ops, key):
            await _fill(ops, [jpeg])
            kept = (await _locate(key, jpeg, keep="true")).json()["id"]
            refused = [
                await _locate(key, jpeg, **{name: value})
                for name, value in (
                    ("bbox", "8,47,9,48"),
                    ("radius", "47.6,8.9,2000"),
                    ("country", "CH"),
                    ("gallery", "default"),
                )
            ]
            refined = await key.post(f"/v1/locate/{kept}/refine", json={"country": ["CH"]})
            return [
                *refused,
                refined,
                await key.post("/v1/embed/image", content=jpeg, headers=_JPEG),
                await key.post("/v1/embed/location", json={"location": [47.6, 8.9]}),
                await key.get("/v1/galleries"),
                await key.get("/v1/galleries/default"),
            ]

    for answer in anyio.run(ask):
        assert answer.status_code == 403, answer.text
        assert answer.json()["type"] == "urn:geofix:problem:precision-capped"
        assert "25 km" in answer.json()["detail"]


def test_feedback_measures_from_the_answer_as_it_was_told(tmp_path: Path, jpeg: bytes) -> None:
    """Distances to the true answer would place it by trilateration."""

    async def ask() -> tuple[Answer, dict[str, float]]:
        async with _client(tmp_path) as (ops, key):
            await _fill(ops, [jpeg])
            answer = Answer.model_validate_json((await _locate(key, jpeg)).content)
            truth = {"id": answer.id, "lat": 10.0, "lon": 20.0}
            return answer, (await key.post("/v1/feedback", json=truth)).json()

    answer, measured = anyio.run(ask)
    told = (answer.position.lat, answer.position.lon)
    assert measured["distance_km"] == pytest.approx(float(haversine_km(told, (10.0, 20.0))))
