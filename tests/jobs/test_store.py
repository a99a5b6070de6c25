from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from geofix.errors import Conflict, NotFound, QuotaExceeded
from geofix.jobs.chunks import Chunks
from geofix.jobs.store import JobStore, new_job_id
from geofix.jobs.types import Claim, Counts, Outcome, Problem, State
from tests.jobs.conftest import Playing, Submitting

_BAD = Problem("urn:geofix:problem:unreadable-photo", "The photo is damaged", 422, "It ends early.")


def _outcomes(claim: Claim, *, bad: frozenset[int] = frozenset()) -> list[Outcome]:
    return [
        Outcome(i.index, i.custom_id, problem=_BAD)
        if i.index in bad
        else Outcome(i.index, i.custom_id, answer=json.dumps({"by": claim.token}))
        for i in claim.items
    ]


async def _work(
    store: JobStore, job_id: str, *chunks: int, bad: frozenset[int] = frozenset()
) -> None:
    workers = Chunks(store, "w")
    for chunk in chunks:
        claim = await workers.claim(job_id, chunk)
        assert claim is not None
        assert await workers.complete(claim, _outcomes(claim, bad=bad))


async def _indices(store: JobStore, job_id: str) -> list[int]:
    return [outcome.index async for outcome in store.outcomes(job_id)]


def test_a_job_goes_from_accepted_to_completed(play: Playing, submit: Submitting) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store)
        assert job.state is State.VALIDATING
        assert job.counts == Counts(8, 0, 0)
        assert [t.chunk for t in await store.next_tasks(job.id)] == [0, 1]
        assert await store.next_tasks(job.id) == []
        await _work(store, job.id, 1, bad=frozenset({4}))
        job = await store.get(job.id)
        assert job.state is State.IN_PROGRESS
        assert job.counts == Counts(8, 2, 1)
        assert job.eta is not None
        assert await _indices(store, job.id) == [3, 4, 5]
        assert [t.chunk for t in await store.next_tasks(job.id)] == [2]
        await _work(store, job.id, 2, 0)
        job = await store.get(job.id)
        assert [*job.since] == ["validating", "in_progress", "finalizing", "completed"]
        assert [*job.since.values()] == sorted(job.since.values())
        assert job.counts == Counts(8, 7, 1)
        assert await _indices(store, job.id) == [*range(8)]
        assert job.duplicates == job.redeliveries == 0

    play(scene)


def test_a_chunk_run_three_times_leaves_one_result(
    play: Playing, submit: Submitting, redis: Redis
) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store)
        claims = []
        for name in "abc":
            claim = await Chunks(store, name).claim(job.id, 0)
            assert claim is not None
            assert await Chunks(store, "late").claim(job.id, 0) is None  # leased
            claims.append(claim)
            redis.delete(f"geofix:job:{job.id}:held", "geofix:leases")  # the worker seems lost
        assert [claim.attempt for claim in claims] == [1, 2, 3]
        wins = [await Chunks(store, "x").complete(c, _outcomes(c)) for c in reversed(claims)]
        assert wins == [True, False, False]
        found = [outcome async for outcome in store.outcomes(job.id)]
        assert [outcome.answer for outcome in found] == [json.dumps({"by": claims[2].token})] * 3
        job = await store.get(job.id)
        assert job.counts == Counts(8, 3, 0)
        assert job.duplicates == 6

    play(scene)


@pytest.mark.parametrize("done", [0, 1, 3])
def test_everything_comes_back_after_redis_data_is_deleted(
    play: Playing, submit: Submitting, redis: Redis, done: int
) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store, owner="ann")
        await _work(store, job.id, *range(done), bad=frozenset({1}))
        before = await store.get(job.id)
        redis.flushall()
        after = await store.get(job.id)
        assert after.counts == before.counts
        assert after.state is before.state
        assert after.manifest == before.manifest
        redis.flushall()
        page, _ = await store.jobs("ann", states=frozenset(), after="", limit=10)
        assert [j.id for j in page] == [job.id]
        await _work(store, job.id, *range(done, 3))
        assert (await store.get(job.id)).state is State.COMPLETED
        assert await _indices(store, job.id) == [*range(8)]

    play(scene)


def test_results_that_a_power_failure_tore_are_made_again(
    play: Playing, submit: Submitting, redis: Redis, tmp_path: Path
) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store)
        torn = f"jobs/{job.id}/results/000/000001.ndjson"
        await store.records.objects.create(torn, b"")
        await _work(store, job.id, 0, 1, 2)
        assert await _indices(store, job.id) == [*range(8)]

    play(scene)


def test_a_worker_that_outlives_redis_data_still_counts(
    play: Playing, submit: Submitting, redis: Redis
) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store)
        workers = Chunks(store, "w")
        claim = await workers.claim(job.id, 0)
        assert claim is not None
        redis.flushall()
        assert await workers.wanted(claim)
        assert await workers.heartbeat(claim)
        assert await Chunks(store, "other").claim(job.id, 0) is None
        assert await workers.complete(claim, _outcomes(claim))
        assert (await store.get(job.id)).counts.completed == 3

    play(scene)


