"""A job's throughput beside the engine's own, and what single requests notice of it."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.chaos.jobs import Jobs, Photo
from benchmarks.chaos.site import Site
from geofix.engine.locate import Locator
from geofix.engine.types import Lane, LocateOptions
from geofix.settings import Settings
from service.jobs.schemas import JobAnswer

OPTIONS = {"generators": "attributes", "heatmap": "false"}
LIMIT_S = 3600.0
_AT_ONCE = 16
"""Photos the engine is given at once, as by two workers with eight each."""
_SHARE = 8
"""The engine's own throughput is measured on an eighth of the photos, before and after the job."""
_PAUSE_S = 0.05
_FEWEST = 40
_NUMBERS = (b"request %d" % number for number in itertools.count())


@dataclass(frozen=True, slots=True)
class Report:
    """Photos a second, and the latency of a person's request."""

    photos: int
    complete: bool
    """Every photo has one answer, in order."""
    engine_per_s: float
    job_per_s: float
    ratio: float
    """Of the job's throughput to the engine's own."""
    idle_p50_ms: float
    idle_p95_ms: float
    busy_p50_ms: float
    busy_p95_ms: float
    """While a job runs."""
    p95_ratio: float
    requests: int
    """Single requests while the job ran."""

    def document(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


def seconds(job: JobAnswer) -> float:
    """From its acknowledgement to its end."""
    return (job.timestamps[job.state] - job.created_at).total_seconds()


def run(site: Site, photos: Sequence[Photo]) -> Report:
    """The engine, the job, the engine; then single requests without, with and without a job."""
    share = photos[: max(32, len(photos) // _SHARE)]
    with Jobs(site.address) as jobs:
        jobs.wait(jobs.submit(photos[:32], OPTIONS), LIMIT_S)  # whatever is done but once
        before = _engine_s(share)
        end = jobs.wait(job := jobs.submit(photos, OPTIONS), LIMIT_S)
        after = _engine_s(share)
        answered = [result["custom_id"] for result in jobs.results(job)]
        data = photos[0][1]
        idle = _latencies_ms(site.address, data, lambda n: n < _FEWEST)
        busy_with = jobs.submit(photos[: max(64, len(photos) // 4)], OPTIONS)
        ended = threading.Event()

        def wait() -> None:
            with Jobs(site.address) as others:
                others.wait(busy_with, LIMIT_S)
            ended.set()

        waiting = threading.Thread(target=wait)
        waiting.start()
        busy = _latencies_ms(site.address, data, lambda _: not ended.is_set())
        waiting.join()
        idle += _latencies_ms(site.address, data, lambda n: n < _FEWEST)
    engine_per_s = 2.0 * len(share) / (before + after)
    job_per_s = len(photos) / seconds(end)
    idle_p50, idle_p95 = (float(np.percentile(idle, p)) for p in (50, 95))
    busy_p50, busy_p95 = (float(np.percentile(busy, p)) for p in (50, 95))
    return Report(
        photos=len(photos),
        complete=answered == [name for name, _ in photos],
        engine_per_s=engine_per_s,
        job_per_s=job_per_s,
        ratio=job_per_s / engine_per_s,
        idle_p50_ms=idle_p50,
        idle_p95_ms=idle_p95,
        busy_p50_ms=busy_p50,
        busy_p95_ms=busy_p95,
        p95_ratio=busy_p95 / idle_p95,
        requests=len(busy),
    )


def _engine_s(photos: Sequence[Photo]) -> float:
    """How long the engine takes for photos in memory, on the batch lane, in this process."""

    async def locate_all() -> float:
        with tempfile.TemporaryDirectory() as folder:
            locator = await Locator.open(Settings(data_dir=Path(folder)), role="service")
            try:
                options = LocateOptions(generators=("attributes",), heatmap=False, lane=Lane.BATCH)
                turns = asyncio.Semaphore(_AT_ONCE)

                async def locate(number: int) -> None:
                    async with turns:
                        await locator.locate(photos[number][1], options)

                await asyncio.gather(*map(locate, range(_AT_ONCE)))
                started = time.perf_counter()
                await asyncio.gather(*map(locate, range(len(photos))))
                return time.perf_counter() - started
            finally:
                await locator.close()

    return asyncio.run(locate_all())


_FRESH = {"Content-Type": "image/jpeg", "Cache-Control": "no-store"}
"""A repeated photo is to be located anew, not answered from what is kept."""


def _latencies_ms(address: str, data: bytes, go_on: Callable[[int], bool]) -> list[float]:
    """Of requests one after the other, each from its first byte to the whole answer.

    No two photos are the same byte for byte: an answer that is kept would take no work.
    """
    found: list[float] = []
    with httpx.Client(base_url=address, timeout=60.0) as client:
        while go_on(len(found)):
            photo = data + next(_NUMBERS)
            started = time.perf_counter()
            client.post(
                "/v1/locate", params=OPTIONS, content=photo, headers=_FRESH
            ).raise_for_status()
            found.append((time.perf_counter() - started) * 1e3)
            time.sleep(_PAUSE_S)
    return found
