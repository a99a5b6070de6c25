from __future__ import annotations

import asyncio
import logging

import httpx
import pytest

from geofix.errors import ModelUnavailable
from geofix.settings import Settings
from service.app import create_app


async def _get(path: str) -> httpx.Response:
    """From an application that was not started: it has no engine."""
    app = create_app(Settings())

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret at /srv/geofix")

    @app.get("/no-model")
    async def no_model() -> None:
        raise ModelUnavailable("The model's file is damaged. Pull it again.", retry_after_s=60)

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path)


def test_an_unforeseen_error_says_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="geofix.service"):
        response = asyncio.run(_get("/broken"))
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:geofix:problem:internal"
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert response.headers["x-request-id"] in caplog.text
    assert "secret" in caplog.text


def test_unavailable_says_when_to_come_back() -> None:
    response = asyncio.run(_get("/no-model"))
    assert response.status_code == 503
    assert response.headers["retry-after"] == "60"
    assert response.json()["type"] == "urn:geofix:problem:model-unavailable"


def test_without_an_engine_the_service_is_alive_and_not_ready() -> None:
    assert asyncio.run(_get("/healthz")).json() == {"status": "alive"}
    response = asyncio.run(_get("/readyz"))
    assert response.status_code == 503
    assert response.json()["type"] == "urn:geofix:problem:unavailable"
    assert response.headers["retry-after"]


def test_a_slash_too_many_is_a_problem_and_no_redirect() -> None:
    response = asyncio.run(_get("/healthz/"))
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
