"""What must happen to jobs when nobody does it: lost chunks, lost state, time that is up."""

from __future__ import annotations

from dataclasses import dataclass

from geofix.jobs.store import JobStore
from geofix.jobs.tasks import TaskSender

SWEEP_S = 5.0
"""How often ``sweep`` should run, anywhere, by anyone; two at once do no harm."""
COLLECT_S = 3600.0


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


async def sweep(store: JobStore, sender: TaskSender) -> Swept:
    """Bring every job that stands still back to work, or to its end."""
    raise NotImplementedError


async def collect(store: JobStore) -> int:
    """Delete jobs past their retention, uploads that broke off, old idempotency records.

    Returns how many of them there were.
    """
    raise NotImplementedError
