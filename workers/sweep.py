"""What keeps jobs going when nobody works on them: sweeps, webhooks, and clearing up."""

from __future__ import annotations

import logging

from geofix.jobs import sweeping, webhooks
from workers.workbench import Workbench

log = logging.getLogger("geofix.worker")


async def sweep_jobs(bench: Workbench) -> None:
    """Bring every job that stands still back to work, or to its end."""
    swept = await sweeping.sweep(bench.store, bench.sender)
    if swept.lost or swept.rebuilt:
        log.warning(
            "%d chunks were lost and are sent again, %d jobs rebuilt", swept.lost, swept.rebuilt
        )


async def collect_jobs(bench: Workbench) -> None:
    """Delete what may be deleted."""
    await sweeping.collect(bench.store)


async def call_webhook(bench: Workbench, job_id: str) -> None:
    """Tell of a job's end; the sweep sends for the next attempt where this one fails."""
    await webhooks.deliver(bench.store, job_id)
