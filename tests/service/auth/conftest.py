"""Applications with keys, asked over ASGI; the engine is not needed to be refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest

from geofix.settings import Settings
from service.app import create_app

Ask = Callable[..., httpx.Response]
"""``ask(settings, path, method="GET", base="http://127.0.0.1", headers=…)``."""


@pytest.fixture
def ask() -> Ask:
    """Asks an application of these settings one thing."""

    def asked(
        config: Settings,
        path: str,
        *,
        method: str = "GET",
        base: str = "http://127.0.0.1",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=create_app(config))
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(send())

    return asked


@pytest.fixture
def beyond(tmp_path: Path) -> Settings:
    """Settings of a service that the network reaches: callers must say who they are."""
    return Settings(data_dir=tmp_path, host="0.0.0.0")  # noqa: S104
