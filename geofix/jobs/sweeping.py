"""What must happen to jobs when nobody does it: lost chunks, lost state, time that is up."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from geofix.errors import NotFound
from geofix.jobs.agenda import Due
from geofix.jobs.chunks import Chunks
from geofix.jobs.idempotency import collect_keys
from geofix.jobs.store import JobStore
from geofix.jobs.tasks import BATCH_QUEUES, TaskSender
from geofix.jobs.types import Job, State, Task

SWEEP_S = 5.0
"""How often ``sweep`` should run, anywhere, by anyone; two at once do no harm."""
COLLECT_S = 3600.0
"""How often ``collect`` should."""
CANCEL_S = 3.0
"""After so long a cancelled job ends, even if a worker has not let go of a chunk."""
UNSTARTED_S = 10.0
"""A chunk that was sent so long ago, while no message waits in the queue, is sent again."""
QUEUED_S = 60.0
"""While messages wait: sent again after this time, doubled every time."""
BROKEN_OFF_S = 3600.0
"""Inputs without a manifest are removed when nothing was added to them for so long."""

log = logging.getLogger("geofix.jobs")


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found."""

    lost: int = 0
    """Leases that had ended without an outcome."""
    sent: int = 0
    """Chunks sent to the workers (again)."""
    rebuilt: int = 0
    """Jobs that Redis had lost."""
    ended: int = 0
    """Jobs that were cancelled, expired or complete, and not closed."""
    webhooks: int = 0
    """Calls that were due."""

    def __add__(self, other: Swept) -> Swept:
        return Swept(
            self.lost + other.lost,
            self.sent + other.sent,
            self.rebuilt + other.rebuilt,
            self.ended + other.ended,
            self.webhooks + other.webhooks,
        )


async def sweep(store: JobStore, sender: TaskSender) -> Swept:
    """Bring every job that stands still back to work, or to its end."""
    swept = Swept(rebuilt=await store.complete_index())
    idle = not await store.agenda.queued(*BATCH_QUEUES)
    for job_id in await store.live.open_jobs():
        try:
            swept += await _sweep_job(store, sender, await store.get(job_id), idle=idle)
        except NotFound:
            continue  # deleted meanwhile
    for job_id in await store.agenda.due(Due.WEBHOOK, time.time()):
        await store.agenda.schedule(Due.WEBHOOK, job_id, time.time() + 60.0)  # unless it is told of
        await sender.webhook(job_id)
        swept += Swept(webhooks=1)
    await store.live.swept(time.time())
    return swept


async def _sweep_job(store: JobStore, sender: TaskSender, job: Job, *, idle: bool) -> Swept:
    now = time.time()
    if job.state is State.CANCELLING:
        if now - job.since[State.CANCELLING] < CANCEL_S and await store.live.holders(job.id):
            return Swept()
        await store.end(job.id)
        return Swept(ended=1)
    if now > job.expires_at:
        await Chunks(store, "sweep").expire(job.id)
        return Swept(ended=1)
    if job.state is State.FINALIZING or not await store.live.todo(job.id):
        return await _close(store, job, now)
    patience = UNSTARTED_S if idle else QUEUED_S
    lost, chunks = await store.live.stalled(job.id, patience, doubling=not idle)
    tasks = [Task(job.id, chunk, job.manifest.priority) for chunk in chunks]
    tasks += await store.next_tasks(job.id)
    for task in tasks:
        await sender.chunk(task)
    if lost:
        log.warning("job %s: %d chunks lost their worker and were sent again", job.id, lost)
    return Swept(lost=lost, sent=len(tasks))


async def _close(store: JobStore, job: Job, now: float) -> Swept:
    """End a job whose last worker was lost before it did; not while one may be about to."""
    if now - max(job.since.values()) < SWEEP_S:
        return Swept()
    await store.rebuild(job.id)
    return Swept(ended=1)


async def collect(store: JobStore) -> int:
    """Delete jobs past their retention, uploads that broke off, old idempotency records.

    Returns how many of them there were.
    """
    removed = 0
    for job_id in await store.agenda.due(Due.RETENTION, time.time()):
        try:
            await store.delete(job_id)
        except NotFound:
            await store.agenda.unschedule(Due.RETENTION, job_id)
        removed += 1
    for job_id in await store.records.job_ids():
        removed += await _remove_broken_off(store, job_id)
    return removed + await collect_keys(store.records.objects)


async def _remove_broken_off(store: JobStore, job_id: str) -> int:
    if await store.records.manifest(job_id) is not None:
        return 0
    paths = store.records.objects.paths(f"jobs/{job_id}/")
    newest = max([at async for _, at in paths], default=0.0)
    if not newest or time.time() - newest < BROKEN_OFF_S:
        return 0
    if await store.agenda.remembered(f"upload:{job_id}"):
        return 0
    await store.records.objects.remove_below(f"jobs/{job_id}/")
    return 1