def test_a_poison_photo_fails_alone(play: Playing, submit: Submitting, redis: Redis) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store, 3)
        lost = 0
        while (await store.get(job.id)).state is not State.COMPLETED:
            workers = Chunks(store, f"w{lost}")
            claim = await workers.claim(job.id, 0)
            assert claim is not None
            if not claim.isolated:
                redis.delete(f"geofix:job:{job.id}:held", "geofix:leases")
                lost += 1
                continue
            outcomes = []
            for item in claim.items:
                given_up = await workers.begin(claim, item)
                if given_up is None and item.index == 1:
                    break  # this one kills the worker
                outcomes.append(given_up or Outcome(item.index, item.custom_id, answer="{}"))
                await workers.keep(claim, outcomes[-1])
            else:
                assert await workers.complete(claim, outcomes)
                continue
            lost += 1
            redis.flushall()  # not even that makes it forget
        assert lost == 4
        job = await store.get(job.id)
        assert job.counts == Counts(3, 2, 1)
        found = [outcome async for outcome in store.outcomes(job.id)]
        assert [o.problem is not None for o in found] == [False, True, False]

    play(scene)


def test_what_was_kept_before_a_release_is_not_done_again(
    play: Playing, submit: Submitting
) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store, 3)
        workers = Chunks(store, "w")
        claim = await workers.claim(job.id, 0)
        assert claim is not None
        await workers.keep(claim, _outcomes(claim)[1])
        await workers.release(claim)
        claim = await workers.claim(job.id, 0)
        assert claim is not None
        assert not claim.isolated
        assert [item.index for item in claim.items] == [0, 2]
        assert await workers.complete(claim, _outcomes(claim))
        assert await _indices(store, job.id) == [0, 1, 2]

    play(scene)


def test_cancelling_stops_work_and_survives_redis(
    play: Playing, submit: Submitting, redis: Redis
) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store)
        workers = Chunks(store, "w")
        await _work(store, job.id, 0)
        claim = await workers.claim(job.id, 1)
        assert claim is not None
        assert (await store.cancel(job.id)).state is State.CANCELLING
        redis.flushall()
        assert not await workers.wanted(claim)
        assert not await workers.heartbeat(claim)
        assert await Chunks(store, "b").claim(job.id, 2) is None
        assert not await workers.complete(claim, _outcomes(claim))
        job = await store.get(job.id)
        assert job.state is State.CANCELLED
        assert job.counts == Counts(8, 3, 0)
        assert await _indices(store, job.id) == [0, 1, 2]
        redis.flushall()
        assert (await store.get(job.id)).since == job.since
        with pytest.raises(Conflict):
            await store.retry(job.id)
        assert (await store.cancel(job.id)).state is State.CANCELLED

    play(scene)


def test_a_retry_runs_only_what_failed(play: Playing, submit: Submitting, redis: Redis) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store)
        with pytest.raises(Conflict):
            await store.retry(job.id)
        await _work(store, job.id, 0, 1, 2, bad=frozenset({1, 7}))
        job = await store.retry(job.id)
        assert (job.state, job.round, job.counts) == (State.IN_PROGRESS, 1, Counts(8, 6, 0))
        assert [t.chunk for t in await store.next_tasks(job.id)] == [0, 2]
        claim = await Chunks(store, "w").claim(job.id, 0)
        assert claim is not None
        assert [item.index for item in claim.items] == [1]
        redis.flushall()
        assert await Chunks(store, "w").complete(claim, _outcomes(claim))
        assert await Chunks(store, "w").claim(job.id, 1) is None
        await _work(store, job.id, 2, bad=frozenset({7}))
        redis.flushall()
        job = await store.get(job.id)
        assert (job.state, job.counts) == (State.COMPLETED, Counts(8, 7, 1))
        found = [outcome async for outcome in store.outcomes(job.id)]
        assert [o.index for o in found] == [*range(8)]
        assert [o.index for o in found if o.problem] == [7]
        with pytest.raises(NotFound):
            await store.retry(job.id, "somebody else")

    play(scene)


def test_a_refused_job_fails_and_every_photo_says_why(play: Playing, submit: Submitting) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store)
        await _work(store, job.id, 0)
        claim = await Chunks(store, "w").claim(job.id, 1)
        assert claim is not None
        gone = Problem("urn:geofix:problem:not-found", "Gone", 404, "The gallery is gone.")
        await Chunks(store, "w").refuse(claim, gone)
        job = await store.get(job.id)
        assert (job.state, job.problem, job.counts) == (State.FAILED, gone, Counts(8, 3, 5))
        assert (await store.retry(job.id)).counts == Counts(8, 3, 0)

    play(scene)


