"""Calls that tell of a job's end, signed by Standard Webhooks, to public addresses only."""

from __future__ import annotations

from geofix.jobs.store import JobStore


async def deliver(store: JobStore, job_id: str) -> bool:
    """Make one attempt at a job's call; True when it need not be tried again.

    A failure is recorded with the time of the next attempt, and ``sweep`` starts that one.
    """
    raise NotImplementedError
