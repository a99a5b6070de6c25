"""Working on a job's chunks: leases, attempts, and outcomes that are written once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict

from geofix.errors import NotFound
from geofix.jobs.records import Mark
from geofix.jobs.store import JobStore
from geofix.jobs.types import Claim, Item, Job, Outcome, Problem, State

HEARTBEAT_S = 15.0
"""How often a worker that holds a lease says that it lives."""
LEASE_S = 22.0
"""A lease without a heartbeat ends after so long; with a sweep every 5 s, a lost chunk restarts
within 30 s."""
STOP_POLL_S = 1.0
"""How often a worker should ask ``wanted``, so that cancelling takes effect within 5 s."""
MAX_TRIES = 3
"""A photo with which a worker was lost so many times is given up."""

GIVEN_UP = Problem(
    "urn:geofix:problem:given-up",
    "The photo was given up",
    500,
    f"A worker was lost {MAX_TRIES} times while it worked on this photo.",
)
EXPIRED = Problem(
    "urn:geofix:problem:job-expired",
    "The job's time was up",
    504,
    "The job expired before this photo was worked on. Retry the job.",
)


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
        self._records = store.records
        self._live = store.live
        self._worker = worker

    async def claim(self, job_id: str, chunk: int) -> Claim | None:
        """The lease of a chunk; None when there is nothing to do or another worker holds it."""
        token = f"{self._worker}-{secrets.token_hex(8)}"
        try:
            job = await self._store.get(job_id)  # brings it back where Redis has lost it
        except NotFound:
            return None
        word, attempt, round_ = await self._live.claim(job_id, chunk, token, LEASE_S)
        if word != "ok":
            return None
        if attempt > 1:
            await self._records.try_(job_id, round_, chunk, f"claim-{attempt}")
        claim = await self._claim(job, chunk, round_, attempt, token)
        if await self._recover(claim):
            return None
        return claim

    async def _claim(self, job: Job, chunk: int, round_: int, attempt: int, token: str) -> Claim:
        """What there is to do in a chunk: what is not kept, and in a retry only what failed."""
        m = job.manifest
        items = await self._records.items(m, chunk)
        if round_:
            before = await self._store.chunk_outcomes(m.id, chunk, round_)
            failed = {outcome.index for outcome in before if outcome.problem is not None}
            items = tuple(item for item in items if item.index in failed)
        kept = await self._records.kept(m.id, round_, chunk)
        done = {outcome.index for outcome in kept}
        return Claim(
            job_id=m.id,
            owner=m.owner,
            chunk=chunk,
            round=round_,
            attempt=attempt,
            token=token,
            items=tuple(item for item in items if item.index not in done),
            kept=tuple(kept),
            options=m.options,
            priority=m.priority,
        )

    async def _recover(self, claim: Claim) -> bool:
        """Count a chunk whose worker was lost after it had written the outcomes."""
        header = await self._records.header(claim.job_id, claim.round, claim.chunk)
        if header is None:
            return False
        await self._settle(claim, header.completed, header.failed, duplicates=0)
        return True

    async def heartbeat(self, claim: Claim) -> bool:
        """Keep the lease. False: another worker has it, or the work is not wanted any more."""
        return await self._live.heartbeat(claim.job_id, claim.chunk, claim.token, LEASE_S)

    async def wanted(self, claim: Claim) -> bool:
        """Whether the job still runs; False once it is cancelled, expired or deleted. Cheap."""
        runs = await self._live.runs(claim.job_id)
        if runs is None:
            try:
                runs = (await self._store.get(claim.job_id)).state.running
            except NotFound:
                return False
        return runs

    async def begin(self, claim: Claim, item: Item) -> Outcome | None:
        """Say that this item is worked on now; for isolated claims.

        Returns the problem of an item with which a worker was lost MAX_TRIES times: it is kept
        already, and must not be worked on again.
        """
        tries = await self._records.tries(claim.job_id, claim.round, claim.chunk)
        if sum(1 for name in tries if name.startswith(f"item-{item.index}-")) >= MAX_TRIES:
            outcome = Outcome(item.index, item.custom_id, problem=GIVEN_UP)
            await self.keep(claim, outcome)
            return outcome
        await self._records.try_(claim.job_id, claim.round, claim.chunk, _begun(claim, item))
        return None

    async def excuse(self, claim: Claim, item: Item) -> None:
        """Take ``begin`` back: what failed was not the photo's doing, for example the service."""
        await self._records.excuse(claim.job_id, claim.round, claim.chunk, _begun(claim, item))

    async def keep(self, claim: Claim, outcome: Outcome) -> None:
        """Keep one item's outcome, so that it survives the loss of this worker."""
        await self._records.keep(claim.job_id, claim.round, claim.chunk, outcome)

    async def complete(self, claim: Claim, outcomes: Sequence[Outcome]) -> bool:
        """Write the outcomes of all ``claim.items``; the lease ends.

        False when another worker's outcomes of this chunk were written first: those stand, and
        these are counted as duplicates. Also False when the job was cancelled or deleted.
        """
        if not await self.wanted(claim):
            await self.release(claim)
            return False
        whole = sorted([*claim.kept, *outcomes], key=lambda outcome: outcome.index)
        first, header = await self._records.write_results(
            claim.job_id, claim.round, claim.chunk, claim.token, whole
        )
        await self._settle(
            claim, header.completed, header.failed, duplicates=0 if first else len(outcomes)
        )
        return first

    async def release(self, claim: Claim) -> None:
        """Give the chunk back unfinished, for example at shutdown; the attempt is not counted."""
        left = await self._live.release(claim.job_id, claim.chunk, claim.token)
        if left == 0:
            try:
                if (await self._store.get(claim.job_id)).state is State.CANCELLING:
                    await self._store.end(claim.job_id)
            except NotFound:
                return

    async def refuse(self, claim: Claim, problem: Problem) -> None:
        """End the job: none of its photos can be worked on, for example as its gallery is gone."""
        await self._records.mark(claim.job_id, claim.round, Mark.REFUSED, asdict(problem))
        await self.close_out(claim.job_id, problem)

    async def expire(self, job_id: str) -> None:
        """End a job whose time is up."""
        job = await self._store.get(job_id)
        await self._records.mark(job_id, job.round, Mark.EXPIRED, {"at": time.time()})
        await self.close_out(job_id, EXPIRED)

    async def close_out(self, job_id: str, problem: Problem) -> None:
        """Give every photo without an outcome this problem, and end the job."""
        await self._live.turn(job_id, State.FINALIZING, State.VALIDATING, State.IN_PROGRESS)
        job = await self._store.get(job_id)
        token = f"{self._worker}-close"
        for chunk in await self._live.todo(job_id):
            claim = await self._claim(job, chunk, job.round, 2, token)
            outcomes = [Outcome(i.index, i.custom_id, problem=problem) for i in claim.items]
            whole = sorted([*claim.kept, *outcomes], key=lambda outcome: outcome.index)
            await self._records.write_results(job_id, job.round, chunk, token, whole)
        await self._store.rebuild(job_id)

    async def _settle(self, claim: Claim, completed: int, failed: int, *, duplicates: int) -> None:
        left = await self._live.settle(
            claim.job_id, claim.chunk, claim.round, completed, failed, duplicates
        )
        if left == 0:
            await self._store.end(claim.job_id)
        elif left is None and await self._records.manifest(claim.job_id) is None:
            await self._records.objects.remove_below(f"jobs/{claim.job_id}/")


def _begun(claim: Claim, item: Item) -> str:
    return f"item-{item.index}-{claim.attempt}"