def test_deleted_means_gone_everywhere(
    play: Playing, submit: Submitting, redis: Redis, tmp_path: Path
) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store)
        await _work(store, job.id, 0)
        claim = await Chunks(store, "w").claim(job.id, 1)
        assert claim is not None
        await store.delete(job.id)
        assert not await Chunks(store, "w").complete(claim, _outcomes(claim))
        await Chunks(store, "w").release(claim)
        with pytest.raises(NotFound):
            await store.get(job.id)

    play(scene)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    left = {key for key in redis.keys("*") if "job_" in key}
    assert left == set()
    assert all("job_" not in str(redis.zrange(key, 0, -1)) for key in ("geofix:leases",))


def test_photos_are_deleted_when_they_are_done(
    play: Playing, submit: Submitting, tmp_path: Path
) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store)
        await _work(store, job.id, 0, 1)
        assert len(_photos(tmp_path)) == 3
        await _work(store, job.id, 2, bad=frozenset({7}))
        assert _photos(tmp_path) == ["000002.bin"]
        await store.retry(job.id)
        await _work(store, job.id, 2)
        cancelled = await submit(store)
        await store.cancel(cancelled.id)

    play(scene)
    assert _photos(tmp_path) == []


def _photos(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.bin"))


def test_quotas_hold_for_a_key_and_for_two_requests_at_once(
    play: Playing, submit: Submitting, tmp_path: Path
) -> None:
    async def scene(store: JobStore) -> None:
        jobs = await asyncio.gather(
            *(submit(store, 2, owner="ann") for _ in range(6)), return_exceptions=True
        )
        refused = [job for job in jobs if isinstance(job, QuotaExceeded)]
        assert len(refused) == 3
        await submit(store, 2, owner="bob")
        with pytest.raises(QuotaExceeded):
            await submit(store, 39, owner="bob")

    play(scene)
    assert len([*(tmp_path / "objects" / "jobs").iterdir()]) == 4


def test_of_two_uploads_under_one_id_the_first_stands(
    play: Playing, submit: Submitting, redis: Redis
) -> None:
    async def scene(store: JobStore) -> None:
        first = await submit(store, 2, owner="ann")
        redis.flushall()
        manifest = replace(first.manifest, items=5, inputs="inputs-other")
        again = await store.accept(manifest)
        assert again.manifest == first.manifest
        assert (await store.get(first.id)).counts.total == 2

    play(scene)


def test_a_job_that_was_not_acknowledged_is_taken_back(play: Playing, submit: Submitting) -> None:
    async def scene(store: JobStore) -> None:
        job_id = new_job_id()
        for _ in range(3):
            await submit(store, 1, owner="ann")
        with pytest.raises(QuotaExceeded):
            await store.check_quota("ann")
        with pytest.raises(QuotaExceeded):
            await submit(store, 1, owner="ann", job_id=job_id)
        with pytest.raises(NotFound):
            await store.get(job_id)

    play(scene)


def test_a_page_of_jobs_is_followed_by_the_next(play: Playing, submit: Submitting) -> None:
    async def scene(store: JobStore) -> None:
        ids = [(await submit(store, 1, owner="ann")).id for _ in range(3)]
        await submit(store, 1, owner="bob")
        page, cursor = await store.jobs("ann", states=frozenset(), after="", limit=2)
        rest, end = await store.jobs("ann", states=frozenset(), after=cursor, limit=2)
        assert [job.id for job in [*page, *rest]] == ids[::-1]
        assert cursor
        assert not end
        await store.cancel(ids[1])
        cancelled = frozenset({State.CANCELLED})
        page, _ = await store.jobs("ann", states=cancelled, after="", limit=2)
        assert [job.id for job in page] == [ids[1]]

    play(scene)


def test_events_come_once_and_resume(play: Playing, submit: Submitting) -> None:
    async def scene(store: JobStore) -> None:
        job = await submit(store)
        await _work(store, job.id, 0, 1, 2)
        events = [event async for event in store.events(job.id, "") if event]
        kinds = [event.kind for event in events]
        assert kinds == ["state", "state", *["progress"] * 3, "state", "state"]
        assert json.loads(events[-1].data)["state"] == "completed"
        for at, event in enumerate(events):
            rest = [e.id async for e in store.events(job.id, event.id) if e]
            assert rest == [e.id for e in events[at + 1 :]]

    play(scene)


def test_ids_sort_by_time_and_hold_no_pattern() -> None:
    ids = [new_job_id() for _ in range(100)]
    assert [i[:16] for i in ids] == sorted(i[:16] for i in ids)
    assert len({i[16:] for i in ids}) == 100


@pytest.mark.parametrize("job_id", ["", "job_../../etc", "job_" + "0" * 36, "x"])
def test_what_is_no_job_is_not_found(play: Playing, job_id: str) -> None:
    async def scene(store: JobStore) -> None:
        with pytest.raises(NotFound):
            await store.get(job_id)

    play(scene)
