"""Working on a job's chunks: leases, attempts, and outcomes that are written once."""

from __future__ import annotations

from collections.abc import Sequence

from geofix.jobs.store import JobStore
from geofix.jobs.types import Claim, Item, Outcome, Problem

HEARTBEAT_S = 15.0
"""How often a worker that holds a lease says that it lives."""
LEASE_S = 22.0
"""A lease without a heartbeat ends after so long; with a sweep every 5 s, a lost chunk restarts
within 30 s."""
STOP_POLL_S = 1.0
"""How often a worker should ask ``wanted``, so that cancelling takes effect within 5 s."""
MAX_TRIES = 3
"""A photo with which a worker was lost so many times is given up."""


class Chunks:
    """The workers' side of the job store.

    A worker's loop::

        claim = await chunks.claim(job_id, chunk)
        if claim is None:
            return                        # done, cancelled, deleted, or somebody else's
        # meanwhile: heartbeat(claim) every HEARTBEAT_S, wanted(claim) every STOP_POLL_S
        outcomes = [await work(item) for item in claim.items]
        await chunks.complete(claim, outcomes)

    Where ``claim.isolated``, items are worked one by one, each between ``begin`` and ``keep``.
    """

    def __init__(self, store: JobStore, worker: str) -> None:
        self._store = store
        self._worker = worker

    async def claim(self, job_id: str, chunk: int) -> Claim | None:
        """The lease of a chunk; None when there is nothing to do or another worker holds it."""
        raise NotImplementedError

    async def heartbeat(self, claim: Claim) -> bool:
        """Keep the lease. False: another worker has it, or the work is not wanted any more."""
        raise NotImplementedError

    async def wanted(self, claim: Claim) -> bool:
        """Whether the job still runs; False once it is cancelled, expired or deleted. Cheap."""
        raise NotImplementedError

    async def begin(self, claim: Claim, item: Item) -> Outcome | None:
        """Say that this item is worked on now; for isolated claims.

        Returns the problem of an item with which a worker was lost MAX_TRIES times: it is kept
        already, and must not be worked on again.
        """
        raise NotImplementedError

    async def keep(self, claim: Claim, outcome: Outcome) -> None:
        """Keep one item's outcome, so that it survives the loss of this worker."""
        raise NotImplementedError

    async def complete(self, claim: Claim, outcomes: Sequence[Outcome]) -> bool:
        """Write the outcomes of all ``claim.items``; the lease ends.

        False when another worker's outcomes of this chunk were written first: those stand, and
        these are counted as duplicates. Also False when the job was cancelled or deleted.
        """
        raise NotImplementedError

    async def release(self, claim: Claim) -> None:
        """Give the chunk back unfinished, for example at shutdown; the attempt is not counted."""
        raise NotImplementedError

    async def refuse(self, claim: Claim, problem: Problem) -> None:
        """End the job: none of its photos can be worked on, for example as its gallery is gone."""
        raise NotImplementedError
