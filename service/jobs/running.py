"""The job store and the sender of tasks of a running service."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import cast

from fastapi import FastAPI, Request

from geofix.errors import Unavailable
from geofix.jobs.store import JobStore, open_jobs
from geofix.jobs.sweeping import CANCEL_S
from geofix.jobs.tasks import CelerySender, TaskSender
from geofix.jobs.types import Job, State
from geofix.settings import Settings

log = logging.getLogger("geofix.jobs")


@dataclass(frozen=True, slots=True)
class Jobs:
    """What the endpoints of jobs work with."""

    store: JobStore
    sender: TaskSender

    async def start(self, job_id: str) -> None:
        """Hand the next chunks to the workers. Where that fails, their sweep does it."""
        try:
            for task in await self.store.next_tasks(job_id):
                await self.sender.chunk(task)
        except Unavailable as error:
            log.warning("job %s was accepted; the sweep will start it: %s", job_id, error)

    async def cancel(self, job_id: str, owner: str) -> Job:
        """Stop a job, and see that it ends though a worker does not let go of a chunk.

        Raises NotFound, Conflict.
        """
        job = await self.store.cancel(job_id, owner)
        if job.state is State.CANCELLING:
            with suppress(Unavailable):  # the next sweep does it
                await self.sender.sweep(CANCEL_S)
        return job


def attach(app: FastAPI, jobs: Jobs | None) -> None:
    """Make ``app`` answer for these jobs, or with 503 where there are none."""
    app.state.jobs = jobs


def attached(app: FastAPI) -> Jobs | None:
    """The jobs of this application; None where it has none."""
    return cast("Jobs | None", app.state.jobs)


@asynccontextmanager
async def jobs_of_settings(config: Settings) -> AsyncIterator[Jobs | None]:
    """The jobs of these settings; None where no Redis is set."""
    if not config.redis_url:
        yield None
        return
    async with open_jobs(config) as store:
        yield Jobs(store, CelerySender(config.redis_url))


def jobs_of(request: Request) -> Jobs:
    """The service's jobs. Raises Unavailable where it has none."""
    jobs = attached(request.app)
    if jobs is None:
        raise Unavailable(
            "This service takes no jobs: it runs without Redis. Its operator can start it with "
            "`geofix serve --all`, or set GEOFIX_REDIS_URL.",
            retry_after_s=3600,
        )
    return jobs
