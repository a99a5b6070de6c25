from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import time
from pathlib import Path
from typing import cast

import pytest
from redis import Redis

from geofix.errors import NotFound, Unavailable
from geofix.jobs.chunks import Chunks
from geofix.jobs.idempotency import job_id_of
from geofix.jobs.store import JobStore, new_job_id
from geofix.jobs.sweeping import collect, sweep
from geofix.jobs.tasks import BATCH_QUEUES, CelerySender
from geofix.jobs.types import Counts, Priority, State, Task
from tests.jobs.conftest import Playing, Submitting
from tests.jobs.test_store import _outcomes, _work


def _age(redis: Redis, job_id: str, seconds: float) -> None:
    """Make what is written of chunks that were sent, and of leases, older."""
    todo = f"geofix:job:{job_id}:todo"
    for key in (todo, "geofix:leases"):
        for member, score in cast(
            "list[tuple[str, float]]", redis.zrange(key, 0, -1, withscores=True)
        ):
            redis.zadd(key, {member: score - seconds if score else 0.0})


def _sent(redis: Redis) -> list[list[object]]:
    """The arguments of the tasks in the broker, which is emptied."""
    found = []
    for queue in (*BATCH_QUEUES, "control"):
        for message in reversed(redis.lrange(queue, 0, -1)):
            body = json.loads(message)
            found.append([queue[:7], *json.loads(_decoded(body["body"]))[0]])
        redis.delete(queue)
    return found


def _decoded(body: str) -> bytes:
    return base64.b64decode(body)


def test_a_lost_chunk_is_sent_again(play: Playing, submit: Submitting, redis: Redis) -> None:
    async def scene(store: JobStore) -> None:
        sender = CelerySender(store.config.redis_url)
        job = await submit(store)
        assert (await sweep(store, sender)).sent == 2
        assert [args[2] for args in _sent(redis)] == [0, 1]
        assert await Chunks(store, "w").claim(job.id, 0)
        _age(redis, job.id, 9)
        assert (await sweep(store, sender)).sent == 0
        _age(redis, job.id, 14)  # the lease is over, and nobody took up chunk 1
        swept = await sweep(store, sender)
        assert (swept.lost, swept.sent) == (1, 2)
        assert [args[2] for args in _sent(redis)] == [0, 1]
        assert (await store.get(job.id)).redeliveries == 1
        claim = await Chunks(store, "v").claim(job.id, 0)
        assert claim is not None
        assert claim.isolated

    play(scene)


def test_while_messages_wait_chunks_are_sent_again_ever_more_rarely(
    play: Playing, submit: Submitting, redis: Redis
) -> None:
    async def scene(store: JobStore) -> None:
        sender = CelerySender(store.config.redis_url)
        job = await submit(store)
        await sweep(store, sender)
        sent = []
        for _ in range(8):
            _age(redis, job.id, 61)
            sent.append((await sweep(store, sender)).sent)
        assert sent == [2, 0, 2, 0, 0, 0, 2, 0]

    play(scene)


def test_priorities_go_to_lists_of_their_own(play: Playing, redis: Redis) -> None:
    async def scene(store: JobStore) -> None:
        sender = CelerySender(store.config.redis_url)
        for priority in Priority:
            await sender.chunk(Task("j", 1, priority))

    play(scene)
    assert [redis.llen(queue) for queue in BATCH_QUEUES] == [1, 1, 1, 0]


def test_a_broker_that_is_gone_is_said_to_be() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unavailable):
        asyncio.run(CelerySender(f"redis://127.0.0.1:{port}/0").webhook("j"))


def test_a_sweep_brings_back_what_redis_has_lost(
    play: Playing, submit: Submitting, redis: Redis
) -> None:
    async def scene(store: JobStore) -> None:
        sender = CelerySender(store.config.redis_url)
        jobs = [await submit(store) for _ in range(3)]
        await _work(store, jobs[0].id, 0, 1, 2)
        await store.cancel(jobs[1].id)
        redis.flushall()
        swept = await sweep(store, sender)
        assert (swept.rebuilt, swept.sent) == (3, 2)
        assert {args[1] for args in _sent(redis)} == {jobs[2].id}
        states = [(await store.get(job.id)).state for job in jobs]
        assert states == [State.COMPLETED, State.CANCELLED, State.VALIDATING]

    play(scene)


