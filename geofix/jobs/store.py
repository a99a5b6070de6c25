"""The job store: what a job is, what it does next, and what remains of it."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from geofix.errors import Conflict, InvalidOption, NotFound, Unavailable
from geofix.jobs.agenda import Agenda, Due
from geofix.jobs.census import Census, census
from geofix.jobs.connection import open_redis
from geofix.jobs.course import counted, job_of, reached, snapshot, unfinished, verdict
from geofix.jobs.live import Live, Quota
from geofix.jobs.objects import Objects
from geofix.jobs.records import Findings, Mark, Records
from geofix.jobs.types import Event, Job, Manifest, Outcome, State, Task
from geofix.settings import Settings

_ID = re.compile(r"job_[0-9a-f]{12}[0-9a-f]{24}")
_RUNNING = (State.VALIDATING, State.IN_PROGRESS)
_EVENT_ID = re.compile(r"[0-9]{1,16}(-[0-9]{1,16})?")
_READ_AHEAD = 8
"""Chunks of results read at once."""
_EVENT_WAIT_MS = 5000


def new_job_id() -> str:
    """Milliseconds of its making, then 96 random bits: sortable, and not to be guessed."""
    return f"job_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(12)}"


def check_event_id(event_id: str) -> None:
    """Raise InvalidOption for what is neither empty nor the id of an event."""
    if event_id and not _EVENT_ID.fullmatch(event_id):
        raise InvalidOption("Last-Event-ID is not the id of an event.")


class JobStore:
    """Jobs in the object store and in Redis. Shared by tasks of one event loop."""

    def __init__(self, objects: Objects, redis: Redis, config: Settings) -> None:
        self.records = Records(objects)
        self.live = Live(redis)
        self.agenda = Agenda(redis)
        self._redis = redis
        self.config = config

    @property
    def quota(self) -> Quota:
        """What one key may have at a time."""
        c = self.config
        return Quota(c.job_quota_running, c.job_quota_items, c.job_quota_bytes)

    async def accept(self, manifest: Manifest) -> Job:
        """Acknowledge a job whose inputs are in the store; from here on nothing is lost.

        A manifest of the same id that was accepted before stands: that job is returned.
        Raises QuotaExceeded, StorageFull, Unavailable; then nothing of the job is kept.
        """
        try:
            if not await self.records.create_manifest(manifest):
                return await self.get(manifest.id)
            await self.live.install(snapshot(manifest, Findings()), quota=self.quota)
        except BaseException:
            await self._take_back(manifest)
            raise
        return await self.get(manifest.id)

    async def check_quota(self, owner: str) -> None:
        """Raise QuotaExceeded for a key that may start no job now; ``accept`` has the last word."""
        await self.live.check_running(owner, self.quota)

    async def _take_back(self, manifest: Manifest) -> None:
        """Remove a job that was not acknowledged, unless another request's stands under its id."""
        standing = await self.records.manifest(manifest.id)
        if standing is None or standing.inputs == manifest.inputs:
            await self.records.remove(manifest)
            await self.live.drop(manifest.id, manifest.owner)

    async def get(self, job_id: str, owner: str | None = None) -> Job:
        """The job as it stands; rebuilt where Redis has lost it.

        With ``owner``, only if the job is theirs: another's is not to be told from none.
        Raises NotFound.
        """
        if not _ID.fullmatch(job_id):
            raise NotFound("There is no such job.")
        fields, left = await self.live.fields(job_id)
        job = job_of(fields, left) if fields else await self.rebuild(job_id, force=False)
        if owner is not None and job.manifest.owner != owner:
            raise NotFound("There is no such job.")
        return job

    async def jobs(
        self, owner: str, *, states: frozenset[State], after: str, limit: int
    ) -> tuple[list[Job], str]:
        """A page of an owner's jobs, newest first, and the cursor of the next page or empty.

        ``states`` filters, if there are any; ``after`` is the cursor of the page before, or empty.
        """
        await self.complete_index()
        page: list[Job] = []
        while ids := await self.live.owned(owner, after, 100):
            for job_id in ids:
                try:
                    job = await self.get(job_id, owner)
                except NotFound:
                    continue  # deleted meanwhile
                if states and job.state not in states:
                    continue
                if len(page) == limit:
                    return page, page[-1].id
                page.append(job)
            after = ids[-1]
        return page, ""

    async def next_tasks(self, job_id: str) -> list[Task]:
        """Chunks that should be sent to the workers now: a few at a time of each job.

        Call it after ``accept``, ``retry`` and every ``Chunks.complete``, and send them.
        Raises NotFound.
        """
        priority = (await self.get(job_id)).manifest.priority
        chunks = await self.live.send(job_id, self.config.job_window_chunks)
        return [Task(job_id, chunk, priority) for chunk in chunks]

    async def cancel(self, job_id: str, owner: str | None = None) -> Job:
        """Stop the job: recorded before this returns. Again is no error.

        Raises NotFound, Conflict when the job has ended otherwise.
        """
        job = await self.get(job_id, owner)
        if job.state is State.CANCELLED:
            return job
        if job.state.terminal:
            raise Conflict(f"The job has ended already: it is {job.state}.")
        await self.records.mark(job_id, job.round, Mark.CANCEL, {"at": time.time()})
        await self.live.turn(job_id, State.CANCELLING, *_RUNNING)
        if not await self.live.holders(job_id):
            await self.end(job_id)
        return await self.get(job_id)

    async def retry(self, job_id: str, owner: str | None = None) -> Job:
        """Start the failed items again. Raises NotFound, Conflict."""
        job = await self.get(job_id, owner)
        if not job.state.terminal:
            raise Conflict(f"The job has not ended: it is {job.state}. Retry it when it has.")
        if job.state is State.CANCELLED:
            raise Conflict("The job was cancelled. Send its photos as a new job.")
        if not job.counts.failed:
            raise Conflict("No photo of the job has failed.")
        found = await self.records.findings(job_id)
        again = [
            chunk
            for chunk in range(job.manifest.chunks)
            if (header := found.latest(chunk)) and header.failed
        ]
        facts = {"at": time.time(), "chunks": again}
        await self.records.mark(job_id, job.round + 1, Mark.STARTED, facts)
        await self.agenda.unschedule(Due.RETENTION, job_id)
        return await self.rebuild(job_id)

    async def delete(self, job_id: str, owner: str | None = None) -> None:
        """Remove everything of a job, everywhere. Raises NotFound."""
        job = await self.get(job_id, owner)
        await self.records.remove(job.manifest)
        await self.live.drop(job_id, job.manifest.owner)
        await self.records.remove(job.manifest)  # what a worker wrote in between

    async def rebuild(self, job_id: str, *, force: bool = True) -> Job:
        """Make the job's state in Redis anew from the object store. Raises NotFound."""
        manifest = await self.records.manifest(job_id)
        if manifest is None:
            raise NotFound("There is no such job.")
        found = await self.records.findings(job_id)
        await self.live.install(snapshot(manifest, found), force=force)
        if found.marks.get((found.round, Mark.ENDED)):
            await self._schedule(manifest, found)
        elif not unfinished(manifest, found):
            await self.end(job_id)
        return job_of(*await self.live.fields(job_id))

    async def census(self) -> Census:
        """How all jobs stand together. Raises Unavailable."""
        return await census(self._redis)

    async def complete_index(self) -> int:
        """Rebuild every job that Redis does not know, if its data is gone. How many they were."""
        if await self.live.complete_index():
            return 0
        rebuilt = 0
        for job_id in await self.records.job_ids():
            fields, _ = await self.live.fields(job_id)
            if fields or await self.records.manifest(job_id) is None:
                continue
            await self.rebuild(job_id, force=False)
            rebuilt += 1
        await self.live.mark_index()
        return rebuilt

    async def end(self, job_id: str) -> Job:
        """Close the round: nothing is left to do, or nothing is wanted any more.

        Raises NotFound.
        """
        job = await self.get(job_id)
        if job.state.terminal:
            return job
        await self.live.turn(job_id, State.FINALIZING, *_RUNNING)
        found = await self.records.findings(job_id)
        state = verdict(found)
        if state is not State.CANCELLED and unfinished(job.manifest, found):
            return await self.rebuild(job_id)
        counts = counted(job.manifest, found)
        since = {**(await self.get(job_id)).since, state: time.time()}
        facts = {"since": since, "completed": counts.completed, "failed": counts.failed}
        await self.records.mark(job_id, found.round, Mark.ENDED, facts)
        found.marks = await self.records.marks(job_id)
        await self._finish(job.manifest, found)
        await self.records.remove_photos(job.manifest, found)
        return await self.get(job_id)

    async def _finish(self, manifest: Manifest, found: Findings) -> None:
        """Tell Redis what the mark of the end says; another's mark may stand."""
        state, at = reached(manifest, found, [])[-1]
        refusal = found.marks.get((found.round, Mark.REFUSED))
        problem = "" if refusal is None else json.dumps(refusal)
        counts = counted(manifest, found)
        await self.live.finish(manifest, state, at, counts, problem)
        await self._schedule(manifest, found)

    async def _schedule(self, manifest: Manifest, found: Findings) -> None:
        """See that an ended job is told of and, in time, deleted."""
        _, at = reached(manifest, found, [])[-1]
        await self.agenda.schedule(Due.RETENTION, manifest.id, at + manifest.kept_for_s)
        if manifest.webhook and (found.round, Mark.DELIVERED) not in found.marks:
            await self.agenda.schedule(Due.WEBHOOK, manifest.id, time.time())

    async def outcomes(self, job_id: str) -> AsyncIterator[Outcome]:
        """The outcomes there are so far, in input order; those of the latest round count.

        Raises NotFound.
        """
        job = await self.get(job_id)
        for at in range(0, job.manifest.chunks, _READ_AHEAD):
            ahead = range(at, min(at + _READ_AHEAD, job.manifest.chunks))
            reading = (self.chunk_outcomes(job_id, chunk, job.round + 1) for chunk in ahead)
            for outcomes in await asyncio.gather(*reading):
                for outcome in outcomes:
                    yield outcome

    async def chunk_outcomes(self, job_id: str, chunk: int, rounds: int) -> list[Outcome]:
        """The outcomes of a chunk after so many rounds, in order."""
        latest: dict[int, Outcome] = {}
        for round_ in range(rounds):
            for outcome in await self.records.results(job_id, round_, chunk) or ():
                latest[outcome.index] = outcome
        return [latest[index] for index in sorted(latest)]

    async def events(self, job_id: str, after: str) -> AsyncIterator[Event | None]:
        """The job's events after the id ``after``, as they come, until it has ended.

        None when there was none for some seconds. Ids are Redis stream ids; another raises
        InvalidOption. Raises NotFound when the job is deleted meanwhile.
        """
        check_event_id(after)
        while True:
            job = await self.get(job_id)
            wait_ms = 1 if job.state.terminal else _EVENT_WAIT_MS
            found = await self.live.events(job_id, after, wait_ms)
            for event in found:
                yield event
            if found:
                after = found[-1].id
            elif job.state.terminal:
                return
            else:
                yield None


@asynccontextmanager
async def open_jobs(config: Settings) -> AsyncIterator[JobStore]:
    """The job store of these settings. Raises Unavailable without ``redis_url``."""
    if not config.redis_url:
        raise Unavailable("Jobs are off here: the operator has set no GEOFIX_REDIS_URL.")
    objects = await asyncio.to_thread(Objects.of, config)
    async with open_redis(config.redis_url) as redis:
        yield JobStore(objects, redis, config)
