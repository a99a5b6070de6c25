"""One chunk of a job: ask the engine for its photos, write what came of them once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from geofix.errors import NotFound, Unavailable
from geofix.jobs.chunks import HEARTBEAT_S, STOP_POLL_S, Chunks
from geofix.jobs.types import Claim, Problem
from geofix.remote.client import RefusedError
from workers.photos import Photos
from workers.workbench import Workbench

log = logging.getLogger("geofix.worker")

WRITE_S = 60.0
"""How long a store that does not answer is asked again to take a chunk's outcomes."""


class _End(StrEnum):
    """Why the work on a chunk stops."""

    DONE = "done"
    UNWANTED = "unwanted"
    """The job was cancelled or deleted, or another worker holds the lease."""
    CUT_SHORT = "cut short"
    """The worker is told to stop, or the chunk takes too long."""


async def work_chunk(
    bench: Workbench,
    job_id: str,
    chunk: int,
    *,
    worker: str,
    limit_s: float,
    stopping: Callable[[], bool],
    alive: Callable[[], None],
) -> None:
    """Work on a chunk if nobody else does, and send for the job's next ones.

    ``stopping`` says whether the worker is to stop; ``alive`` is called while work goes on.
    """
    chunks = Chunks(bench.store, worker)
    claim = await chunks.claim(job_id, chunk)
    if claim is None:
        return
    photos = Photos(bench.engine, chunks, claim)
    try:
        end = await _work(photos, chunks, claim, limit_s, stopping, alive)
    except RefusedError as refusal:
        await chunks.refuse(claim, _problem(refusal))
    else:
        if end is _End.DONE:
            await _write(chunks, claim, photos)
        else:
            if end is _End.CUT_SHORT:
                for outcome in photos.finished():
                    await chunks.keep(claim, outcome)
            await chunks.release(claim)  # the last to let go of a cancelled job ends it
    await _send_next(bench, job_id)


async def _send_next(bench: Workbench, job_id: str) -> None:
    try:
        for task in await bench.store.next_tasks(job_id):
            await bench.sender.chunk(task)
    except NotFound:
        return  # the job was deleted
    except (Unavailable, OSError) as error:
        log.warning("the next chunks are left to the sweep: %s", error)


async def _work(
    photos: Photos,
    chunks: Chunks,
    claim: Claim,
    limit_s: float,
    stopping: Callable[[], bool],
    alive: Callable[[], None],
) -> _End:
    """Work until every photo has its outcome, or until there is a reason to stop before."""
    work = asyncio.create_task(photos.work())
    watch = asyncio.create_task(_watch(chunks, claim, stopping, alive))
    try:
        done, _ = await asyncio.wait(
            {work, watch}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
        )
        if work in done:
            work.result()
            return _End.DONE
        return watch.result() if watch in done else _End.CUT_SHORT
    finally:
        await ended(work, watch)


async def ended(*tasks: asyncio.Task[object]) -> None:
    """Cancel tasks until they end.

    Once is not enough: a library that the cancellation reaches inside a time-out of its own may
    take it for that, and the task would go on and hold its lease for good.
    """
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1.0)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # whoever wanted it has had it; asyncio would log it again


async def _watch(
    chunks: Chunks, claim: Claim, stopping: Callable[[], bool], alive: Callable[[], None]
) -> _End:
    """Keep the lease; return when the work is to stop."""
    clock = asyncio.get_running_loop().time
    next_heartbeat = clock() + HEARTBEAT_S
    while True:
        await asyncio.sleep(STOP_POLL_S)
        alive()
        if stopping():
            return _End.CUT_SHORT
        try:
            if clock() >= next_heartbeat:
                next_heartbeat = clock() + HEARTBEAT_S
                if not await chunks.heartbeat(claim):
                    return _End.UNWANTED
            elif not await chunks.wanted(claim):
                return _End.UNWANTED
        except Unavailable:
            continue  # a lease that ends meanwhile costs work twice, never a second result


async def _write(chunks: Chunks, claim: Claim, photos: Photos) -> None:
    """Write the outcomes, again where a store does not answer; the second time changes nothing.

    Raises Unavailable in the end: then the lease runs out, and the chunk is worked on again.
    """
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_exponential(0.2, max=5.0),
        stop=stop_after_delay(WRITE_S),
        reraise=True,
    ):
        with attempt:
            await chunks.complete(claim, photos.finished())


def _problem(refusal: RefusedError) -> Problem:
    told = refusal.problem
    return Problem(
        type=str(told.get("type", refusal.problem_type)),
        title=str(told.get("title", refusal.title)),
        status=refusal.http_status,
        detail=str(refusal),
    )
