"""The job store: what a job is, what it does next, and what remains of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from geofix.errors import Unavailable
from geofix.jobs.types import Event, Job, Manifest, Outcome, State, Task
from geofix.settings import Settings


class JobStore:
    """Jobs in the object store and in Redis. Shared by tasks of one event loop."""

    async def accept(self, manifest: Manifest) -> Job:
        """Acknowledge a job whose inputs are in the store; from here on nothing is lost.

        Raises QuotaExceeded, StorageFull, Unavailable.
        """
        raise NotImplementedError

    async def get(self, job_id: str) -> Job:
        """The job as it stands. Rebuilds it where Redis has lost it. Raises NotFound."""
        raise NotImplementedError

    async def jobs(
        self, owner: str, *, states: frozenset[State], after: str, limit: int
    ) -> tuple[list[Job], str]:
        """A page of an owner's jobs, newest first, and the cursor of the next page or empty."""
        raise NotImplementedError

    async def next_tasks(self, job_id: str) -> list[Task]:
        """Chunks that should be sent to the workers now: a few at a time of each job.

        Call it after ``accept``, ``retry`` and every ``Chunks.complete``, and send them.
        """
        raise NotImplementedError

    async def cancel(self, job_id: str) -> Job:
        """Stop the job: recorded before this returns. Raises NotFound, Conflict when ended."""
        raise NotImplementedError

    async def retry(self, job_id: str) -> Job:
        """Start the failed items again. Raises NotFound, Conflict."""
        raise NotImplementedError

    async def delete(self, job_id: str) -> None:
        """Remove everything of a job, everywhere. Raises NotFound."""
        raise NotImplementedError

    async def rebuild(self, job_id: str) -> Job:
        """Make the job's state in Redis anew from the object store. Raises NotFound."""
        raise NotImplementedError

    def outcomes(self, job_id: str) -> AsyncIterator[Outcome]:
        """The outcomes there are so far, in input order; those of the latest round count."""
        raise NotImplementedError

    def events(self, job_id: str, after: str) -> AsyncIterator[Event]:
        """The job's events after the id ``after``, as they come, until it has ended."""
        raise NotImplementedError


@asynccontextmanager
async def open_jobs(config: Settings) -> AsyncIterator[JobStore]:
    """The job store of these settings. Raises Unavailable without ``redis_url``."""
    if not config.redis_url:
        raise Unavailable("Jobs are off here: the operator has set no GEOFIX_REDIS_URL.")
    yield JobStore()