def test_a_job_whose_last_worker_died_before_closing_it_ends(
    play: Playing, submit: Submitting, redis: Redis
) -> None:
    async def scene(store: JobStore) -> None:
        sender = CelerySender(store.config.redis_url)
        job = await submit(store, 3)
        claim = await Chunks(store, "w").claim(job.id, 0)
        assert claim is not None
        # written, and then the power fails
        await store.records.write_results(job.id, 0, 0, "w", _outcomes(claim))
        _age(redis, job.id, 60)
        assert (await sweep(store, sender)).lost == 1
        assert await Chunks(store, "v").claim(job.id, 0) is None
        job = await store.get(job.id)
        assert (job.state, job.counts) == (State.COMPLETED, Counts(3, 3, 0))

    play(scene)


def test_a_job_whose_time_is_up_expires(play: Playing, submit: Submitting) -> None:
    async def scene(store: JobStore) -> None:
        sender = CelerySender(store.config.redis_url)
        job = await submit(store, expires_after_s=0.05)
        await _work(store, job.id, 0)
        await asyncio.sleep(0.06)
        assert (await sweep(store, sender)).ended == 1
        job = await store.get(job.id)
        assert (job.state, job.counts) == (State.EXPIRED, Counts(8, 3, 5))
        found = [outcome async for outcome in store.outcomes(job.id)]
        assert {o.problem.status for o in found if o.problem} == {504}
        assert (await store.retry(job.id)).counts == Counts(8, 3, 0)

    play(scene)


def test_a_cancelled_job_ends_without_its_worker(
    play: Playing, submit: Submitting, redis: Redis
) -> None:
    async def scene(store: JobStore) -> None:
        sender = CelerySender(store.config.redis_url)
        job = await submit(store)
        assert await Chunks(store, "w").claim(job.id, 0)
        assert (await store.cancel(job.id)).state is State.CANCELLING
        await sweep(store, sender)
        assert (await store.get(job.id)).state is State.CANCELLING
        redis.hset(f"geofix:job:{job.id}", "at:cancelling", str(time.time() - 5))
        await sweep(store, sender)
        assert (await store.get(job.id)).state is State.CANCELLED

    play(scene)


@pytest.mark.usefixtures("redis")
def test_what_may_be_deleted_is_deleted(
    play: Playing, submit: Submitting, redis: Redis, tmp_path: Path
) -> None:
    async def scene(store: JobStore) -> None:
        kept, ended = await submit(store), await submit(store)
        await _work(store, ended.id, 0, 1, 2)
        objects = store.records.objects
        broken_off = f"jobs/{new_job_id()}/inputs-1/000000.bin"
        running = f"jobs/{new_job_id()}/inputs-1/000000.bin"
        for path in (broken_off, running):
            await objects.create(path, b"x")
            _touch(tmp_path / "objects" / path, 7200)
        await store.agenda.renew(f"upload:{running.split('/')[1]}", "", 60)
        await job_id_of(store, "ann", "key")
        [record] = [path async for path, _ in objects.paths("idempotency/")]
        _touch(tmp_path / "objects" / record, 3 * 86_400)
        redis.zadd("geofix:retention", {ended.id: time.time() - 1})
        assert await collect(store) == 3
        assert (await store.get(kept.id)).state is State.VALIDATING
        with pytest.raises(NotFound):
            await store.get(ended.id)
        assert sorted(await store.records.job_ids()) == sorted([kept.id, running.split("/")[1]])
        assert [path async for path, _ in objects.paths("idempotency/")] == []

    play(scene)


def _touch(path: Path, seconds_ago: float) -> None:
    at = time.time() - seconds_ago
    os.utime(path, (at, at))
